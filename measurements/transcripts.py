"""Decoded transcripts given to cells: which cell each lies in, and counts of every gene a cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.regions import Floats

ASSIGNED = "label of the pixel that the transcript lies on; measurements.transcripts.owners"
GENE_COUNT = Column(
    "{gene}_transcripts", "count", "uint32", "Transcripts of {gene} in the cell.", ASSIGNED
)
TRANSCRIPTS = Column(
    "transcript_count", "count", "uint32", "Transcripts of all genes in the cell.", ASSIGNED
)
GENES = Column(
    "gene_count", "count", "uint32", "Genes with a transcript or more in the cell.", ASSIGNED
)
IN_IMAGE = Column(
    "transcripts_in_image", "count", "int64", "Transcripts within the image.", "their table"
)
IN_CELLS = Column(
    "transcripts_in_cells", "count", "int64", "Transcripts given to a cell.", ASSIGNED
)
OUTSIDE_CELLS = Column(
    "transcripts_outside_cells", "count", "int64", "Transcripts given to no cell.", ASSIGNED
)
OUTSIDE_IMAGE = Column(
    "transcripts_outside_image", "count", "int64",
    "Transcripts of the table that lie beyond the image's edge, and are in no cell.", "their table",
)  # fmt: skip
IMAGE_COLUMNS = (IN_IMAGE, IN_CELLS, OUTSIDE_CELLS, OUTSIDE_IMAGE)
# Pixels of cells that may lie equally near to a transcript at a whole pixel.
NEIGHBOURS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Transcripts:
    """Decoded transcripts; one value each.

    Attributes:
        y: row, px; 0 is the centre of the image's first pixel.
        x: column, px.
        gene: index of its gene in `genes`.
        genes: names of all genes that could be found, in the order of their columns.
    """

    y: Floats
    x: Floats
    gene: NDArray[np.int64]
    genes: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        if not self.y.shape == self.x.shape == self.gene.shape or self.y.ndim != 1:
            raise MeasurementError(
                f"Transcripts need one y, x and gene each, got {self.y.shape}, {self.x.shape} and "
                f"{self.gene.shape}."
            )
        if not (np.isfinite(self.y).all() and np.isfinite(self.x).all()):
            raise MeasurementError("A transcript has no place: its x or y is no number.")
        if self.gene.size and not 0 <= self.gene.min() <= self.gene.max() < len(self.genes):
            raise MeasurementError(f"A transcript's gene is none of the {len(self.genes)} given.")

    def take(self, chosen: NDArray[np.bool_]) -> "Transcripts":
        """Some of them."""
        return Transcripts(self.y[chosen], self.x[chosen], self.gene[chosen], self.genes)


def on_image(transcripts: Transcripts, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Whether each transcript lies on a pixel of an image of this shape."""
    y, x = _pixels(transcripts)
    inside: NDArray[np.bool_] = (y >= 0) & (y < shape[0]) & (x >= 0) & (x < shape[1])
    return inside


def owners(
    transcripts: Transcripts, cells: NDArray[Any], distance: float = 0.0
) -> NDArray[np.uint32]:
    """Give every transcript to a cell.

    Args:
        transcripts: within the image; see `on_image`.
        cells: (y, x) labels, 0 background.
        distance: px. A transcript on background goes to the cell whose nearest pixel's centre is at
            most so far away, to the smaller label of two at the same distance.

    Returns:
        uint32 label of each one's cell, 0 for none.

    Raises:
        MeasurementError: a transcript lies outside the image, or the distance is below 0.
    """
    if distance < 0:
        raise MeasurementError(f"The distance to a cell must be 0 px or more, not {distance}.")
    if not on_image(transcripts, cells.shape).all():
        raise MeasurementError(
            f"Transcripts lie outside an image of {cells.shape} px: leave them out first."
        )
    owner = cells[_pixels(transcripts)].astype(np.uint32)
    lost = np.flatnonzero(owner == 0)
    edges = _edges(cells) if distance > 0 and lost.size else np.empty((0, 2), dtype=np.int64)
    if edges.size:
        places = np.column_stack([transcripts.y[lost], transcripts.x[lost]])
        owner[lost] = _nearest(places, edges, cells, distance)
    return owner


def count_genes(
    owner: NDArray[np.uint32], transcripts: Transcripts, ids: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    """Count the transcripts of every gene in every cell.

    Args:
        owner: label of each transcript's cell, from `owners`.
        transcripts: the same transcripts.
        ids: labels of the cells, increasing.

    Returns:
        (cells, genes); transcripts of no cell, or of one that is not in `ids`, are in none.
    """
    row = np.searchsorted(ids, owner)
    found = row < ids.size
    found[found] = ids[row[found]] == owner[found]
    n_genes = len(transcripts.genes)
    at = row[found] * n_genes + transcripts.gene[found]
    counts = np.bincount(at, minlength=ids.size * n_genes)
    return counts.reshape(ids.size, n_genes).astype(np.uint32)


def measure_transcripts(
    owner: NDArray[np.uint32], transcripts: Transcripts, ids: NDArray[np.uint32]
) -> Measured:
    """Counts of every gene, of all transcripts and of genes; see `count_genes`."""
    counts = count_genes(owner, transcripts, ids)
    return {
        TRANSCRIPTS: counts.sum(axis=1, dtype=np.uint32),
        GENES: (counts > 0).sum(axis=1).astype(np.uint32),
        **{
            GENE_COUNT.bind(gene=gene): np.ascontiguousarray(counts[:, i])
            for i, gene in enumerate(transcripts.genes)
        },
    }


def _pixels(transcripts: Transcripts) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the pixel that each transcript lies on."""
    y, x = (np.floor(along + 0.5).astype(np.int64) for along in (transcripts.y, transcripts.x))
    return y, x


def _edges(cells: NDArray[Any]) -> NDArray[np.int64]:
    """Pixels of cells beside background, (n, 2): the nearest pixel of a cell is one of them."""
    inner = ndimage.binary_erosion(cells > 0, border_value=1)
    return np.argwhere((cells > 0) & ~inner)


def _nearest(
    places: Floats, edges: NDArray[np.int64], cells: NDArray[Any], distance: float
) -> NDArray[np.uint32]:
    """Label of the cell nearest to each place; 0 where it is farther than `distance`."""
    reach, at = spatial.KDTree(edges).query(places, k=NEIGHBOURS)
    labels = cells[tuple(edges.T)].astype(np.uint32)
    labels = np.append(labels, np.uint32(0))  # where there are fewer edges than NEIGHBOURS
    nearest = reach[:, :1]
    # Places at whole pixels often have several edges at one distance.
    ties = (reach <= nearest * (1 + 1e-9)) & (nearest <= distance)
    of_ties = np.where(ties, labels[at], np.iinfo(np.uint32).max).min(axis=1)
    return np.where(ties.any(axis=1), of_ties, 0).astype(np.uint32)
