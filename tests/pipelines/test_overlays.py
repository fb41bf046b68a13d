import numpy as np
import pytest
from PIL import Image
from skimage.segmentation import find_boundaries

from pipelines.overlay.legend import round_length
from pipelines.overlay.outlines import outline, outline_entries
from pipelines.overlay.picture import (
    MAX_SIDE,
    NUCLEAR_COLOR,
    ON_BRIGHT,
    ON_DARK,
    display_scale,
    draw_overlay,
    drawn_from,
    save_png,
    stretch_limits,
)


def disk(shape, y, x, radius):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


@pytest.fixture
def field():
    """Two nuclei with gapped ids, 5 and 9, at 1280 px so that the picture keeps its scale."""
    labels = np.zeros((1280, 1280), dtype=np.uint32)
    labels[disk(labels.shape, 300, 300, 40)] = 5
    labels[disk(labels.shape, 800, 800, 40)] = 9
    return np.where(labels > 0, 200.0, 10.0), labels


def where(picture, color):
    return np.all(picture == np.asarray(color), axis=-1)


def test_outlines_lie_on_the_border_of_their_label_and_nowhere_else(field):
    plane, labels = field
    picture = draw_overlay({"dapi": plane}, None, labels)[:1280]
    drawn = where(picture, ON_DARK.nucleus)
    assert 0 < drawn.sum() < (labels > 0).sum() / 5
    assert not drawn[labels == 0].any()
    assert not drawn[disk(labels.shape, 300, 300, 37)].any()
    assert drawn[300, 260]


def test_positive_nuclei_differ_by_colour_and_by_thickness(field):
    plane, labels = field
    picture = draw_overlay({"dapi": plane}, None, labels, positive={"p21": {9}})[:1280]
    positive = where(picture, ON_DARK.positive)
    negative = where(picture, ON_DARK.nucleus)
    assert positive[labels == 9].any()
    assert not positive[labels == 5].any()
    assert positive[labels == 9].sum() > 1.5 * negative[labels == 5].sum()


def test_positive_ids_without_a_nucleus_and_as_an_array_are_harmless(field):
    plane, labels = field
    picture = draw_overlay({"dapi": plane}, None, labels, positive={"p21": np.array([9, 77])})
    assert where(picture[:1280], ON_DARK.positive)[labels == 9].any()


def test_with_several_markers_numbers_beside_a_cell_say_which(field):
    plane, labels = field
    one = draw_overlay({"dapi": plane}, None, labels, positive={"p21": {9}})[:1280]
    both = draw_overlay({"dapi": plane}, None, labels, positive={"p21": {9}, "p16": {9}})[:1280]
    none = draw_overlay({"dapi": plane}, None, labels, positive={"p21": {9}, "p16": set()})[:1280]
    beside = (slice(790, 811), slice(842, 880))
    written = [where(picture[beside], ON_DARK.positive).sum() for picture in (one, none, both)]
    assert written[0] == 0 < written[1] < written[2]
    assert not where(both[290:311, 342:380], ON_DARK.positive).any()


def test_the_legend_tells_what_is_positive_and_what_was_not_decided(field):
    _, labels = field
    texts = [e.text for e in outline_entries(labels, None, {"p21": {9}}, ON_DARK)]
    assert texts == ["2 nuclei", "p21: 1 positive"]
    texts = [e.text for e in outline_entries(labels, None, {"p21": {9}, "p16": None}, ON_DARK)]
    assert texts[1:] == [
        "1 positive for any marker:",
        "1 = p21, 1 positive",
        "2 = p16, not decided",
    ]


def test_outlines_are_those_of_scikit_image():
    labels = np.random.default_rng(0).integers(0, 4, (60, 70)).repeat(3, 0).repeat(2, 1)
    expected = find_boundaries(labels, mode="inner")
    for dtype in (np.uint8, np.uint32, np.int64):
        assert (outline(labels.astype(dtype)) == expected).all()


def test_cells_are_drawn_dimmer_than_nuclei(field):
    plane, labels = field
    cells = np.zeros_like(labels)
    cells[disk(labels.shape, 300, 300, 80)] = 5
    with_cells = draw_overlay({"dapi": plane}, None, labels, cells)[:1280].astype(int)
    without = draw_overlay({"dapi": plane}, None, labels)[:1280].astype(int)
    at_edge, inside = with_cells[300, 220], with_cells[300, 240]
    assert at_edge.sum() > inside.sum()
    assert at_edge.sum() < sum(ON_DARK.nucleus)
    assert (without[300, 220] == without[300, 240]).all()


def test_the_nuclear_channel_is_blue_wherever_it_stands(field):
    plane, labels = field
    marker = np.zeros_like(plane)
    picture = draw_overlay({"p21": marker, "Hoechst 33342": plane}, None, labels)
    assert tuple(picture[300, 300]) == NUCLEAR_COLOR


def test_given_colours_win(field):
    plane, labels = field
    picture = draw_overlay({"dapi": plane}, {"dapi": (10, 20, 30)}, labels)
    assert tuple(picture[300, 300]) == (10, 20, 30)


