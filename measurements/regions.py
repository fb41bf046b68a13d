"""All labelled regions of an image at once: the pixels of every region, and what sums them up.

The pixels of a label image are put in order of their region once. Each measurement of a channel is
then one gather and one pass over that order, whatever the number of regions; nothing here loops
over regions, and nothing is allocated by the size of a label, so ids may go up to 2³²-1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.errors import MeasurementError

Floats = NDArray[np.float64]

MAX_LABEL = np.iinfo(np.uint32).max


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The pixels of every region of one label image.

    Attributes:
        shape: shape of the label image.
        ids: uint32, strictly increasing, one a region; the row order of every result.
        pixels: int64 flat (C order) pixel indices, grouped by region in the order of `ids` and
            ascending within each region.
        starts: int64, one more than ids; the pixels of region i are
            ``pixels[starts[i]:starts[i + 1]]``.
    """

    shape: tuple[int, ...]
    ids: NDArray[np.uint32]
    pixels: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, labels: NDArray[Any], ids: NDArray[Any] | None = None) -> "Regions":
        """Group the pixels of a label image by region.

        Args:
            labels: integer or boolean labels of any shape, 0 is background.
            ids: the regions wanted, strictly increasing and above 0, e.g. the cells of a table.
                A region that `labels` lacks has no pixels: its area is 0 and its statistics are
                NaN. Labels that are not in `ids` are left out. Default: all labels present.

        Raises:
            MeasurementError: labels are not integers, are negative or above 2³²-1, or ids are not
                strictly increasing.
        """
        flat = _checked_labels(labels)
        foreground = np.flatnonzero(flat)
        found = flat[foreground]
        order = np.argsort(found, kind="stable")
        found = found[order]
        wanted = _runs(found) if ids is None else _checked_ids(ids)
        first = np.searchsorted(found, wanted, side="left")
        last = np.searchsorted(found, wanted, side="right")
        starts = np.concatenate([[0], np.cumsum(last - first)]).astype(np.int64)
        pixels = foreground[order]
        if starts[-1] != pixels.size:
            pixels = pixels[_ranges(first, last)]
        return cls(labels.shape, wanted.astype(np.uint32), pixels, starts)

    def __len__(self) -> int:
        """Number of regions, those without pixels included."""
        return self.ids.size

    @property
    def areas(self) -> NDArray[np.int64]:
        """Number of pixels of each region."""
        return np.diff(self.starts)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Row of `ids` that each of `pixels` belongs to."""
        return np.repeat(np.arange(len(self)), self.areas)

    def index_image(self) -> NDArray[np.int32]:
        """Image of rows counted from 1, 0 elsewhere: the labels with their gaps closed."""
        image = np.zeros(int(np.prod(self.shape)), dtype=np.int32)
        image[self.pixels] = self.rows + 1
        return image.reshape(self.shape)

    def gather(self, image: NDArray[Any]) -> Floats:
        """Read the image's values at `pixels`, as float64 so that no arithmetic can wrap.

        Raises:
            MeasurementError: the image has another shape than the labels, or complex values.
        """
        if image.shape != self.shape:
            raise MeasurementError(
                f"The image has shape {image.shape} and its labels have {self.shape}: "
                "pass one channel of the image that was segmented."
            )
        if image.dtype.kind not in "buif":
            raise MeasurementError(f"Expected an image of real numbers, not of {image.dtype}.")
        return np.asarray(image.ravel()[self.pixels], dtype=np.float64)

    def sum(self, values: Floats) -> Floats:
        """Sum within each region; NaN for a region without pixels.

        Args:
            values: one value for each of `pixels`, from `gather` or computed from it.
        """
        return self._reduce(np.add, values)

    def minimum(self, values: Floats) -> Floats:
        """Smallest value of each region; NaN for a region without pixels."""
        return self._reduce(np.minimum, values)

    def maximum(self, values: Floats) -> Floats:
        """Largest value of each region; NaN for a region without pixels."""
        return self._reduce(np.maximum, values)

    def mean(self, values: Floats) -> Floats:
        """Arithmetic mean of each region; NaN for a region without pixels."""
        return divide(self.sum(values), self.areas)

    def sd(self, values: Floats) -> Floats:
        """Standard deviation of each region's pixels about their own mean, divisor n.

        Two passes, so a large offset of the values costs no digits.
        """
        deviations = values - self.spread(self.mean(values))
        return np.sqrt(self.mean(deviations * deviations))

    def quantiles(self, values: Floats, fractions: Sequence[float]) -> Floats:
        """Quantiles within each region, linear between order statistics as `numpy.quantile`.

        Args:
            values: one value for each of `pixels`.
            fractions: quantiles wanted, from 0 to 1.

        Returns:
            Array (len(fractions), n_regions); NaN for a region without pixels or with a NaN.
        """
        # A complex sort is lexicographic (real, then imaginary part) and many times faster than
        # numpy.lexsort. NaN would be moved behind all regions, hence the replacement.
        keyed = np.empty(values.size, dtype=np.complex128)
        keyed.real = self.rows
        keyed.imag = np.where(np.isnan(values), np.inf, values)
        keyed.sort()
        ordered = keyed.imag
        positions = np.outer(np.asarray(fractions, dtype=np.float64), np.maximum(self.areas - 1, 0))
        below = np.floor(positions).astype(np.int64)
        result = np.full(positions.shape, np.nan)
        filled = (self.areas > 0) & ~self._any(np.isnan(values))
        low = ordered[(self.starts[:-1] + below)[:, filled]]
        above = np.ceil(positions).astype(np.int64)
        high = ordered[(self.starts[:-1] + above)[:, filled]]
        weight = (positions - below)[:, filled]
        with np.errstate(invalid="ignore"):
            result[:, filled] = np.where(low == high, low, low + weight * (high - low))
        return result

    def median(self, values: Floats) -> Floats:
        """Median of each region; NaN for a region without pixels or with a NaN."""
        medians: Floats = self.quantiles(values, (0.5,))[0]
        return medians

    def spread(self, per_region: NDArray[Any]) -> NDArray[Any]:
        """Give every one of `pixels` the value of its region."""
        return np.repeat(per_region, self.areas)

    def _any(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        counts = self._reduce(np.add, flags.astype(np.float64))
        return counts > 0

    def _reduce(self, ufunc: np.ufunc, values: Floats) -> Floats:
        if values.shape != self.pixels.shape:
            raise MeasurementError(
                f"Expected {self.pixels.size} values, one a pixel of the regions, got an array of "
                f"shape {values.shape}: read the image with gather() first."
            )
        result = np.full(len(self), np.nan)
        filled = self.areas > 0
        # reduceat would give an empty region the next region's first value.
        if filled.any():
            result[filled] = ufunc.reduceat(values, self.starts[:-1][filled])
        return result


def divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Divide; NaN where the denominator is not above 0, without a warning."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _checked_labels(labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind not in "bui":
        raise MeasurementError(
            f"Labels must be integers, got {labels.dtype}: pass the label image itself, not a "
            "resized or normalised picture of it."
        )
    if labels.size and (labels.min() < 0 or labels.max() > MAX_LABEL):
        raise MeasurementError(
            f"Labels must lie between 0 and {MAX_LABEL}, got {labels.min()} to {labels.max()}."
        )
    return labels.ravel()


def _checked_ids(ids: NDArray[Any]) -> NDArray[np.int64]:
    wanted = np.asarray(ids).astype(np.int64)
    if wanted.size and (wanted[0] < 1 or wanted[-1] > MAX_LABEL or (np.diff(wanted) <= 0).any()):
        raise MeasurementError(
            f"Region ids must increase strictly from 1 or more to {MAX_LABEL} at most: "
            "sort them and remove repeats and 0."
        )
    return wanted


def _runs(ordered: NDArray[Any]) -> NDArray[np.int64]:
    """Distinct values of an ordered array."""
    if not ordered.size:
        return np.zeros(0, dtype=np.int64)
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    values: NDArray[np.int64] = ordered[np.concatenate([[0], changes])].astype(np.int64)
    return values


def _ranges(first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Concatenate ``arange(first[i], last[i])`` over all i."""
    counts = last - first
    offsets = np.cumsum(counts) - counts
    positions: NDArray[np.int64] = np.arange(int(counts.sum())) + np.repeat(first - offsets, counts)
    return positions
