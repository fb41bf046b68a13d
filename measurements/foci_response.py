"""Band-pass response of nuclei at the scale of foci, and the noise that it is judged by.

A focus must stand out from the texture of its nucleus, which is as wide as itself, more than from
the camera's noise. Three things make the most of that:

* a difference of two Gaussians near the focus's own scale, within 7 % of what the best linear
  filter (prewhitened by the texture's true covariance) reaches on simulated nuclei;
* the square root of the brightness: texture is a product of densities, bright grains stand out
  further than dark ones lie below, and shot noise grows with brightness; the root evens out both
  (Anscombe 1948, Biometrika 35:246, for the noise);
* noise measured around each place, as the signal-to-noise ratio of a focus is defined, with the
  foci themselves left out.

Every nucleus is brought to its own level at each depth from its rim first and everything outside
to 0, and all smoothing is weighted by the mask. So neither a nucleus's blurred rim, nor a
bright neighbour, nor anything in the cytoplasm makes a response, and the whole image is done at
once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.errors import MeasurementError
from measurements.foci_filter import BandPass
from measurements.foci_noise import Picture, local_noise
from measurements.foci_rim import levels_by_depth
from measurements.foci_scale import Evidence, ImageScale, brightest, darkest, sampled
from measurements.foci_settings import FociSettings
from measurements.foci_smoothing import Image, Members, gaussian, scaled
from measurements.regions import Floats, Regions, divide

# How many SDs of a nucleus's pixels the root's argument stays above 0: the root then does next to
# nothing to a nucleus that is mostly noise.
ROOT_MARGIN = 3.0
# SD of how far an outline lies beside the rim that it marks, px. Outlines of whole pixels alone
# make it 0.3, and what errs together along them weighs more: on simulated discs and ellipses of 12
# to 35 px radius without noise, 0.5 gives the response at the rim to within a factor of two.
UNSURE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """Band-pass response of one image.

    Attributes:
        levelled: image: grey value less the level of its nucleus at that depth, 0 outside nuclei.
        values: image: response in grey values, 0 outside nuclei.
        noise: image: SD of the response without foci around each pixel, 0 outside nuclei.
        index: int32 image: 1 + row of the nucleus, 0 outside.
        members: pixels of each nucleus.
        bright: image: the grey values themselves.
        evidence: what each nucleus added to every estimate of the noise.
        origin: place of the first pixel in the larger image, one index an axis.
    """

    levelled: Image
    values: Image
    noise: Image
    index: NDArray[np.int32]
    members: Members
    bright: Image
    evidence: list[Evidence]
    origin: tuple[int, ...]


def band_pass(
    image: NDArray[Any],
    nuclei: Regions,
    settings: FociSettings,
    whole: ImageScale | None = None,
) -> Response:
    """Difference of two Gaussians, each normalised by the mask of the nuclei, and its noise.

    Args:
        image: one channel, (y, x) or (z, y, x), any real dtype.
        nuclei: regions of the nuclei in the image, or in one plane of it: they then hold for all.
        settings: scale.
        whole: what is known of the larger image that this one was cut out of. Default: it is whole.

    Raises:
        MeasurementError: the image is neither 2D nor 3D, or has another shape than the labels.
    """
    sigmas = settings.sigmas(image.ndim)
    index = index_of(image, nuclei)
    members = Members.of(index, len(nuclei))
    mask = (index > 0).astype(np.float32)
    bright = np.nan_to_num(image.astype(np.float32), nan=0, posinf=0, neginf=0)
    scale = ImageScale(darkest(sampled(image)), brightest(image), None) if whole is None else whole
    found = _evened(bright, members, index, max(sigmas[-2:]), scale)
    filtered = BandPass.of(mask, found.unit, sigmas, settings)
    values = filtered.response(found.levelled)
    picture = Picture(found.levelled, values, index, filtered)
    noise, without, evidence = local_noise(picture, len(nuclei), sigmas, settings, scale)
    values = filtered.response(found.levelled, without)
    gain = _gain(settings, sigmas)
    if found.slope is not None:
        unsure = np.sqrt(_blurred(found.slope**2, sigmas, settings))
        noise = np.hypot(noise, gain * UNSURE * unsure)
    noise = np.maximum(noise, gain * _least_noise(image.dtype, scale.brightest)) * mask
    origin = (0,) * (image.ndim - len(nuclei.origin)) + nuclei.origin
    return Response(found.levelled, values, noise, index, members, bright, evidence, origin)


def mean_noise(response: Response) -> Floats:
    """Noise of the response in each nucleus, root mean square; NaN where it has no pixels."""
    squares = response.members.sums(response.noise**2)
    noise: Floats = np.sqrt(divide(squares, response.members.areas()))
    return noise


def index_of(image: NDArray[Any], nuclei: Regions) -> NDArray[np.int32]:
    """Image of 1 + row of the nucleus; a plane of nuclei is repeated through a stack.

    Raises:
        MeasurementError: the shapes do not fit, or the image has no real numbers.
    """
    if nuclei.shape not in (image.shape, image.shape[1:]):
        raise MeasurementError(
            f"The image has shape {image.shape} and its nuclei have {nuclei.shape}: "
            "pass one channel of the image that was segmented."
        )
    if image.dtype.kind not in "buif":
        raise MeasurementError(f"Expected an image of real numbers, not of {image.dtype}.")
    index: NDArray[np.int32] = np.broadcast_to(nuclei.index_image(), image.shape)
    return index


@dataclass(frozen=True, slots=True, eq=False)
class _Evened:
    """Image whose nuclei are at the level 0 at every depth from their rims.

    Attributes:
        levelled: grey values less the nucleus's level at that depth.
        unit: on each nucleus's pixels its mean brightness above the darkest part of the image, in
            grey values, at which the root is taken.
        slope: steepness of the levels taken off, grey values per px of depth; None without rims.
    """

    levelled: Image
    unit: Image
    slope: Image | None


def _evened(
    pixels: Image, members: Members, index: NDArray[np.int32], sigma: float, scale: ImageScale
) -> _Evened:
    """Take off the level of every nucleus at each depth.

    A picture that is one region in all has the level of its ground, and no rim.
    """
    areas, shape, ground = members.areas(), pixels.shape, scale.ground
    if ground is None:
        mean = np.nan_to_num(divide(members.sums(pixels), areas))
    else:
        mean = np.full(members.n, ground.mean)
    levelled = np.zeros_like(pixels)
    levelled.ravel()[members.pixels] = (
        pixels.ravel()[members.pixels] - mean.astype(np.float32)[members.rows]
    )
    if ground is None:
        sd = np.sqrt(np.nan_to_num(divide(members.sums(levelled**2), areas)))
    else:
        sd = np.full(members.n, ground.sd)
    unit = np.maximum(np.maximum(mean - scale.dark, ROOT_MARGIN * sd), np.finfo(np.float32).tiny)
    units = members.spread(unit, shape)
    slope = None
    if ground is None:
        level, slope = levels_by_depth(levelled, members, index, sigma)
        levelled -= level
    return _Evened(levelled, units, slope)


def _blurred(variance: Image, sigmas: tuple[float, ...], settings: FociSettings) -> Image:
    """Variance as far as the band-pass carries it: with the square of its wider kernel."""
    return gaussian(variance, scaled(sigmas, settings.coarse / float(np.sqrt(2))))


def _least_noise(dtype: np.dtype[Any], largest: float) -> float:
    """SD that rounding to whole grey values adds, so that an even nucleus has no foci."""
    return 1 / float(np.sqrt(12)) if dtype.kind in "bui" else 1e-5 * largest


def _gain(settings: FociSettings, sigmas: tuple[float, ...]) -> float:
    """SD that white noise of SD 1 has after the band-pass: the norm of its kernel.

    Two unit Gaussians of SD a and b have the inner product 1 / sqrt(2π (a² + b²)) along each axis.
    """

    def inner(a: float, b: float) -> float:
        scales = np.asarray(sigmas)
        return float(np.prod(1 / np.sqrt(2 * np.pi * ((a * scales) ** 2 + (b * scales) ** 2))))

    fine, coarse = settings.fine, settings.coarse
    return float(np.sqrt(inner(fine, fine) + inner(coarse, coarse) - 2 * inner(fine, coarse)))
