"""Images that cells cover, measured in the light of their batch: from the file to the tables."""

import json

import numpy as np
import polars as pl
import pytest

from pipelines.field.beta_gal import BORROWED, COVERED
from pipelines.labels_store import write_label_tiff
from pipelines.run.image import process_image
from pipelines.run.layout import Layout
from pipelines.run.steps import finish, prepare
from tests.pipelines.test_beta_gal_study import SHAPE, STAIN, labels, picture, write

AMOUNTS = (0.1, 0.2, 0.3, 0.4)
LIGHT = (215.0, 205.0, 180.0)
SETTINGS = f"stain: [{', '.join(f'{density:.4f}' for density in STAIN)}]"


def quarters():
    """Four cells that cover the field."""
    y, x = np.indices(SHAPE)
    return (1 + 2 * (y >= SHAPE[0] // 2) + (x >= SHAPE[1] // 2)).astype(np.uint32)


def full(cells, amounts=AMOUNTS, light=LIGHT):
    amount = np.append(0.0, amounts)[cells]
    grey = np.asarray(light) * 10 ** -(amount[..., None] * STAIN)
    noise = np.random.default_rng(3).standard_normal(grey.shape)
    return np.clip(np.rint(grey * (1 + 0.008 * noise)), 0, 255).astype(np.uint8)


def run(folder, pictures, covered=quarters):
    """Run a study of pictures whose cells are given."""
    path, layout = write(folder, SETTINGS, pictures=pictures), Layout(folder / "out")
    for name in pictures:
        given = covered() if name == "full" else labels()
        file = layout.corrected(name, "cells")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_label_tiff(file, given)
    plan = prepare(path, layout.root)
    summary = finish(plan, [process_image(task) for task in plan.tasks], lambda tasks: [])
    assert not summary.n_failed
    return summary, layout


def notched():
    """The same but for a corner, under 1 % of the field."""
    cells = quarters()
    cells[:30, :30] = 0
    return cells


def open_fields(*lights):
    return {f"open{n}": picture(light=light, seed=n) for n, light in enumerate(lights)}


def stain_of(layout, image):
    cells = pl.read_parquet(layout.cells).filter(pl.col("image_id") == image).sort("cell_id")
    return cells["beta_gal_mean_od"].to_list()


def lenders(layout):
    images = pl.read_csv(layout.table("images"))
    return dict(zip(images["image_id"], images["beta_gal_image_light_lenders"], strict=True))


def image_warnings(layout, image):
    images = pl.read_csv(layout.table("images"))
    return images.filter(pl.col("image_id") == image)["warnings"].item()


def test_a_covered_image_is_measured_in_the_light_of_its_batch(tmp_path):
    exposed_otherwise = tuple(0.8 * level for level in LIGHT)
    summary, layout = run(
        tmp_path, open_fields(LIGHT, LIGHT, exposed_otherwise) | {"full": full(quarters())}
    )
    assert stain_of(layout, "full") == pytest.approx(AMOUNTS, abs=0.01)
    assert lenders(layout) == {"open0": 0, "open1": 0, "open2": 0, "full": 3}
    assert BORROWED in image_warnings(layout, "full")
    assert COVERED not in image_warnings(layout, "full")
    assert any("(full) and were measured in the light of images" in w for w in summary.warnings)
    (lent,) = json.loads(layout.provenance.read_text())["borrowed_light"]
    assert (lent["to"], lent["from"]) == (["full"], ["open0", "open1", "open2"])
    assert lent["apart"] < 0.002


def test_a_run_that_goes_on_keeps_the_images_and_settles_the_same_light(tmp_path):
    pictures = open_fields(LIGHT, LIGHT, LIGHT) | {"full": full(quarters())}
    _, layout = run(tmp_path, pictures)
    first = stain_of(layout, "full")
    plan = prepare(tmp_path / "study.yaml", layout.root)
    outcomes = [process_image(task) for task in plan.tasks]
    summary = finish(plan, outcomes, lambda tasks: [])
    assert summary.kept == 4
    assert stain_of(layout, "full") == first
    (tmp_path / "open1.tif").unlink()  # a lender that is lost meanwhile
    summary = finish(plan, outcomes, lambda tasks: [])
    assert summary.n_images == 4
    assert lenders(layout)["full"] == 0
    assert any("no light was borrowed" in text for text in summary.warnings)


@pytest.mark.parametrize(
    ("lights", "amounts", "why"),
    [
        ((LIGHT, LIGHT), AMOUNTS, "2 images of the batch have 5% of background and 3 are needed"),
        ((LIGHT, LIGHT, (200.0, 205.0, 195.0)), AMOUNTS, "apart and 0.002 is allowed"),
        ((LIGHT, LIGHT, LIGHT), (-0.03, 0.1, 0.2, 0.3), "would hold less than none"),
    ],
)
def test_light_that_is_not_told_is_not_lent(tmp_path, lights, amounts, why):
    summary, layout = run(tmp_path, open_fields(*lights) | {"full": full(quarters(), amounts)})
    assert lenders(layout)["full"] == 0
    assert max(stain_of(layout, "full")) < 0.05  # as before: cells stand in for the light
    assert COVERED in image_warnings(layout, "full")
    assert any(why in text for text in summary.warnings)
    assert "borrowed_light" not in json.loads(layout.provenance.read_text())


def test_a_slit_between_the_cells_is_light_enough(tmp_path):
    otherwise = tuple(np.array(LIGHT) * (0.9, 1.0, 1.1))
    pictures = open_fields(LIGHT, LIGHT, LIGHT) | {"full": full(notched(), light=otherwise)}
    _, layout = run(tmp_path, pictures, notched)
    assert lenders(layout)["full"] == 0
    assert stain_of(layout, "full") == pytest.approx(AMOUNTS, abs=0.01)
    assert COVERED in image_warnings(layout, "full")