def test_foci_are_rings_centred_on_their_position(field):
    plane, labels = field
    foci = np.array([[600.0, 200.0], [np.nan, 3.0]])
    picture = draw_overlay({"dapi": plane}, None, labels, foci=foci)[:1280]
    rows, columns = np.nonzero(where(picture, ON_DARK.focus)[560:640, 160:240])
    assert rows.size > 8
    assert rows.mean() + 560 == pytest.approx(600, abs=0.6)
    assert columns.mean() + 160 == pytest.approx(200, abs=0.6)
    assert not where(picture, ON_DARK.focus)[600, 200]


def test_a_few_hot_pixels_do_not_darken_the_rest(field):
    plane, labels = field
    hot = plane.copy()
    hot[::200, ::200] = 65535
    picture = draw_overlay({"dapi": hot}, None, labels)
    assert picture[300, 310].max() > 200
    assert stretch_limits(hot)[1] < 300


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_is_drawn_black(value):
    labels = np.zeros((64, 64), dtype=np.uint32)
    picture = draw_overlay({"dapi": np.full((64, 64), value, np.uint8)}, None, labels)
    assert picture[:100, :100].max() == 0


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32, np.float64])
def test_every_pixel_type_is_drawn_alike_and_left_as_it_was(dtype):
    labels = np.zeros((64, 64), dtype=np.uint32)
    labels[20:40, 20:40] = 1
    plane = (labels > 0).astype(dtype)
    before = plane.copy(), labels.copy()
    picture = draw_overlay({"dapi": plane}, None, labels, labels, [[30, 30]], {"p21": {1}})
    expected = draw_overlay(
        {"dapi": (labels > 0).astype(np.float64)}, None, labels, labels, [[30, 30]], {"p21": {1}}
    )
    assert (picture == expected).all()
    assert (plane == before[0]).all()
    assert (labels == before[1]).all()


def test_nan_pixels_do_not_spread():
    labels = np.zeros((64, 64), dtype=np.uint32)
    plane = np.tile(np.linspace(0, 1, 64), (64, 1))
    plane[:5, :5] = np.nan
    picture = draw_overlay({"dapi": plane}, None, labels)
    assert picture[100, 180].max() > 100


def test_brightfield_keeps_its_colours_and_gets_dark_ink():
    image = np.full((1280, 1280, 3), (240, 230, 220), dtype=np.uint8)
    labels = np.zeros((1280, 1280), dtype=np.uint32)
    labels[disk(labels.shape, 300, 300, 40)] = 1
    picture = draw_overlay({"rgb": image}, None, labels)
    assert tuple(picture[300, 300]) == (240, 230, 220)
    assert where(picture[:1280], ON_BRIGHT.nucleus)[labels == 1].any()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((256, 256), 3), ((512, 512), 2), ((640, 640), 2), ((1024, 1024), 1), ((8192, 4096), 0.25)],
)
def test_pictures_are_enlarged_or_reduced_to_a_size_for_screens(shape, expected):
    assert display_scale(*shape) == expected


def test_outlines_survive_the_reduction_of_a_large_image():
    labels = np.zeros((3000, 6000), dtype=np.uint32)
    labels[1000:1100, 1000:1100] = 1
    picture = draw_overlay({"dapi": np.zeros(labels.shape, np.uint8)}, None, labels)
    assert picture.shape[1] == MAX_SIDE
    assert where(picture[:1024], ON_DARK.nucleus).sum() >= 100


def test_the_scale_bar_has_the_length_that_it_says(field):
    plane, labels = field
    blank = np.zeros_like(labels)
    picture = draw_overlay({"dapi": plane}, None, blank, pixel_size_um=0.5)
    assert round_length(1280 * 0.5 / 5) == 100
    bar = where(picture[1255:1261], (228, 230, 235)).sum(axis=1)
    assert set(bar) >= {201}


@pytest.mark.parametrize(
    ("longest", "expected"), [(1, 1), (1.99, 1), (4.9, 2), (70, 50), (0.3, 0.2)]
)
def test_round_length(longest, expected):
    assert round_length(longest) == pytest.approx(expected)


def test_pixel_size_changes_the_label(field):
    plane, labels = field
    in_um = draw_overlay({"dapi": plane}, None, labels, pixel_size_um=1.0)
    in_px = draw_overlay({"dapi": plane}, None, labels)
    assert (in_um[:1200] == in_px[:1200]).all()
    assert (in_um != in_px).any()


def test_a_narrow_picture_with_a_long_title_and_greek_is_drawn():
    labels = np.zeros((40, 3), dtype=np.uint32)
    planes = {"γH2AX with a very long name": np.zeros((40, 3))}
    picture = draw_overlay(planes, None, labels, title="β-Gal\n" * 50)
    assert picture.shape[1] == 9


def test_wrong_shapes_are_named(field):
    plane, labels = field
    with pytest.raises(ValueError, match="one shape"):
        draw_overlay({"dapi": plane[:-1]}, None, labels)
    with pytest.raises(ValueError, match="one channel"):
        draw_overlay({}, None, labels)


def test_png_is_lossless_whole_and_the_same_twice(tmp_path, field):
    plane, labels = field
    picture = draw_overlay({"dapi": plane}, None, labels)
    save_png(tmp_path / "a.png", picture)
    save_png(tmp_path / "b.png", picture)
    save_png(tmp_path / "c.png", picture, "key")
    assert [drawn_from(tmp_path / f"{name}.png") for name in "acd"] == ["", "key", ""]
    (tmp_path / "c.png").unlink()
    with Image.open(tmp_path / "a.png") as image:
        assert (np.asarray(image) == picture).all()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
