"""Figures as files of their own, SVG and PDF, for papers and slides: figures/NAME.svg and .pdf."""

import io
import re
from collections.abc import Iterable
from pathlib import Path

import matplotlib
from matplotlib.artist import Artist
from matplotlib.colors import to_rgba, to_rgba_array

from pipelines.files import replacing
from pipelines.report.outcomes import OutcomeFigure
from pipelines.report.svg import INK, PAPER, RULE, STYLE

ON_PAPER = {INK: "#1b1d21", RULE: "#dfe1e4", PAPER: "#ffffff"}
CSS_ON_PAPER = {
    "currentColor": ON_PAPER[INK],
    "var(--rule)": ON_PAPER[RULE],
    "var(--paper)": ON_PAPER[PAPER],
}
COLOURS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")
FONTS = "font-family:Helvetica,Arial,sans-serif"


def write_figures(figures: Iterable[OutcomeFigure], folder: Path) -> list[Path]:
    """Write every figure twice; files of figures that are no more are removed.

    The same figures give the same bytes.

    Args:
        figures: with headings that tell them apart once a number stands before them.
        folder: of the files.
    """
    written = []
    for number, figure in enumerate(figures, start=1):
        name = f"{number:02d}_{re.sub(r'[^A-Za-z0-9]+', '_', figure.title).strip('_').lower()}"
        for path, content in (
            (folder / f"{name}.svg", standalone_svg(figure.drawing.svg).encode()),
            (folder / f"{name}.pdf", _pdf(figure)),
        ):
            if content:
                with replacing(path) as temporary:
                    temporary.write_bytes(content)
                written.append(path)
    for old in (*folder.glob("[0-9][0-9]_*.svg"), *folder.glob("[0-9][0-9]_*.pdf")):
        if old not in written:
            old.unlink()
    return written


def standalone_svg(svg: str) -> str:
    """An inline figure as a file: with namespaces, a size, and colours on white paper."""
    for css, colour in CSS_ON_PAPER.items():
        svg = svg.replace(css, colour)
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    size = f' width="{box[1]}pt" height="{box[2]}pt"' if box else ""
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return svg.replace("<svg ", f'<svg {names}{size} style="{FONTS}" ', 1)


def _pdf(figure: OutcomeFigure) -> bytes:
    drawn = figure.drawing.figure
    if drawn is None:
        return b""
    for artist in drawn.findobj():
        _recolour(artist)
    buffer = io.BytesIO()
    with matplotlib.rc_context({**STYLE, "pdf.fonttype": 42}):
        drawn.savefig(buffer, format="pdf", metadata={"CreationDate": None})
    return buffer.getvalue()


def _recolour(artist: Artist) -> None:
    """Exchange the stand-ins of the page's colours for those of paper."""
    paper = {to_rgba(old)[:3]: new for old, new in ON_PAPER.items()}
    for name in COLOURS:
        get, change = (getattr(artist, f"{verb}_{name}", None) for verb in ("get", "set"))
        if get is None or change is None:
            continue
        for rgba in _rgba(get()):
            if rgba[:3] in paper:
                change((*to_rgba(paper[rgba[:3]])[:3], rgba[3]))


def _rgba(value: object) -> list[tuple[float, float, float, float]]:
    """One colour, alone or alone in a list, as one tuple; of anything else none."""
    try:
        colours = to_rgba_array(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return []
    return [tuple(colours[0])] if len(colours) == 1 else []
