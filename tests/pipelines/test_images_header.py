"""Headers of the formats: axes, names, pixel sizes; nothing here reads a pixel."""

import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from pipelines.errors import ImageError
from pipelines.images import inspect, write_image

STACK = np.arange(3 * 4 * 20 * 30, dtype=np.uint16).reshape(3, 4, 20, 30)
PLANE = STACK[0, 0]


def test_ome_tiff_gives_axes_names_and_sizes(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {
        "axes": "CZYX",
        "Channel": {"Name": ["dapi", "gh2ax", "p21"]},
        "PhysicalSizeX": 325,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.325,
        "PhysicalSizeZ": 0.0005,
        "PhysicalSizeZUnit": "mm",
    }
    tifffile.imwrite(path, STACK, metadata=metadata)
    info = inspect(path)
    assert (info.axes, info.shape, info.dtype) == ("CZYX", (3, 4, 20, 30), "uint16")
    assert (info.n_channels, info.n_z, info.is_rgb) == (3, 4, False)
    assert info.channel_names == ("dapi", "gh2ax", "p21")
    assert info.pixel_size_um == pytest.approx(0.325)
    assert info.z_step_um == pytest.approx(0.5)
    assert info.warnings == ()


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("nm", 1e3), ("mm", 1e-3), ("µm", 1), ("Å", 1e4), ("m", 1e-6), ("cm", 1e-4), ("pm", 1e6)],
)
def test_units_of_ome_are_converted(tmp_path, unit, factor):
    path = tmp_path / "a.ome.tif"
    size = {f"PhysicalSize{a}": 0.65 * factor for a in "XY"}
    units = {f"PhysicalSize{a}Unit": unit for a in "XY"}
    tifffile.imwrite(path, PLANE, metadata={"axes": "YX", **size, **units})
    assert inspect(path).pixel_size_um == pytest.approx(0.65)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_pixel_size_that_is_no_length_is_dropped_with_a_warning(tmp_path, value):
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "YX", "PhysicalSizeX": value, "PhysicalSizeY": value}
    tifffile.imwrite(path, PLANE, metadata=metadata)
    info = inspect(path)
    assert info.pixel_size_um is None
    assert "not used" in info.warnings[0]


