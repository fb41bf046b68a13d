"""Pictures for judging a segmentation by eye: channels, outlines, foci and a scale bar.

The picture is for looking, not for measuring: each channel is stretched by percentiles of its own
image, so brightness must not be compared between pictures. The stretch is printed in the legend.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, PngImagePlugin

from pipelines.files import replacing
from pipelines.overlay.legend import Color, Entry, Strip, draw_scale_bar, with_legend
from pipelines.overlay.outlines import (
    Ink,
    Labels,
    Picture,
    Positive,
    draw_cells,
    draw_nuclei,
    number_markers,
    outline_entries,
    positive_for_any,
)
from pipelines.words import counted

Plane = NDArray[np.generic]
KEY = "senescope"
"""Name of the PNG's text that says what the picture was drawn from."""

MAX_SIDE = 2048
ENLARGE_TO = 1280
MAX_ENLARGEMENT = 3
STRETCH_PERCENTILES = (2.0, 99.8)
PERCENTILE_SAMPLE = 1_000_000

NUCLEAR_NAMES = ("dapi", "hoechst", "dna", "draq", "nuc")
NUCLEAR_COLOR: Color = (62, 92, 225)
MARKER_COLORS: tuple[Color, ...] = ((0, 205, 60), (245, 60, 220), (255, 160, 60), (80, 220, 230))
DARK_STRIP = Strip(paper=(17, 18, 22), ink=(228, 230, 235))
BRIGHT_STRIP = Strip(paper=(250, 250, 250), ink=(25, 27, 32))
ON_DARK = Ink((235, 235, 240), (125, 150, 185), (255, 176, 0), (255, 255, 255))
ON_BRIGHT = Ink((0, 90, 181), (90, 90, 100), (213, 94, 0), (0, 0, 0))


