"""Microscopes' own formats: axes, names, sizes and pixels of files whose content is known."""

import lzma
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pipelines.errors import ImageError, MismatchError
from pipelines.images import formats, inspect, open_field, scene_names
from pipelines.images.source import Source
from tests import vendor_files as files
from tests.oir_files import write_oir

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 4000, (2, 2, 3, 2, 48, 64)).astype(np.uint16)
"""(scene, time, channel, z, y, x)."""

REAL = Path(__file__).parents[1] / "data" / "vendor"

WRITERS = {
    "czi": (files.write_czi, "pylibCZIrw", ("scene 0", "scene 1"), None),
    "nd2": (files.write_nd2, "nd2", ("well 0", "well 1"), 60.0),
    "lif": (files.write_lif, "liffile", ("well 0", "well 1"), 60.0),
    "oif": (files.write_oif, "oiffile", (), None),
    "oir": (write_oir, "openreadout", (), 60.0),
    "zarr": (files.write_plate, "zarr", ("A/1/0", "B/2/0"), 60.0),
}


def write(folder, ending, pixels=PIXELS, **more):
    writer, package, *_ = WRITERS[ending]
    pytest.importorskip(package)
    path = folder / f"a.{ending}"
    writer(path, pixels, **more)
    return path


def read(path, channel, box=None, **more):
    field = open_field("x", {"a": path}, {"a": channel}, pixel_size_um=None, **more)
    return field.plane("a", box)


@pytest.mark.parametrize("ending", WRITERS)
def test_axes_names_and_sizes_are_those_of_the_file(tmp_path, ending):
    path = write(tmp_path, ending)
    _, _, scenes, interval = WRITERS[ending]
    info = inspect(path, len(scenes[1:]))
    assert (info.axes, info.shape) == ("TCZYX", (2, 3, 2, 48, 64))
    assert (info.n_t, info.n_channels, info.n_z, info.dtype) == (2, 3, 2, "uint16")
    assert info.channel_names == ("DAPI", "AF488", "p21")
    assert info.scene_names == scenes == scene_names(path)
    assert info.pixel_size_um == pytest.approx(0.325)
    assert info.z_step_um == pytest.approx(0.5)
    assert info.t_step_s == (None if interval is None else pytest.approx(interval))


@pytest.mark.parametrize("ending", WRITERS)
def test_every_plane_is_where_it_was_put(tmp_path, ending):
    path = write(tmp_path, ending)
    scene = len(WRITERS[ending][2][1:])
    for time in (0, 1):
        for channel, name in enumerate(files.CHANNELS):
            stack = PIXELS[scene, time, channel]
            got = read(path, name, z="max", scene=scene, time=time)
            assert (got == stack.max(axis=0)).all()
            assert got.flags.writeable
    box = (slice(5, 31), slice(20, 64))
    stack = PIXELS[scene, 1, 2].astype(float)
    got = read(path, 2, box, z="mean", scene=scene, time=1)
    np.testing.assert_allclose(got, stack.mean(axis=0)[5:31, 20:64])


@pytest.mark.parametrize("ending", WRITERS)
def test_one_plane_has_no_other_axes(tmp_path, ending):
    path = write(tmp_path, ending, PIXELS[:1, :1, :1, :1], **_one_well(ending))
    info = inspect(path)
    assert (info.axes, info.shape, info.n_scenes) == ("YX", (48, 64), 1)
    assert (read(path, 0, z="none") == PIXELS[0, 0, 0, 0]).all()


def _one_well(ending):
    return {"wells": ("A/1",)} if ending == "zarr" else {}


@pytest.mark.parametrize("ending", ["czi", "nd2", "lif", "zarr"])
def test_scene_and_time_must_be_chosen_and_be_there(tmp_path, ending):
    path = write(tmp_path, ending)
    with pytest.raises(MismatchError, match="2 scenes"):
        read(path, 0, z="max", time=0)
    with pytest.raises(MismatchError, match="2 time points"):
        read(path, 0, z="max", scene=0)
    with pytest.raises(MismatchError, match="no time point 2"):
        read(path, 0, z="max", scene=0, time=2)
    with pytest.raises(MismatchError, match="no scene 2"):
        read(path, 0, z="max", scene=2, time=0)


