"""DNA content in units of G1: which peak of a study's own nuclei is the first."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from measurements.columns import Column
from measurements.errors import MeasurementError
from measurements.regions import Floats

DNA_INDEX = Column(
    "{channel}_dna_index",
    "1",
    "float64",
    "DNA content of the nucleus over that of the first large peak of its batch: about 1 in G1 "
    "(2N), 2 in G2 or at 4N; empty where the batch has under 200 whole nuclei or no peak. Where "
    "few cells are in G1 the peak may be that of 4N: look at the histogram.",
    "DNA index of flow cytometry (Hiddemann et al. 1984, Cytometry 5:445); [judgement] the lowest "
    "peak of the smoothed histogram of log2 content with 0.2 of the highest one's prominence",
)
IN_G1 = Column(
    "{channel}_in_g1",
    "flag",
    "bool",
    "The nucleus has the DNA of G1: a DNA index from 0.75 to 1.25; empty without an index. Foci of "
    "damage are compared in G1, since replication makes some and a G2 nucleus has twice the DNA.",
    "[judgement] half of the way to 1.5, the middle of S, to either side of the G1 peak",
)
G1_FROM, G1_TO = 0.75, 1.25
MIN_CELLS = 200
BINS_PER_DOUBLING = 64
SMOOTHING = 0.08
"""SD of the smoothing in doublings: well under the 0.15 that a coefficient of variation of 10 %
makes of a peak [judgement]."""
PROMINENCE = 0.2


def dna_index(content: ArrayLike, whole: ArrayLike, batches: ArrayLike) -> Floats:
    """Divide DNA contents by the G1 peak of their batch.

    Args:
        content: integrated DNA stain above background of each nucleus.
        whole: whether the nucleus may tell where the peak is: not cut by the edge, no debris.
        batches: of each cell; staining and exposure must be alike within a batch.

    Returns:
        One value a cell, NaN where its batch has no peak.

    Raises:
        MeasurementError: the arrays are not of the same cells.
    """
    values, usable = np.asarray(content, dtype=np.float64), np.asarray(whole, dtype=bool)
    groups = np.asarray(batches)
    if not values.shape == usable.shape == groups.shape:
        raise MeasurementError("content, whole and batches need one value a cell each.")
    index = np.full(values.shape, np.nan)
    for batch in np.unique(groups):
        members = groups == batch
        index[members] = values[members] / first_peak(values[members & usable])
    return index


def in_g1(index: Floats) -> np.ma.MaskedArray[tuple[int], np.dtype[np.bool_]]:
    """Which nuclei have the DNA of G1, from `dna_index`; masked where there is no index."""
    return np.ma.MaskedArray((index >= G1_FROM) & (index <= G1_TO), np.isnan(index))


def first_peak(content: NDArray[np.float64]) -> float:
    """Content at the lowest large peak; NaN under `MIN_CELLS` nuclei above 0 or without a peak."""
    logs = np.log2(content[np.isfinite(content) & (content > 0)])
    if logs.size < MIN_CELLS:
        return float("nan")
    low, high = np.percentile(logs, (0.5, 99.5))
    margin = 5 * SMOOTHING
    n_bins = int(np.ceil((high - low + 2 * margin) * BINS_PER_DOUBLING))
    counts, edges = np.histogram(logs, n_bins, (low - margin, high + margin))
    density = gaussian_filter1d(counts.astype(np.float64), SMOOTHING * BINS_PER_DOUBLING)
    peaks, _ = find_peaks(density, prominence=PROMINENCE * density.max())
    if not peaks.size:
        return float("nan")
    middles = (edges[:-1] + edges[1:]) / 2
    return float(2 ** middles[peaks[0]])
