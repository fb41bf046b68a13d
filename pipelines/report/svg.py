"""Matplotlib figures as SVG that lives inside an HTML page and follows its colours."""

import io
import re
import warnings
from typing import Any
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

# Stand-ins: no figure draws with these near-blacks, so they can be exchanged for CSS colours.
INK = "#0a0b0c"
RULE = "#0d0e0f"
PAPER = "#101112"
CSS_COLORS = {INK: "currentColor", RULE: "var(--rule)", PAPER: "var(--paper)"}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "path.simplify": False,
    "font.size": 8.5,
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}

_FONT = re.compile(r"font:\s*(?:[\w-]+\s+)*?([\d.]+)px[^;]*")
_FAMILY = re.compile(r"font-family:[^;]*;?\s*")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline_svg(figure: Figure, key: str, label: str) -> str:
    """Render a figure as an ``<svg>`` element.

    Text stays text in the page's own font, INK, RULE and PAPER become the page's colours, and
    the bytes depend on the figure and `key` alone.

    Args:
        figure: drawn under `matplotlib.rc_context(STYLE)`.
        key: unique within the page, so that two figures never share an id.
        label: what the figure shows, for readers who cannot see it.

    Returns:
        The element, escaped, without prolog, namespaces or size: CSS decides how wide it is.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": key}), warnings.catch_warnings():
        # Layout measures with a font that lacks some scripts; the browser draws with its own.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue().encode())
    _strip(root)
    _rename_ids(root, key)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def printable(text: str) -> str:
    """Replace what XML cannot hold, such as control characters, by U+FFFD."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _strip(root: ElementTree.Element) -> None:
    """Remove namespaces, metadata and style sheets, and make colours and fonts the page's."""
    for element in list(root.iter()):
        for child in list(element):
            if child.tag.rpartition("}")[2] in {"metadata", "style"}:
                element.remove(child)
        element.tag = element.tag.rpartition("}")[2]
        plain = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({name: _themed(value) for name, value in plain.items()})
        element.tail = None


def _themed(value: str) -> str:
    for stand_in, color in CSS_COLORS.items():
        value = value.replace(stand_in, color)
    return _FAMILY.sub("", _FONT.sub(r"font-size: \1px", value))


def _rename_ids(root: ElementTree.Element, key: str) -> None:
    """Drop the ids that nothing refers to and put `key` before the others."""
    used: set[str] = set()
    for element in root.iter():
        used.update(_REFERENCE.findall(" ".join(element.attrib.values())))
        used.add(element.get("href", "").removeprefix("#"))
    for element in root.iter():
        attributes = dict(element.attrib)
        if attributes.get("id") not in used:
            attributes.pop("id", None)
        else:
            attributes["id"] = f"{key}-{attributes['id']}"
        if attributes.get("href", "").startswith("#"):
            attributes["href"] = f"#{key}-{attributes['href'].removeprefix('#')}"
        renamed = {k: _REFERENCE.sub(rf"url(#{key}-\1)", v) for k, v in attributes.items()}
        element.attrib.clear()
        element.attrib.update(renamed)
