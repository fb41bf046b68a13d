"""Bad files: always an ImageError that names the file, never another exception or silent zeros."""

import warnings

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import ImageError
from pipelines.images import inspect, lazy, open_field, reader

RNG = np.random.default_rng(11)
STACK = RNG.integers(0, 4000, (3, 4, 20, 30)).astype(np.uint16)


def read(path, channel=0):
    field = open_field("x", {"a": path}, {"a": channel}, pixel_size_um="unknown", z="max")
    return field.plane("a") if channel != "rgb" else field.rgb.compute()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"II*\0", "header failed"),
        (b"II*\0\xff\xff\xff\xff", "holds no image"),
        (b"II*\0\0\0\0\0", "header failed|no image"),
        (b"MM\0+\0\x08\0\0", "header failed"),
        (b"\x89PNG\r\n\x1a\n", "header failed"),
        (b"\xff\xd8\xff\xe0", "header failed"),
        (b"BM" + bytes(60), "header failed"),
        (b"image,donor\na.tif,1\n", "not an image"),
        (b"\0" * 100, "not an image"),
    ],
)
def test_files_that_are_no_image(tmp_path, content, message):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as error:
        inspect(path)
    assert str(path) in str(error.value)


def test_paths_that_are_no_file(tmp_path):
    with pytest.raises(ImageError, match="folder"):
        inspect(tmp_path)
    with pytest.raises(ImageError, match="no such file"):
        inspect(tmp_path / "none.tif")
    unread = tmp_path / "a.mrxs"
    unread.write_bytes(bytes(50))
    with pytest.raises(ImageError, match="export it as OME-TIFF"):
        inspect(unread)
    renamed = tmp_path / "a.czi"
    renamed.write_bytes(bytes(50))
    with pytest.raises(ImageError, match=r"named \.czi, but does not start as such a file"):
        inspect(renamed)


@pytest.mark.parametrize("axes", ["TZYX", "TCYX", "TYX"])
def test_one_of_several_time_points_must_be_chosen(tmp_path, axes):
    path = tmp_path / "a.ome.tif"
    pixels = STACK if len(axes) == 4 else STACK[:, 0]
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": axes})
    assert inspect(path).n_t == 3
    with pytest.raises(ImageError, match=r"3 time points; choose one"):
        read(path)


def test_one_of_several_positions_must_be_chosen(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path) as writer:
        for stack in STACK:
            writer.write(stack, photometric="minisblack", metadata={"axes": "ZYX"})
    assert inspect(path).n_scenes == 3
    with pytest.raises(ImageError, match=r"3 scenes .*; choose one"):
        read(path)


def test_unnamed_axes_beyond_one_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK, photometric="minisblack")
    with pytest.raises(ImageError, match="Q=3, Q=4"):
        inspect(path)


def test_complex_pixels_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0, 0].astype(np.complex64))
    with pytest.raises(ImageError, match="complex64"):
        inspect(path)


def test_cmyk_is_refused(tmp_path):
    jpeg, tiff = tmp_path / "a.jpg", tmp_path / "a.tif"
    Image.new("CMYK", (30, 20)).save(jpeg)
    tifffile.imwrite(tiff, np.zeros((20, 30, 4), np.uint8), photometric="separated")
    for path in (jpeg, tiff):
        with pytest.raises(ImageError, match=r"CMYK|SEPARATED"):
            inspect(path)


