"""Whether grey values wrapped around when an image was saved: 256 became 0, 257 became 1.

What is brightest then shows as a hole with a sheer edge: values rise to the top of the range, fall
to its bottom from one pixel to the next, and rise on. Such an edge is no edge of an object: put
the range back and the values go on smoothly. Salt and hot pixels stand alone, saturated and binary
images fall from or to one value, and neither rises on.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measurements.columns import Column
from measurements.regions import Floats

WRAPPED_JUMPS = Column(
    "{channel}_image_wrapped_jumps",
    "count",
    "float64",
    "Pairs of neighbouring pixels between which {channel} falls from the top of its range to its "
    "bottom and rises on as it rose before, as values do that wrapped around when they were saved.",
    "[judgement] measurements.wrapping; a range is 2^n from 256 on, of floats up to 1 it is 1",
)
WRAPPED = Column(
    "{channel}_wrapped",
    "flag",
    "bool",
    "Grey values of {channel} wrapped around when the image was saved, so that what is brightest "
    "is dark in it: nothing restores them, export the image again.",
    "[judgement] from 10 such jumps",
)
LEAST_RANGE = 256
JUMP = 0.75
"""Share of the range over which neighbours are a jump apart."""
SMOOTH = 0.125
"""Share of the range that neighbours differ by where values rise on."""
MOST_STEPS = 2.0
"""Steps of half the range for each jump: edges of objects are of any height, wraps of one."""
RISING = 4.0
"""How many times more jumps rise on than fall: of sheer edges under noise equally many do."""


def wrapped_jumps(image: NDArray[Any]) -> int:
    """Count `WRAPPED_JUMPS` of one channel; 0 where they are what other edges give.

    Images that fall from their one largest or to their one smallest value at half of the jumps,
    that have as many lower steps as edges do, that rise before and after a jump about as often as
    they fall there, or that hold values below 0, have none.

    Args:
        image: (y, x), any real dtype.
    """
    finite = np.isfinite(image)
    if image.dtype.kind not in "uif" or not finite.any():
        return 0
    bottom, top = (float(f(image[finite])) for f in (np.min, np.max))
    span = _span(image.dtype, top)
    if bottom < 0 or not JUMP * span < top - bottom:
        return 0
    found = [_around_jumps(lines, span) for lines in _lines(image)]
    jumps = np.concatenate([around for around, _ in found], axis=1)
    steps = sum(lower for _, lower in found)
    if steps > MOST_STEPS * jumps.shape[1]:
        return 0
    return _rising(jumps, span, (bottom, top))


def _span(dtype: np.dtype[Any], top: float) -> float:
    if dtype.kind == "f" and top <= 1:
        return 1.0
    return float(max(LEAST_RANGE, 2 ** int(np.ceil(np.log2(max(top, 0.0) + 1)))))


def _lines(image: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The image, and as it is when read from its three other sides."""
    for turns in range(4):
        yield np.rot90(image, turns)


def _around_jumps(lines: NDArray[Any], span: float) -> tuple[Floats, int]:
    """Three values before and after each jump down along the rows, and how many lower steps."""
    falls = lines[:, 2:-3].astype(np.float32) - lines[:, 3:-2]
    at = np.nonzero(falls > JUMP * span)
    around = [lines[at[0], at[1] + k].astype(np.float64) for k in range(6)]
    steps = int(((falls > span / 2) & (falls <= JUMP * span)).sum())
    return np.stack(around), steps


def _rising(jumps: Floats, span: float, ends: tuple[float, float]) -> int:
    """How many of the jumps (6, n) values pass smoothly once the range is put back."""
    earlier, before, high, low, after, later = jumps
    near = SMOOTH * span
    smooth = (
        (np.abs(high - before) <= near)
        & (np.abs(after - low) <= near)
        & (np.abs(low + span - high) <= near)
    )
    at_end = (low == ends[0]) | (high == ends[1])
    if (smooth & at_end).sum() > smooth.sum() / 2:
        return 0
    # Told one pixel off the jump: the highest and lowest noise makes the jumps of a sheer edge.
    rising = int((smooth & (before > earlier) & (later > after)).sum())
    falling = int((smooth & (before < earlier) & (later < after)).sum())
    return rising if rising > RISING * falling else 0
