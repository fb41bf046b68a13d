"""Images and masks, checked and brought into the form that training draws crops from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label as connected

from segmentation.training.flows import Labels, diffusion_flows

# [judgement] Pieces of fewer pixels have no shape to learn; most are slips of the annotator.
MIN_AREA_PX = 5
IGNORED = -1
# Grey values that become 0 and 1, as in `segmentation.masks`.
_PERCENTILES = (1, 99)


class TrainingError(ValueError):
    """Images, masks or settings that nothing can be learned from."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and what is to be learned of it.

    Attributes:
        name: what messages and the model card call it.
        image: (y, x) float16, the 1st and 99th percentile at 0 and 1.
        labels: (y, x) int32, 0 background, 1 to n objects in one piece each, -1 pixels that
            training passes over: annotated pieces of fewer than `MIN_AREA_PX` pixels.
        flows: (2, y, x) float16, see `diffusion_flows`.
        diameter_px: the objects' typical diameter; NaN in an image without objects, until
            `with_diameters` fills it in.
        n_ignored: annotated pieces that were too small.
        numbered: whether the mask numbers its objects, rather than saying object or not: pieces
            of one number are taken for objects, so objects that touch become one.
    """

    name: str
    image: NDArray[np.float16]
    labels: Labels
    flows: NDArray[np.float16]
    diameter_px: float
    n_ignored: int
    numbered: bool

    @property
    def n_objects(self) -> int:
        """Objects to learn from."""
        return int(self.labels.max(initial=0))


def check_pair(name: str, pixels: NDArray[np.generic], labels: NDArray[np.integer]) -> None:
    """Check an image (y, x) and its mask, without the seconds that flows take.

    Raises:
        TrainingError: as `make_sample`.
    """
    if pixels.shape != labels.shape:
        raise TrainingError(
            f"{name}: the image has {_size(pixels.shape)} pixels and its mask "
            f"{_size(labels.shape)}. They must have the same size, and one plane each."
        )
    if not np.issubdtype(labels.dtype, np.integer) and labels.dtype != bool:
        raise TrainingError(f"{name}: a mask holds whole numbers, this one has {labels.dtype}.")
    _scaled_to_unit(name, pixels)


def make_sample(
    name: str,
    pixels: NDArray[np.generic],
    labels: NDArray[np.integer],
    diameter_px: float | None = None,
) -> Sample:
    """Check an image and its mask, and compute what is to be learned.

    Args:
        name: for messages.
        pixels: (y, x), finite grey values of any type.
        labels: (y, x), 0 background, ids may have gaps; objects that lie in several pieces
            become one object a piece, since pixels can flow to one centre only.
        diameter_px: typical diameter; None takes the median of the objects'.

    Raises:
        TrainingError: the shapes differ, the image is no finite grey image or of one grey value,
            or the mask is no label image.
    """
    check_pair(name, pixels, labels)
    image = _scaled_to_unit(name, pixels)
    objects, n_ignored = _in_pieces(labels)
    diameter = median_diameter(objects) if diameter_px is None else float(diameter_px)
    flows = diffusion_flows(objects).astype(np.float16)
    numbered = np.unique(labels[labels > 0]).size > 1 or objects.max(initial=0) < 2
    half = image.astype(np.float16)
    return Sample(name, half, objects, flows, diameter, n_ignored, bool(numbered))


def with_diameters(samples: Sequence[Sample]) -> list[Sample]:
    """Give images without objects the median diameter of the others.

    Raises:
        TrainingError: there are no images, or none has an object.
    """
    known = [sample.diameter_px for sample in samples if sample.n_objects]
    if not known:
        raise TrainingError(
            f"None of {len(samples)} masks holds an object of {MIN_AREA_PX} pixels or more: "
            "there is nothing to learn. Are they label images, with one number an object?"
        )
    typical = float(np.median(known))
    return [
        sample if np.isfinite(sample.diameter_px) else replace(sample, diameter_px=typical)
        for sample in samples
    ]


def median_diameter(labels: NDArray[np.integer]) -> float:
    """Median diameter of circles of the objects' areas, in px; NaN where there is no object."""
    _, areas = np.unique(labels[labels > 0], return_counts=True)
    return float(np.median(np.sqrt(areas * 4 / np.pi))) if areas.size else float("nan")


def _scaled_to_unit(name: str, pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """Scale grey values as for segmenting; an image nearly all background by what exceeds it."""
    if pixels.ndim != 2 or pixels.size == 0 or np.issubdtype(pixels.dtype, np.complexfloating):
        raise TrainingError(f"{name}: give one plane of grey values, not {_size(pixels.shape)}.")
    image = pixels.astype(np.float32)
    broken = image.size - int(np.isfinite(image).sum())
    if broken:
        raise TrainingError(f"{name}: {broken} of {image.size} pixels are NaN or infinite.")
    low, high = np.percentile(image, _PERCENTILES)
    if high <= low and image.max() > low:
        high = np.percentile(image[image > low], _PERCENTILES[1])
    if high <= low:
        raise TrainingError(f"{name}: its pixels have one grey value, nothing can be learned.")
    scaled: NDArray[np.float32] = (image - low) / (high - low)
    return scaled


def _in_pieces(labels: NDArray[np.integer]) -> tuple[Labels, int]:
    """Number connected pieces 1 to n, and mark those too small to learn from."""
    numbers = labels.astype(np.int64)
    pieces: NDArray[np.int64] = connected(  # type: ignore[no-untyped-call]
        numbers, background=0, connectivity=2
    )
    area = np.bincount(pieces.ravel())
    small = (area < MIN_AREA_PX) & (np.arange(area.size) > 0)
    kept = ~small & (np.arange(area.size) > 0)
    number = np.where(small, IGNORED, np.cumsum(kept) * kept)
    return number[pieces].astype(np.int32), int(small.sum())


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
