"""The light of foci: calibrated on what surrounds each of them, then painted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import spatial, special

from pipelines.simulate.camera import Camera, noise_sd_e
from pipelines.simulate.optics import FWHM_PER_SIGMA, Optics, defocused_sigma_um
from pipelines.simulate.randomness import FloatArray
from pipelines.simulate.scene import paste
from pipelines.simulate.spots import Foci


@dataclass(frozen=True, slots=True)
class Imaging:
    """How foci are looked at.

    Attributes:
        optics: the objective.
        emission_nm: wavelength of their light, nm.
        pixel_size_um: edge length of a pixel, µm.
        planes_um: heights to which the microscope is focused, µm.
        camera: the camera.
        surroundings_um: radius within which background, texture and noise of a focus count, µm.
    """

    optics: Optics
    emission_nm: float
    pixel_size_um: float
    planes_um: tuple[float, ...]
    camera: Camera
    surroundings_um: float


@dataclass(frozen=True, slots=True)
class PaintedFoci:
    """Light of foci and what it amounts to; all but `light` have one value a focus.

    Attributes:
        light: (plane, y, x) electrons of all foci together.
        plane: plane of the stack that lies nearest.
        background_e: mean of the surroundings without foci in that plane, electrons.
        spread_e: SD of texture and noise there, electrons.
        peak_e: height of the focus's own light at its brightest pixel in that plane, electrons.
        sigma_px: SD of its image in that plane, px.
    """

    light: FloatArray
    plane: NDArray[np.int64]
    background_e: FloatArray
    spread_e: FloatArray
    peak_e: FloatArray
    sigma_px: FloatArray


def paint_foci(
    foci: Foci, background: FloatArray, labels: NDArray[np.uint32], imaging: Imaging
) -> PaintedFoci:
    """Give every focus the light that its signal-to-noise ratio asks for, and paint it.

    The ratio is that of the project's definition: the height of the peak over the background at
    its place, over the SD of the nucleus's texture and noise around it. It holds for a focus in the
    focal plane and alone; out of focus the same light is spread wider and the ratio falls.

    Args:
        foci: the foci.
        background: (plane, y, x) electrons that reach the camera without foci.
        labels: (y, x) nuclei.
        imaging: the microscope.

    Returns:
        The light and its amounts.
    """
    n = foci.y.size
    light = np.zeros(background.shape)
    plane = np.zeros(n, dtype=np.int64)
    columns = np.zeros((4, n))
    focused = np.asarray(imaging.planes_um)
    for i in range(n):
        plane[i] = int(np.abs(focused - foci.z_um[i]).argmin())
        mean, spread = surroundings(background[plane[i]], labels, foci, i, imaging)
        sharp, _, _ = focus_image(foci, i, 0.0, imaging)
        scale = foci.snr[i] * spread / sharp.max()
        for k, height in enumerate(focused):
            image, top, left = focus_image(foci, i, foci.z_um[i] - height, imaging)
            paste(light[k], image * scale, top, left)
            if k == plane[i]:
                sigma = _total_sigma_px(foci, i, foci.z_um[i] - height, imaging)
                columns[:, i] = mean, spread, image.max() * scale, sigma
    return PaintedFoci(light, plane, *columns)


def surroundings(
    background: FloatArray, labels: NDArray[np.uint32], foci: Foci, i: int, imaging: Imaging
) -> tuple[float, float]:
    """Measure the nucleus around a focus in the image without foci.

    Returns:
        Mean, and SD of texture and of one pixel's noise together, electrons.
    """
    radius = imaging.surroundings_um / imaging.pixel_size_um
    y0, x0 = max(int(foci.y[i] - radius), 0), max(int(foci.x[i] - radius), 0)
    window = (slice(y0, int(foci.y[i] + radius) + 2), slice(x0, int(foci.x[i] + radius) + 2))
    y, x = np.indices(background[window].shape)
    near = np.hypot(y + y0 - foci.y[i], x + x0 - foci.x[i]) <= radius
    values = background[window][near & (labels[window] == foci.nucleus[i] + 1)]
    noise = float(noise_sd_e(values.mean(), imaging.camera))
    return float(values.mean()), float(np.hypot(values.std(), noise))


def focus_image(
    foci: Foci, i: int, defocus_um: float, imaging: Imaging
) -> tuple[FloatArray, int, int]:
    """Draw one focus of unit light, integrated over pixels: two Gaussians beside its centre.

    Returns:
        (h, w) light, and the row and column of its first pixel in the field.
    """
    psf_um = defocused_sigma_um(imaging.optics, imaging.emission_nm, defocus_um)
    sigma = float(np.hypot(foci.sigma_um[i], psf_um)) / imaging.pixel_size_um
    arm = foci.arm_um[i] / imaging.pixel_size_um
    half = int(np.ceil(4.5 * sigma + np.abs(arm).max())) + 1
    top, left = round(foci.y[i]) - half, round(foci.x[i]) - half
    rows, columns = np.arange(2 * half + 1) + top, np.arange(2 * half + 1) + left
    image = np.zeros((rows.size, columns.size))
    for sign in (-1.0, 1.0):
        along_y = _pixel_gaussian(rows - foci.y[i] - sign * arm[0], sigma)
        along_x = _pixel_gaussian(columns - foci.x[i] - sign * arm[1], sigma)
        image += 0.5 * np.outer(along_y, along_x)
    return image, top, left


def foci_table(
    foci: Foci, painted: PaintedFoci, imaging: Imaging, width_um: float
) -> dict[str, NDArray[np.generic]]:
    """Say what is known of each focus.

    Returns:
        ``nucleus`` (label), ``y``, ``x`` (px), ``z_um``, ``plane``, ``fwhm_um`` (its own width),
        ``sigma_px`` (of its image), ``peak`` and ``background`` and ``spread`` (grey values: height
        over the background, mean around it, SD of texture and noise), ``snr_in_focus`` (asked for),
        ``snr`` (realised, out of focus lower), ``nearest_um`` and ``nearest_widths`` (lateral
        distance of the nearest other focus; infinite where there is none).
    """
    positions = np.column_stack([foci.y, foci.x]) * imaging.pixel_size_um
    nearest = np.full(foci.y.size, np.inf)
    if foci.y.size > 1:
        nearest = spatial.KDTree(positions).query(positions, k=2)[0][:, 1]
    per_dn = imaging.camera.electrons_per_dn
    return {
        "nucleus": (foci.nucleus + 1).astype(np.uint32),
        "y": foci.y,
        "x": foci.x,
        "z_um": foci.z_um,
        "plane": painted.plane,
        "fwhm_um": foci.sigma_um * FWHM_PER_SIGMA,
        "sigma_px": painted.sigma_px,
        "peak": painted.peak_e / per_dn,
        "background": painted.background_e / per_dn + imaging.camera.offset_dn,
        "spread": painted.spread_e / per_dn,
        "snr_in_focus": foci.snr,
        "snr": painted.peak_e / painted.spread_e,
        "nearest_um": nearest,
        "nearest_widths": nearest / width_um,
    }


def _total_sigma_px(foci: Foci, i: int, defocus_um: float, imaging: Imaging) -> float:
    """SD of a focus's image, averaged over directions in variance, px."""
    psf_um = defocused_sigma_um(imaging.optics, imaging.emission_nm, defocus_um)
    variance = foci.sigma_um[i] ** 2 + psf_um**2 + (foci.arm_um[i] ** 2).sum() / 2
    return float(np.sqrt(variance)) / imaging.pixel_size_um


def _pixel_gaussian(distance_px: FloatArray, sigma_px: float) -> FloatArray:
    """Share of a Gaussian's light that falls on each pixel of a line."""
    edges = special.erf((distance_px[:, None] + np.array([-0.5, 0.5])) / (np.sqrt(2) * sigma_px))
    return np.asarray(0.5 * (edges[:, 1] - edges[:, 0]))
