"""Band-pass response of nuclei at the scale of foci, and the noise that it is judged by.

Every nucleus is first brought to its own level (the median at each depth below its rim becomes 0)
and everything outside nuclei to 0, and all smoothing is weighted by the mask. So neither the step
at a nucleus's rim, nor a bright neighbour, nor anything in the cytoplasm makes a response, and the
whole image is done at once.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from measurements.errors import MeasurementError
from measurements.regions import Floats, Regions, divide

MAD_TO_SD = 1.4826022185056018
MINIMUM_FREE_PIXELS = 60
IMMERKAER_MASK = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float64) / 6


@dataclass(frozen=True, slots=True)
class FociSettings:
    """How foci are found.

    Attributes:
        sigma: px, SD of the fine Gaussian; best at about two thirds of a focus's own SD, or 0.28
            of its width at half height.
        background_scale: the level around a focus is smoothed over this times `sigma`.
        threshold: a focus stands this many noise SD over its nucleus in the band-pass response.
        noise: SD of the band-pass response without foci, grey values, e.g. `response_noise` of a
            batch's controls; it then holds for every nucleus. None estimates it in each nucleus.
        minimum_snr: a focus's peak stands this many SD of the nucleus around it over its level
            there, which the texture of a rim or of chromatin does not (after Rose 1948, J Opt Soc
            Am 38:196).
        ridge_ratio: largest ratio of the response's principal curvatures at a focus; lines such
            as folds and rims exceed it (Lowe 2004, IJCV 60:91, section 4.1).
    """

    sigma: float = 1.2
    background_scale: float = 2.0
    threshold: float = 4.5
    noise: float | None = None
    minimum_snr: float = 2.5
    ridge_ratio: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        if not (self.sigma > 0 and self.background_scale > 1 and self.threshold > 0):
            raise MeasurementError(
                f"Foci need sigma > 0, background_scale > 1 and threshold > 0, got {self.sigma}, "
                f"{self.background_scale} and {self.threshold}."
            )
        if (
            self.ridge_ratio < 1
            or self.minimum_snr < 0
            or (self.noise is not None and not self.noise >= 0)
        ):
            raise MeasurementError(
                f"Foci need ridge_ratio >= 1, minimum_snr >= 0 and noise >= 0 or None, got "
                f"{self.ridge_ratio}, {self.minimum_snr} and {self.noise}."
            )

    @property
    def coarse(self) -> float:
        """SD of the coarse Gaussian in px."""
        return self.sigma * self.background_scale


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """Band-pass response of one image.

    Attributes:
        levelled: image (y, x): grey value less the median of its nucleus at that depth, 0
            outside nuclei.
        values: image (y, x): response in grey values, 0 outside nuclei.
        index: int32 image (y, x): 1 + row of the nucleus, 0 outside.
        centre: median response of each nucleus.
        noise: SD of the response without foci that each nucleus is judged by.
        smooth: image (y, x): the image blurred by the fine Gaussian without regard to masks.
        rim: image (y, x): SD of the response along the rim, 0 deeper inside; it counts where it is
            above `noise`.
    """

    levelled: Floats
    values: Floats
    index: NDArray[np.int32]
    centre: Floats
    noise: Floats
    smooth: Floats
    rim: Floats


def band_pass(image: NDArray[Any], nuclei: Regions, settings: FociSettings) -> Response:
    """Difference of two Gaussians, each normalised by the mask of the nuclei.

    The mask-weighted mean (normalised convolution, Knutsson & Westin 1993, CVPR 515) of an even
    nucleus is even up to its last pixel, so the rim gives no response.

    Args:
        image: one channel (y, x), any real dtype; a projection where there was a stack.
        nuclei: regions of the nuclei.
        settings: scale and threshold.

    Raises:
        MeasurementError: the image is not 2D or has another shape than the labels.
    """
    if len(nuclei.shape) != 2:
        raise MeasurementError(f"Foci need 2D images, got shape {nuclei.shape}: project z first.")
    index = nuclei.index_image()
    shells, depth = _shells(index, settings)
    pixels = shells.gather(image)
    levelled = paint(shells, pixels - shells.spread(shells.median(pixels)))
    mask = (index > 0).astype(np.float64)
    fine = weighted_blur(levelled, mask, settings.sigma)
    values = (fine - weighted_blur(levelled, mask, settings.coarse)) * mask
    centre = nuclei.median(nuclei.gather(values))
    rim = _rim_spread(values, shells, depth, settings.coarse)
    pixel_noise = _pixel_noise(image, index, settings)
    smooth = ndimage.gaussian_filter(image.astype(np.float64), settings.sigma)
    response = Response(levelled, values, index, centre, pixel_noise, smooth, rim)
    if settings.noise is not None:
        return replace(response, noise=np.full(len(nuclei), settings.noise))
    return replace(response, noise=_noise_without_foci(response, nuclei, settings))


def response_noise(image: NDArray[Any], nuclei: Regions, settings: FociSettings) -> float:
    """Median over the nuclei of the response's SD without foci, in grey values.

    Taken over the control images of a batch it is the `noise` that makes thresholds comparable.
    NaN for an image without nuclei.
    """
    noise = band_pass(image, nuclei, replace(settings, noise=None)).noise
    return float(np.nanmedian(noise)) if np.isfinite(noise).any() else float("nan")


def threshold_image(response: Response, settings: FociSettings) -> Floats:
    """Image of the response above which a pixel can belong to a focus; infinite outside nuclei."""
    centre = np.concatenate([[np.inf], response.centre])[response.index]
    noise = np.concatenate([[0.0], response.noise])[response.index]
    threshold: Floats = centre + settings.threshold * np.maximum(noise, response.rim)
    return threshold


def weighted_blur(image: Floats, mask: Floats, sigma: float) -> Floats:
    """Gaussian mean of the image over the mask; 0 where no mask is near.

    Args:
        image: values, 0 outside the mask.
        mask: 1 where values count, 0 elsewhere.
        sigma: SD of the Gaussian in px.
    """
    total = ndimage.gaussian_filter(image, sigma, mode="constant", truncate=3.0)
    weight = ndimage.gaussian_filter(mask, sigma, mode="constant", truncate=3.0)
    blurred: Floats = np.nan_to_num(divide(total, np.where(weight > 1e-6, weight, 0)))
    return blurred


def paint(regions: Regions, values: Floats) -> Floats:
    """Image with one value for each of the regions' pixels, 0 elsewhere."""
    image = np.zeros(int(np.prod(regions.shape)))
    image[regions.pixels] = values
    return image.reshape(regions.shape)