STORED = {
    "contiguous": {},
    "strips": {"rowsperstrip": 4},
    "compressed": {"compression": "zlib", "rowsperstrip": 4},
    "tiles": {"tile": (16, 16)},
    "big_endian": {"byteorder": ">", "compression": "lzw"},
}


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("in_blocks", [False, True])
def test_truncated_tiff_is_an_error_when_its_pixels_are_read(
    tmp_path, monkeypatch, stored, kept, in_blocks
):
    if in_blocks:
        monkeypatch.setattr(lazy, "WHOLE_PLANE_PIXELS", 100)
        monkeypatch.setattr(reader, "WHOLE_PLANE_PIXELS", 100)
    path = tmp_path / "a.tif"
    # The header of one page comes first, so that only pixels are cut off.
    tifffile.imwrite(path, STACK[0, 0], metadata=None, **STORED[stored])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert inspect(path).shape == (20, 30)
    with pytest.raises(ImageError, match="end at byte") as error:
        read(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("dialect", ["ome", "imagej", "pages"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_truncated_stacks_never_give_zeros(tmp_path, dialect, kept):
    path = tmp_path / "a.tif"
    options = {
        "ome": {"ome": True, "metadata": {"axes": "CZYX"}},
        "imagej": {"imagej": True, "metadata": {"axes": "ZCYX"}},
        "pages": {"metadata": None},
    }[dialect]
    pixels = STACK + 1
    if dialect == "imagej":
        pixels = pixels.transpose(1, 0, 2, 3)
    if dialect == "pages":
        pixels = pixels[:, 0]
    tifffile.imwrite(path, pixels, photometric="minisblack", **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    if dialect == "imagej" and kept > 0.9:  # all pixels are there, headers after them are not
        assert np.array_equal(read(path, channel=2), pixels[:, 2].max(axis=0))
        assert "corrupted" in inspect(path).warnings[0]
        return
    with pytest.raises(ImageError):
        read(path, channel=2)


def test_planes_that_the_ome_header_promises_and_the_file_lacks(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK[:2, 0], photometric="minisblack", metadata={"axes": "CYX"})
    content = path.read_bytes()
    content = content.replace(b'SizeC="2"', b'SizeC="3"').replace(
        b'PlaneCount="2"', b'PlaneCount="3"'
    )
    path.write_bytes(content)
    assert np.array_equal(read(path, 1), STACK[1, 0])
    with pytest.raises(ImageError, match="plane 3 of the image is not in the file"):
        read(path, 2)


def test_truncated_pictures(tmp_path):
    for name in ("a.png", "a.jpg", "a.bmp"):
        path = tmp_path / name
        Image.fromarray(RNG.integers(0, 255, (60, 80, 3)).astype(np.uint8)).save(path)
        path.write_bytes(path.read_bytes()[:-2000])
        assert inspect(path).plane_shape == (60, 80)
        with pytest.raises(ImageError, match="pixels failed"):
            read(path)


def test_a_sixteen_bit_picture_that_is_cut(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(STACK[0, 0]).save(path)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ImageError):
        read(path)


@pytest.mark.parametrize("side", [1_000_000, 60_000])
def test_absurd_sizes_are_refused_from_the_header(tmp_path, side):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0, 0], metadata=None, compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as tif:
        tags = tif.pages[0].tags
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tags[name].overwrite(side)
    with pytest.raises(ImageError, match=f"{side} x {side} pixels"):
        inspect(path)


def test_entities_in_the_header_are_never_expanded(tmp_path):
    path = tmp_path / "a.ome.tif"
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa">'
        '<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><OME>&b;</OME>'
    )
    tifffile.imwrite(path, STACK[0, 0], description=bomb, metadata=None)
    with pytest.raises(ImageError, match="document type or entities"):
        inspect(path)


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("<OME><Image></OME>", "broken"),
        ("<OME></OME>", "describes no pixels"),
        (
            '<OME><Image><Pixels DimensionOrder="XYCZT" SizeX="9" SizeY="9" SizeC="1" SizeZ="1" '
            'SizeT="1"><TiffData/></Pixels></Image></OME>',
            "does not describe the planes",
        ),
        ('<OME><Image><Pixels PhysicalSizeX="wide"/></Image></OME>', "header failed"),
    ],
)
def test_broken_ome_headers(tmp_path, xml, message):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK[0, 0], description=xml, metadata=None)
    with pytest.raises(ImageError, match=message):
        inspect(path)


def make_seed_files(folder):
    grey = STACK[0, 0]
    tifffile.imwrite(folder / "0.tif", grey, metadata=None)
    tifffile.imwrite(folder / "1.tif", grey, metadata=None, compression="zlib", tile=(16, 16))
    names = {"axes": "CZYX", "Channel": {"Name": ["a", "b", "c"]}, "PhysicalSizeX": 0.5}
    tifffile.imwrite(folder / "2.ome.tif", STACK, photometric="minisblack", metadata=names)
    tifffile.imwrite(folder / "3.tif", STACK, imagej=True, metadata={"axes": "ZCYX"})
    Image.fromarray(grey).save(folder / "4.png")
    Image.fromarray(grey.astype(np.uint8)).save(folder / "5.jpg")
    Image.fromarray(grey.astype(np.uint8)).save(folder / "6.bmp")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    which=st.integers(0, 6),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
    head=st.booleans(),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_any_damage_is_an_image_error_or_harmless(tmp_path, which, changes, head, kept):
    folder = tmp_path / "seeds"
    if not folder.exists():
        folder.mkdir()
        make_seed_files(folder)
    content = bytearray(sorted(folder.iterdir())[which].read_bytes())
    span = min(len(content), 400) if head else len(content)
    for place, value in changes:
        content[int(place * (span - 1))] = value
    path = tmp_path / "a.tif"
    path.write_bytes(content[: int(kept * len(content))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            info = inspect(path)
            plane = read(path)
        except ImageError as error:
            message, fits = str(error), True
        else:
            message, fits = str(path), plane.shape == info.plane_shape
    assert str(path) in message
    assert fits
