"""Single cells in small pictures: the right ones, with one contrast, cut at the right place."""

import json
import shutil

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
import zarr
from PIL import Image

from pipelines.labels_store import read_labels, write_labels
from pipelines.ome_zarr import create_pyramid
from pipelines.overlay.portrait import OUTSIDE, SIDE, Window, common_limits, draw_portrait
from pipelines.report.data import read_run
from pipelines.report.page import build_report
from pipelines.report.portraits import portrait_strips
from pipelines.run.chosen import ABOVE, BELOW, HIGHEST, LOWEST, MEDIAN, channel_of, chosen_cells
from pipelines.run.layout import Layout
from pipelines.run.portraits import draw_portraits
from pipelines.study import parse_study
from pipelines.study.check import check_study

STUDY = """
study: seen
samples: samples.csv
pixel_size_um: 0.5
channels: {dapi: 0, p21: 1}
segmentation:
  nuclei: {channel: dapi, diameter_px: 10}
measurements: [{type: morphology}, {type: intensity, channel: p21}]
exclude: {flags: [debris]}
positivity:
  p21: {of: p21_nucleus_mean, rule: fixed, value: 1045}
statistics:
  unit: donor
  factors: [genotype]
  reference: {genotype: young}
  outcomes: [p21_positive]
"""
EDGE, STEP, N = 128, 16, 64


@pytest.fixture
def seen(tmp_path):
    """Two images of 64 squares each, 8 px wide; cell n has n more grey values than cell 1."""
    folder, rows = tmp_path / "study", []
    run = folder / "results"
    (run / "tables").mkdir(parents=True)
    layout = Layout(run)
    lines = ["image_id,image,genotype,donor"]
    for number, group in enumerate(["old", "young"]):
        labels = np.zeros((EDGE, EDGE), np.uint32)
        for cell in range(N):
            top, left = STEP * (cell // 8), STEP * (cell % 8)
            labels[top : top + 8, left : left + 8] = cell + 1
            rows.append(
                {
                    "image_id": f"im{number}",
                    "genotype": group,
                    "donor": group[0],
                    "cell_id": cell + 1,
                    "nucleus_box_y_um": top * 0.5,
                    "nucleus_box_x_um": left * 0.5,
                    "nucleus_box_height_um": 4.0,
                    "nucleus_box_width_um": 4.0,
                    "p21_nucleus_mean": 1000.0 + cell + 1,
                    "p21_positive": 1000 + cell + 1 > 1045,
                    "debris": cell == 63,
                }
            )
        pixels = np.zeros((2, EDGE, EDGE), np.uint16)
        pixels[1] = np.where(labels > 0, 1000 + labels, 500)
        tifffile.imwrite(folder / f"im{number}.tif", pixels, metadata={"axes": "CYX"})
        write_labels(layout.labels(f"im{number}"), {"nuclei": labels}, 0.5)
        lines.append(f"im{number},im{number}.tif,{group},{group[0]}")
    (folder / "samples.csv").write_text("\n".join(lines) + "\n")
    (folder / "study.yaml").write_text(STUDY)
    table = pl.DataFrame(rows).to_arrow()
    fields = [f.with_metadata({"unit": "a.u.", "meaning": "Mean."}) for f in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), layout.cells)
    pl.DataFrame({"genotype": ["young", "old"]}).write_csv(layout.table("groups"))
    said = {"group_columns": ["genotype"], "unit_columns": ["genotype", "donor"]}
    said |= {"outcomes": ["p21_positive"], "name": "seen"}
    settings = parse_study(STUDY, "study").model_dump(mode="json")
    layout.provenance.write_text(json.dumps({"study": said, "settings": settings}))
    return check_study(folder / "study.yaml"), layout


def picks(seen):
    checked, layout = seen
    [chosen] = chosen_cells(read_run(layout.root), checked.study)
    assert chosen.column == "p21_nucleus_mean"
    found = {}
    for cell in chosen.cells:
        found.setdefault((cell.place, cell.group), []).append(cell.cell_id)
    return found


def test_the_ends_the_middle_and_both_sides_of_the_gate_are_chosen(seen):
    found = picks(seen)
    for group in ("young", "old"):
        assert found[LOWEST, group] == [1, 2, 3]
        assert found[MEDIAN, group] == [31, 32, 33]
        # 64 is excluded.
        assert found[HIGHEST, group] == [61, 62, 63]
        assert found[BELOW, group] == [43, 44, 45]
        assert found[ABOVE, group] == [46, 47, 48]
    assert [group for place, group in found if place == LOWEST] == ["young", "old"]


def portraits(layout):
    table = pl.read_csv(layout.portraits / "cells.csv")
    return {
        (row["group"], row["cell_id"]): np.asarray(Image.open(layout.portraits / row["file"]))
        for row in table.iter_rows(named=True)
    }, table


def test_pixels_are_those_of_the_cell_with_one_contrast_for_all(seen):
    checked, layout = seen
    assert draw_portraits(checked, layout) == ()
    found, table = portraits(layout)
    low, high = table["low"][0], table["high"][0]
    assert table["low"].n_unique() == table["high"].n_unique() == 1
    for (_, cell_id), picture in found.items():
        expected = 255 * (1000 + cell_id - low) / (high - low)
        assert picture[SIDE // 2, SIDE // 2] == pytest.approx(
            np.full(3, min(255, expected)), abs=1.01
        )
    assert (found["young", 43] == found["old", 43]).all()


