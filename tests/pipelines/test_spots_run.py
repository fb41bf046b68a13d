"""RNA spots through whole runs with known cells: pooled single molecules, columns, tables."""

import numpy as np
import polars as pl
import pytest
import tifffile

from pipelines.field import Labels
from pipelines.study.check import check_study
from tests.measurements.label_images import disc, spot
from tests.studies import read_csv, run_here, write_samples

SHAPE = (160, 200)
CENTRES = [(45, 50), (45, 145), (115, 50), (115, 145)]
CELLS = sum(disc(SHAPE, y, x, 32) * (i + 1) for i, (y, x) in enumerate(CENTRES)).astype(np.uint32)
NUCLEI = sum(disc(SHAPE, y, x, 12) * (i + 1) for i, (y, x) in enumerate(CENTRES)).astype(np.uint32)
STUDY = """
study: rna
samples: samples.csv
channels: {{dna: 0, rna: 1, blank: 2}}
pixel_size_um: 0.2
segmentation:
  nuclei: {{channel: dna, diameter_px: 24}}
  cells: {{method: expand, distance_px: 20}}
measurements:
  - {{type: spots, channel: rna, sigma_um: 0.3, unused: {{channel: blank}}{more}}}
"""


@pytest.fixture(autouse=True)
def known_cells(monkeypatch):
    """What is tested here begins after segmentation."""
    labels = Labels(NUCLEI, CELLS, None)
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: labels)


def ring(y, x, n, radius):
    """Places around a cell's middle."""
    angles = 2 * np.pi * np.arange(n) / n
    return [(y + radius * np.sin(a), x + radius * np.cos(a)) for a in angles]


def write_study(folder, images, more=""):
    """Images of (places, light in molecules, seen in the unused channel too)."""
    rng = np.random.default_rng(0)
    rows = []
    for i, dots in enumerate(images):
        dna = 100 + 300 * (NUCLEI > 0)
        rna, blank = np.full(SHAPE, 100.0), np.full(SHAPE, 100.0)
        for (y, x), molecules, shines in dots:
            rna += 150 * molecules * spot(SHAPE, y, x, 1.5)
            blank += shines * 150 * molecules * spot(SHAPE, y, x, 1.5)
        stack = rng.poisson(np.stack([dna, rna, blank])).astype(np.uint16)
        tifffile.imwrite(folder / f"f{i}.tif", stack, photometric="minisblack")
        rows.append({"image": f"f{i}.tif", "animal": f"m{i}"})
    write_samples(folder, rows)
    path = folder / "study.yaml"
    path.write_text(STUDY.format(more=more))
    return path


def dots_of(n_each):
    """Single molecules around each cell's middle: outside nuclei but for one in the middle."""
    return [
        (place, 1.0, False)
        for (y, x), n in zip(CENTRES, n_each, strict=True)
        for place in [*ring(y, x, n - 1, 24), (y, x)][:n]
    ]


def test_images_share_the_light_of_one_molecule(tmp_path):
    """The second image has nothing but a cluster: its number comes from the first one's spots."""
    first = dots_of([12, 9, 14, 0])
    second = [((45, 50), 8.0, False), ((115, 145), 5.0, True)]
    run_here(write_study(tmp_path, [first, second]), tmp_path / "out", report=True)
    tables = tmp_path / "out" / "tables"
    cells = pl.read_parquet(tables / "cells.parquet")
    one, two = (cells.filter(pl.col("image_id") == name) for name in ("f0", "f1"))
    assert one["rna_molecules"].to_list() == [12, 9, 14, 0]
    assert one["rna_nucleus_molecules"].to_list() == [1, 1, 1, 0]
    assert one["rna_score"].to_list() == [3, 2, 3, 0]
    assert two["rna_molecules"].to_list() == pytest.approx([8, 0, 0, 0], abs=1)
    assert two["rna_spot_count"].to_list() == [1, 0, 0, 0]
    assert two["rna_autofluorescent_count"].to_list() == [0, 0, 0, 1]
    images = read_csv(tables / "images.csv")
    assert float(images[0]["rna_h_score_mean"]) == pytest.approx(100 * (3 + 2 + 3 + 0) / 4)
    assert float(images[1]["rna_autofluorescent_in_image"]) == 1
    spots = pl.read_parquet(tables / "spots.parquet")
    assert spots["molecules"].sum() == pytest.approx(35 + 8, abs=1)
    row = next(r for r in read_csv(tables / "thresholds.csv") if r["name"] == "rna_molecules")
    assert float(row["threshold"]) == pytest.approx(150 * 2 * np.pi * 1.5**2, rel=0.05)
    known = {(r["table"], r["column"]) for r in read_csv(tables / "columns.csv")}
    assert {("cells", "rna_molecules"), ("spots", "molecules")} <= known
    assert {("images", "rna_spots_in_image"), ("images", "rna_h_score_mean")} <= known


def test_bounds_and_the_light_of_one_change_counts_without_measuring_anew(tmp_path):
    study = write_study(tmp_path, [dots_of([12, 9, 14, 0])])
    run_here(study, tmp_path / "out")
    study.write_text(STUDY.format(more=", single: 1060, bounds: [5, 21], clustered: null"))
    again = run_here(study, tmp_path / "out")
    assert again.kept == 1
    cells = pl.read_parquet(tmp_path / "out" / "tables" / "cells.parquet")
    # Half of the light that a molecule has here: each spot counts twice.
    assert cells["rna_molecules"].to_list() == pytest.approx([24, 18, 28, 0], abs=2)
    assert cells["rna_score"].to_list() == [2, 1, 2, 0]


def test_too_few_spots_count_as_one_each_and_say_so(tmp_path):
    run_here(write_study(tmp_path, [dots_of([3, 0, 1, 0])]), tmp_path / "out")
    tables = tmp_path / "out" / "tables"
    assert pl.read_parquet(tables / "cells.parquet")["rna_molecules"].to_list() == [3, 0, 1, 0]
    assert "too few" in read_csv(tables / "thresholds.csv")[0]["note"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (", bounds: [4, 4]", "do not rise"),
        (", single: 100, by: animal", "one of them"),
        (", treshold: 3", "did you mean 'threshold'?"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, more, words):
    with pytest.raises(Exception, match=words.replace("?", r"\?")):
        check_study(write_study(tmp_path, [dots_of([1, 0, 0, 0])], more))


def test_the_unused_channel_is_a_channel_of_the_study_and_spots_are_asked_for_once(tmp_path):
    study = write_study(tmp_path, [dots_of([1, 0, 0, 0])])
    text = study.read_text()
    study.write_text(text.replace("channel: blank}", "channel: blnk}"))
    assert "did you mean 'blank'?" in " ".join(p.message for p in check_study(study).problems)
    study.write_text(text + "  - {type: spots, channel: rna}\n")
    assert "measured twice" in " ".join(p.message for p in check_study(study).problems)
