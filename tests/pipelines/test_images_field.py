"""Fields: the right pixels of the right channel, lazily, from every kind of file."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagecodecs import png_encode
from PIL import Image
from scipy.ndimage import gaussian_filter

from pipelines.errors import ImageError
from pipelines.images import inspect, lazy, open_field, projection
from pipelines.images import reader as reader_module

RNG = np.random.default_rng(7)
STACK = RNG.integers(0, 4000, (3, 4, 20, 30)).astype(np.uint16)
PLANE = STACK[0, 0]


def field_of(path, channels, z="max", size="unknown"):
    files = dict.fromkeys(channels, path)
    return open_field("image", files, channels, pixel_size_um=size, z=z)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=st.permutations("TCZ"),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    byteorder=st.sampled_from("<>"),
    compression=st.sampled_from([None, "zlib", "lzw"]),
    tile=st.sampled_from([None, (16, 16)]),
)
def test_every_axis_order_of_ome_tiff(tmp_path, order, sizes, byteorder, compression, tile):
    length = {"T": 1, "C": sizes[0], "Z": sizes[1]}
    pixels = RNG.integers(0, 4000, [length[a] for a in order] + [18, 21]).astype(np.uint16)
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path,
        pixels,
        byteorder=byteorder,
        compression=compression,
        tile=tile,
        photometric="minisblack",
        metadata={"axes": "".join(order) + "YX"},
    )
    truth = pixels.transpose([order.index(a) for a in "TCZ"] + [3, 4])[0]
    field = field_of(path, {f"c{i}": i for i in range(sizes[0])})
    for i in range(sizes[0]):
        plane = field.plane(f"c{i}")
        assert plane.dtype == np.uint16
        assert plane.dtype.isnative
        np.testing.assert_array_equal(plane, truth[i].max(axis=0))


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.uint16, np.int16, np.int32, np.uint32, np.float32, np.float64, bool]
)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_types_are_kept_with_their_values(tmp_path, dtype, byteorder):
    pixels = (
        RNG.normal(0, 90, (20, 30)) if dtype is not bool else RNG.random((20, 30)) > 0.5
    ).astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, byteorder=byteorder, metadata=None, bigtiff=True)
    plane = field_of(path, {"a": 0}).plane("a")
    assert plane.dtype == dtype
    np.testing.assert_array_equal(plane, pixels)
    plane[:] = 0  # the caller's own


def test_imagej_hyperstack_gives_each_channel(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK.transpose(1, 0, 2, 3), imagej=True, metadata={"axes": "ZCYX"})
    field = field_of(path, {"a": 0, "c": 2})
    np.testing.assert_array_equal(field.plane("a"), STACK[0].max(axis=0))
    np.testing.assert_array_equal(field.plane("c"), STACK[2].max(axis=0))


def test_plain_pages_and_samples_are_channels(tmp_path):
    pages, samples = tmp_path / "pages.tif", tmp_path / "samples.tif"
    tifffile.imwrite(pages, STACK[:, 0], photometric="minisblack", metadata=None)
    two = STACK[:2, 0].transpose(1, 2, 0)
    tifffile.imwrite(samples, two, photometric="minisblack", planarconfig="contig", metadata=None)
    np.testing.assert_array_equal(field_of(pages, {"b": 1}).plane("b"), STACK[1, 0])
    np.testing.assert_array_equal(field_of(samples, {"b": 1}).plane("b"), STACK[1, 0])


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_tiff(tmp_path, planar):
    rgba = RNG.integers(0, 255, (20, 30, 4)).astype(np.uint8)
    path = tmp_path / "a.tif"
    stored = rgba if planar == "contig" else rgba.transpose(2, 0, 1)
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, metadata=None)
    field = field_of(path, {"brightfield": "rgb", "blue": 2})
    assert list(field.channels) == ["blue"]
    np.testing.assert_array_equal(field.rgb.compute(), rgba[..., :3])
    np.testing.assert_array_equal(field.plane("blue"), rgba[..., 2])


def test_three_channels_asked_for_as_rgb_are_stacked_with_a_warning(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK[:, 0], photometric="minisblack", metadata={"axes": "CYX"})
    field = field_of(path, {"bf": "rgb"})
    np.testing.assert_array_equal(field.rgb.compute(), STACK[:, 0].transpose(1, 2, 0))
    assert "red, green and blue" in field.warnings[0]


def test_png_keeps_sixteen_bits_in_grey_and_in_colour(tmp_path):
    grey, colour = tmp_path / "grey.png", tmp_path / "colour.png"
    rgb = RNG.integers(0, 65535, (20, 30, 3)).astype(np.uint16)
    Image.fromarray(PLANE).save(grey)
    colour.write_bytes(png_encode(rgb))
    np.testing.assert_array_equal(field_of(grey, {"a": 0}).plane("a"), PLANE)
    np.testing.assert_array_equal(field_of(colour, {"a": "rgb"}).rgb.compute(), rgb)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "RGB", "RGBA", "P", "I;16"])
@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_pictures_are_as_their_header_says(tmp_path, mode, suffix):
    if suffix == "bmp" and mode in {"LA", "I;16"}:
        pytest.skip("BMP has no such pixels")
    path = tmp_path / f"a.{suffix}"
    Image.new(mode, (30, 20)).save(path)
    plane = field_of(path, {"a": 0}).plane("a")
    assert plane.shape == (20, 30)
    assert plane.dtype.name == inspect(path).dtype


def test_one_file_a_channel(tmp_path):
    paths = {name: tmp_path / f"{name}.tif" for name in ("dapi", "p21")}
    for i, path in enumerate(paths.values()):
        tifffile.imwrite(path, STACK[i, 0])
    field = open_field("x", paths, {"dapi": 0, "p21": 0}, pixel_size_um=0.5, z="none")
    np.testing.assert_array_equal(field.plane("p21"), STACK[1, 0])
    assert (field.pixel_size_um, field.shape, field.warnings) == (0.5, (20, 30), ())


def test_files_of_a_field_must_agree(tmp_path):
    paths = {name: tmp_path / f"{name}.tif" for name in ("a", "b")}
    tifffile.imwrite(paths["a"], PLANE, resolution=(2e4, 2e4), resolutionunit="CENTIMETER")
    tifffile.imwrite(paths["b"], PLANE, resolution=(3e4, 3e4), resolutionunit="CENTIMETER")
    with pytest.raises(ImageError, match=r"differ in pixel size: a\.tif 0\.5 µm, b\.tif 0\.333"):
        open_field("x", paths, {"a": 0, "b": 0}, pixel_size_um=None, z="max")
    tifffile.imwrite(paths["b"], PLANE[:-1], resolution=(2e4, 2e4), resolutionunit="CENTIMETER")
    with pytest.raises(ImageError, match=r"equally large; given: a\.tif 20x30, b\.tif 19x30"):
        open_field("x", paths, {"a": 0, "b": 0}, pixel_size_um=None, z="max")


def test_pixel_size_of_the_study_and_of_the_file(tmp_path):
    with_size, without = tmp_path / "with.tif", tmp_path / "without.tif"
    tifffile.imwrite(with_size, PLANE, resolution=(2e4, 2e4), resolutionunit="CENTIMETER")
    tifffile.imwrite(without, PLANE)
    own = field_of(with_size, {"a": 0}, size=None)
    assert (own.pixel_size_um, own.warnings) == (pytest.approx(0.5), ())
    close = field_of(with_size, {"a": 0}, size=0.504)
    assert (close.pixel_size_um, close.warnings) == (0.504, ())
    override = field_of(with_size, {"a": 0}, size=0.325)
    assert override.pixel_size_um == 0.325
    assert "0.325 µm, the file says 0.5 µm" in override.warnings[0]
    unknown = field_of(with_size, {"a": 0}, size="unknown")
    assert unknown.pixel_size_um is None
    assert "0.5 µm" in unknown.warnings[0]
    assert field_of(without, {"a": 0}, size="unknown").warnings == ()
    with pytest.raises(ImageError, match="pixel_size_um: unknown"):
        field_of(without, {"a": 0}, size=None)
    for bad in (0.0, -1.0, float("nan"), float("inf"), "unknwon"):
        with pytest.raises(ImageError, match="expected"):
            field_of(without, {"a": 0}, size=bad)


def test_channels_by_name_and_their_errors(tmp_path):
    path = tmp_path / "a.ome.tif"
    names = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "GFP"]}}
    tifffile.imwrite(path, STACK[:, 0], photometric="minisblack", metadata=names)
    np.testing.assert_array_equal(field_of(path, {"nuclei": "DAPI"}).plane("nuclei"), STACK[0, 0])
    cases = [
        ("DAPY", r"3 channels \(DAPI, GFP, GFP\); did you mean 'DAPI'"),
        ("GFP", "2 channels are named 'GFP'; give the index"),
        (3, r"no channel 3; the file has 3 channels \(DAPI, GFP, GFP\), counted from 0"),
        (-1, "no channel -1"),
    ]
    for wanted, message in cases:
        with pytest.raises(ImageError, match=message):
            field_of(path, {"a": wanted})
    grey = tmp_path / "grey.tif"
    tifffile.imwrite(grey, PLANE)
    with pytest.raises(ImageError, match="rgb picture is asked for, but the file has 1 channel"):
        field_of(grey, {"a": "rgb"})
    with pytest.raises(ImageError, match="no file is given for channel b"):
        open_field("x", {"a": grey}, {"a": 0, "b": 0}, pixel_size_um="unknown", z="max")
    with pytest.raises(ImageError, match=r"no channel 'b'; the field has a"):
        field_of(grey, {"a": 0}).plane("b")


def test_projections_by_hand(tmp_path):
    path = tmp_path / "a.ome.tif"
    pixels = np.array([[[250, 1]], [[251, 2]], [[255, 4]]], np.uint8)
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(field_of(path, {"a": 0}, "max").plane("a"), [[255, 4]])
    mean = field_of(path, {"a": 0}, "mean")
    assert mean.channels["a"].dtype == np.float32
    np.testing.assert_allclose(mean.plane("a"), [[252, 7 / 3]], rtol=1e-6)
    with pytest.raises(ImageError, match="planes given: a 3; choose z: max"):
        field_of(path, {"a": 0}, "none")


def through_focus(best, bleaching=0.0, noise=True):
    """Five planes of disks under rising blur, in photons with shot noise, dimming in time."""
    rng = np.random.default_rng(best)
    yy, xx = np.mgrid[:96, :96]
    disks = sum((yy - y) ** 2 + (xx - x) ** 2 < 64 for y, x in rng.integers(12, 84, (8, 2)))
    planes = []
    for z in range(5):
        light = gaussian_filter(disks * 400.0, 0.5 + 2 * abs(z - best)) + 100
        light *= (1 - bleaching) ** z
        planes.append(rng.poisson(light) if noise else light)
    return np.array(planes).astype(np.uint16)


@pytest.mark.parametrize("best", range(5))
@pytest.mark.parametrize("bleaching", [0.0, 0.1])
def test_best_focus_finds_the_sharp_plane(best, bleaching):
    assert projection.sharpest(through_focus(best, bleaching)) == best


def test_shot_noise_alone_looks_equally_sharp_in_bright_and_dim_planes():
    rng = np.random.default_rng(5)
    dim, bright = (projection.focus_measure(rng.poisson(n, (256, 256))) for n in (50, 5000))
    assert bright == pytest.approx(dim, rel=0.05)


def test_best_focus_survives_anything():
    assert projection.sharpest(np.zeros((3, 8, 8), np.uint8)) == 0
    assert projection.focus_measure(np.full((8, 8), np.nan)) == 0
    assert projection.focus_measure(np.full((8, 8), -5.0)) == 0
    assert projection.focus_measure(np.full((8, 8), 9, np.uint8)) == 0


def test_best_focus_takes_the_same_plane_of_every_channel(tmp_path):
    path, flat = tmp_path / "a.ome.tif", tmp_path / "flat.tif"
    stack = np.stack([through_focus(1), through_focus(3)])
    tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "CZYX"})
    tifffile.imwrite(flat, stack[0, 0])
    files = {"flat": flat, "a": path, "b": path}
    field = open_field(
        "x", files, {"flat": 0, "a": 0, "b": 1}, pixel_size_um="unknown", z="best_focus"
    )
    np.testing.assert_array_equal(field.plane("a"), stack[0, 1])
    np.testing.assert_array_equal(field.plane("b"), stack[1, 1])
    np.testing.assert_array_equal(field.plane("flat"), stack[0, 0])


def test_stacks_without_common_planes_and_brightfield_maxima_are_refused(tmp_path):
    first, second, rgb = (tmp_path / name for name in ("a.ome.tif", "b.ome.tif", "rgb.ome.tif"))
    tifffile.imwrite(first, STACK[0], photometric="minisblack", metadata={"axes": "ZYX"})
    tifffile.imwrite(second, STACK[0, :3], photometric="minisblack", metadata={"axes": "ZYX"})
    pixels = RNG.integers(0, 255, (4, 20, 30, 3)).astype(np.uint8)
    tifffile.imwrite(rgb, pixels, photometric="rgb", metadata={"axes": "ZYXS"})
    files = {"a": first, "b": second}
    with pytest.raises(ImageError, match="planes: a 4, b 3"):
        open_field("x", files, {"a": 0, "b": 0}, pixel_size_um="unknown", z="best_focus")
    with pytest.raises(ImageError, match="best_focus or mean for a brightfield stack"):
        field_of(rgb, {"bf": "rgb"})
    mean = field_of(rgb, {"bf": "rgb"}, "mean").rgb.compute()
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-5)
    assert field_of(rgb, {"bf": "rgb"}, "best_focus").rgb.compute().shape == (20, 30, 3)


def test_no_pixel_is_read_before_its_turn(tmp_path, monkeypatch):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", metadata={"axes": "CZYX"})
    read = []

    def counted(source, depths, box):
        read.append((source.channel, list(depths)))
        return reader_module.read_planes(source, depths, box)

    monkeypatch.setattr(lazy, "read_planes", counted)
    field = field_of(path, {"a": 0, "b": 1})
    best = field_of(path, {"a": 0, "b": 1}, "best_focus")
    assert read == []
    field.plane("b")
    assert read == [(1, [0, 1, 2, 3])]
    read.clear()
    best.plane("b")
    assert [channel for channel, _ in read] == [0, 1]
    assert len(read[1][1]) == 1


def test_the_file_may_go_after_opening_and_is_not_held_open(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", metadata={"axes": "CZYX"})
    handles = Path("/proc/self/fd")
    before = len(os.listdir(handles)) if handles.is_dir() else 0
    field = field_of(path, {"a": 0}, "best_focus")
    field.plane("a")
    assert not handles.is_dir() or len(os.listdir(handles)) == before
    path.unlink()
    with pytest.raises(ImageError, match="no such file"):
        field.plane("a")


def test_a_file_that_changed_is_not_read_as_if_it_had_not(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE)
    field = field_of(path, {"a": 0})
    tifffile.imwrite(path, PLANE.astype(np.float32))
    with pytest.raises(ImageError, match="changed since"):
        field.plane("a")


@pytest.mark.parametrize("z", ["max", "mean", "best_focus"])
def test_a_field_can_be_pickled(tmp_path, z):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack", metadata={"axes": "CZYX"})
    field = field_of(path, {"a": 1}, z)
    again = pickle.loads(pickle.dumps(field))
    np.testing.assert_array_equal(again.plane("a"), field.plane("a"))
    assert (again.shape, again.image_id) == (field.shape, "image")


@pytest.mark.parametrize(
    "stored",
    [
        {"tile": (32, 48), "compression": "zlib"},
        {"rowsperstrip": 7, "compression": "zlib"},
        {"rowsperstrip": 7},
        {"tile": (32, 48), "byteorder": ">"},
    ],
)
def test_large_planes_are_read_in_blocks_of_whole_tiles(tmp_path, monkeypatch, stored):
    monkeypatch.setattr(lazy, "WHOLE_PLANE_PIXELS", 1000)
    monkeypatch.setattr(reader_module, "WHOLE_PLANE_PIXELS", 1000)
    monkeypatch.setattr(lazy, "_BLOCK_EDGE", 64)
    grey, colour = tmp_path / "a.ome.tif", tmp_path / "rgb.tif"
    stack = RNG.integers(0, 4000, (2, 3, 130, 201)).astype(np.uint16)
    metadata = {"axes": "CZYX"}
    tifffile.imwrite(grey, stack, photometric="minisblack", metadata=metadata, **stored)
    rgb = RNG.integers(0, 255, (130, 201, 3)).astype(np.uint8)
    tifffile.imwrite(colour, rgb, photometric="rgb", metadata=None, **stored)
    field = field_of(grey, {"a": 1})
    assert field.channels["a"].npartitions > 3
    height = stored.get("rowsperstrip", 32)
    assert all(rows % height == 0 for rows in field.channels["a"].chunks[0][:-1])
    np.testing.assert_array_equal(field.plane("a"), stack[1].max(axis=0))
    np.testing.assert_array_equal(
        field.channels["a"][100:, :9].compute(), stack[1].max(0)[100:, :9]
    )
    np.testing.assert_array_equal(field_of(colour, {"a": "rgb"}).rgb.compute(), rgb)


def test_multifile_ome_is_read_when_whole(tmp_path):
    first, second = write_set(tmp_path)
    field = field_of(first, {"a": 0, "b": 1})
    np.testing.assert_array_equal(field.plane("a"), STACK[0, 0])
    np.testing.assert_array_equal(field.plane("b"), STACK[1, 0])
    second.unlink()
    with pytest.raises(ImageError, match=r"'second\.ome\.tif' is not beside it"):
        inspect(first)


def write_set(folder, name="second.ome.tif"):
    """Two files that hold one channel each, described by the same OME-XML."""
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{own}">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" '
        'SizeX="30" SizeY="20" SizeC="2" SizeZ="1" SizeT="1"><Channel ID="Channel:0:0"/>'
        '<Channel ID="Channel:0:1"/>'
        '<TiffData FirstC="0" IFD="0" PlaneCount="1">'
        '<UUID FileName="first.ome.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData FirstC="1" IFD="0" PlaneCount="1">'
        '<UUID FileName="{name}">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
    )
    paths = folder / "first.ome.tif", folder / "second.ome.tif"
    for i, path in enumerate(paths):
        text = xml.format(own=i + 1, name=name)
        tifffile.imwrite(path, STACK[i, 0], description=text, metadata=None)
    return paths


def test_a_set_does_not_lead_out_of_its_folder(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "second.ome.tif").write_bytes(b"II*\0")
    first, _ = write_set(inner, name="../second.ome.tif")
    with pytest.raises(ImageError, match="one of a set of files"):
        inspect(first)


def test_a_renamed_ome_tiff_is_still_its_own(tmp_path):
    path = tmp_path / "new.ome.tif"
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" '
        'SizeX="30" SizeY="20" SizeC="1" SizeZ="1" SizeT="1"><Channel ID="Channel:0:0"/>'
        '<TiffData IFD="0" PlaneCount="1"><UUID FileName="old.ome.tif">urn:uuid:1</UUID>'
        "</TiffData></Pixels></Image></OME>"
    )
    tifffile.imwrite(path, PLANE, description=xml, metadata=None)
    np.testing.assert_array_equal(field_of(path, {"a": 0}).plane("a"), PLANE)
