from pathlib import Path

import numpy as np
import pytest

from measurements.errors import MeasurementError
from measurements.transcripts import Transcripts, count_genes, measure_transcripts, on_image, owners

DATA = Path(__file__).parent.parent / "data" / "iss_mouse_ca1"
CELLS = np.zeros((20, 30), dtype=np.uint32)
CELLS[2:6, 2:6] = 9
CELLS[2:6, 12:16] = 4


def transcripts(places, gene=None, genes=("A", "B")):
    y, x = np.array(places, dtype=float).reshape(-1, 2).T
    gene = np.zeros(y.size, dtype=int) if gene is None else np.array(gene)
    return Transcripts(y, x, gene, genes)


def test_a_transcript_belongs_to_the_label_of_its_pixel():
    # Pixel 2 reaches from 1.5 to 2.5.
    found = transcripts([(2, 2), (1.5, 1.5), (1.49, 2), (5.49, 5.49), (5.5, 5), (3, 14)])
    assert owners(found, CELLS).tolist() == [9, 9, 0, 9, 0, 4]


def test_outside_cells_the_nearest_one_within_the_distance_counts():
    found = transcripts([(3, 7), (3, 8), (3, 8.4), (3, 8.6), (3, 10), (15, 8)])
    assert owners(found, CELLS, 2.0).tolist() == [9, 0, 0, 0, 4, 0]
    # 8.5 is the middle between the edges at 5 and 12.
    assert owners(found, CELLS, 4.0).tolist() == [9, 9, 9, 4, 4, 0]


def test_of_two_equally_near_cells_the_smaller_label_counts():
    cells = np.zeros((9, 9), dtype=np.uint32)
    cells[:, 0], cells[:, 8] = 7, 3
    assert owners(transcripts([(4, 4), (0, 4), (8, 4)]), cells, 5).tolist() == [3, 3, 3]


def test_the_nearest_cell_is_that_of_every_pixel_tried():
    rng = np.random.default_rng(0)
    cells = np.kron(rng.integers(0, 2, (6, 6)) * np.arange(1, 37).reshape(6, 6), np.ones((7, 7)))
    cells = cells.astype(np.uint32)
    found = transcripts(rng.uniform(0, 41, (200, 2)))
    pixels = np.argwhere(cells > 0)
    away = np.hypot(*(np.stack([found.y, found.x], 1)[:, None] - pixels).transpose(2, 0, 1))
    lost = cells[tuple(np.floor(np.stack([found.y, found.x]) + 0.5).astype(int))] == 0
    assert lost.sum() > 50
    expected = np.where(away.min(1) <= 6, cells[tuple(pixels[away.argmin(1)].T)], 0)
    np.testing.assert_array_equal(owners(found, cells, 6.0)[lost], expected[lost])


def test_counts_by_hand_with_gapped_and_missing_cells():
    found = transcripts([(3, 3), (3, 4), (4, 4), (3, 13), (0, 0)], [0, 0, 1, 1, 1])
    ids = np.array([1, 4, 9, 12], dtype=np.uint32)
    counts = count_genes(owners(found, CELLS), found, ids)
    assert counts.tolist() == [[0, 0], [0, 1], [2, 1], [0, 0]]
    measured = {c.name: v.tolist() for c, v in
                measure_transcripts(owners(found, CELLS), found, ids).items()}  # fmt: skip
    assert measured == {
        "transcript_count": [0, 1, 3, 0],
        "gene_count": [0, 1, 2, 0],
        "A_transcripts": [0, 0, 2, 0],
        "B_transcripts": [0, 1, 1, 0],
    }


def test_nothing_to_count():
    none, ids = transcripts([]), np.array([4, 9], dtype=np.uint32)
    assert count_genes(owners(none, CELLS, 3), none, ids).tolist() == [[0, 0], [0, 0]]
    one = transcripts([(3, 3)])
    assert owners(one, np.zeros((9, 9), dtype=np.uint8), 3).tolist() == [0]
    assert count_genes(owners(one, CELLS), one, ids[:0]).shape == (0, 2)


def test_what_lies_beyond_the_image_is_told_and_not_given_away():
    found = transcripts([(-0.5, 3), (-0.51, 3), (19.4, 29.4), (19.5, 3), (3, 30)])
    assert on_image(found, CELLS.shape).tolist() == [True, False, True, False, False]
    with pytest.raises(MeasurementError, match="outside"):
        owners(found, CELLS)


@pytest.mark.parametrize(
    ("y", "x", "gene", "words"),
    [
        ([1.0, np.nan], [1.0, 1.0], [0, 0], "no number"),
        ([1.0], [1.0, 2.0], [0, 0], "one y, x and gene"),
        ([1.0], [1.0], [2], "none of the 2"),
        ([1.0], [1.0], [-1], "none of the 2"),
    ],
)
def test_what_cannot_be_counted_is_refused(y, x, gene, words):
    with pytest.raises(MeasurementError, match=words):
        Transcripts(np.array(y), np.array(x), np.array(gene), ("A", "B"))


def test_real_transcripts_of_real_cells_are_counted_as_a_lookup_counts_them():
    labels = np.load(DATA / "labels.npz")["labels"]
    text = (DATA / "spots.csv").read_text().split()[1:]
    table = [(g, float(x), float(y)) for g, x, y in (line.split(",") for line in text)]
    names, x, y = (np.array(column) for column in zip(*table, strict=True))
    genes = sorted(set(names.tolist()))
    gene = np.array([genes.index(g) for g in names])
    found = Transcripts(y, x, gene, genes)
    ids = np.unique(labels)[1:].astype(np.uint32)
    counts = count_genes(owners(found, labels), found, ids)
    by_hand = np.zeros_like(counts)
    for name, column, row in table:
        if label := labels[int(row), int(column)]:
            by_hand[np.searchsorted(ids, label), genes.index(name)] += 1
    np.testing.assert_array_equal(counts, by_hand)
    assert counts.sum() > 500
