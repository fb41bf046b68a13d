"""What napari is given to show of an image: channels, labels, foci, crosses, colours, words."""

import numpy as np
import polars as pl
import pytest
import tifffile

from pipelines.images import open_field
from pipelines.labels_store import label_levels, write_labels
from pipelines.review.colours import NO, UNKNOWN, YES, colours_of
from pipelines.review.labels import correctable, shown_names
from pipelines.review.layers import cell_places, crosses, image_layers, left_out_layer, positions
from pipelines.review.words import help_text, legend_html
from pipelines.study import parse_study

STUDY = """
study: s
images: "{{x}}.tif"
channels: {{dapi: 0}}
segmentation:
  nuclei: {{channel: dapi, diameter_px: 20}}
  cells: {cells}
measurements: [{{type: morphology}}]
"""


def field_of(folder, planes, size=None, rgb=False):
    files = {}
    for name, plane in planes.items():
        files[name] = folder / f"{name}.tif"
        tifffile.imwrite(files[name], plane, photometric="rgb" if rgb else "minisblack")
    channels = dict.fromkeys(planes, "rgb" if rgb else 0)
    return open_field("f", files, channels, pixel_size_um=size or "unknown", z="max")


def test_channels_have_the_colours_of_the_pictures_and_their_own_contrast(tmp_path):
    rng = np.random.default_rng(0)
    dark = rng.normal(100, 5, (40, 50)).astype(np.uint16)
    bright = rng.normal(9000, 900, (40, 50)).astype(np.uint16)
    layers = image_layers(field_of(tmp_path, {"gh2ax": bright, "dapi": dark}, 0.25), slide=False)

    assert [(kind, shown["name"]) for _, shown, kind in layers] == [
        ("image", "gh2ax"),
        ("image", "dapi"),
    ]
    (pixels, marker, _), (_, nuclear, _) = layers
    assert np.array_equal(pixels, bright)
    assert np.argmax(nuclear["colormap"]["colors"][1]) == 2  # blue, whatever its place
    assert np.argmax(marker["colormap"]["colors"][1]) == 1  # green
    assert nuclear["contrast_limits"] == pytest.approx(np.percentile(dark, (2, 99.8)))
    assert marker["contrast_limits"] == pytest.approx(np.percentile(bright, (2, 99.8)))
    for _, shown, _ in layers:
        assert shown["scale"] == (0.25, 0.25)
        assert shown["units"] == ("µm", "µm")
        assert shown["blending"] == "additive"


def test_a_constant_channel_has_limits_that_can_be_shown(tmp_path):
    flat = np.full((8, 8), 7, np.uint8)
    [(_, shown, _)] = image_layers(field_of(tmp_path, {"dapi": flat}), slide=False)
    assert shown["contrast_limits"] == (7, 8)
    assert shown["units"] == ("pixel", "pixel")  # no µm is claimed where none is known


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 200), (np.uint16, 4000)])
def test_a_picture_is_shown_as_it_is_and_12_bits_as_bright(tmp_path, dtype, white):
    picture = np.full((8, 9, 3), white, dtype)
    field = field_of(tmp_path, {"bright": picture}, rgb=True)
    [(pixels, shown, _)] = image_layers(field, slide=False)
    assert shown["rgb"]
    assert "colormap" not in shown
    if dtype == np.uint8:
        assert np.array_equal(pixels, picture)
    else:
        assert pixels.dtype == np.float32
        assert pixels == pytest.approx(1.0)


def test_labels_of_a_slide_are_read_where_they_are_looked_at(tmp_path):
    labels = np.zeros((1100, 700), np.uint32)
    labels[:2, 3:5] = 9
    write_labels(tmp_path / "a.ome.zarr", {"nuclei": labels}, 0.5)
    levels = label_levels(tmp_path / "a.ome.zarr", "nuclei")
    assert [level.shape for level in levels] == [(1100, 700), (550, 350), (275, 175)]
    assert hasattr(levels[0], "dask")
    assert np.array_equal(levels[1].compute(), labels[::2, ::2])


