"""Uneven light of a study: given as a picture or estimated, taken off before anything else."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tifffile

from pipelines.errors import StudyError
from pipelines.run.layout import Layout
from pipelines.run.steps import prepare
from pipelines.study.check import check_study
from tests.measurements.test_illumination import LIGHT, SIDE, field
from tests.studies import run_here, write_samples, write_settings, write_study

RAMP = np.linspace(0.6, 1.4, 96)[None, :] * np.ones((96, 1))


def test_cells_measure_as_in_even_light_once_the_light_is_given(tmp_path: Path):
    even = write_study(tmp_path / "even", images=2)
    lit = write_study(tmp_path / "lit", images=2, more="illumination: {dna: light.tif}")
    tifffile.imwrite(lit.parent / "light.tif", (5000 * RAMP).astype(np.uint16))
    for path in sorted(lit.parent.glob("field*.tif")):
        pixels = tifffile.imread(path).astype(np.float32)
        tifffile.imwrite(path, (pixels - pixels.min()) * RAMP.astype(np.float32))
    tables = []
    for study in (even, lit):
        summary = run_here(study, study.parent / "out")
        assert (summary.n_failed, summary.lost_pictures) == (0, ())
        tables.append(pl.read_parquet(Layout(study.parent / "out").cells))
    assert tables[0].height == tables[1].height
    above = [t["dna_nucleus_mean"] - t["dna_background"] for t in tables]
    assert (above[1] / above[0] - 1).abs().median() < 0.03


def discs(folder: Path, images: int = 12) -> Path:
    """A study of fields whose light falls off by 40 %."""
    folder.mkdir(exist_ok=True)
    for i in range(images):
        tifffile.imwrite(folder / f"f{i}.tif", field(i, spread=0.05))
    write_samples(folder, [{"image": f"f{i}.tif", "donor": f"D{i % 2}"} for i in range(images)])
    return write_settings(folder, more="illumination: estimate")


def test_the_light_is_estimated_written_and_part_of_what_images_depend_on(tmp_path: Path):
    study = discs(tmp_path / "study")
    plan = prepare(study, tmp_path / "out")
    gain = tifffile.imread(tmp_path / "out" / "illumination" / "dna.tif")
    assert gain.shape == (SIDE, SIDE)
    assert np.std(np.log(gain * LIGHT.mean() / LIGHT)) < 0.02
    inputs = plan.references.inputs["illumination"]["dna"]
    assert inputs["n_images"] == 12
    assert inputs["fall_off"] == pytest.approx(0.4, abs=0.06)
    assert prepare(study, tmp_path / "again").tasks[0].segmentation_key == (
        plan.tasks[0].segmentation_key
    )
    write_settings(study.parent)
    unlit = prepare(study, tmp_path / "unlit").tasks[0]
    assert unlit.segmentation_key != plan.tasks[0].segmentation_key


def test_what_an_estimate_left_can_be_given(tmp_path: Path):
    study = discs(tmp_path / "study")
    prepare(study, tmp_path / "study" / "out")
    write_settings(study.parent, more="illumination: {dna: out/illumination/dna.tif}")
    assert not [p for p in check_study(study).problems if p.where.startswith("illumination")]


def test_light_that_cannot_be_told_stops_the_run_in_words(tmp_path: Path):
    study = write_study(tmp_path, images=5, more="illumination: estimate")
    with pytest.raises(StudyError, match="illumination: estimate, channel dna: "):
        prepare(study, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("estimate", "needs 5 images or more; found 2"),
        ("{dann: light.tif}", "no channel 'dann'; known: dna"),
        ("{dna: missing.tif}", "there is no file"),
        ("missing.tif", "there is no file"),
        ("{dna: small.tif}", "4x4 pixels"),
        ("{dna: ../light.tif}", "outside the folders"),
    ],
)
def test_what_is_wrong_with_the_light_is_told_by_the_check(
    tmp_path: Path, settings: str, message: str
):
    study = write_study(tmp_path / "study", images=2, more=f"illumination: {settings}")
    tifffile.imwrite(study.parent / "small.tif", np.ones((4, 4), np.uint16))
    tifffile.imwrite(tmp_path / "light.tif", np.ones((96, 96), np.uint16))
    texts = [p.message for p in check_study(study).problems if p.where.startswith("illumination")]
    assert any(message in text for text in texts), texts
