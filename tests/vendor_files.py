"""Small files as microscopes write them, made for tests: ND2, LIF and OIF have no public writer.

Pixels are always given as (scene, time, channel, z, y, x); the layouts follow what the readers nd2,
liffile and oiffile accept, which were written against real files.
"""

import io
import re
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

CHANNELS = ("DAPI", "AF488", "p21")
PIXEL_UM = 0.325
Z_STEP_UM = 0.5
INTERVAL_S = 60.0


def write_czi(path: Path, pixels: NDArray, names=CHANNELS, tile: int = 1 << 20) -> None:
    """CZI by Zeiss's own writer, every scene in tiles."""
    from pylibCZIrw.czi import create_czi

    with create_czi(str(path)) as doc:
        for (s, t, c, z), _ in np.ndenumerate(pixels[..., 0, 0]):
            plane = pixels[s, t, c, z]
            for left in range(0, plane.shape[1], tile):
                doc.write(
                    np.ascontiguousarray(plane[:, left : left + tile, None]),
                    location=(s * 10_000 + left, 50),
                    plane={"T": t, "C": c, "Z": z},
                    scene=s,
                )
        metres = PIXEL_UM * 1e-6
        doc.write_metadata(
            "test",
            channel_names=dict(enumerate(names[: pixels.shape[2]])),
            scale_x=metres,
            scale_y=metres,
            scale_z=Z_STEP_UM * 1e-6,
        )


def write_nd2(path: Path, pixels: NDArray, names=CHANNELS, recorded: int | None = None) -> None:
    """ND2 of version 3: one frame for each position, time and depth, its channels interleaved.

    Args:
        path: the file.
        pixels: uint16.
        names: of the channels.
        recorded: frames that are there, where the acquisition was stopped.
    """
    n_s, n_t, n_c, n_z, rows, columns = pixels.shape
    # Nikon goes over all positions at each time point.
    ordered = np.moveaxis(pixels.swapaxes(0, 1), 2, -1)
    frames = ordered.reshape(-1, rows, columns, n_c)[:recorded]
    attributes = {
        "uiWidth": columns, "uiHeight": rows, "uiWidthBytes": columns * 2 * n_c, "uiComp": n_c,
        "uiBpcInMemory": 16, "uiBpcSignificant": 16, "uiSequenceCount": len(frames),
        "eCompression": 2,
    }  # fmt: skip
    spectrum = {"pPoint": [{"dTValue": 1.0, "dWavelength": 488.0, "eType": 0}], "uiCount": 1}
    probe = {"m_ExcitationSpectrum": spectrum, "m_EmissionSpectrum": spectrum}
    planes = {
        f"a{i}": {"sDescription": name, "uiCompCount": 1, "pFluorescentProbe": probe}
        for i, name in enumerate(names[:n_c])
    }
    about = {
        "bCalibrated": True,
        "dCalibration": PIXEL_UM,
        "sPicturePlanes": {"uiCount": n_c, "sPlaneNew": planes},
    }
    chunks = [(f"ImageDataSeq|{i}!", bytes(8) + frame.tobytes()) for i, frame in enumerate(frames)]
    chunks += [
        ("ImageAttributesLV!", _lite("SLxImageAttributes", attributes)),
        ("ImageMetadataSeqLV|0!", _lite("SLxPictureMetadata", about)),
        ("ImageMetadataLV!", _lite("SLxExperiment", _loops(n_t, n_s, n_z))),
    ]
    with path.open("wb") as file:
        file.write(_chunk("ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"), 32))
        index = b""
        for name, data in chunks:
            index += name.encode() + struct.pack("<QQ", file.tell(), len(data))
            # The pixels of a frame start 4096 bytes after their chunk, with 8 bytes of time.
            file.write(_chunk(name, data, 4072))
        end = file.tell()
        signature = b"ND2 CHUNK MAP SIGNATURE 0000001!"
        index += signature + struct.pack("<Q", end)
        file.write(_chunk("ND2 FILEMAP SIGNATURE NAME 0001!", index, 32))


def _loops(n_t: int, n_s: int, n_z: int) -> dict:
    period = {"dStart": 0.0, "dPeriod": INTERVAL_S * 1000, "dDuration": 0.0, "uiCount": n_t}
    points = [{"dPosX": float(i), "dPosY": 0.0, "pPosName": f"well {i}"} for i in range(n_s)]
    depth = {"uiCount": n_z, "dZLow": 0.0, "dZHigh": 9.0, "dZStep": Z_STEP_UM}
    levels = [(1, period), (2, {"Points": points}), (4, depth)]
    levels = [level for level, n in zip(levels, (n_t, n_s, n_z), strict=True) if n > 1]
    chain: dict = {}
    for kind, settings in reversed(levels):
        below = {"ppNextLevelEx": [chain]} if chain else {}
        chain = {"eType": kind, "uLoopPars": settings, **below}
    return chain or {"eType": 0, "uLoopPars": {}}


