"""Resolutions of large images: a file's own where it has them, else every nth pixel."""

import numpy as np
import pytest
import tifffile
import zarr

from pipelines.images import open_field
from pipelines.ome_zarr import create_pyramid

SIDE = 2200


@pytest.fixture(scope="module")
def plane():
    return np.random.default_rng(0).integers(0, 9000, (SIDE, SIDE + 40)).astype(np.uint16)


def levels_of(path, channel):
    field = open_field("s", {"c": path}, {"c": channel}, pixel_size_um="unknown", z="max")
    return field.levels("c")


def test_a_tiled_tiff_gives_its_own_levels(tmp_path, plane):
    path = tmp_path / "a.ome.tif"
    small = plane[::2, ::2] // 2  # not what would be made of the plane: the file's is shown
    with tifffile.TiffWriter(path) as tif:
        tif.write(plane, subifds=1, tile=(256, 256), metadata={"axes": "YX"})
        tif.write(small, subfiletype=1, tile=(256, 256))
    levels = levels_of(path, 0)
    assert [level.shape for level in levels] == [plane.shape, small.shape]
    assert np.array_equal(levels[0].compute(), plane)
    assert np.array_equal(levels[1][100:300, 7:90].compute(), small[100:300, 7:90])


def test_a_picture_keeps_its_colours_last(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (600, 500, 3)).astype(np.uint8)
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(rgb, subifds=1, tile=(128, 128), photometric="rgb", metadata={"axes": "YXS"})
        tif.write(rgb[::2, ::2], subfiletype=1, tile=(128, 128), photometric="rgb")
    whole, half = levels_of(path, "rgb")
    assert np.array_equal(whole.compute(), rgb)
    assert np.array_equal(half.compute(), rgb[::2, ::2])


def test_an_ome_zarr_gives_its_own_levels_of_the_channel(tmp_path, plane):
    path = tmp_path / "a.ome.zarr"
    both = np.stack([plane, plane // 3])
    group = zarr.open_group(path, mode="w", zarr_format=3)
    shapes = [both.shape, both[:, ::2, ::2].shape]
    arrays = create_pyramid(group, shapes, both.dtype, "cyx", None, {})
    arrays[0][...], arrays[1][...] = both, both[:, ::2, ::2] + 1
    levels = levels_of(path, 1)
    assert np.array_equal(levels[0].compute(), plane // 3)
    assert np.array_equal(levels[1].compute(), plane[::2, ::2] // 3 + 1)


def test_a_file_without_levels_is_thinned_until_it_fits_a_screen(tmp_path, plane):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, plane)
    levels = levels_of(path, 0)
    assert [level.shape for level in levels] == [plane.shape, plane[::2, ::2].shape]
    assert np.array_equal(levels[-1].compute(), plane[::2, ::2])
