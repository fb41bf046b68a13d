"""Tables of transcripts through whole runs, with the cells of a real section known."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile

from pipelines.errors import StudyError
from pipelines.field import Labels
from pipelines.study.check import check_study
from tests.studies import read_csv, run_here, write_samples

DATA = Path(__file__).parents[1] / "data" / "iss_mouse_ca1"
LABELS = np.load(DATA / "labels.npz")["labels"].astype(np.uint32)
SPOTS = pl.read_csv(DATA / "spots.csv")
STUDY = """
study: zones
samples: samples.csv
channels: {{dna: 0}}
pixel_size_um: {size}
segmentation: {{nuclei: {{channel: dna, diameter_px: 30}}}}
measurements:
  - {{type: transcripts, table: "{table}", unit: {unit}, gene: Gene{more}}}
"""


@pytest.fixture(autouse=True)
def known_cells(monkeypatch):
    """What is tested here begins after segmentation."""
    labels = Labels(LABELS, LABELS, None)
    monkeypatch.setattr("pipelines.run.image.segment_field", lambda *_: labels)


def write_study(
    folder, *spots, table="{image_id}.csv", unit="px", size="0.325", more="", write=True
):
    dna = np.random.default_rng(0).integers(90, 110, LABELS.shape) + 200 * (LABELS > 0)
    for i, found in enumerate(spots):
        tifffile.imwrite(folder / f"s{i}.tif", dna.astype(np.uint16))
        if write:
            found.write_csv(folder / f"s{i}.csv")
    write_samples(folder, [{"image": f"s{i}.tif", "animal": f"m{i}"} for i in range(len(spots))])
    path = folder / "study.yaml"
    path.write_text(STUDY.format(table=table, unit=unit, size=size, more=more))
    return path


def errors(study):
    return " ".join(p.message for p in check_study(study).problems if p.level == "error")


def test_every_gene_is_counted_in_every_cell_of_every_image(tmp_path):
    rare = SPOTS.filter(pl.col("Gene") != "Plp1").head(900)
    run_here(write_study(tmp_path, SPOTS, rare), tmp_path / "out", report=True)
    cells = pl.read_parquet(tmp_path / "out" / "tables" / "cells.parquet")
    assert sum(name.endswith("_transcripts") for name in cells.columns) == 74
    first = cells.filter(pl.col("image_id") == "s0")
    owner = LABELS[SPOTS["y"].to_numpy(), SPOTS["x"].to_numpy()]
    expected = np.bincount(owner[(SPOTS["Gene"] == "Plp1").to_numpy()], minlength=LABELS.max() + 1)
    np.testing.assert_array_equal(first["Plp1_transcripts"], expected[first["cell_id"].to_numpy()])
    assert cells.filter(pl.col("image_id") == "s1")["Plp1_transcripts"].sum() == 0
    image = read_csv(tmp_path / "out" / "tables" / "images.csv")[0]
    assert int(float(image["transcripts_in_image"])) == 2447
    assert int(float(image["transcripts_in_cells"])) == (owner > 0).sum()
    assert int(float(image["transcripts_outside_cells"])) == (owner == 0).sum()
    known = {row["column"] for row in read_csv(tmp_path / "out" / "tables" / "columns.csv")}
    assert {"Plp1_transcripts", "transcripts_outside_image"} <= known


def test_micrometres_semicolons_and_parquet_give_the_same_counts(tmp_path):
    um = SPOTS.with_columns(pl.col("x") * 0.325, pl.col("y") * 0.325)
    found = []
    for name, spots, unit in (("a", SPOTS, "px"), ("b", um, "um")):
        folder = tmp_path / name
        folder.mkdir()
        ending = "parquet" if unit == "um" else "csv"
        study = write_study(
            folder, spots, unit=unit, table="{animal}." + ending, more=", distance_um: 2"
        )
        spots.write_parquet(folder / "m0.parquet")
        spots.write_csv(folder / "m0.csv", separator=";")
        run_here(study, folder / "out")
        found.append(pl.read_parquet(folder / "out" / "tables" / "cells.parquet"))
    assert found[0].equals(found[1])
    owner = LABELS[SPOTS["y"].to_numpy(), SPOTS["x"].to_numpy()]
    assert found[0]["transcript_count"].sum() > (owner > 0).sum()


def test_a_changed_table_is_counted_anew_and_alone(tmp_path):
    study = write_study(tmp_path, SPOTS, SPOTS)
    run_here(study, tmp_path / "out")
    SPOTS.head(1000).write_csv(tmp_path / "s1.csv")
    names = sorted(set(SPOTS["Gene"]) - set(SPOTS.head(1000)["Gene"]))
    again = run_here(study, tmp_path / "out")
    assert names
    assert again.kept == 1
    images = read_csv(tmp_path / "out" / "tables" / "images.csv")
    assert [float(row["transcripts_in_image"]) for row in images] == [2447, 1000]


def test_places_beyond_the_edge_are_counted_and_other_units_refused(tmp_path):
    first = pl.int_range(pl.len()) < 3
    shifted = SPOTS.with_columns(x=pl.when(first).then(-1).otherwise("x"))
    wrong = SPOTS.with_columns(pl.col("x") * 3)
    run_here(write_study(tmp_path, shifted, wrong), tmp_path / "out")
    image = read_csv(tmp_path / "out" / "tables" / "images.csv")
    assert len(image) == 1
    assert float(image[0]["transcripts_outside_image"]) == 3
    assert "beyond the image's edge" in image[0]["warnings"]
    failure = read_csv(tmp_path / "out" / "failures.csv")[0]
    assert failure["image_id"] == "s1"
    assert "lie outside the image of 560 x 420 px" in failure["error"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"more": ", genes: [Plp1, Calb1]"}, "not among the 2 genes of the study"),
        ({"table": "{anmal}.csv"}, "did you mean 'animal'?"),
        ({"table": "s0.csv"}, "more than one image"),
        ({"unit": "um", "size": "unknown"}, "needs a pixel size"),
        ({"more": ", x: X"}, "no column 'X'"),
        ({"write": False}, "there is no file"),
        ({"table": "/etc/{image_id}.csv"}, "lies outside the folders"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_computed(tmp_path, options, words):
    assert words in errors(write_study(tmp_path, SPOTS, SPOTS, **options))


def test_an_ignored_name_is_no_gene_and_an_empty_one_is_refused(tmp_path):
    with_control = pl.concat([SPOTS, SPOTS.head(50).with_columns(Gene=pl.lit("NegControl_7"))])
    study = write_study(tmp_path, with_control, more=', ignore: ["NegControl*"]')
    run_here(study, tmp_path / "out")
    cells = pl.read_parquet(tmp_path / "out" / "tables" / "cells.parquet")
    assert not [name for name in cells.columns if "NegControl" in name]
    image = read_csv(tmp_path / "out" / "tables" / "images.csv")[0]
    assert float(image["transcripts_in_image"]) == 2447
    SPOTS.with_columns(Gene=pl.lit(None, dtype=pl.String)).write_csv(tmp_path / "s0.csv")
    with pytest.raises(StudyError, match="is empty"):
        run_here(study, tmp_path / "out2")


def test_a_place_that_is_no_number_fails_its_image(tmp_path):
    spots = SPOTS.with_columns(pl.col("x").cast(pl.String)).with_columns(
        x=pl.when(pl.int_range(pl.len()) == 5).then(pl.lit("n.d.")).otherwise("x")
    )
    run_here(write_study(tmp_path, SPOTS, spots), tmp_path / "out")
    assert "s1.csv" in read_csv(tmp_path / "out" / "failures.csv")[0]["error"]