def _chunk(name: str, data: bytes, reserved: int) -> bytes:
    return struct.pack("<IIQ", 0x0ABECEDA, reserved, len(data)) + (
        name.encode().ljust(reserved, b"\0") + data
    )


def _lite(name: str, value: object) -> bytes:
    """A value in ND2's binary notation: type, name, content."""
    title = (name + "\0").encode("utf-16-le") if name else "\0".encode("utf-16-le")

    def head(kind: int) -> bytes:
        return bytes([kind, len(title) // 2]) + title

    if isinstance(value, bool):
        return head(1) + bytes([value])
    if isinstance(value, int):
        return head(3) + struct.pack("<I", value)
    if isinstance(value, float):
        return head(6) + struct.pack("<d", value)
    if isinstance(value, str):
        return head(8) + (value + "\0").encode("utf-16-le")
    entries = value.items() if isinstance(value, dict) else [("", v) for v in value]
    inside = b"".join(_lite(k, v) for k, v in entries)
    length = len(head(11)) + 12 + len(inside)
    return head(11) + struct.pack("<IQ", len(entries), length) + inside + bytes(8 * len(entries))


def write_lif(path: Path, pixels: NDArray, names=CHANNELS) -> None:
    """LIF of version 2: an image for each scene, plane after plane."""
    n_s, n_t, n_c, n_z, rows, columns = pixels.shape
    size = pixels.dtype.itemsize
    plane = rows * columns * size
    metres = PIXEL_UM * 1e-6
    dimensions = [
        (1, columns, metres * (columns - 1), "m", size),
        (2, rows, metres * (rows - 1), "m", columns * size),
        (3, n_z, Z_STEP_UM * 1e-6 * (n_z - 1), "m", plane),
        (4, n_t, INTERVAL_S * (n_t - 1), "s", plane * n_z * n_c),
    ]
    described = "".join(
        f'<DimensionDescription DimID="{i}" NumberOfElements="{n}" Origin="0" Length="{length}" '
        f'Unit="{unit}" BytesInc="{step}" BitInc="0"/>'
        for i, n, length, unit, step in dimensions
        if n > 1
    )
    channels = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{8 * size}" '
        f'NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="Grey" IsLUTInverted="0" '
        f'BytesInc="{i * plane * n_z}" BitInc="0"><ChannelProperty><Key>DyeName</Key>'
        f"<Value>{name}</Value></ChannelProperty></ChannelDescription>"
        for i, name in enumerate(names[:n_c])
    )
    image = (
        f"<Data><Image><ImageDescription><Channels>{channels}</Channels><Dimensions>{described}"
        "</Dimensions></ImageDescription></Image></Data>"
    )
    children = "".join(
        f'<Element Name="well {i}" UniqueID="{i}">{image}<Memory Size="{pixels[i].nbytes}" '
        f'MemoryBlockID="MemBlock_{i}"/><Children/></Element>'
        for i in range(n_s)
    )
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="test" UniqueID="x"><Data/>'
        f'<Memory Size="0" MemoryBlockID="MemBlock_x"/><Children>{children}</Children></Element>'
        "</LMSDataContainerHeader>"
    )
    text = xml.encode("utf-16-le")
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, len(text) + 5, 0x2A, len(xml)) + text)
        blocks = [("MemBlock_x", np.empty(0, np.uint8)), *_named(pixels)]
        for name, block in blocks:
            label = name.encode("utf-16-le")
            start = struct.pack(
                "<IIBQBI", 0x70, len(label) + 14, 0x2A, block.nbytes, 0x2A, len(name)
            )
            file.write(start + label)
            block.tofile(file)


def _named(pixels: NDArray) -> list[tuple[str, NDArray]]:
    return [(f"MemBlock_{i}", scene) for i, scene in enumerate(pixels)]


def write_oif(path: Path, pixels: NDArray, names=CHANNELS) -> None:
    """OIF of FluoView: a file of settings, and a folder with one TIFF a plane; one scene."""
    folder = path.parent / f"{path.name}.files"
    folder.mkdir()
    _, n_t, n_c, *_ = pixels.shape
    for (t, c, z), _ in np.ndenumerate(pixels[0, ..., 0, 0]):
        name = f"s_C{c + 1:03}Z{z + 1:03}" + (f"T{t + 1:03}" if n_t > 1 else "")
        tifffile.imwrite(folder / f"{name}.tif", pixels[0, t, c, z], metadata=None)
    sections = {
        "ProfileSaveInfo": {"Name": '"test"', "Version": '"2.0"'},
        "Axis 3 Parameters Common": {"AxisCode": '"Z"', "Interval": 500.0, "PixUnit": '"nm"'},
        "Reference Image Parameter": {
            "WidthConvertValue": PIXEL_UM, "WidthUnit": '"um"',
            "HeightConvertValue": PIXEL_UM, "HeightUnit": '"um"', "ValidBitCounts": 16,
        },
    }  # fmt: skip
    for i, name in enumerate(names[:n_c], start=1):
        # A transmitted-light detector has no dye, and the microscope's detectors other numbers.
        dye, detector = ("None", name) if name == names[-1] else (name, f"CH{i}")
        sections[f"Channel {i} Parameters"] = {"DyeName": f'"{dye}"', "CH Name": f'"{detector}"'}
        sections[f"GUI Channel {i} Parameters"] = {"DyeName": '""', "CH Name": f'"CH{i}"'}
    lines = []
    for title, values in sections.items():
        lines += [f"[{title}]", *(f"{key}={value}" for key, value in values.items())]
    path.write_bytes("\r\n".join(lines).encode("utf-16"))