def test_cells_of_an_ome_zarr_image_are_the_same(seen):
    checked, layout = seen
    draw_portraits(checked, layout)
    before, _ = portraits(layout)
    shutil.rmtree(layout.portraits)
    folder = layout.root.parent
    for name in ("im0", "im1"):
        pixels = tifffile.imread(folder / f"{name}.tif")
        group = zarr.open_group(folder / f"{name}.ome.zarr", mode="w", zarr_format=3)
        create_pyramid(group, [pixels.shape], pixels.dtype, "cyx", 0.5, {})[0][...] = pixels
    samples = folder / "samples.csv"
    samples.write_text(samples.read_text().replace(".tif", ".ome.zarr"))
    assert draw_portraits(check_study(folder / "study.yaml"), layout) == ()
    after, _ = portraits(layout)
    assert after.keys() == before.keys()
    assert all((after[cell] == before[cell]).all() for cell in before)


def test_what_the_image_lacks_is_grey(seen):
    checked, layout = seen
    draw_portraits(checked, layout)
    found, table = portraits(layout)
    # Cell 1 lies in the corner; its window of 11 px (1.35 x 8 px) starts 2 px outside.
    assert table["side"][0] == pytest.approx(1.35 * 4)
    assert (found["young", 1][: SIDE // 11, : SIDE // 11] == int(255 * OUTSIDE)).all()


def test_pictures_that_are_there_are_not_drawn_again(seen):
    checked, layout = seen
    draw_portraits(checked, layout)
    for path in layout.portraits.glob("*.png"):
        path.unlink()
    draw_portraits(checked, layout)
    assert not list(layout.portraits.glob("*.png"))


def test_an_image_that_is_gone_is_named_and_the_others_are_shown(seen):
    checked, layout = seen
    checked.rows[0].files["dapi"].unlink()
    [lost] = draw_portraits(checked, layout)
    assert lost.startswith("im0: ")
    _, table = portraits(layout)
    assert table["image_id"].unique().to_list() == ["im1"]


def test_the_page_has_each_cell_with_its_value_and_number(seen):
    checked, layout = seen
    draw_portraits(checked, layout)
    [strip] = portrait_strips(read_run(layout.root))
    assert strip.groups == ("young", "old")
    assert [place for place, _ in strip.rows] == [LOWEST, MEDIAN, HIGHEST, BELOW, ABOVE]
    first = strip.rows[0][1][0][0]
    assert (first.name, first.value) == ("im1 · 1", "1,001 a.u.")
    page = build_report([layout.root], layout.root / "report.html").read_text(encoding="utf-8")
    assert page.count('<figure class="portrait">') == 30
    assert 'alt="Cell im1 · 1, p21 nucleus mean 1,001 a.u."' in page
    assert "<i>im1</i> · 1</span>" in page  # a long name is cut short, the number never


@pytest.mark.parametrize("content", ["", "column\nx\n", "\x00", None])
def test_a_broken_list_costs_its_section_at_most(seen, content):
    checked, layout = seen
    draw_portraits(checked, layout)
    if content is None:
        for path in layout.portraits.glob("*.png"):
            path.write_bytes(b"no picture")
    else:
        (layout.portraits / "cells.csv").write_text(content)
    assert portrait_strips(read_run(layout.root)) == []
    assert build_report([layout.root], layout.root / "report.html").is_file()


def test_without_measured_shapes_cells_are_found_in_their_labels(seen):
    checked, layout = seen
    draw_portraits(checked, layout)
    measured, _ = portraits(layout)
    table = pq.read_table(layout.cells)
    pq.write_table(table.drop_columns(["nucleus_box_y_um"]), layout.cells)
    assert draw_portraits(checked, layout) == ()
    found, listed = portraits(layout)
    assert listed["unit"].unique().to_list() == ["px"]
    assert found.keys() == measured.keys()
    assert all((found[name] == picture).all() for name, picture in measured.items())


def test_of_many_groups_both_ends_are_shown(seen):
    checked, layout = seen
    doses = [0, 1, 3, 5, 10, 20]
    table = pl.read_parquet(layout.cells).with_row_index()
    dose = pl.col("index").map_elements(lambda i: doses[i % 6], return_dtype=pl.Int64)
    table = table.with_columns(dose.alias("genotype")).drop("index")
    pq.write_table(table.to_arrow(), layout.cells)
    pl.DataFrame({"genotype": doses}).write_csv(layout.table("groups"))
    [chosen] = chosen_cells(read_run(layout.root), checked.study)
    assert list(dict.fromkeys(cell.group for cell in chosen.cells)) == ["0", "3", "5", "20"]


def test_the_channel_is_the_one_that_a_column_names():
    study = parse_study(STUDY, "study")
    named = study.model_copy(update={"channels": {"dapi": 0, "p21": 1, "p21_b": 2}})
    assert channel_of("p21_b_nucleus_mean", named) == "p21_b"
    assert channel_of("nucleus_area_um2", named) == "dapi"
    stained = study.model_copy(update={"channels": {"dapi": 0, "stain": "rgb"}})
    assert channel_of("beta_gal_mean_od", stained) == "stain"


def test_contrast_of_windows_without_a_value_and_of_colours():
    plane = np.full((4, 4), np.nan)
    window = Window(plane, np.zeros((4, 4), bool), (0, 0), 4)
    assert common_limits([window]) == (0.0, 0.0)
    assert not draw_portrait(window, (0.0, 0.0)).any()
    colours = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    window = Window(colours, np.zeros((4, 4), bool), (0, 0), 4)
    assert common_limits([window])[0] == 0
    assert draw_portrait(window, (0.0, 255.0))[0, 0] == pytest.approx([200, 100, 50], abs=1)


def test_labels_are_read_in_a_box(seen):
    _, layout = seen
    whole = read_labels(layout.labels("im0"), "nuclei")
    box = slice(3, 30), slice(10, 20)
    assert (read_labels(layout.labels("im0"), "nuclei", box) == whole[box]).all()
