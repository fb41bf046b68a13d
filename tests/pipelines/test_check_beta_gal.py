"""What `senescope check` says about SA-β-Gal settings."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from pipelines.study.check import check_study

STUDY = """
study: s
samples: samples.csv
channels: {{rgb: rgb, dapi: 0}}
pixel_size_um: unknown
segmentation: {{nuclei: {{channel: dapi, diameter_px: 20}}, cells: {cells}}}
measurements: [{{type: beta_gal{settings}}}{more}]
"""
VORONOI = "{method: voronoi, limit_px: 50}"
ROWS = (("a", 1, "stained"), ("b", 1, "none"), ("c", 2, "none"))


def study(folder: Path, settings="", *, cells=VORONOI, more="") -> Path:
    lines = ["image_rgb,image_dapi,batch,control"]
    for name, batch, control in ROWS:
        tifffile.imwrite(folder / f"{name}.tif", np.ones((8, 9, 3), np.uint8), photometric="rgb")
        tifffile.imwrite(folder / f"{name}_dapi.tif", np.ones((8, 9), np.uint8))
        lines.append(f"{name}.tif,{name}_dapi.tif,{batch},{control}")
    (folder / "samples.csv").write_text("\n".join(lines) + "\n")
    path = folder / "study.yaml"
    path.write_text(STUDY.format(settings=settings and f", {settings}", cells=cells, more=more))
    return path


def found(path: Path) -> list[str]:
    return [f"{p.level} {p.where}: {p.message}" for p in check_study(path).problems]


def blank(folder: Path, name: str, shape=(8, 9, 3)) -> None:
    tifffile.imwrite(folder / name, np.ones(shape, np.uint8), photometric="rgb")


def test_a_sound_study(tmp_path):
    blank(tmp_path, "blank1.tif")
    blank(tmp_path, "blank2.tif")
    settings = (
        "dark: [3, 3, 4], gamma: srgb, blank: 'blank{batch}.tif', residual: [1, 1, 1], "
        "stain: {controls: {control: stained}}"
    )
    assert found(study(tmp_path, settings)) == []


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("{method: expand, distance_px: 9}", "flat cells such as MSC"),
        ("{method: nuclei}", "measured in nuclei alone"),
    ],
)
def test_cells_that_do_not_reach_the_stain_are_warned_of(tmp_path, cells, told):
    (problem,) = found(study(tmp_path, cells=cells))
    assert problem.startswith("warning segmentation.cells")
    assert told in problem
    assert "voronoi" in problem


def test_two_of_them_are_one_too_many(tmp_path):
    assert "stands twice" in found(study(tmp_path, more=", {type: beta_gal}"))[0]


def test_blank_fields(tmp_path):
    assert "no file" in found(study(tmp_path, "blank: none.tif"))[0]
    blank(tmp_path, "blank1.tif")
    (problem,) = found(study(tmp_path, "blank: 'blank{batch}.tif'"))
    assert "blank2.tif" in problem
    (problem,) = found(study(tmp_path, "blank: 'blank{bach}.tif'"))
    assert "did you mean 'batch'" in problem
    blank(tmp_path, "blank2.tif", (8, 8, 3))
    (problem,) = found(study(tmp_path, "blank: 'blank{batch}.tif'"))
    assert "8x8 and 8x9 pixels" in problem
    tifffile.imwrite(tmp_path / "grey.tif", np.ones((8, 9), np.uint8))
    assert "rgb picture is asked for" in found(study(tmp_path, "blank: grey.tif"))[0]
    outside = tmp_path / "study"
    outside.mkdir()
    assert "outside the folders" in found(study(outside, "blank: ../blank1.tif"))[0]


def test_stain_controls(tmp_path):
    (problem,) = found(study(tmp_path, "stain: {controls: {controls: stained}}"))
    assert "did you mean 'control'" in problem
    (problem,) = found(study(tmp_path, "stain: {controls: {control: staind}}"))
    assert "no image has control staind" in problem
    (problem,) = found(study(tmp_path, "stain: {controls: {control: stained}, by: batch}"))
    assert "batch 2 has no stained control image" in problem
