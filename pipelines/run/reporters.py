"""Reporters once every image is measured: unmixed by the control images, gated, and classified."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.gating import Gate, control_percentile
from measurements.intensity import SATURATED
from measurements.quality import QualityLimits
from measurements.reporter_classes import UNMEASURED
from measurements.reporters import (
    BLEED_CONTROLS,
    CLASS_FLAG,
    LARGEST_CLIPPED_SHARE,
    RAW,
    REPORTER_CLASS,
    UNMEASURED_FLAG,
    UNMIXED,
    bleed_through_columns,
    bleed_through_table,
    classify,
    measure_reporters,
)
from measurements.slopes import Resampling
from measurements.unmixing import Unmixing, UnmixingSettings, estimate_unmixing, linear_range
from pipelines.field.reporters import reporter_channels, reporter_compartment
from pipelines.run.parts import Part
from pipelines.run.positivity import Gates
from pipelines.study import Study
from pipelines.study.controls import STAINED, UNLABELLED
from pipelines.study.model import Positivity
from pipelines.study.reporters import ReporterGate, Reporters

SEED = 0
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reported:
    """The reporters of a study.

    Attributes:
        study: its settings, the reporters' gates among the rules of positivity.
        parts: its images, with what was unmixed.
        controls: the control images, likewise.
        unmixing: what was taken off; None where nothing was.
        warnings: what to bear in mind.
    """

    study: Study
    parts: Sequence[Part]
    controls: Sequence[Part]
    unmixing: Unmixing | None
    warnings: tuple[str, ...]


def report_reporters(study: Study, parts: Sequence[Part], controls: Sequence[Part]) -> Reported:
    """Unmix the reporters of a study and make its gates rules like all others.

    Where bleed-through cannot be estimated, unmixed values are missing in every cell: the gates on
    them refuse, and no cell has a class. Values that only look unmixed would be worse.

    Args:
        study: the settings.
        parts: its images.
        controls: its control images.

    Returns:
        `study` and `parts` as they are where there are no reporters.
    """
    settings = study.reporters
    if settings is None:
        return Reported(study, parts, (), None, ())
    rules = {name: _rule(name, settings, study) for name in settings.channels}
    ruled = study.model_copy(update={"positivity": {**study.positivity, **rules}})
    if settings.bleed_through is None:
        return Reported(ruled, parts, (), None, ())
    try:
        unmixing = _estimate(study, settings, controls)
    except MeasurementError as error:
        bare = [[_without(p, study, settings) for p in some] for some in (parts, controls)]
        why = f"reporters were not unmixed, and no cell has a class: {error}"
        return Reported(ruled, bare[0], bare[1], None, (why,))
    found = [[_unmixed(p, study, settings, unmixing) for p in some] for some in (parts, controls)]
    notes = [f"reporters: {note}" for note in unmixing.notes]
    notes += _clipped_cells(found[0], study, settings)
    return Reported(ruled, found[0], found[1], unmixing, tuple(notes))


def raised_gates(gates: Gates, reported: Reported) -> Gates:
    """Gates that no reporter is called positive by for the light of another.

    What unmixing leaves of a bright reporter in the channel of another can exceed a threshold that
    dark control cells set. A threshold by control cells is therefore at least the same percentile
    of the cells that carry the other reporters alone: the fluorescence-minus-one control of flow
    cytometry (Roederer 2001, Cytometry 45:194).
    """
    settings = reported.study.reporters
    if settings is None or reported.unmixing is None:
        return gates
    least = {name: _remaining(name, settings, reported) for name in settings.channels}
    decided = {
        key: _raised(gate, least[key.name]) if key.name in least else gate
        for key, gate in gates.decided.items()
    }
    return replace(gates, decided=decided)


def class_columns(table: pa.Table, settings: Reporters | None) -> Iterable[tuple[Column, pa.Array]]:
    """The class of every cell, and a flag for each class; none without reporters.

    Args:
        table: one image's cells with CHANNEL_positive of every reporter.
        settings: of the reporters.
    """
    if settings is None:
        return
    called = {name: _as_numbers(table[f"{name}_positive"]) for name in settings.channels}
    named = classify(called, settings.signs())
    unknown = named == UNMEASURED
    yield REPORTER_CLASS, pa.array(named.tolist(), pa.string())
    for name in settings.signs():
        yield CLASS_FLAG.bind(name=name), pa.array(named == name, mask=unknown)
    yield UNMEASURED_FLAG, pa.array(unknown)


def class_flags(settings: Reporters | None) -> tuple[str, ...]:
    """Names of the flags of the classes, whose cells are counted in every aggregate."""
    if settings is None:
        return ()
    names = [CLASS_FLAG.bind(name=name).name for name in settings.signs()]
    return (*names, UNMEASURED_FLAG.name)


def bleed_through_rows(reported: Reported) -> list[dict[str, object]]:
    """tables/bleed_through.csv: what decided the unmixing; no row where nothing was unmixed."""
    if reported.unmixing is None:
        return []
    table = bleed_through_table(reported.unmixing)
    names = [column.name for column in table]
    rows = zip(*(values.tolist() for values in table.values()), strict=True)
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [{**row, BLEED_CONTROLS.name: _images_of(str(row["dye"]), reported)} for row in found]


BLEED_COLUMNS = (*bleed_through_columns(), BLEED_CONTROLS)


def _images_of(dye: str, reported: Reported) -> str:
    """The control images that a column of S comes from."""
    dyes = reported.study.reporters.channels if reported.study.reporters else ()
    stained = dye if dye in dyes else UNLABELLED
    return "; ".join(part.image_id for part in _stained(reported.controls, stained))


def _rule(channel: str, settings: Reporters, study: Study) -> Positivity:
    gate: ReporterGate = settings.gate(channel)
    compartment = reporter_compartment(study.segmentation)
    of = _raw(channel, compartment)
    if settings.bleed_through is not None:
        of = UNMIXED.name.format(dye=channel, compartment=compartment)
    controls = {STAINED: UNLABELLED} if gate.by_unlabelled else gate.controls
    return Positivity(of=of, **{**gate.model_dump(), "controls": controls})


def _remaining(channel: str, settings: Reporters, reported: Reported) -> float:
    """Percentile of a channel in the single-colour controls of the others; NaN where none is."""
    others = [name for name in settings.channels if name != channel]
    of = reported.study.positivity[channel].of
    flags = reported.study.exclude.flags
    cells = [
        part.values(of)[part.kept(flags)]
        for other in others
        for part in _stained(reported.controls, other)
    ]
    values = np.concatenate([np.zeros(0), *cells])
    percentile = settings.gate(channel).percentile
    return control_percentile(values, percentile=percentile, seed=SEED, n_boot=0).threshold


def _raised(gate: Gate, least: float) -> Gate:
    if gate.rule != "control_percentile" or not least > gate.threshold:
        return gate
    why = f"raised from {gate.threshold:.4g}: so much light of other reporters is left by unmixing"
    return replace(
        gate,
        threshold=least,
        ci_low=np.nan,
        ci_high=np.nan,
        observed_control_fraction=np.nan,
        note="; ".join(filter(None, [gate.note, why])),
    )


def _estimate(study: Study, settings: Reporters, controls: Sequence[Part]) -> Unmixing:
    channels = reporter_channels(study, settings)
    single = {
        dye: _control_values(_stained(controls, dye), study, settings) for dye in settings.channels
    }
    bare = _stained(controls, UNLABELLED)
    unlabelled = _control_values(bare, study, settings) if bare else None
    resampling = UnmixingSettings(resampling=Resampling(seed=SEED))
    return estimate_unmixing(channels, single, unlabelled, resampling)


def _stained(controls: Sequence[Part], name: str) -> list[Part]:
    return [part for part in controls if part.row.sample[STAINED] == name]


def _control_values(parts: Sequence[Part], study: Study, settings: Reporters) -> Floats:
    """Values of the control cells that the study keeps, NaN where a channel is saturated."""
    allowed = QualityLimits().saturated_cell
    channels = reporter_channels(study, settings)
    found = [np.zeros((0, len(channels)))]
    for part in parts:
        values, shares = (_table(part, study, settings, column) for column in (RAW, SATURATED))
        found.append(linear_range(values, shares, allowed)[part.kept(study.exclude.flags)])
    return np.concatenate(found)


def _table(part: Part, study: Study, settings: Reporters, column: Column) -> Floats:
    """One column of every channel, (cells, channels)."""
    compartment = reporter_compartment(study.segmentation)
    names = [
        column.name.format(channel=channel, compartment=compartment)
        for channel in reporter_channels(study, settings)
    ]
    return np.column_stack([part.values(name) for name in names])


def _raw(channel: str, compartment: str) -> str:
    return RAW.name.format(channel=channel, compartment=compartment)


def _unmixed(part: Part, study: Study, settings: Reporters, unmixing: Unmixing) -> Part:
    values, shares = (_table(part, study, settings, column) for column in (RAW, SATURATED))
    compartment = reporter_compartment(study.segmentation)
    return part.adding(measure_reporters(values, unmixing, compartment, clipped=shares))


def _clipped_cells(parts: Sequence[Part], study: Study, settings: Reporters) -> list[str]:
    """How many cells have no class because a reporter is at the camera's limit, if any."""
    own = [reporter_channels(study, settings).index(name) for name in settings.channels]
    shares = [_table(part, study, settings, SATURATED)[:, own] for part in parts]
    n = sum(int((share >= LARGEST_CLIPPED_SHARE).any(axis=1).sum()) for share in shares)
    if not n or len(own) < 2:
        return []
    return [
        f"reporters: {n} of {sum(map(len, shares))} cells are at the camera's limit in a reporter: "
        "what it leaks into the other channels is unknown, so that they have no value there and no "
        "class, and the brightest cells are missing from the classes' fractions; expose less"
    ]


def _without(part: Part, study: Study, settings: Reporters) -> Part:
    """The part with unmixed values that are missing in every cell."""
    compartment = reporter_compartment(study.segmentation)
    missing: Measured = {
        UNMIXED.bind(dye=dye, compartment=compartment, statistic="median"): np.full(
            part.n_cells, np.nan
        )
        for dye in settings.channels
    }
    return part.adding(missing)


def _as_numbers(column: pa.ChunkedArray) -> Floats:
    """Flags as 1 and 0, NaN where they are missing."""
    numbers: Floats = column.cast(pa.float64()).to_numpy()
    return numbers