@pytest.mark.parametrize(
    ("cells", "shown", "allowed"),
    [
        ("{method: nuclei}", ("nuclei",), ("nuclei",)),
        ("{method: expand, distance_px: 3}", ("nuclei", "cells"), ("nuclei",)),
        ("{method: cellpose, channel: dapi, diameter_px: 40}",) + (("nuclei", "cells"),) * 2,
    ],
)
def test_only_what_a_model_found_is_corrected(tmp_path, cells, shown, allowed):
    labels = np.ones((4, 4), np.uint8)
    write_labels(tmp_path / "a.ome.zarr", {"nuclei": labels, "cells": labels}, None)
    study = parse_study(STUDY.format(cells=cells), "study")
    assert shown_names(study, tmp_path / "a.ome.zarr") == shown
    assert correctable(study, slide=False) == allowed
    assert correctable(study, slide=True) == ()


def test_places_of_cells_come_from_the_table_in_px_or_from_the_labels():
    table = pl.DataFrame(
        {"cell_id": [2, 5], "nucleus_y_um": [1.0, 4.0], "nucleus_x_um": [2.0, 6.0]}
    )
    assert cell_places(table, None, 0.5) == {2: (2.0, 4.0), 5: (8.0, 12.0)}
    labels = np.zeros((9, 9), np.uint32)
    labels[1:4, 2:5], labels[6, 6:9] = 2, 5
    bare = table.select("cell_id")
    assert cell_places(bare, labels, 0.5) == {2: (2.0, 3.0), 5: (6.0, 7.0)}
    assert cell_places(bare, None, 0.5) == {}
    assert positions(pl.DataFrame({"y_px": [3], "x_px": [4]}), "", None).tolist() == [[3.0, 4.0]]
    assert positions(pl.DataFrame({"y_um": [3], "x_um": [4]}), "", None) is None


def test_cells_without_a_place_have_no_cross():
    assert crosses({1: (2.0, 3.0)}, [1, 7]).tolist() == [[2.0, 3.0]]
    data, shown, kind = left_out_layer({}, [], 0.5)
    assert data.shape == (0, 2)
    assert (shown["scale"], kind) == ((0.5, 0.5), "points")


def test_numbers_run_from_dark_to_bright_and_missing_ones_are_grey():
    values = pl.Series([*range(101), None], dtype=pl.Float64)
    found = colours_of(values)
    brightness = found.colors[:101, :3].sum(axis=1)
    assert brightness[5] < brightness[50] < brightness[95]
    assert tuple(found.colors[101]) == UNKNOWN
    texts = [text for _, text in found.legend]
    assert texts == ["2", "26", "50", "74", "98", "no value"]


def test_equal_numbers_and_no_numbers_have_a_legend():
    assert [text for _, text in colours_of(pl.Series([3, 3])).legend] == ["3"]
    assert [text for _, text in colours_of(pl.Series([None, None])).legend] == ["no value"]
    assert colours_of(pl.Series([], dtype=pl.Float64)).colors.shape == (0, 4)


def test_yes_and_no_and_words():
    found = colours_of(pl.Series([True, False, None]))
    assert [tuple(color) for color in found.colors] == [YES, NO, UNKNOWN]
    assert [text for _, text in found.legend] == ["no", "yes", "no value"]
    words = colours_of(pl.Series(["b", "a", "b"]))
    assert [text for _, text in words.legend] == ["a", "b"]
    assert tuple(words.colors[0]) == tuple(words.colors[2]) != tuple(words.colors[1])


def test_help_names_the_keys_that_do_something():
    field = help_text(("nuclei",), slide=False, writable=True)
    slide = help_text((), slide=True, writable=True)
    locked = help_text((), slide=False, writable=False)
    assert "Shift-S" in field
    assert "Shift-S" not in slide
    assert "cannot be corrected" in slide
    assert "cannot be written" in locked
    assert "leave out" not in locked


def test_a_legend_shows_each_colour_beside_its_text():
    html = legend_html([((1.0, 0.0, 0.5, 1.0), "yes")], "about")
    assert "#ff0080" in html
    assert html.endswith("yes<br>about")
