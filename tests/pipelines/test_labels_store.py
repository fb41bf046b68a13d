"""Label images: OME-Zarr that others read, the same bytes each time, whole or not at all."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from imagecodecs import png_encode
from ome_zarr_models import open_ome_zarr
from ome_zarr_models.v05 import Image as OmeImage
from ome_zarr_models.v05 import ImageLabel, Labels
from PIL import Image

from pipelines import labels_store
from pipelines.errors import ImageError
from pipelines.files import replacing
from pipelines.labels_store import (
    read_label_image,
    read_labels,
    write_label_tiff,
    write_labels,
)

RNG = np.random.default_rng(3)


def example(shape=(1300, 700), dtype=np.uint32):
    labels = np.zeros(shape, dtype)
    labels[10:40, 20:60] = 7
    labels[100:140, 200:260] = 300 if np.dtype(dtype).itemsize > 1 else 30
    return labels


def contents(folder: Path):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_labels_come_back_as_they_were(tmp_path):
    path = tmp_path / "labels" / "a.ome.zarr"
    nuclei, cells = example(), example() * 2
    write_labels(path, {"nuclei": nuclei, "cells": cells}, 0.325)
    for name, labels in (("nuclei", nuclei), ("cells", cells)):
        again = read_labels(path, name)
        assert again.dtype == np.uint32
        np.testing.assert_array_equal(again, labels)


@pytest.mark.parametrize("size", [0.325, None])
@pytest.mark.parametrize("with_image", [False, True])
def test_metadata_are_valid_ome_zarr(tmp_path, size, with_image):
    path = tmp_path / "a.ome.zarr"
    image = {"dapi": RNG.integers(0, 4000, (1300, 700)).astype(np.uint16)} if with_image else None
    write_labels(path, {"nuclei": example(), "cells": example()}, size, image)
    group = zarr.open_group(path / "labels", mode="r")
    assert group.attrs["ome"]["version"] == "0.5"
    assert Labels.from_zarr(group).attributes.ome.labels == ["nuclei", "cells"]
    label = ImageLabel.from_zarr(zarr.open_group(path / "labels" / "nuclei", mode="r"))
    [scales] = label.attributes.ome.multiscales
    assert [axis.unit for axis in scales.axes] == ["micrometer" if size else None] * 2
    side = size or 1.0
    found = [d.coordinateTransformations[0].scale for d in scales.datasets]
    assert found == [[side, side], [2 * side, 2 * side], [4 * side, 4 * side]]
    if with_image:
        assert isinstance(open_ome_zarr(zarr.open_group(path, mode="r")), OmeImage)
        np.testing.assert_array_equal(zarr.open_array(path / "0", mode="r")[0], image["dapi"])


def test_no_label_has_a_colour_of_its_own(tmp_path):
    """Viewers show only labels that are listed where any is, even the background."""
    write_labels(tmp_path / "a.ome.zarr", {"nuclei": np.ones((4, 4), np.uint8)}, 0.5)
    about = zarr.open_group(tmp_path / "a.ome.zarr" / "labels" / "nuclei", mode="r").attrs["ome"]
    assert "image-label" in about
    assert about["image-label"]["colors"] == []


def test_lower_levels_hold_only_labels_that_exist(tmp_path):
    path = tmp_path / "a.ome.zarr"
    labels = example((1201, 1333))
    write_labels(path, {"nuclei": labels}, None)
    half = zarr.open_array(path / "labels" / "nuclei" / "1", mode="r")[:]
    np.testing.assert_array_equal(half, labels[::2, ::2])
    assert set(np.unique(half)) == {0, 7, 300}


def test_the_same_labels_give_the_same_bytes(tmp_path):
    paths = [tmp_path / name / "a.ome.zarr" for name in "ab"]
    for path in paths:
        write_labels(path, {"nuclei": example()}, 0.325, {"dapi": example()})
        write_label_tiff(path.parent / "a.tif", example(), 0.325)
    assert contents(paths[0].parent) == contents(paths[1].parent)


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 5000), (5000, 1)])
def test_shapes_at_the_edge(tmp_path, shape):
    path = tmp_path / "a.ome.zarr"
    labels = np.ones(shape, np.uint8)
    write_labels(path, {"nuclei": labels}, None)
    np.testing.assert_array_equal(read_labels(path, "nuclei"), labels)


def test_an_older_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "a.ome.zarr"
    write_labels(path, {"nuclei": example(), "old": example()}, 0.5)
    write_labels(path, {"nuclei": example() * 3}, 0.5)
    np.testing.assert_array_equal(read_labels(path, "nuclei"), example() * 3)
    assert not (path / "labels" / "old").exists()
    assert os.listdir(tmp_path) == ["a.ome.zarr"]


def test_a_write_that_fails_leaves_the_older_folder(tmp_path, monkeypatch):
    path = tmp_path / "a.ome.zarr"
    write_labels(path, {"nuclei": example()}, 0.5)
    before = contents(path)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(labels_store, "create_pyramid", fail)
    with pytest.raises(OSError, match="disk full"):
        write_labels(path, {"nuclei": example() * 2}, 0.5)
    assert contents(path) == before
    assert os.listdir(tmp_path) == ["a.ome.zarr"]


def test_replacing_puts_the_older_folder_back_when_nothing_was_written(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "kept").write_text("x")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert (path / "kept").read_text() == "x"
    assert os.listdir(tmp_path) == ["folder"]


def test_others_may_read_what_was_written(tmp_path):
    path = tmp_path / "a.ome.zarr"
    write_labels(path, {"nuclei": example()}, 0.5)
    (tmp_path / "plain").mkdir()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 4)), "whole numbers"),
        (np.zeros((4, 4), bool), "whole numbers"),
        (np.zeros((2, 4, 4), np.uint8), "whole numbers"),
        (np.full((4, 4), -1), "from 0 to 4294967295; given -1"),
        (np.full((4, 4), 2**32), "given 4294967296"),
    ],
)
def test_what_is_no_label_image_is_refused(tmp_path, labels, message):
    with pytest.raises(ImageError, match=message):
        write_labels(tmp_path / "a.ome.zarr", {"nuclei": labels}, None)
    with pytest.raises(ImageError, match=message):
        write_label_tiff(tmp_path / "a.tif", labels)
    assert os.listdir(tmp_path) == []


def test_shapes_must_agree(tmp_path):
    labels = {"nuclei": example((5, 6)), "cells": example((5, 7))}
    with pytest.raises(ImageError, match="equally large"):
        write_labels(tmp_path / "a.ome.zarr", labels, None)


def test_reading_what_is_not_there_or_broken(tmp_path):
    path = tmp_path / "a.ome.zarr"
    with pytest.raises(ImageError, match="no OME-Zarr folder"):
        read_labels(path, "nuclei")
    write_labels(path, {"nuclei": example()}, None)
    with pytest.raises(ImageError, match="no labels 'cells'; it has nuclei"):
        read_labels(path, "cells")
    chunk = path / "labels" / "nuclei" / "0" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:10])
    with pytest.raises(ImageError, match="reading the labels nuclei failed"):
        read_labels(path, "nuclei")
    (path / "labels" / "zarr.json").write_text("{")
    with pytest.raises(ImageError, match="reading the labels nuclei failed"):
        read_labels(path, "nuclei")


def test_label_tiff(tmp_path):
    path = tmp_path / "a_labels.tif"
    write_label_tiff(path, example(dtype=np.int64), 0.325)
    with tifffile.TiffFile(path) as tif:
        page = tif.pages.first
        assert page.dtype == np.uint32
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        across, inches = page.tags["XResolution"].value
        assert 1e4 / (across / inches) == pytest.approx(0.325)
    np.testing.assert_array_equal(read_label_image(path), example())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32])
def test_masks_of_others_as_tiff(tmp_path, dtype):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, example(dtype=dtype))
    read = read_label_image(path)
    assert read.dtype == np.uint32
    np.testing.assert_array_equal(read, example(dtype=dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_masks_of_others_as_png(tmp_path, dtype):
    path = tmp_path / "a.png"
    Image.fromarray(example(dtype=dtype)).save(path)
    np.testing.assert_array_equal(read_label_image(path), example(dtype=dtype))


def test_masks_that_are_no_labels_are_refused(tmp_path):
    rgb, palette, bits, binary, real, negative, stack = (
        tmp_path / name
        for name in ("rgb.png", "p.png", "bits.png", "b.tif", "f.tif", "n.tif", "s.tif")
    )
    Image.new("RGB", (8, 8)).save(rgb)
    Image.new("P", (8, 8)).save(palette)
    Image.fromarray(np.eye(8, dtype=np.uint8) * 3).quantize(4).convert("1").save(bits)
    tifffile.imwrite(binary, np.eye(8, dtype=bool))
    tifffile.imwrite(real, np.eye(8, dtype=np.float32) / 2)
    tifffile.imwrite(negative, -np.eye(8, dtype=np.int16))
    tifffile.imwrite(stack, np.zeros((3, 8, 8), np.uint16), photometric="minisblack")
    for path in (rgb, palette, bits, stack):
        with pytest.raises(ImageError, match="one grey plane of whole numbers"):
            read_label_image(path)
    with pytest.raises(ImageError, match="yes or no"):
        read_label_image(binary)
    with pytest.raises(ImageError, match=r"8 pixels with others, such as 0\.5"):
        read_label_image(real)
    with pytest.raises(ImageError, match="given -1 to 0"):
        read_label_image(negative)


def test_png_of_four_bits_is_refused_as_its_labels_would_be_stretched(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(four_bit_png())
    assert np.asarray(Image.open(path)).max() == 17  # the label that was written is 1
    with pytest.raises(ImageError, match="one grey plane of whole numbers"):
        read_label_image(path)


def four_bit_png():
    """A grey PNG of 2 x 1 pixels and 4 bits: 0 and 1."""
    import struct
    import zlib

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0\x01")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def test_sixteen_bit_colour_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_encode(np.zeros((8, 8, 3), np.uint16)))
    with pytest.raises(ImageError, match="YXS"):
        read_label_image(path)
