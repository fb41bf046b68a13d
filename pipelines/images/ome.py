"""The few things of the OME-XML header that the program uses: names and sizes of pixels."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pipelines.errors import ImageError

_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True)
class OmeImage:
    """One image of an OME-XML header.

    Attributes:
        channel_names: One name a channel, "" for a channel without one; empty where none has one.
        sizes: Size of a pixel along "X", "Y" and "Z" as (value, unit), where given.
        t_step_s: Seconds between time points, where given.
    """

    channel_names: tuple[str, ...]
    sizes: dict[str, tuple[float, str]]
    t_step_s: float | None = None


def refuse_entities(xml: str, path: Path) -> None:
    """Refuse XML that declares a document type or entities.

    No microscope writes them, and a few nested entities expand to gigabytes in the parser.

    Raises:
        ImageError: The text declares either.
    """
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", xml, re.IGNORECASE):
        raise ImageError(
            f"{path}: the XML in its header declares a document type or entities, which image "
            "files have no use for; export the image again"
        )


def parse_ome(xml: str, path: Path, number: int = 0) -> OmeImage:
    """Read one image of an OME-XML header.

    Args:
        xml: The header, already free of entities.
        path: The file, for messages and to find the other files of a set.
        number: Which image, counted from 0.

    Raises:
        ImageError: The XML is broken, describes no pixels, or names files that are not beside
            this one.
    """
    try:
        root = ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise ImageError(f"{path}: the OME-XML in its header is broken ({error})") from error
    _check_siblings(root, path)
    images = root.findall("{*}Image")
    pixels = images[number].find("{*}Pixels") if number < len(images) else None
    if pixels is None:
        raise ImageError(
            f"{path}: the OME-XML in its header describes no pixels (they may be described in a "
            "companion file); export it as one complete OME-TIFF"
        )
    names = tuple(channel.get("Name", "") for channel in pixels.findall("{*}Channel"))
    sizes = {
        axis: (float(value), pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        for axis in "XYZ"
        if (value := pixels.get(f"PhysicalSize{axis}"))
    }
    return OmeImage(names if any(names) else (), sizes, _seconds(pixels))


def _seconds(pixels: ElementTree.Element) -> float | None:
    value = pixels.get("TimeIncrement")
    factor = _SECONDS.get(pixels.get("TimeIncrementUnit", "s"))
    return float(value) * factor if value and factor else None


def _check_siblings(root: ElementTree.Element, path: Path) -> None:
    """Missing files of a set would be read as zeros, and a path would lead out of the folder."""
    own = root.get("UUID")
    for uuid in root.iterfind(".//{*}UUID"):
        name = uuid.get("FileName", "")
        if uuid.text == own or not name or name.lower() == path.name.lower():
            continue
        if Path(name).name != name or "\\" in name or not (path.parent / name).is_file():
            raise ImageError(
                f"{path}: it is one of a set of files, and {name!r} is not beside it; copy the "
                "whole set into one folder, or export it as one OME-TIFF"
            )
