"""Foci by a learned detector, U-FISH, beside `foci_detection.find_foci`.

U-FISH (package `ufish`, MIT) turns an image into one in which every spot looks alike. Its network
of 0.7 MB lies in the package, so nothing is downloaded; only that file is used, through ONNX
Runtime, without importing the package, which would bring its training tools along. It was trained
on the small spots of FISH images, not on foci.
"""

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.errors import MeasurementError
from measurements.foci_response import index_of
from measurements.foci_smoothing import Image
from measurements.foci_summits import Ints, first_pixels, fit_quadratics
from measurements.regions import Floats, Regions

WEIGHTS = "ufish/model/weights/v1.0-alldata-ufish_c32.onnx"
WHITE = 255.0
OUTLIERS = 0.9999


def find_foci_ufish(
    image: NDArray[Any], nuclei: Regions, threshold: float = 0.5
) -> tuple[Floats, Ints]:
    """Find foci in every nucleus by U-FISH.

    Args:
        image: one channel, (y, x) or (z, y, x), any real dtype; planes are enhanced one by one.
        nuclei: regions of the nuclei, in the image or in a plane of it.
        threshold: least height of a spot in the enhanced image after a Laplace filter; 0.5 is the
            package's own.

    Returns:
        (n, axes) positions, and the row of the nucleus that each lies in.

    Raises:
        MeasurementError: the packages of the extra are missing, or the shapes do not fit.
    """
    index = index_of(image, nuclei)
    planes = _to_white(image).reshape(-1, *image.shape[-2:])
    enhanced = np.stack([_enhance(plane) for plane in planes]).reshape(image.shape)
    sharp: Image = -ndimage.laplace(enhanced)
    highest = sharp == ndimage.maximum_filter(sharp, 3)
    at = first_pixels(highest & (sharp > threshold) & (index > 0))
    offset, _ = fit_quadratics(sharp, at)
    return at + offset, index[tuple(at.T)].astype(np.int64) - 1


def _to_white(image: NDArray[Any]) -> Image:
    """Scale to 0 to 255, as the network was trained: the brightest pixel is white.

    Where that is an outlier, more than twice the 99.99th percentile, the percentile is.
    """
    pixels = image.astype(np.float32)
    low, usual, high = (float(np.quantile(pixels, q)) for q in (0.0, OUTLIERS, 1.0))
    if high > 2 * usual:
        low, high = 0.0, usual
    scaled: Image = np.clip((pixels - low) / max(high - low, 1e-9), 0, 1) * np.float32(WHITE)
    return scaled


def _enhance(plane: Image) -> Image:
    session = _session()
    enhanced: Image = session.run(None, {session.get_inputs()[0].name: plane[None, None]})[0][0, 0]
    return enhanced


@lru_cache(maxsize=1)
def _session() -> Any:  # noqa: ANN401 - the optional package has no types here
    try:
        import onnxruntime

        weights = distribution("ufish").locate_file(WEIGHTS)
    except (ImportError, PackageNotFoundError) as error:
        raise MeasurementError(
            "The learned detector needs the packages ufish and onnxruntime, which are not "
            "installed: pip install 'senescope[ufish]', or use the band-pass detector."
        ) from error
    options = onnxruntime.SessionOptions()
    # Images are spread over worker processes already.
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
