"""The size of a pixel in µm, from the three places where a TIFF may keep it."""

from math import isfinite
from pathlib import Path
from typing import NamedTuple

import tifffile

from pipelines.errors import ImageError
from pipelines.images.ome import OmeImage

_UM = {
    "m": 1e6, "meter": 1e6, "dm": 1e5, "cm": 1e4, "centimeter": 1e4, "mm": 1e3, "millimeter": 1e3,
    "µm": 1.0, "μm": 1.0, "Âµm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "nm": 1e-3, "nanometer": 1e-3, "å": 1e-4, "angstrom": 1e-4, "pm": 1e-6,
    "in": 25_400.0, "inch": 25_400.0,
}  # fmt: skip
_RESOLUTION_UNITS = {2: "inch", 3: "cm"}
_TOLERANCE = 0.01
# Below 0.01 µm light resolves nothing; above 10 µm a nucleus is one pixel, and from 10.6 µm on lie
# the settings of printers and scanners: 2400, 1200, 600, 300, 96 and 72 dots an inch.
_PLAUSIBLE_UM = (0.01, 10.0)


class Scale(NamedTuple):
    """Side of a pixel and distance of planes in µm (None: unknown), with what is to be told."""

    pixel_um: float | None = None
    z_um: float | None = None
    warnings: tuple[str, ...] = ()


def differ(first: float, second: float) -> bool:
    """Whether two pixel sizes differ by more than 1 %."""
    return abs(first - second) > _TOLERANCE * max(first, second)


def read_scale(tif: tifffile.TiffFile, ome: OmeImage | None) -> Scale:
    """Find the pixel size: OME metadata, else ImageJ's, else Aperio's, else the resolution tags.

    Args:
        tif: The open file.
        ome: Its OME metadata, where it has any.

    Raises:
        ImageError: The metadata gives pixels that are not square.
    """
    if ome is not None:
        return _from_ome(ome, Path(tif.filehandle.path))
    if tif.is_imagej and (metadata := tif.imagej_metadata):
        unit = str(metadata.get("unit", ""))
        if unit and to_um(1.0, unit) is not None:
            return _from_imagej(tif, unit, metadata.get("spacing"))
        if unit:
            return Scale()
    if tif.is_svs:
        return _from_aperio(tif.pages.first.description)
    return _from_tags(tif)


def to_um(value: float, unit: str) -> float | None:
    """Convert a length to µm; None where the unit is no unit of length or the value is not one."""
    plain = unit.replace("\\u00B5", "µ").strip()
    factor = _UM.get(plain.lower().replace("\u212b", "å"), _UM.get(plain))
    if factor is None or not isfinite(value) or value <= 0:
        return None
    return value * factor


def _from_ome(ome: OmeImage, path: Path) -> Scale:
    sizes = {axis: to_um(value, unit) for axis, (value, unit) in ome.sizes.items()}
    useless = [
        f"the OME metadata gives a pixel of {value:g} {unit} along {axis}, which is not used"
        for axis, (value, unit) in ome.sizes.items()
        if sizes[axis] is None
    ]
    x, y = sizes.get("X"), sizes.get("Y")
    return Scale(square_pixel(x or y, y or x, path), sizes.get("Z"), tuple(useless))


def _from_imagej(tif: tifffile.TiffFile, unit: str, spacing: object) -> Scale:
    x, y = (to_um(side, unit) if side else None for side in _tag_sides(tif))
    pixel = square_pixel(x or y, y or x, Path(tif.filehandle.path))
    z = to_um(float(spacing), unit) if isinstance(spacing, int | float) else None
    if pixel is not None and unit.startswith("inch") and not is_plausible(pixel):
        return Scale()
    return Scale(pixel, z)


def _from_aperio(description: str) -> Scale:
    mpp = tifffile.tifffile.svs_description_metadata(description).get("MPP")
    return Scale(to_um(float(mpp), "µm") if isinstance(mpp, int | float) else None)


def _from_tags(tif: tifffile.TiffFile) -> Scale:
    tag = tif.pages.first.tags.get("ResolutionUnit")
    unit = _RESOLUTION_UNITS.get(int(tag.value)) if tag is not None else None
    if unit is None:
        return Scale()
    x, y = (to_um(side, unit) if side else None for side in _tag_sides(tif))
    if x is None or y is None or not (is_plausible(x) and is_plausible(y)):
        return Scale()
    if differ(x, y):
        return Scale(warnings=(f"the resolution tags disagree ({x:g}, {y:g} µm), so are not used",))
    return Scale((x + y) / 2)


def _tag_sides(tif: tifffile.TiffFile) -> tuple[float | None, float | None]:
    """Units a pixel along x and y, from the tags that count pixels a unit."""
    tags = [tif.pages.first.tags.get(name) for name in ("XResolution", "YResolution")]
    fractions = [tag.value if tag is not None else (0, 1) for tag in tags]
    x, y = (bottom / top if top else None for top, bottom in fractions)
    return x, y


def square_pixel(x: float | None, y: float | None, path: Path) -> float | None:
    """One side of a pixel from its width and height in µm; None where either is unknown.

    Raises:
        ImageError: They differ by more than 1 %.
    """
    if x is None or y is None:
        return None
    if differ(x, y):
        raise ImageError(
            f"{path}: its pixels are {x:g} µm wide and {y:g} µm high; square pixels are expected: "
            "resample the image, or mend its metadata if they are wrong"
        )
    return (x + y) / 2


def is_plausible(size_um: float) -> bool:
    """Whether a pixel may be this large in a microscope's image, rather than a printer's."""
    low, high = _PLAUSIBLE_UM
    return low <= size_um <= high
