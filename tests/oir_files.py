"""Small OIR files as Olympus FluoView writes them, made for tests: the format has no writer.

The layout is the one that two independent readers of real files, openreadout and oirfile, accept.
"""

import struct
from itertools import product
from pathlib import Path
from uuid import UUID

from numpy.typing import NDArray

from tests.vendor_files import CHANNELS, INTERVAL_S, PIXEL_UM, Z_STEP_UM

CHUNK_ROWS = 20
"""Rows of a plane that are stored together; real files keep some 11 kB."""

_DOCUMENTS, _FRAME, _TAG, _PIXELS, _SEPARATOR = 0, 1, 3, 4, 5
_XML = '<?xml version="1.0" encoding="ASCII"?>'


def write_oir(
    path: Path, pixels: NDArray, names=CHANNELS, rest_from: int | None = None, wavelengths=()
) -> None:
    """OIR: frames one after another, the pieces of their channels in turn, then what they are.

    Args:
        path: the file.
        pixels: uint8 or uint16, one scene.
        names: of the channels' dyes; their detectors are CH1, CH2, ...
        rest_from: the frame from which on all lie in a second file, as FluoView splits large ones.
        wavelengths: in nm; where there are any, z is the axis of a sweep over them.
    """
    _, n_t, n_c, n_z, _, _ = pixels.shape
    axis = "l" if len(wavelengths) else "z"
    first, rest = [], []
    for i, (t, z) in enumerate(product(range(n_t), range(n_z))):
        name = (f"t{t + 1:03}" if n_t > 1 else "") + (f"{axis}{z + 1:03}" if n_z > 1 else "")
        place = (axis, wavelengths[z] if axis == "l" else 4000 + z * Z_STEP_UM)
        blocks = first if rest_from is None or i < rest_from else rest
        blocks += [_frame(name, pixels[0], t, place), *_planes(name, pixels[0, t, :, z])]
    if first:
        first += _planes("REF_LSM0", pixels[0, 0, :1, 0] // 2, between="_")
    about = [_properties(pixels, axis), *(_channel(c, names[c]) for c in range(n_c))]
    first.append((_DOCUMENTS, bytes(36) + b"".join(_counted(text) for text in about)))
    _write(path, first)
    if rest:
        _write(path.with_name(f"{path.stem}_00001"), rest)


def _write(path: Path, blocks: list[tuple[int, bytes]]) -> None:
    content, offsets = bytearray(96), []
    for kind, payload in blocks:
        offsets.append(len(content))
        content += struct.pack("<II", len(payload), kind) + payload
    index_at = len(content)
    content += struct.pack(f"<I{len(offsets)}Q", 0xFFFFFFFF, *offsets)
    nowhere = 0xFFFFFFFFFFFFFFFF
    struct.pack_into(
        "<16s4IQQ4IQ8sIIQ", content, 0,
        b"OLYMPUSRAWFORMAT", 12, 0, 1, 2, len(content), index_at, len(offsets), 0, 1, 0, nowhere,
        b"FLUOVIEW", 3, 2, nowhere,
    )  # fmt: skip
    path.write_bytes(content)


def _planes(name: str, channels: NDArray, between: str = "_0_1_") -> list[tuple[int, bytes]]:
    """Pieces of the planes of one frame: the first of every channel, then the second of each."""
    blocks = []
    rows = channels.shape[1]
    for number, top in enumerate(range(0, rows, CHUNK_ROWS)):
        for c, plane in enumerate(channels):
            piece = plane[top : top + CHUNK_ROWS].tobytes()
            label = f"{name}{between}{_guid(c)}_{number}".encode()
            start = top * plane.shape[1] * plane.itemsize
            blocks.append((_TAG, struct.pack("<III", start, len(piece), len(label)) + label))
            blocks.append((_PIXELS, piece))
    return [*blocks, (_SEPARATOR, b"")]


def _guid(channel: int) -> str:
    """Names of channels are no order: the first has the last."""
    return str(UUID(int=0xFF - channel))


def _counted(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("ascii")


def _frame(name: str, image: NDArray, t: int, place: tuple[str, float]) -> tuple[int, bytes]:
    n_t, _, n_z, rows, columns = image.shape
    kind = {"z": "ZSTACK", "l": "LAMBDA"}[place[0]]
    places = [("TIMELAPSE", t * INTERVAL_S * 1000)] * (n_t > 1) + [(kind, place[1])] * (n_z > 1)
    values = "".join(
        f"<c:axisValue><c:axisType>{axis}</c:axisType><c:position>{at}</c:position></c:axisValue>"
        for axis, at in places
    )
    text = (
        f'{_XML}<lsmframe:frameProperties xmlns:lsmframe="f" xmlns:c="c" xmlns:base="b">'
        f"<c:general><base:name>{name}_0_1</base:name></c:general><c:imageDefinition>"
        f"<base:colorType>GlayScale</base:colorType><base:width>{columns}</base:width>"
        f"<base:height>{rows}</base:height><base:depth>{image.itemsize}</base:depth>"
        f"<base:bitCounts>12</base:bitCounts></c:imageDefinition>{values}"
        "</lsmframe:frameProperties>"
    )
    return _FRAME, bytes(36) + _counted(text)


def _properties(pixels: NDArray, axis: str) -> str:
    _, n_t, n_c, n_z, _, _ = pixels.shape
    kind, step = {"z": ("ZSTACK", -Z_STEP_UM), "l": ("LAMBDA", 10)}[axis]
    axes = [("TIMELAPSE", INTERVAL_S, n_t)] * (n_t > 1) + [(kind, step, n_z)] * (n_z > 1)
    # A step is negative where the stage went down.
    acquired = "".join(
        f'<i:axis enable="true"><p:axis>{name}</p:axis><p:step>{step}</p:step>'
        f"<p:maxSize>{n}</p:maxSize></i:axis>"
        for name, step, n in axes
    )
    channels = "".join(
        f'<h:channel id="{_guid(c)}" order="{c + 1}"><h:name>CH{c + 1}</h:name><h:length>'
        f"<p:x>{PIXEL_UM}</p:x><p:y>{PIXEL_UM}</p:y></h:length><h:pixelUnit>"
        "<h:x>MICRO_METER</h:x><h:y>MICRO_METER</h:y></h:pixelUnit></h:channel>"
        for c in range(n_c)
    )
    return (
        f'{_XML}<lsmimage:imageProperties xmlns:lsmimage="l" xmlns:i="i" xmlns:p="p" xmlns:h="h">'
        f"<i:imageInfo><i:phase><h:group>{channels}</h:group></i:phase>{acquired}</i:imageInfo>"
        "</lsmimage:imageProperties>"
    )


def _channel(number: int, name: str) -> str:
    return (
        f'{_XML}<lsmimage:lsmChannel xmlns:lsmimage="l" xmlns:h="h" id="{_guid(number)}">'
        f"<h:deviceName>CH{number + 1}</h:deviceName><h:dyeName>{name}</h:dyeName>"
        "</lsmimage:lsmChannel>"
    )