@pytest.mark.parametrize("ending", ["czi", "nd2", "lif", "oir"])
def test_a_file_cut_short_is_an_error_that_names_it(tmp_path, ending):
    path = write(tmp_path, ending)
    whole = path.read_bytes()
    for share in (0.3, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ImageError, match="a." + ending):
            read(path, 0, z="max", scene=len(WRITERS[ending][2][1:]), time=1)


def test_tiles_of_a_czi_are_put_together(tmp_path):
    path = write(tmp_path, "czi", tile=20)
    got = read(path, "p21", z="max", scene=0, time=0)
    assert (got == PIXELS[0, 0, 2].max(axis=0)).all()


def unpacked(name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes(lzma.decompress((REAL / f"{name}.xz").read_bytes()))
    return path


def test_a_file_that_nis_elements_wrote(tmp_path):
    pytest.importorskip("nd2")
    path = unpacked("cluster.nd2", tmp_path)
    info = inspect(path)
    assert (info.axes, info.shape, info.dtype) == ("TCZYX", (3, 2, 10, 31, 38), "uint16")
    assert info.channel_names == ("5-FAM/pH 9.0", "FM 4-64/2% CHAPS")
    assert (info.pixel_size_um, info.z_step_um) == (pytest.approx(0.167809, abs=1e-6), 0.5)
    assert int(read(path, 1, z="max", time=1).astype(int).sum()) == 179_564


def test_a_file_that_fluoview_wrote_names_what_was_recorded(tmp_path):
    pytest.importorskip("oiffile")
    path = unpacked("fv1000.oib", tmp_path)
    info = inspect(path)
    assert (info.axes, info.shape, info.dtype) == ("CYX", (3, 256, 256), "uint16")
    # The third is transmitted light; the microscope's third detector, CH3, was off.
    assert info.channel_names == ("CH1", "Alexa Fluor 546", "TD1")
    assert info.pixel_size_um == pytest.approx(0.177)
    sums = [int(read(path, channel, z="none").astype(int).sum()) for channel in range(3)]
    assert sums == [1_458_233, 92_526, 21_348_604]


def test_colours_of_a_czi_are_red_green_blue(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    rgb = RNG.integers(0, 255, (30, 40, 3)).astype(np.uint8)
    path = tmp_path / "a.czi"
    with czi.create_czi(str(path)) as doc:
        doc.write(np.ascontiguousarray(rgb[..., ::-1]))  # as cameras of ZEN: blue first
    info = inspect(path)
    assert (info.axes, info.is_rgb, info.dtype) == ("YXS", True, "uint8")
    field = open_field("x", {"a": path}, {"a": "rgb"}, pixel_size_um="unknown", z="none")
    assert (field.plane("a") == rgb).all()


def test_tiles_of_a_czi_need_not_write_axes_of_one_position(tmp_path):
    pytest.importorskip("pylibCZIrw.czi")
    pixels = PIXELS[:, :1, :1, :1]
    files.write_czi(tmp_path / "a.czi", pixels)
    # As ZEN writes snaps: no time. Another axis of one position takes its place in the bytes.
    at_first = struct.pack("<iifi", 0, 1, 0, 1)
    content = (tmp_path / "a.czi").read_bytes()
    assert content.count(b"T\0\0\0" + at_first) >= len(pixels)
    other = content.replace(b"T\0\0\0" + at_first, b"B\0\0\0" + at_first)
    (tmp_path / "a.czi").write_bytes(other)
    for scene in range(len(pixels)):
        plane = read(tmp_path / "a.czi", 0, scene=scene, z="none")
        assert (plane == pixels[scene, 0, 0, 0]).all()
    assert inspect(tmp_path / "a.czi").pixel_size_um == files.PIXEL_UM


def test_a_plane_that_one_scene_of_a_czi_lacks_is_not_read_as_black(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    path = tmp_path / "a.czi"
    with czi.create_czi(str(path)) as doc:
        for scene, channel in ((0, 0), (0, 1), (1, 0)):
            place = {"T": 0, "Z": 0, "C": channel}
            plane = np.ones((30, 40, 1), np.uint16)
            doc.write(plane, location=(scene * 1000, 0), plane=place, scene=scene)
        doc.write_metadata("x", scale_x=1e-6, scale_y=1e-6)
    assert read(path, 1, scene=0, z="none").all()
    with pytest.raises(ImageError, match=r"channel 1, z 0.*not in the file"):
        read(path, 1, scene=1, z="none")


def test_planes_that_a_czi_lacks_are_not_read_as_black(tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    path = tmp_path / "a.czi"
    plane = np.ones((30, 40, 1), np.uint16)
    with czi.create_czi(str(path)) as doc:
        for place in ({"C": 0, "Z": 0}, {"C": 0, "Z": 1}, {"C": 1, "Z": 0}):
            doc.write(plane, plane={"T": 0, **place})
        doc.write_metadata("x", scale_x=1e-6, scale_y=1e-6)
    assert read(path, 0, z="max").all()
    with pytest.raises(ImageError, match=r"channel 1, z 1.*not in the file"):
        read(path, 1, z="max")


def test_frames_that_an_nd2_lacks_are_not_read_as_black(tmp_path):
    path = write(tmp_path, "nd2", recorded=5)
    assert read(path, 0, z="max", scene=0, time=0).any()
    with pytest.raises(ImageError, match="ended after 5"):
        read(path, 0, z="max", scene=1, time=1)


def test_planes_that_an_oif_lacks_are_not_read_as_black(tmp_path):
    path = write(tmp_path, "oif")
    next((tmp_path / "a.oif.files").glob("*C002Z002T002*")).unlink()
    with pytest.raises(ImageError, match="11 planes were found where T=2, C=3, Z=2 need 12"):
        inspect(path)


def test_an_oir_goes_on_in_files_without_an_ending(tmp_path):
    whole, split = tmp_path / "whole", tmp_path / "split"
    for folder in (whole, split):
        folder.mkdir()
    write(whole, "oir")
    path = write(split, "oir", rest_from=3)
    [rest] = formats.companions(path)
    assert (rest.name, formats.companions(whole / "a.oir")) == ("a_00001", [])
    assert (read(path, 2, z="max", time=1) == PIXELS[0, 1, 2].max(axis=0)).all()
    rest.unlink()
    with pytest.raises(ImageError, match=r"12 planes expected.*9 are stored.*a_00001 is missing"):
        inspect(path)


def test_a_sweep_of_an_oir_gives_a_channel_a_wavelength(tmp_path):
    path = write(tmp_path, "oir", PIXELS[:1, :1], wavelengths=(500, 510))
    info = inspect(path)
    names = tuple(f"CH{c} {nm} nm" for c in (1, 2, 3) for nm in (500, 510))
    assert (info.axes, info.channel_names) == ("CYX", names)
    assert (read(path, "CH2 510 nm", z="none") == PIXELS[0, 0, 1, 1]).all()


def test_channels_of_an_oir_of_one_dye_are_told_by_their_detectors(tmp_path):
    path = write(tmp_path, "oir", names=("GFP", "DAPI", "GFP"))
    assert inspect(path).channel_names == ("CH1", "CH2", "CH3")


def test_the_map_of_an_oir_tiling_has_no_planes(tmp_path):
    path = write(tmp_path, "oir", PIXELS[:1, :0])
    with pytest.raises(ImageError, match=r"holds no planes.*map of a tiled acquisition"):
        inspect(path)


def test_a_sweep_of_a_lif_gives_a_channel_a_wavelength(tmp_path):
    path = write(tmp_path, "lif", PIXELS[:1, :1, :1])
    # The z axis of the written file becomes one of emission wavelengths, 550 to 550.5 nm.
    raw = path.read_bytes()
    for old, new in (('DimID="3"', 'DimID="5"'), ('Length="5e-07"', 'Length="5e-09"')):
        raw = raw.replace(old.encode("utf-16-le"), new.encode("utf-16-le"))
    path.write_bytes(raw)
    info = inspect(path)
    assert (info.axes, info.channel_names) == ("CYX", ("0 nm", "5 nm"))
    assert (read(path, "5 nm", z="none") == PIXELS[0, 0, 0, 1]).all()


def test_an_ome_zarr_image_is_read_from_its_full_resolution(tmp_path):
    path = tmp_path / "a.ome.zarr"
    files.write_ome_zarr(path, PIXELS[0])
    assert inspect(path).scene_names == ()
    assert (read(path, "p21", z="max", time=1) == PIXELS[0, 1, 2].max(axis=0)).all()


def test_positions_and_times_of_an_ome_tiff(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path) as writer:
        for i, scene in enumerate(PIXELS):
            about = {"axes": "TCZYX", "Name": f"pos{i}", "TimeIncrement": 2, "PhysicalSizeX": 0.3}
            about |= {"TimeIncrementUnit": "min", "PhysicalSizeY": 0.3}
            writer.write(scene, photometric="minisblack", metadata=about)
    info = inspect(path, 1)
    assert info.scene_names == ("pos0", "pos1")
    assert (info.n_t, info.t_step_s, info.pixel_size_um) == (2, 120.0, 0.3)
    assert (read(path, 1, z="max", scene=1, time=0) == PIXELS[1, 0, 1].max(axis=0)).all()


def test_hamamatsu_slide_is_read_from_its_full_size_in_pieces(tmp_path):
    path = tmp_path / "a.ndpi"
    y, x = np.mgrid[:512, :768]
    rgb = np.stack([y // 2, x // 3, 128 + 60 * np.sin(y / 9) * np.cos(x / 7)], -1).astype(np.uint8)
    files.write_ndpi(path, rgb, (20.0, 5.0, -1.0))
    info = inspect(path)
    assert (info.shape, info.is_rgb, info.block) == ((512, 768, 3), True, (8, 64))
    assert info.pixel_size_um == pytest.approx(files.PIXEL_UM, rel=1e-4)
    field = open_field("x", {"a": path}, {"a": "rgb"}, pixel_size_um="unknown", z="none")
    piece = field.rgb[100:300, 500:700].compute().astype(int)
    assert np.abs(piece - rgb[100:300, 500:700]).max() < 12  # JPEG


@pytest.mark.parametrize("found", formats.VENDORS, ids=lambda f: f.extra)
def test_the_error_for_a_missing_reader_names_its_extra(tmp_path, monkeypatch, found):
    monkeypatch.setitem(sys.modules, found.package, None)
    path = tmp_path / f"a{found.suffixes[0]}"
    path.write_bytes(found.starts[0] + bytes(100))
    with pytest.raises(ImageError, match=rf"pip install 'senescope\[{found.extra}\]'"):
        inspect(path)


def test_vsi_regions_are_asked_of_slideio_as_they_are(tmp_path, monkeypatch):
    """slideio writes no VSI: a CZI, read by the same calls, stands for it."""
    pytest.importorskip("slideio")
    from pipelines.images.vendor import vsi

    path = write(tmp_path, "czi")
    monkeypatch.setattr(vsi, "DRIVER", "CZI")
    info = vsi.read_header(path, 1)
    assert (info.axes, info.shape) == ("TCZYX", (2, 3, 2, 48, 64))
    assert (info.n_scenes, info.channel_names) == (2, files.CHANNELS)
    assert info.pixel_size_um == pytest.approx(0.325)
    assert info.z_step_um == pytest.approx(0.5)
    source = Source(info, 2, time=1)
    for depth, plane in enumerate(vsi.read_planes(source, range(2), (slice(3, 40), slice(8, 50)))):
        assert (plane == PIXELS[1, 1, 2, depth, 3:40, 8:50]).all()
