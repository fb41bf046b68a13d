"""All labelled regions of an image at once: the pixels of every region, and what sums them up.

The pixels of a label image are put in order of their region once. Each measurement of a channel is
then one gather and one pass over that order, whatever the number of regions; nothing here loops
over regions, and nothing is allocated by the size of a label, so ids may go up to 2³²-1.

A region's pixels are taken in raster order, so a sum over them is the same number, bit for bit,
whatever else lies in the image and wherever the image was cut out of a larger one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.errors import MeasurementError
from measurements.order_statistics import group_quantiles
from measurements.runs import Runs

Floats = NDArray[np.float64]

MAX_LABEL = np.iinfo(np.uint32).max


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """The pixels of every region of one label image.

    Attributes:
        shape: shape of the label image.
        origin: place of the image's first pixel in the larger image that it was cut out of; zeros
            where it is no cut-out. Positions are given in the larger image.
        ids: uint32, strictly increasing, one a region; the row order of every result.
        pixels: int64 flat (C order) pixel indices, grouped by region in the order of `ids` and
            ascending within each region.
        starts: int64, one more than ids; the pixels of region i are
            ``pixels[starts[i]:starts[i + 1]]``.
        runs: the same pixels as runs along the last axis, in the same order.
        run_starts: int64, one more than ids; the runs of region i are
            ``runs[run_starts[i]:run_starts[i + 1]]``.
    """

    shape: tuple[int, ...]
    origin: tuple[int, ...]
    ids: NDArray[np.uint32]
    pixels: NDArray[np.int64]
    starts: NDArray[np.int64]
    runs: Runs
    run_starts: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        labels: NDArray[Any],
        ids: NDArray[Any] | None = None,
        origin: tuple[int, ...] | None = None,
    ) -> "Regions":
        """Group the pixels of a label image by region.

        Args:
            labels: integer or boolean labels of any shape, 0 is background.
            ids: the regions wanted, strictly increasing and above 0, e.g. the cells of a table.
                A region that `labels` lacks has no pixels: its area is 0 and its statistics are
                NaN. Labels that are not in `ids` are left out. Default: all labels present.
            origin: where `labels` lies in a larger image, one index an axis. Default: it is whole.

        Raises:
            MeasurementError: labels are not integers, are negative or above 2³²-1, or ids are not
                strictly increasing.
        """
        runs = Runs.of(_checked_labels(labels))
        wanted = _distinct(runs.label) if ids is None else _checked_ids(ids)
        first = np.searchsorted(runs.label, wanted, side="left")
        last = np.searchsorted(runs.label, wanted, side="right")
        run_starts = _bounds(last - first)
        if run_starts[-1] != runs.label.size:
            runs = runs.take(_members(runs.label, wanted))
        pixel_starts = _bounds(runs.length)[run_starts]
        return cls(
            shape=labels.shape,
            origin=(0,) * labels.ndim if origin is None else origin,
            ids=wanted.astype(np.uint32),
            pixels=runs.pixels(),
            starts=pixel_starts,
            runs=runs,
            run_starts=run_starts,
        )

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
        return self.read(image).astype(np.float64)

    def read(self, image: NDArray[Any]) -> NDArray[Any]:
        """Read the image's values at `pixels` as they are: to be compared, never added.

        Small integers are sorted many times faster than float64.

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
        return image.ravel()[self.pixels]

    def sum(self, values: Floats) -> Floats:
        """Sum within each region; NaN for a region without pixels.

        Args:
            values: one value for each of `pixels`, from `gather` or computed from it.
        """
        return self._reduce(np.add, values)

    def minimum(self, values: NDArray[Any]) -> Floats:
        """Smallest value of each region; NaN for a region without pixels."""
        return self._reduce(np.minimum, values)

    def maximum(self, values: NDArray[Any]) -> Floats:
        """Largest value of each region; NaN for a region without pixels."""
        return self._reduce(np.maximum, values)

    def mean(self, values: Floats) -> Floats:
        """Arithmetic mean of each region; NaN for a region without pixels."""
        return divide(self.sum(values), self.areas)

    def sd(self, values: Floats) -> Floats:
        """Standard deviation of each region's pixels about their own mean, divisor n.

        Two passes, so a large offset of the values costs no digits.
        """
        # One array throughout: fresh memory costs more than the arithmetic.
        deviations: Floats = self.spread(self.mean(values))
        np.subtract(values, deviations, out=deviations)
        np.square(deviations, out=deviations)
        return np.sqrt(self.mean(deviations))

    def quantiles(self, values: NDArray[Any], fractions: Sequence[float]) -> Floats:
        """Quantiles within each region, linear between order statistics as `numpy.quantile`.

        Args:
            values: one value for each of `pixels`, of any real dtype.
            fractions: quantiles wanted, from 0 to 1.

        Returns:
            Array (len(fractions), n_regions); NaN for a region without pixels or with a NaN.
        """
        self._check(values)
        return group_quantiles(values, self.starts, fractions)

    def median(self, values: NDArray[Any]) -> Floats:
        """Median of each region; NaN for a region without pixels or with a NaN."""
        medians: Floats = self.quantiles(values, (0.5,))[0]
        return medians

    def spread(self, per_region: NDArray[Any]) -> NDArray[Any]:
        """Give every one of `pixels` the value of its region."""
        return np.repeat(per_region, self.areas)

    def per_run(self, ufunc: np.ufunc, values: NDArray[Any]) -> Floats:
        """Reduce one value for each of `runs` within each region; NaN for one without pixels."""
        return _reduced(ufunc, values, self.run_starts)

    def _reduce(self, ufunc: np.ufunc, values: NDArray[Any]) -> Floats:
        self._check(values)
        return _reduced(ufunc, values, self.starts)

    def _check(self, values: NDArray[Any]) -> None:
        if values.shape != self.pixels.shape:
            raise MeasurementError(
                f"Expected {self.pixels.size} values, one a pixel of the regions, got an array of "
                f"shape {values.shape}: read the image with gather() first."
            )


def divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Divide; NaN where the denominator is not above 0, without a warning."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def _reduced(ufunc: np.ufunc, values: NDArray[Any], starts: NDArray[np.int64]) -> Floats:
    result = np.full(starts.size - 1, np.nan)
    filled = starts[1:] > starts[:-1]
    # reduceat would give an empty region the next region's first value.
    if filled.any():
        result[filled] = ufunc.reduceat(values, starts[:-1][filled])
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
    return labels


def _checked_ids(ids: NDArray[Any]) -> NDArray[np.int64]:
    wanted = np.asarray(ids).astype(np.int64)
    if wanted.size and (wanted[0] < 1 or wanted[-1] > MAX_LABEL or (np.diff(wanted) <= 0).any()):
        raise MeasurementError(
            f"Region ids must increase strictly from 1 or more to {MAX_LABEL} at most: "
            "sort them and remove repeats and 0."
        )
    return wanted


def _distinct(ordered: NDArray[Any]) -> NDArray[np.int64]:
    """Distinct values of an ordered array."""
    new = np.ones(ordered.size, dtype=bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new].astype(np.int64)


def _bounds(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of consecutive groups starts, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _members(label: NDArray[Any], wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which labels are among those wanted; both ordered."""
    if not wanted.size:
        return np.zeros(label.size, dtype=bool)
    at = np.minimum(np.searchsorted(wanted, label), wanted.size - 1)
    return np.asarray(wanted[at] == label)
