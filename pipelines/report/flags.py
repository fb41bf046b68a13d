"""How many cells carry a flag, and how many the study left out for one."""

import re

import polars as pl

from pipelines.report.data import RunData, readable
from pipelines.report.tables import Head, Table, format_number
from pipelines.run.layout import Layout

# Flags that are results: who is positive, who has many foci, who is in G1.
RESULT = re.compile(r"_(positive|foci_ge\d+|in_g1)$")


def cell_flags_table(run: RunData) -> Table | None:
    """Cells by flag: how many, in how many images, and whether the study leaves them out."""
    names = _flags(run)
    if not names:
        return None
    cells = pl.read_parquet(Layout(run.folder).cells, columns=["image_id", *names])
    excluded = set(run.excluding)
    rows = []
    for name in names:
        flagged = cells.filter(pl.col(name).fill_null(value=False))
        rows.append(
            (
                readable(name),
                format_number(flagged.height),
                f"{flagged.height / max(cells.height, 1):.1%}",
                format_number(flagged["image_id"].n_unique()),
                "left out" if name in excluded else "kept",
                run.definitions[name].meaning,
            )
        )
    heads = (
        Head("flag"), Head("cells", numeric=True), Head("of all cells", numeric=True),
        Head("images", numeric=True), Head("in means and fractions"), Head("meaning"),
    )  # fmt: skip
    return Table(heads, tuple(rows))


def excluded_cells(run: RunData) -> str:
    """How many cells the study left out of its aggregates, in a sentence; empty without cells."""
    frame = run.tables["images"]
    if not {"n_cells", "n_excluded"} <= set(frame.columns):
        return ""
    kept, out = (
        int(frame[name].cast(pl.Float64, strict=False).sum()) for name in ("n_cells", "n_excluded")
    )
    if not kept + out:
        return ""
    if not run.excluding:
        return f"No cell was left out: all {kept:,} count in means and fractions."
    named = ", ".join(readable(name) for name in run.excluding)
    return f"{out:,} of {kept + out:,} cells ({out / (kept + out):.1%}) were left out: {named}."


def _flags(run: RunData) -> list[str]:
    """Flags of quality."""
    return [
        name
        for name, definition in run.definitions.items()
        if definition.kind == "flag" and not RESULT.search(name)
    ]