def test_pixels_that_are_not_square_are_refused(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "YX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.6}
    tifffile.imwrite(path, PLANE, metadata=metadata)
    with pytest.raises(ImageError, match=r"0\.3 µm wide and 0\.6 µm high"):
        inspect(path)
    metadata = {"axes": "YX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.302}
    tifffile.imwrite(path, PLANE, metadata=metadata)
    assert inspect(path).pixel_size_um == pytest.approx(0.301)


@pytest.mark.parametrize("unit", ["micron", "µm", "\\u00B5m", "um"])
def test_imagej_hyperstack(tmp_path, unit):
    path = tmp_path / "a.tif"
    metadata = {"axes": "ZCYX", "spacing": 0.5, "unit": unit}
    if unit == "µm":
        metadata["unit"] = "\\u00B5m"
    pixels = STACK.transpose(1, 0, 2, 3)
    tifffile.imwrite(path, pixels, imagej=True, metadata=metadata, resolution=(4, 4))
    info = inspect(path)
    assert (info.axes, info.n_channels, info.n_z) == ("ZCYX", 3, 4)
    assert info.pixel_size_um == pytest.approx(0.25)
    assert info.z_step_um == pytest.approx(0.5)


def test_imagej_labels_name_channels_only_where_there_is_one_each(tmp_path):
    named, stack = tmp_path / "named.tif", tmp_path / "stack.tif"
    labels = {"axes": "CYX", "Labels": ["DAPI", "FITC", "Cy5"]}
    tifffile.imwrite(named, STACK[:, 0], imagej=True, metadata=labels)
    labels = {"axes": "ZYX", "Labels": ["z1", "z2", "z3"]}
    tifffile.imwrite(stack, STACK[:, 0], imagej=True, metadata=labels)
    assert inspect(named).channel_names == ("DAPI", "FITC", "Cy5")
    assert inspect(stack).channel_names == ()


def test_imagej_without_calibration_has_no_pixel_size(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, imagej=True, metadata={"unit": "pixel"}, resolution=(1, 1))
    assert inspect(path).pixel_size_um is None


@pytest.mark.parametrize(
    ("dots", "unit", "expected"),
    [
        (72, "INCH", None),
        (96, "INCH", None),
        (300, "INCH", None),
        (1200, "INCH", None),
        (1, "CENTIMETER", None),
        (20_000, "CENTIMETER", 0.5),
        (25_400 / 0.65, "INCH", 0.65),
        (20_000, "NONE", None),
    ],
)
def test_resolution_tags_are_believed_only_where_a_microscope_may_have_set_them(
    tmp_path, dots, unit, expected
):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, metadata=None, resolution=(dots, dots), resolutionunit=unit)
    found = inspect(path).pixel_size_um
    assert found is None if expected is None else found == pytest.approx(expected, rel=1e-4)


def test_resolution_tags_that_disagree_are_not_used(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE, metadata=None, resolution=(2e4, 3e4), resolutionunit="CENTIMETER")
    info = inspect(path)
    assert info.pixel_size_um is None
    assert "disagree" in info.warnings[0]


def test_aperio_slide_gives_its_microns_per_pixel(tmp_path):
    path = tmp_path / "a.svs"
    description = "Aperio Image Library v1\r\n30x20|AppMag = 20|MPP = 0.4990"
    rgb = np.zeros((64, 64, 3), np.uint8)
    tifffile.imwrite(path, rgb, tile=(32, 32), description=description, metadata=None)
    info = inspect(path)
    assert info.pixel_size_um == pytest.approx(0.499)
    assert (info.is_rgb, info.block) == (True, (32, 32))


def test_plain_pages_are_channels_and_say_so(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[:, 0], photometric="minisblack", metadata=None)
    info = inspect(path)
    assert (info.axes, info.n_channels, info.n_z) == ("CYX", 3, 1)
    assert "3 pages have no metadata and are taken as channels" in info.warnings[0]


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_tiff_loses_its_alpha(tmp_path, planar, samples, dtype):
    path = tmp_path / "a.tif"
    shape = (20, 30, samples) if planar == "contig" else (samples, 20, 30)
    tifffile.imwrite(
        path, np.zeros(shape, dtype), photometric="rgb", planarconfig=planar, metadata=None
    )
    info = inspect(path)
    assert (info.is_rgb, info.n_channels, info.plane_shape) == (True, 3, (20, 30))
    assert sorted(info.shape) == [3, 20, 30]


@pytest.mark.parametrize(
    ("mode", "axes", "dtype"),
    [
        ("L", "YX", "uint8"),
        ("1", "YX", "bool"),
        ("LA", "YX", "uint8"),
        ("RGB", "YXS", "uint8"),
        ("RGBA", "YXS", "uint8"),
        ("P", "YXS", "uint8"),
        ("I;16", "YX", "uint16"),
    ],
)
def test_png(tmp_path, mode, axes, dtype):
    path = tmp_path / "a.png"
    Image.new(mode, (30, 20)).save(path)
    info = inspect(path)
    assert (info.axes, info.dtype, info.plane_shape) == (axes, dtype, (20, 30))
    assert info.pixel_size_um is None


def test_jpeg_warns_that_it_is_lossy(tmp_path):
    picture, slide = tmp_path / "a.jpg", tmp_path / "a.tif"
    Image.new("L", (30, 20)).save(picture)
    rgb = np.zeros((32, 32, 3), np.uint8)
    tifffile.imwrite(slide, rgb, photometric="rgb", compression="jpeg", metadata=None)
    assert "JPEG" in inspect(picture).warnings[0]
    assert "JPEG" in inspect(slide).warnings[0]


def test_the_content_tells_the_format_not_the_name(tmp_path):
    path = tmp_path / "a.tif"
    Image.new("L", (30, 20)).save(path, format="PNG")
    assert inspect(path).shape == (20, 30)


def test_imagej_palette_is_a_display_but_a_real_palette_is_refused(tmp_path):
    grey = np.arange(600, dtype=np.uint8).reshape(20, 30)
    green = np.zeros((3, 256), np.uint16)
    green[1] = np.arange(256) * 257
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey, photometric="palette", colormap=green, metadata=None)
    assert inspect(path).is_rgb is False
    assert "as they are stored" in inspect(path).warnings[0]
    scrambled = np.random.default_rng(0).integers(0, 65535, (3, 256)).astype(np.uint16)
    tifffile.imwrite(path, grey, photometric="palette", colormap=scrambled, metadata=None)
    with pytest.raises(ImageError, match="PALETTE"):
        inspect(path)


def test_written_images_are_read_back_and_have_the_same_bytes(tmp_path):
    first, second = tmp_path / "a.ome.tif", tmp_path / "b" / "a.ome.tif"
    for path in (first, second):
        write_image(path, STACK[:, 0], ["dapi", "p16", "p21"], 0.325)
    assert first.read_bytes() == second.read_bytes()
    info = inspect(first)
    assert info.channel_names == ("dapi", "p16", "p21")
    assert info.pixel_size_um == pytest.approx(0.325)
    write_image(second, np.zeros((20, 30, 3), np.uint8))
    assert inspect(second).is_rgb
    with pytest.raises(ImageError, match="one name a channel"):
        write_image(second, STACK[:, 0], ["dapi"])


def test_inspecting_imports_neither_dask_nor_zarr(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANE)
    code = (
        "import sys; from pathlib import Path; from pipelines.images import inspect; "
        f"inspect(Path({str(path)!r})); "
        "sys.exit(bool({'dask', 'zarr', 'scipy', 'torch', 'polars'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
