"""Zones of a tissue: maps of sections, and what each unit's zones look like."""

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipelines.report.data import RunData, joined, readable
from pipelines.report.outcomes import OutcomeFigure
from pipelines.report.superplot import Drawing
from pipelines.report.svg import STYLE, inline_svg, printable
from pipelines.report.tables import Table, plain_table
from pipelines.run.layout import Layout

MOST_UNITS, MOST_GROUPS = 4, 6
PANEL_INCHES = 2.2
COLORS = ("#D55E00", "#F0E442", "#0072B2")
NO_ZONE, GREY = "unassigned", "#A8A8A8"
MEANING = (
    "Each dot is a cell where it lies in the tissue, in the colour of its zone; grey: too little "
    "is expressed about it to tell. One section of each unit, the first; bar 100 µm."
)


def zone_figures(run: RunData, key: str) -> list[OutcomeFigure]:
    """Draw maps of sections, one figure a group; none where the study asks for no zones.

    Args:
        run: the run.
        key: unique within the page.
    """
    cells = _cells(run)
    if cells is None:
        return []
    zones = _zones(run)
    groups = cells["_group"].unique(maintain_order=True).to_list()[:MOST_GROUPS]
    return [
        _figure(cells.filter(pl.col("_group") == group), zones, f"{key}{number}")
        for number, group in enumerate(groups)
    ]


def zones_table(run: RunData) -> Table | None:
    """The units' rows of tables/zonation.csv."""
    table = run.tables["zonation"]
    if table.is_empty() or "level" not in table.columns:
        return None
    units = table.filter(pl.col("level") == "unit")
    left_out = {"level", "image_id", "reference", "cut_low", "cut_high"}
    names = [n for n in units.columns if n not in left_out and not n.endswith(("_scale", "_n"))]
    return plain_table(units, names, "tables/zonation.csv")


def _zones(run: RunData) -> list[str]:
    """Names of the zones along the axis, as the flags of the cells are in order."""
    flags = [
        name.removeprefix("zone_")
        for name, definition in run.definitions.items()
        if name.startswith("zone_") and definition.kind == "flag"
    ]
    return [name for name in flags if name != NO_ZONE]


def _cells(run: RunData) -> pl.DataFrame | None:
    """Cells of the sections that are drawn: place, zone, image, unit and group."""
    place = next((p for p in ("cell", "nucleus") if f"{p}_y_um" in run.definitions), None)
    table = run.tables["zonation"]
    if table.is_empty() or place is None or "zone" not in run.definitions:
        return None
    images = table.filter(pl.col("level") == "image")
    groups = [name for name in run.listed("group_columns") if name in images.columns]
    units = [n for n in run.listed("unit_columns") if n in images.columns and n not in groups]
    images = images.select(
        "image_id",
        joined(images, groups).alias("_group"),
        joined(images, units or ["image_id"]).alias("_unit"),
    ).unique(["_group", "_unit"], keep="first", maintain_order=True)
    images = images.filter(pl.int_range(pl.len()).over("_group") < MOST_UNITS)
    cells = (
        pl.scan_parquet(Layout(run.folder).cells)
        .select("image_id", "zone", y=f"{place}_y_um", x=f"{place}_x_um")
        .filter(pl.col("image_id").is_in(images["image_id"].to_list()))
        .drop_nulls()
        .collect()
    )
    return images.join(cells, on="image_id", maintain_order="left") if cells.height else None


def _figure(cells: pl.DataFrame, zones: list[str], key: str) -> OutcomeFigure:
    sections = cells.partition_by("_unit", maintain_order=True)
    colors = dict(zip([*zones, NO_ZONE], [*COLORS[: len(zones)], GREY], strict=True))
    with matplotlib.rc_context(STYLE):
        figure = Figure(
            figsize=(PANEL_INCHES * len(sections), PANEL_INCHES + 0.5),
            dpi=110,
            layout="constrained",
        )
        panels = figure.subplots(1, len(sections), squeeze=False)[0]
        for axes, section in zip(panels, sections, strict=True):
            _draw(axes, section, colors)
        marks = [
            Line2D([], [], marker="o", linestyle="none", color=color, label=readable(name))
            for name, color in colors.items()
        ]
        figure.legend(handles=marks, loc="outside lower center", ncols=4, handletextpad=0.1)
        svg = inline_svg(figure, key, printable(_words(cells, zones)))
    group = str(cells["_group"][0])
    title = printable(f"Zones: {group}" if group else "Zones")
    return OutcomeFigure(title, MEANING, Drawing(svg, "", len(sections) > 2, figure), "")


def _draw(axes: Axes, section: pl.DataFrame, colors: dict[str, str]) -> None:
    y, x = section["y"].to_numpy(), section["x"].to_numpy()
    extent = max(float(np.ptp(y)), float(np.ptp(x)), 1.0)
    spacing = np.sqrt(max(np.ptp(y) * np.ptp(x), 1.0) / section.height)
    size = float(np.clip(PANEL_INCHES * 72 * spacing / extent, 0.8, 12)) ** 2
    shown = [colors.get(zone, GREY) for zone in section["zone"]]
    axes.scatter(x, y, s=size, c=shown, linewidths=0, rasterized=True)
    low, left = float(y.max()) + 0.04 * extent, float(x.min())
    axes.plot([left, left + 100], [low, low], color="#777777", linewidth=2, clip_on=False)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.set_axis_off()
    axes.set_title(printable(str(section["_unit"][0])), fontsize=8.5)


def _words(cells: pl.DataFrame, zones: list[str]) -> str:
    parts = []
    for section in cells.partition_by("_unit", maintain_order=True):
        found = section["zone"].to_numpy()
        shares = [f"{readable(z)} {100 * (found == z).mean():.0f} %" for z in zones]
        parts.append(f"{section['_unit'][0]}: {', '.join(shares)}")
    return f"Maps of zones. {'; '.join(parts)}."
