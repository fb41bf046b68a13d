"""A colour camera over a bright field: light becomes 8-bit red, green and blue."""

from dataclasses import dataclass
from io import BytesIO

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from pipelines.simulate.camera import Camera, expose
from pipelines.simulate.optics import illumination
from pipelines.simulate.randomness import FloatArray, part_rng, smooth_noise
from pipelines.simulate.scene import Field


@dataclass(frozen=True, slots=True)
class ColourCamera:
    """A colour camera, and how its pictures are kept.

    Attributes:
        white_balance: gain of red, green and blue.
        white_level: grey value of an empty field where it is brightest, of 255.
        electrons: electrons at 255: the fewer, the noisier.
        read_noise_e: SD of the read-out noise, electrons.
        gamma: exponent by which the camera encodes light; 1 is linear, 2.2 a consumer camera.
        jpeg_quality: quality 1 to 95 of a JPEG compression; None for none.
        light_seed: where the light is brightest, the same in all images of one microscope; None
            for the image's own place.
    """

    white_balance: tuple[float, float, float] = (1.0, 0.99, 0.96)
    white_level: float = 215.0
    electrons: float = 12000.0
    read_noise_e: float = 8.0
    gamma: float = 1.0
    jpeg_quality: int | None = None
    light_seed: int | None = None


def photograph(
    light: FloatArray, scene: Field, camera: ColourCamera, seed: int
) -> NDArray[np.uint8]:
    """Photograph what came through the specimen.

    Args:
        light: (3, y, x) transmitted light of each colour, 1 for an empty field.
        scene: the field, of which the fall-off of the light counts.
        camera: white balance, noise, encoding and compression.
        seed: seed of the simulation.

    Returns:
        uint8 (y, x, 3).
    """
    lit = shaded(scene, camera, seed)
    dust = smooth_noise(scene.shape, 3.0, part_rng(seed, "medium"))
    electrons = light * lit * (1 + 0.004 * dust) * white_electrons(camera)[:, None, None]
    sensor = Camera(camera.electrons / 65535, camera.read_noise_e, 0.0, camera.electrons)
    grey = expose(electrons, sensor, part_rng(seed, "camera")) / 65535
    encoded = np.rint(255 * grey ** (1 / camera.gamma)).astype(np.uint8)
    picture = np.ascontiguousarray(np.moveaxis(encoded, 0, -1))
    return picture if camera.jpeg_quality is None else as_jpeg(picture, camera.jpeg_quality)


def shaded(scene: Field, camera: ColourCamera, seed: int) -> FloatArray:
    """Light over an empty field, (y, x), 1 at the brightest pixel; see `photograph`."""
    lit_by = seed if camera.light_seed is None else camera.light_seed
    return illumination(scene.shape, scene.falloff, part_rng(lit_by, "light"))


def white_electrons(camera: ColourCamera) -> FloatArray:
    """Electrons of red, green and blue where an empty field is brightest."""
    level: float = (camera.white_level / 255) ** camera.gamma
    return np.asarray(camera.white_balance, dtype=np.float64) * (camera.electrons * level)


def as_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Send a picture through JPEG and back."""
    packed = BytesIO(iio.imwrite("<bytes>", picture, extension=".jpg", quality=quality))
    return np.asarray(iio.imread(packed, extension=".jpg"), dtype=np.uint8)
