"""Which peaks are foci: decided over the images of a batch, once all are measured.

With control images a batch has one threshold, which their texture sets. Without, texture and foci
part at a height of each image's own, told from the heights of all images of the batch together. See
`measurements.foci_threshold` for both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from measurements.columns import Column, Measured
from measurements.foci import FociRule, NucleusValues, PeakValues, count_foci
from measurements.foci_columns import CHANNEL, FOCUS_ID, NUCLEUS_ID, NUCLEUS_LEVEL
from measurements.foci_pan_nuclear import usual_level
from measurements.foci_threshold import (
    EDGES,
    Counts,
    Parting,
    control_height,
    parting_heights,
)
from pipelines.field.foci import looked_at
from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.run.positivity import in_words
from pipelines.run.settling import Decision, batches_of, of_channel, settle, together
from pipelines.study import Study
from pipelines.study.csv_table import Value
from pipelines.study.design import selected
from pipelines.study.settings import Foci, FociThreshold
from pipelines.tables import row_groups, write_parquet_rows

Rules = Decision[Foci, FociRule]


@dataclass(frozen=True, eq=False)
class _Member:
    """One image of a batch: its heights, and how bright its nuclei are."""

    part: Part
    heights: Counts
    levels: NDArray[np.float64]


def settle_foci(
    study: Study, layout: Layout, parts: Sequence[Part]
) -> tuple[list[Part], list[Mapping[str, object]]]:
    """Decide what is a focus, and write each image's foci.

    Args:
        study: the settings.
        layout: the run's files.
        parts: the images.

    Returns:
        The images with their counts added, and the rows of tables/thresholds.csv.
    """
    asked_for = [m for m in study.measurements if isinstance(m, Foci)]
    decisions = [_decide(settings, layout, parts) for settings in asked_for]
    return settle(study, parts, decisions, lambda part: _settle(part, study, layout, decisions))


def _decide(settings: Foci, layout: Layout, parts: Sequence[Part]) -> Rules:
    rule = settings.threshold
    batches = batches_of(parts, rule.by if isinstance(rule, FociThreshold) else None)
    decided = [
        _decide_batch(settings, batch, [_member(settings, layout, part) for part in members])
        for batch, members in batches.items()
    ]
    return together(settings, decided)


def _member(settings: Foci, layout: Layout, part: Part) -> _Member:
    names = [CHANNEL.name, NUCLEUS_LEVEL.name]
    of_all = pq.read_table(layout.peak_nuclei_part(part.image_id), columns=names)
    levels = _numbers(of_channel(of_all, CHANNEL, settings.channel), "level")
    return _Member(part, np.array(part.marker["foci_heights"][settings.channel]), levels)


def _decide_batch(settings: Foci, batch: Value, members: Sequence[_Member]) -> Rules:
    rule = settings.threshold
    if not isinstance(rule, FociThreshold):
        return _one_for_all(settings, None, members, members, rule, "fixed", "")
    if not rule.controls:
        return _one_for_each(settings, batch, members)
    ids = {row.image_id for row in selected([m.part.row for m in members], rule.controls)}
    controls = [member for member in members if member.part.image_id in ids]
    heights, n_nuclei = [m.heights for m in controls], _n_nuclei(controls)
    height = control_height(heights, n_nuclei, rule.false_foci)
    above = sum(int(counts[EDGES[:-1] >= height * (1 - 1e-9)].sum()) for counts in heights)
    note = (
        f"control nuclei exceed it {above / n_nuclei:.2f} times each"
        if n_nuclei
        else ("no control nucleus in the images that could be measured")
    )
    return _one_for_all(settings, batch, members, controls, height, "control_texture", note)


def _one_for_all(
    settings: Foci,
    batch: Value,
    members: Sequence[_Member],
    usual: Sequence[_Member],
    height: float,
    rule: str,
    note: str,
) -> Rules:
    """The same threshold for all images; nuclei of `usual` say how bright nuclei usually are."""
    n_cells = 0 if rule == "fixed" else _n_nuclei(usual)
    row = _row(settings, rule, batch, height, n_cells, note)
    of_image = FociRule(height, _level(usual))
    return Decision(settings, {m.part.image_id: of_image for m in members}, [row])


def _one_for_each(settings: Foci, batch: Value, members: Sequence[_Member]) -> Rules:
    parting, level = parting_heights([m.heights for m in members]), _level(members)
    heights = {m.part.image_id: float(k) for m, k in zip(members, parting.thresholds, strict=True)}
    note = _in_words(parting, batch, members)
    rows = [
        _row(
            settings,
            "parting",
            member.part.image_id,
            heights[member.part.image_id],
            _n_nuclei(members),
            note + _expected_false(float(false), _n_nuclei([member])),
        )
        | {"by": "image_id"}
        for member, false in zip(members, parting.false_foci, strict=True)
    ]
    rules = {image_id: FociRule(height, level) for image_id, height in heights.items()}
    return Decision(settings, rules, rows)


def _row(
    settings: Foci, rule: str, batch: Value, height: float, n_cells: int, note: str
) -> dict[str, object]:
    found = settings.threshold
    return {
        "name": f"{settings.channel}_foci",
        "of": "height",
        "rule": rule,
        "controls": in_words(found.controls) if isinstance(found, FociThreshold) else "",
        "by": found.by if isinstance(found, FociThreshold) else None,
        "batch": batch,
        "threshold": height,
        "n_cells": n_cells,
        "note": note,
    }


def _in_words(parting: Parting, batch: Value, members: Sequence[_Member]) -> str:
    images = "1 image" if len(members) == 1 else f"{len(members)} images"
    of_batch = "" if batch is None else f" of {batch}"
    return (
        f"from the peaks of {images}{of_batch}: heights of texture have the scale "
        f"{parting.texture_scale:.2f}, foci are {parting.focus_height:.1f} high (median)"
    )


def _expected_false(false_foci: float, n_nuclei: int) -> str:
    """What the model expects an image to have of false foci; nothing said of one without nuclei."""
    return f"; {false_foci / n_nuclei:.2f} false foci a nucleus expected" if n_nuclei else ""


def _n_nuclei(members: Sequence[_Member]) -> int:
    return sum(int(np.isfinite(member.levels).sum()) for member in members)


def _level(members: Sequence[_Member]) -> float:
    return usual_level(np.concatenate([np.zeros(0), *(member.levels for member in members)]))


def _settle(part: Part, study: Study, layout: Layout, decisions: Sequence[Rules]) -> Part:
    """Count one image's foci, and write them; of a slide one block after the other."""
    counted: list[Measured] = []
    write_parquet_rows(
        layout.foci_part(part.image_id), _foci(part.image_id, study, layout, decisions, counted)
    )
    return part.adding(
        {column: _together([each[column] for each in counted]) for column in counted[0]}
    )