def draw_overlay(
    planes: Mapping[str, Plane],
    colors: Mapping[str, Color] | None,
    nuclei: Labels,
    cells: Labels | None = None,
    foci: ArrayLike | None = None,
    positive: Positive | None = None,
    pixel_size_um: float | None = None,
    title: str = "",
) -> Picture:
    """Draw channels, outlines, foci and scale bar of one image, with a legend below.

    Args:
        planes: channel name to (h, w) pixels of any dtype, or to one (h, w, 3) brightfield image.
        colors: channel name to 8-bit RGB; channels that are not named get the house colours, blue
            for the nuclear stain, green and magenta for the first two markers.
        nuclei: (h, w) labels, 0 is background.
        cells: (h, w) labels that share the ids of `nuclei`.
        foci: (n, 2) positions y, x in px.
        positive: marker to the ids of its positive cells, None where it was not decided. Cells
            positive for any marker have an outline of their own colour, twice as thick; with
            several markers, the numbers that the legend gives them stand beside the cell.
        pixel_size_um: edge length of a pixel in µm; None where unknown (the bar is then in px).
        title: text of the legend's first line.

    Returns:
        (h', w', 3) uint8. Images under 1280 px wide are enlarged 2 or 3 times and images over
        2048 px are reduced, so that outlines are one pixel of the picture in either case.

    Raises:
        ValueError: no plane, or planes and labels of different shapes.
    """
    _require_one_shape(planes, nuclei, cells)
    height, width = nuclei.shape
    scale = display_scale(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    bright = _brightfield_name(planes)
    if bright is None:
        picture, entries = _composite(planes, channel_colors(planes, colors), shape)
        ink, strip = ON_DARK, DARK_STRIP
    else:
        picture, entries = _brightfield(planes[bright], shape), []
        ink, strip = ON_BRIGHT, BRIGHT_STRIP
    any_marker = positive_for_any(positive)
    shown = _resample_labels(nuclei, shape)
    shown_cells = None if cells is None else _resample_labels(cells, shape)
    if shown_cells is not None:
        draw_cells(picture, shown_cells, any_marker, ink)
    draw_nuclei(picture, shown, any_marker, ink)
    points = _finite_points(foci)
    canvas = Image.fromarray(picture)
    _draw_foci(canvas, points, scale, ink)
    beside = shown if shown_cells is None or nuclei.any() else shown_cells
    number_markers(canvas, beside, positive, ink, strip)
    draw_scale_bar(canvas, scale, pixel_size_um, strip)
    entries += outline_entries(nuclei, cells, positive, ink)
    if foci is not None:
        entries.append(Entry("ring", ink.focus, counted(len(points), "focus", "foci")))
    return with_legend(canvas, title, entries, strip)


def save_png(path: Path, rgb: Picture, key: str = "") -> None:
    """Write a picture as PNG; the same pixels give the same bytes, and never half a file.

    Args:
        path: target; its folder is made where it is missing.
        rgb: (h, w, 3) uint8.
        key: what the picture was drawn from, for `drawn_from`.
    """
    text = PngImagePlugin.PngInfo()
    if key:
        text.add_text(KEY, key)
    with replacing(path) as new:
        Image.fromarray(rgb).save(new, format="PNG", compress_level=2, pnginfo=text)


def drawn_from(path: Path) -> str:
    """The key that a picture was saved with; empty where there is no picture or no key."""
    try:
        with Image.open(path) as image:
            return str(image.info.get(KEY, ""))
    except OSError:
        return ""


def display_scale(height: int, width: int) -> float:
    """Magnification of the picture: 2 or 3 for small images, below 1 for large ones."""
    longest = max(height, width)
    if longest > MAX_SIDE:
        return MAX_SIDE / longest
    return float(min(MAX_ENLARGEMENT, max(1, ENLARGE_TO // longest)))


def channel_colors(
    names: Iterable[str], chosen: Mapping[str, Color] | None = None
) -> dict[str, Color]:
    """Colour of every channel: the caller's, else blue for the nuclear stain, else the next.

    Args:
        names: of the channels.
        chosen: colours that are given, 8-bit RGB.
    """
    known = list(names)
    nuclear = next(
        (name for name in known if any(part in name.lower() for part in NUCLEAR_NAMES)), known[0]
    )
    colors = dict(chosen or {})
    colors.setdefault(nuclear, NUCLEAR_COLOR)
    markers = [name for name in known if name not in colors]
    for index, name in enumerate(markers):
        colors[name] = MARKER_COLORS[index % len(MARKER_COLORS)]
    return colors


def stretch_limits(plane: Plane) -> tuple[float, float]:
    """Grey values that are shown as black and as full colour; equal for a constant image."""
    flat = np.asarray(plane).ravel()
    values: NDArray[np.float64] = flat[:: max(1, flat.size // PERCENTILE_SAMPLE)].astype(np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 0.0
    low, high = np.percentile(values, STRETCH_PERCENTILES)
    return float(low), float(high)


def _require_one_shape(planes: Mapping[str, Plane], nuclei: Labels, cells: Labels | None) -> None:
    if not planes:
        raise ValueError("draw_overlay was given no plane; it needs one channel at least")
    shapes = {name: plane.shape[:2] for name, plane in planes.items()} | {"nuclei": nuclei.shape}
    if cells is not None:
        shapes["cells"] = cells.shape
    if len(set(shapes.values())) > 1:
        raise ValueError(f"planes and labels must have one shape (h, w), not {shapes}")


def _brightfield_name(planes: Mapping[str, Plane]) -> str | None:
    return next((name for name, plane in planes.items() if plane.ndim == 3), None)


def _composite(
    planes: Mapping[str, Plane], colors: Mapping[str, Color], shape: tuple[int, int]
) -> tuple[Picture, list[Entry]]:
    """Add the stretched channels in their colours; also return their legend entries."""
    total = np.zeros((*shape, 3), dtype=np.float32)
    entries: list[Entry] = []
    for name, plane in planes.items():
        low, high = stretch_limits(plane)
        shown = np.nan_to_num(np.asarray(plane, dtype=np.float32), nan=low, posinf=high, neginf=low)
        span = high - low
        unit = np.clip((shown - low) / span, 0, 1) if span > 0 else np.zeros_like(shown)
        total += _resize(unit, shape)[..., None] * np.asarray(colors[name], dtype=np.float32)
        entries.append(Entry("box", colors[name], f"{name} {low:.4g}–{high:.4g}"))
    return np.clip(total, 0, 255).astype(np.uint8), entries


def _brightfield(image: Plane, shape: tuple[int, int]) -> Picture:
    """Show an RGB image as it is; more than 8 bits are scaled to their brightest pixels."""
    rgb = np.asarray(image)[..., :3].astype(np.float32)
    if image.dtype != np.uint8:
        white = float(np.nanpercentile(rgb, STRETCH_PERCENTILES[1])) or 1.0
        rgb = np.nan_to_num(rgb / white * 255)
    resized = np.stack([_resize(rgb[..., index], shape) for index in range(rgb.shape[2])], axis=-1)
    return np.clip(resized, 0, 255).astype(np.uint8)


def _resize(plane: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resample to `shape`: area mean when reducing, bilinear when enlarging."""
    if plane.shape == shape:
        return plane
    method = Image.Resampling.BOX if shape[0] < plane.shape[0] else Image.Resampling.BILINEAR
    resized = Image.fromarray(plane).resize((shape[1], shape[0]), method)
    return np.asarray(resized, dtype=np.float32)


def _resample_labels(labels: Labels, shape: tuple[int, int]) -> Labels:
    """Nearest label at the centre of every picture pixel."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(shape, labels.shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]


def _finite_points(foci: ArrayLike | None) -> NDArray[np.float64]:
    points = np.asarray([] if foci is None else foci, dtype=np.float64).reshape(-1, 2)
    return points[np.isfinite(points).all(axis=1)]


def _draw_foci(canvas: Image.Image, points: NDArray[np.float64], scale: float, ink: Ink) -> None:
    pen = ImageDraw.Draw(canvas)
    radius = max(4.0, 2.5 * scale)
    for y, x in (points + 0.5) * scale - 0.5:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink.focus)