def disc(radius: float) -> NDArray[np.bool_]:
    """Footprint of a disc, an odd number of pixels wide."""
    reach = int(np.ceil(radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    footprint: NDArray[np.bool_] = y**2 + x**2 <= radius**2
    return footprint


def robust_sds(regions: Regions, values: Floats) -> Floats:
    """SD of each region's values from their median absolute deviation."""
    deviations = np.abs(values - regions.spread(regions.median(values)))
    return MAD_TO_SD * regions.median(deviations)


def _shells(index: NDArray[np.int32], settings: FociSettings) -> tuple[Regions, NDArray[np.int64]]:
    """Divide each nucleus by depth below its rim, a pixel a shell, and one for all that is deeper.

    Returns:
        The shells as regions, and the depth of each: 0 is the outermost.
    """
    smallest, largest = ndimage.minimum_filter(index, 3), ndimage.maximum_filter(index, 3)
    inner = (index > 0) & (smallest == largest)
    distance = ndimage.distance_transform_edt(np.pad(inner, 1))[1:-1, 1:-1]
    deepest = int(np.ceil(3 * settings.coarse)) + 1
    depth = np.where(index > 0, np.minimum(np.round(distance), deepest), 0).astype(np.int64)
    shells = Regions.of(index.astype(np.int64) * (deepest + 1) + depth)
    return shells, shells.ids.astype(np.int64) % (deepest + 1)


def _rim_spread(values: Floats, shells: Regions, depth: NDArray[np.int64], reach: float) -> Floats:
    """Image of the response's SD within each shell of the rim, 0 deeper than its reach.

    Where the outline of the nucleus and that of its mask part by fractions of a pixel the rim has
    a texture that the rest of the nucleus lacks, and only foci that stand out from it count. The
    MAD lets foci pass that cover up to about a third of a shell.
    """
    spread = robust_sds(shells, shells.gather(values))
    return paint(shells, shells.spread(np.where(depth <= reach, spread, 0.0)))


def _noise_without_foci(response: Response, nuclei: Regions, settings: FociSettings) -> Floats:
    """SD of each nucleus's response where there is no focus, at least that of its pixel noise.

    The response's own spread would rise with the number of foci and hide the dim ones among many.
    So whatever the pixel noise alone does not explain is left out together with its surroundings,
    and so is the rim, where the nucleus gets thin. A nucleus too full of foci takes the median of
    the others.
    """
    depth = 2 * int(np.ceil(settings.coarse)) + 1
    deep = response.index == ndimage.minimum_filter(response.index, depth)
    deep &= response.index == ndimage.maximum_filter(response.index, depth)
    peaks = response.values > threshold_image(response, settings)
    near = ndimage.distance_transform_edt(~peaks) <= 1.5 * settings.coarse
    rows = np.arange(1, len(nuclei) + 1)
    free = Regions.of(np.where(deep & ~near, response.index, 0), rows)
    own = robust_sds(free, free.gather(response.values))
    own[free.areas < MINIMUM_FREE_PIXELS] = np.nan
    typical = np.nanmedian(own) if np.isfinite(own).any() else 0.0
    noise: Floats = np.fmax(response.noise, np.where(np.isfinite(own), own, typical))
    return noise


def _pixel_noise(image: NDArray[Any], index: NDArray[np.int32], settings: FociSettings) -> Floats:
    """SD that each nucleus's pixel noise has in the band-pass response.

    Immerkær 1996 (Comput Vis Image Underst 64:300) with the median absolute value, which foci
    hardly move, times the norm of the band-pass kernel; at least what rounding to whole grey
    values adds (SD 1/√12), so that an even nucleus has no foci.
    """
    inner = index == ndimage.minimum_filter(index, 3)
    inner &= index == ndimage.maximum_filter(index, 3)
    regions = Regions.of(np.where(inner, index, 0), np.arange(1, index.max(initial=0) + 1))
    pixels = image.astype(np.float64)
    own = robust_sds(regions, regions.gather(ndimage.convolve(pixels, IMMERKAER_MASK)))
    whole = image.dtype.kind in "bui"
    smallest = 1 / np.sqrt(12) if whole else 1e-6 * float(np.abs(pixels).max(initial=0))
    reach = int(np.ceil(4 * settings.coarse))
    impulse = np.zeros((2 * reach + 1, 2 * reach + 1))
    impulse[reach, reach] = 1
    kernel = ndimage.gaussian_filter(impulse, settings.sigma)
    kernel -= ndimage.gaussian_filter(impulse, settings.coarse)
    gain = float(np.sqrt(np.sum(kernel**2)))
    noise: Floats = np.fmax(own, smallest) * gain
    return noise
