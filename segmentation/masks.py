"""From pixels to labels: one image, one model, Cellpose's steps.

`segment` does what ``CellposeModel.eval`` does for a grey image, save that it

* makes the masks in under a tenth of the time (`segmentation.dynamics`);
* gives the compact network larger tiles, and so fewer pixels (`segmentation.slides.lattice`);
* leaves the caller's pixels alone: ``eval`` normalises a float32 image in place;
* draws no picture of the flows;
* keeps sparse images: where the 1st and the 99th percentile are the same number, as in a black
  background with few nuclei, or differ by less than 0.001, Cellpose blanks the image;
* names objects by their place, not by the order in which they were found.
"""

import numpy as np
from numpy.typing import NDArray

from segmentation.dynamics import STEPS, masks_of
from segmentation.engine import transforms
from segmentation.inference import predict
from segmentation.models import Model
from segmentation.outlines import Labels
from segmentation.slides.block import scale_of
from segmentation.slides.lattice import NETWORK_DIAMETER_PX

Range = tuple[float, float]

# Grey values that become 0 and 1, as in CellposeModel.eval.
_PERCENTILES = (1, 99)
# Percentiles nearer than this share of the grey values' span lie both in the background.
_BACKGROUND_SPREAD = 1e-3


def segment(
    pixels: NDArray[np.generic],
    model: Model,
    diameter_px: float,
    *,
    flow_threshold: float = 0.4,
    cellprob_threshold: float = 0.0,
    min_size_px: int = 15,
    max_size_px: float | None = None,
    grey_range: Range | None = None,
) -> Labels:
    """Outline the objects of one grey image.

    Args:
        pixels: (y, x), bool, integer or float, finite; not modified.
        model: from `segmentation.models.load_model`.
        diameter_px: typical diameter of the objects in pixels; twice too much or too little
            costs some accuracy, and a larger one is faster.
        flow_threshold: largest allowed mean squared difference between the flows that the network
            predicted and those of the outline; 0 keeps every outline.
        cellprob_threshold: logit above which a pixel belongs to an object.
        min_size_px: smaller objects, in pixels of area, are dropped.
        max_size_px: larger objects are dropped; None takes Cellpose's 0.4 of the image. Give one
            number for all where an image is cut into blocks.
        grey_range: grey values that become 0 and 1 for the network; None takes the image's own
            1st and 99th percentile. Give one range for all where an image is cut into blocks.

    Returns:
        (y, x) uint32: 0 background, 1 to n in the order of their first pixel, row by row.

    Raises:
        ValueError: `pixels` is not a finite 2D image of at least 2 x 2, `diameter_px` is not
            positive or shrinks the image to nothing, or `grey_range` is empty.
    """
    image = _as_float(pixels)
    scale = _scale(image.shape, diameter_px)
    if np.ptp(image) == 0:
        return np.zeros(image.shape, np.uint32)
    scaled = _scaled_to_unit(image, grey_range)
    flows = predict(scaled, model, scale)
    return masks_of(
        flows.flow,
        flows.logit,
        steps=int(STEPS / scale),
        flow_threshold=flow_threshold,
        cellprob_threshold=cellprob_threshold,
        min_size_px=min_size_px,
        max_size_px=max_size_px,
        device=model.device,
    )


def _as_float(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """Copy the pixels as float32, refusing what is no grey image."""
    if pixels.ndim != 2 or min(pixels.shape) < 2:
        raise ValueError(
            f"An image to segment has two axes (y, x) of at least 2 pixels each, "
            f"this one has the shape {pixels.shape}."
        )
    if np.issubdtype(pixels.dtype, np.complexfloating):
        raise ValueError("An image to segment has real grey values, this one has complex ones.")
    image = np.array(pixels, dtype=np.float32)
    broken = image.size - int(np.isfinite(image).sum())
    if broken:
        raise ValueError(
            f"{broken} of {image.size} pixels are NaN or infinite: fill or crop them before "
            f"segmenting."
        )
    return image


def _scale(shape: tuple[int, ...], diameter_px: float) -> float:
    """Factor that brings objects to the network's diameter."""
    scale = scale_of(diameter_px)
    if int(min(shape) * scale) < 1:
        raise ValueError(
            f"A diameter of {diameter_px} px is over {NETWORK_DIAMETER_PX:g} times the image's "
            f"side of {min(shape)} px: there is nothing left to segment."
        )
    return scale


def _scaled_to_unit(image: NDArray[np.float32], grey_range: Range | None) -> NDArray[np.float32]:
    """Scale grey values for the network, (y, x), in a new array."""
    if grey_range is None:
        scaled: NDArray[np.float32] = transforms.normalize_img(image[..., np.newaxis].copy())
        if scaled.any():
            return scaled[..., 0]
        grey_range = _range_of_blanked(image)
    low, high = grey_range
    if not high > low:
        raise ValueError(f"The upper end of the grey range must exceed the lower: {grey_range}.")
    return ((image - low) / (high - low)).astype(np.float32)


def _range_of_blanked(image: NDArray[np.float32]) -> Range:
    """Grey range of an image that Cellpose would blank, its percentiles being 0.001 apart or less.

    [judgement] Either the grey values are small numbers, and the percentiles serve as ever, or
    they lie together in a background that fills the image, and what exceeds it sets the range.
    """
    low, high = (float(value) for value in np.percentile(image, _PERCENTILES))
    if high - low > _BACKGROUND_SPREAD * float(np.ptp(image)):
        return low, high
    brighter = image[image > high]
    if brighter.size == 0:  # dark objects on a bright background
        return float(image.min()), high
    return low, float(np.percentile(brighter, _PERCENTILES[1]))
