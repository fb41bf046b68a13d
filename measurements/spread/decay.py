"""Over which distance an effect of sources falls off, fitted to one animal's cells.

Two things make a plain fit of response against distance wrong. Patches of the response, of the
same size as the effect, pull it one way or the other: cells are therefore compared with their
surroundings, by taking local means off both sides of the regression (Yatchew 1997, Economics
Letters 57:135). And single cells that a gate calls sources by mistake lie anywhere, so that the
nearest source of many cells is none: sources that stand alone get an amplitude of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial
from scipy.stats import t as student

from measurements.errors import MeasurementError
from measurements.regions import Floats
from measurements.spread.distance import Distances
from measurements.spread.sections import Section
from measurements.spread.window import Window

LEVEL = 0.95
N_RANGES = 25
BLOCKS_ACROSS = 4
LEAST_CELLS = 100


@dataclass(frozen=True)
class Decay:
    """Response against distance: surroundings + amplitude exp(-distance / range).

    Attributes:
        range: distance over which the effect falls to 1/e, px; NaN without an effect, or where it
            lies outside the ranges that were looked at.
        ci_low: lower end of its 95 % interval, px.
        ci_high: upper end of its 95 % interval, px.
        amplitude: what sources that lie together add to the response right beside them.
    """

    range: float
    ci_low: float
    ci_high: float
    amplitude: float


NONE = Decay(np.nan, np.nan, np.nan, np.nan)


def fit_decay(
    sections: Sequence[tuple[Section, Window, Distances]], contact: float, farthest: float
) -> Decay:
    """Fit how the response falls off with the distance to the nearest source.

    Least squares of the response on exp(-distance / range), for the nearest source that has
    another within contact and for the nearest that has none, each less its mean over surroundings
    with a Gaussian of SD `farthest` / 3 [judgement: wider keeps the patches, narrower takes the
    effect]. The range is the best of a logarithmic grid from a third of the contact distance to
    twice `farthest`, refined by a parabola. Cells within contact of a source are left out, since
    they may show its light, and so are those to which one beyond the edge may be nearer. The
    interval is a jackknife of log range over blocks, 4 x 4 a section: cells of a block are not
    independent, blocks nearly are (Künsch 1989, Ann. Stat. 17:1217).

    Args:
        sections: of one animal: cells, the window and their distances.
        contact: contact distance, px.
        farthest: distance at which no effect is left to speak of, px.

    Raises:
        MeasurementError: the contact distance is not above 0 and below `farthest`.
    """
    if not 0 < contact < farthest:
        raise MeasurementError(
            f"The contact distance is {contact}; expected it above 0 and below {farthest}."
        )
    ranges = np.geomspace(contact / 3, 2 * farthest, N_RANGES)
    found = [_moments(*section, (contact, farthest), ranges) for section in sections]
    moments = np.concatenate([m for m in found if m is not None] or [np.zeros((0, N_RANGES, 4, 4))])
    # The last entry counts the cells of a block.
    if not len(moments) or moments[:, 0, 3, 3].sum() < LEAST_CELLS:
        return NONE
    total = moments.sum(axis=0)
    whole, amplitude = _best(total, ranges)
    if not np.isfinite(whole):
        return NONE
    parts = np.array([_best(total - m, ranges)[0] for m in moments if m[0, 3, 3] > 0])
    low, high = _jackknife(whole, parts)
    return Decay(float(np.exp(whole)), low, high, amplitude)


def _moments(
    section: Section,
    window: Window,
    distances: Distances,
    reach: tuple[float, float],
    ranges: Floats,
) -> Floats | None:
    """Products of response and both falls, (blocks, ranges, 4, 4), the last entry the cells."""
    contact, farthest = reach
    near = distances.to_source
    used = section.responder & (near >= contact)
    used &= np.minimum(near, farthest) <= distances.to_edge
    if not section.source.any() or not used.any():
        return None
    places, response = section.positions[used], section.response[used]
    to_groups, to_single = _two_kinds(section, places, contact)
    local = _Local.of(window, places, farthest / 3)
    block = _blocks(places, section.positions)
    response = local.less_mean(response)
    found = np.zeros((BLOCKS_ACROSS**2, ranges.size, 4, 4))
    for number, length in enumerate(ranges):
        columns = [response]
        columns += [local.less_mean(np.exp(-d / length)) for d in (to_groups, to_single)]
        columns.append(np.zeros_like(response))
        for i in range(3):
            for j in range(i + 1):
                product = np.bincount(block, columns[i] * columns[j], BLOCKS_ACROSS**2)
                found[:, number, i, j] = found[:, number, j, i] = product
        found[:, number, 3, 3] = np.bincount(block, minlength=BLOCKS_ACROSS**2)
    return found


def _two_kinds(section: Section, places: Floats, contact: float) -> tuple[Floats, Floats]:
    """Distance to the nearest source with, and without, another one within contact."""
    sources = section.positions[section.source]
    grouped = np.zeros(len(sources), dtype=bool)
    if len(sources) > 1:
        grouped = spatial.cKDTree(sources).query(sources, k=2)[0][:, 1] < contact
    kinds = (sources[grouped], sources[~grouped])
    to_groups, to_single = (
        spatial.cKDTree(kind).query(places)[0] if len(kind) else np.full(len(places), np.inf)
        for kind in kinds
    )
    return to_groups, to_single


@dataclass(frozen=True)
class _Local:
    """Means over surroundings.

    Attributes:
        shape: of the window's grid.
        index: (n,) flat grid point of each cell.
        sigma: SD of the surroundings, grid steps.
        cells: (n,) weight of cells about each cell.
    """

    shape: tuple[int, ...]
    index: NDArray[np.int64]
    sigma: float
    cells: Floats

    @staticmethod
    def of(window: Window, places: Floats, width: float) -> "_Local":
        rows, columns = window.index(places).T
        index = rows * window.inside.shape[1] + columns
        local = _Local(window.inside.shape, index, width / window.step, np.ones(len(places)))
        return _Local(local.shape, index, local.sigma, local.summed(np.ones(len(places))))

    def summed(self, values: Floats) -> Floats:
        size = int(np.prod(self.shape))
        grid = np.bincount(self.index, values, size).reshape(self.shape)
        spread = ndimage.gaussian_filter(grid, self.sigma, mode="constant", truncate=3.0)
        return np.asarray(spread.ravel()[self.index])

    def less_mean(self, values: Floats) -> Floats:
        return values - self.summed(values) / self.cells


def _blocks(places: Floats, everywhere: Floats) -> NDArray[np.int64]:
    low, high = everywhere.min(axis=0), everywhere.max(axis=0)
    tile = ((places - low) / np.maximum(high - low, 1e-9) * BLOCKS_ACROSS).astype(np.int64)
    tile = np.minimum(tile, BLOCKS_ACROSS - 1)
    return np.asarray(tile[:, 0] * BLOCKS_ACROSS + tile[:, 1])


def _best(moments: Floats, ranges: Floats) -> tuple[float, float]:
    """Logarithm of the best range, and the amplitude of sources in groups; NaN without any."""
    left, amplitude = np.full(ranges.size, np.inf), np.zeros(ranges.size)
    for number, m in enumerate(moments):
        use = [i for i in (1, 2) if m[i, i] > 1e-9]
        if not use:
            continue
        gains = np.linalg.lstsq(m[np.ix_(use, use)], m[use, 0], rcond=None)[0]
        amplitude[number] = gains[0]
        if gains[0] > 0:
            left[number] = m[0, 0] - gains @ m[use, 0]
    best = int(left.argmin())
    around = left[best - 1 : best + 2]
    if around.size < 3 or not np.isfinite(around).all():
        return np.nan, np.nan
    step = np.log(ranges[1] / ranges[0])
    bend = around[0] - 2 * around[1] + around[2]
    offset = 0.5 * (around[0] - around[2]) / bend if bend > 0 else 0.0
    return float(np.log(ranges[best]) + offset * step), float(amplitude[best])


def _jackknife(whole: float, parts: Floats) -> tuple[float, float]:
    """Interval of a logarithm from delete-one values, back on the plain scale."""
    kept = parts[np.isfinite(parts)]
    if kept.size < 4:
        return np.nan, np.nan
    error = np.sqrt((kept.size - 1) * ((kept - kept.mean()) ** 2).mean())
    reach = float(student.ppf((1 + LEVEL) / 2, kept.size - 1) * error)
    return float(np.exp(whole - reach)), float(np.exp(whole + reach))