def write_ome_zarr(path: Path, image: NDArray, names=CHANNELS) -> None:
    """One OME-Zarr image (time, channel, z, y, x) by ome-zarr's own writer."""
    import zarr
    from ome_zarr.writer import write_image

    group = zarr.open_group(path, mode="w")
    write_image(
        image,
        group,
        axes="tczyx",
        scale_factors=(2,),
        scale={"t": INTERVAL_S, "z": Z_STEP_UM, "y": PIXEL_UM, "x": PIXEL_UM},
        axes_units={"t": "second", **dict.fromkeys("zyx", "micrometer")},
        storage_options={"chunks": (1, 1, 1, 256, 256)},
    )
    about = dict(group.attrs)
    about.get("ome", about)["omero"] = {
        "channels": [{"label": name} for name in names[: image.shape[1]]]
    }
    group.attrs.update(about)


def write_plate(path: Path, pixels: NDArray, wells=("A/1", "B/2")) -> None:
    """An OME-Zarr plate with one field for each scene of the pixels, in wells in turn."""
    import zarr
    from ome_zarr.writer import write_plate_metadata, write_well_metadata

    plate = zarr.open_group(path, mode="w")
    rows, columns = (sorted({well.split("/")[i] for well in wells}) for i in (0, 1))
    write_plate_metadata(plate, rows, columns, list(wells))
    for i, well in enumerate(wells):
        group = plate.require_group(well)
        write_well_metadata(group, ["0"])
        write_ome_zarr(path / well / "0", pixels[i])


def write_ndpi(path: Path, rgb: NDArray, magnifications: Sequence[float] = (20.0, 5.0)) -> None:
    """NDPI: pages of one JPEG strip each, in pieces between restart markers; offsets of 64 bit.

    Args:
        path: the file.
        rgb: uint8, whose sides are whole multiples of 64 at every size.
        magnifications: of the full size and of smaller copies; -1 is the picture of the slide.
    """
    written = bytearray(b"II*\0" + bytes(8))
    next_at = 4
    for magnification in magnifications:
        step = round(magnifications[0] / magnification) if magnification > 0 else 16
        plane = np.ascontiguousarray(rgb[::step, ::step])
        jpeg = _jpeg_in_pieces(plane)
        starts = [jpeg.index(b"\xff\xda"), *_restarts(jpeg)]
        starts[0] += 2 + int.from_bytes(jpeg[starts[0] + 2 : starts[0] + 4], "big")
        strip_at = len(written)
        written += jpeg
        extra_at = len(written)
        resolution = struct.pack("<II", round(1e4 / PIXEL_UM / step), 1)
        written += resolution + b"Hamamatsu\0" + bytes(2) + np.array(starts, "<u4").tobytes()
        whole = {
            256: plane.shape[1], 257: plane.shape[0], 259: 7, 262: 6, 273: strip_at,
            277: 3, 278: plane.shape[0], 279: len(jpeg), 296: 3, 65420: 1,
        }  # fmt: skip
        entries = [struct.pack("<HHII", code, 4, 1, value) for code, value in whole.items()]
        entries += [
            struct.pack("<HHII", 258, 3, 1, 8),
            struct.pack("<HHII", 271, 2, 10, extra_at + 8),
            struct.pack("<HHII", 282, 5, 1, extra_at),
            struct.pack("<HHII", 283, 5, 1, extra_at),
            struct.pack("<HHIf", 65421, 11, 1, magnification),
            struct.pack("<HHII", 65426, 4, len(starts), extra_at + 20),
        ]
        struct.pack_into("<Q", written, next_at, len(written))
        written += struct.pack("<H", len(entries))
        written += b"".join(sorted(entries, key=lambda e: struct.unpack_from("<H", e)))
        next_at = len(written)
        written += bytes(8 + 4 * len(entries))
    path.write_bytes(written)


def _jpeg_in_pieces(plane: NDArray) -> bytes:
    file = io.BytesIO()
    pieces = {"subsampling": 0, "restart_marker_blocks": 8}
    Image.fromarray(plane).save(file, "JPEG", quality=95, **pieces)
    return file.getvalue()


def _restarts(jpeg: bytes) -> list[int]:
    """Where the data after each restart marker begin."""
    return [m.end() for m in re.finditer(rb"\xff[\xd0-\xd7]", jpeg)]