def _together(blocks: Sequence[NDArray[np.generic]]) -> NDArray[np.generic]:
    """Values of all blocks; masked where they are."""
    together = np.concatenate([np.ma.getdata(values) for values in blocks])
    if not any(isinstance(values, np.ma.MaskedArray) for values in blocks):
        return together
    return np.ma.MaskedArray(
        together, np.concatenate([np.ma.getmaskarray(values) for values in blocks])
    )


def _foci(
    image_id: str,
    study: Study,
    layout: Layout,
    decisions: Sequence[Rules],
    counted: list[Measured],
) -> Iterator[pa.Table]:
    """Foci of an image, a table for each of its blocks; counts of nuclei go to `counted`."""
    blocks = (row_groups(f(image_id)) for f in (layout.peaks_part, layout.peak_nuclei_part))
    before = dict.fromkeys((decision.settings.channel for decision in decisions), 0)
    for of_block in zip(*blocks, strict=True):
        columns: dict[Column, NDArray[np.generic]] = {}
        foci = []
        for decision in decisions:
            settings, rule = decision.settings, decision.rules[image_id]
            peaks, of_nuclei = (of_channel(t, CHANNEL, settings.channel) for t in of_block)
            where = looked_at(settings, study)
            counts, is_focus = _count(settings.channel, where, peaks, of_nuclei, rule)
            columns |= counts
            found = peaks.filter(pa.array(is_focus))
            foci.append(_numbered(found, before[settings.channel]))
            before[settings.channel] += found.num_rows
        counted.append(columns)
        yield pa.concat_tables(foci)


def _count(
    channel: str, where: str, peaks: pa.Table, nuclei: pa.Table, rule: FociRule
) -> tuple[Measured, NDArray[np.bool_]]:
    ids = nuclei.column(NUCLEUS_ID.name).to_numpy()
    peak_values = PeakValues(
        np.searchsorted(ids, peaks.column(NUCLEUS_ID.name).to_numpy()).astype(np.int64),
        *(_numbers(peaks, name) for name in ("height", "area", "contrast", "integrated")),
    )
    nucleus_values = NucleusValues(
        *(_numbers(nuclei, name) for name in ("nucleus_area", "noise", "level", "variation"))
    )
    return count_foci(channel, where, peak_values, nucleus_values, rule)


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    """One column by its name without a unit of length."""
    full = next(c for c in table.column_names if c in {name, *_with_units(name)})
    return np.asarray(table.column(full).to_numpy(), dtype=np.float64)


def _with_units(name: str) -> list[str]:
    return [f"{name}_{unit}" for unit in ("um", "um2", "px", "px2")]


def _numbered(foci: pa.Table, before: int) -> pa.Table:
    """Foci numbered on from those before them."""
    at = foci.column_names.index(FOCUS_ID.name)
    numbers = pa.array(np.arange(before + 1, before + foci.num_rows + 1, dtype=np.uint32))
    return foci.set_column(at, foci.schema.field(at), numbers)
