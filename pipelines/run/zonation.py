"""zonation.csv and the cells' zones: what is learnt from reference images, and measured by it.

Every image is a section. Zones are columns of the cells, which aggregates and tests take as any
other; what only a whole section has (order, coherence, steepness) is in the table.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import spatial

from measurements.columns import Column, Measured
from measurements.errors import MeasurementError
from measurements.regions import Floats
from measurements.zones import (
    Reference,
    SectionZones,
    Surroundings,
    ZoneSettings,
    learn_left_out,
    learn_reference,
    measure_section,
)
from pipelines.errors import StudyError
from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.run.section_values import IMAGE, LEVEL, N_CELLS, N_IMAGES, Row, with_units
from pipelines.run.zonation_columns import cell_columns, section_columns
from pipelines.selection import place_of
from pipelines.study.check import Checked
from pipelines.study.design import selected, unit_columns
from pipelines.study.messages import nearest
from pipelines.study.tissue_check import Landmarks, read_landmarks
from pipelines.study.zonation import Zonation
from pipelines.tables import write_csv

KEPT = "What was measured is kept."


@dataclass(frozen=True)
class Zoned:
    """The images with the zones of their cells.

    Attributes:
        parts: the images.
        rows: one of zonation.csv an image.
    """

    parts: list[Part]
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class _Laid:
    """One section, laid out: the values of its three zones, and which cells take part."""

    part: Part
    used: np.ndarray
    positions: Floats
    values: Floats
    around: Surroundings


def settle_zones(checked: Checked, parts: Sequence[Part]) -> Zoned:
    """Give every cell its zone, where the study asks for zonation.

    Args:
        checked: the study and its images.
        parts: the images that are in the tables.

    Raises:
        StudyError: the cells lack a place or a column that is asked for, or no reference image has
            what sets the zones.
    """
    study = checked.study
    settings = next((m for m in study.measurements if isinstance(m, Zonation)), None)
    if settings is None or not parts:
        return Zoned(list(parts))
    _check(parts[0].names, settings)
    units = unit_columns(study, checked.samples) or ("image_id",)
    chosen = {row.image_id for row in selected((p.row for p in parts), settings.reference)}
    mine = [part for part in parts if part.image_id in chosen]
    references = _references(
        [_lay_out(part, settings, study.exclude.flags) for part in mine],
        [_owner(part, units) for part in mine],
    )
    landmarks = read_landmarks(settings, checked.path.resolve().parent)
    found, rows = [], []
    for part in parts:
        # Laid out one at a time: the neighbours of a slide's million cells fill half a GB.
        section, owner = _lay_out(part, settings, study.exclude.flags), _owner(part, units)
        reference, source = references.get(owner, references[()])
        zones = measure_section(
            section.values,
            section.around,
            reference,
            _settings(settings),
            _axis(section, settings, landmarks),
            settings.seed,
        )
        found.append(part.adding(_columns(zones, section.used, settings)))
        names = dict(zip(units, owner, strict=True))
        row: Row = {"image_id": part.image_id, **names, "n_cells": int(section.used.sum())}
        rows.append(
            row | _row(zones, reference, references[()][0], settings) | {"reference": source}
        )
    return Zoned(found, rows)


def write_zonation(
    checked: Checked, layout: Layout, rows: Sequence[Row]
) -> dict[str, list[Column]]:
    """Write the table, or remove it where there is nothing to write.

    Args:
        checked: the study and its images.
        layout: of the run.
        rows: of `settle_zones`.

    Returns:
        Table -> its columns.
    """
    settings = next((m for m in checked.study.measurements if isinstance(m, Zonation)), None)
    if settings is None or not rows:
        layout.table("zonation").unlink(missing_ok=True)
        return {}
    names = unit_columns(checked.study, checked.samples) or ("image_id",)
    own = section_columns(settings)
    units = [Column(n, "", "str", f"Sample column '{n}'.", "sample table") for n in names]
    columns = [LEVEL, IMAGE, *(u for u in units if u.name != IMAGE.name), N_IMAGES, N_CELLS, *own]
    weights = {c.name: "n_cells" for c in own if c.dtype == "float64"}
    counted = [f"{zone}_n" for zone, _ in settings.three]
    weights |= {f"{zone}_expression": f"{zone}_n" for zone, _ in settings.three}
    written = with_units(rows, names, ("n_cells", *counted), weights)
    write_csv(layout.table("zonation"), written, [column.name for column in columns])
    return {"zonation": columns}


def _check(known: Sequence[str], settings: Zonation) -> None:
    if place_of(known) is None:
        raise StudyError(
            "measurements.zonation: cells have no place in µm; add {type: morphology}, and "
            f"pixel_size_um where the images have none. {KEPT}"
        )
    for genes in settings.zones.values():
        for name in genes:
            if name not in known:
                raise StudyError(
                    f"measurements.zonation: the cells table has no column '{name}'; "
                    f"{nearest(name, known)} {KEPT}"
                )


def _settings(settings: Zonation) -> ZoneSettings:
    return ZoneSettings(settings.values == "counts", settings.least_counts, settings.least_share)


def _lay_out(part: Part, settings: Zonation, exclude: Sequence[str]) -> _Laid:
    place = place_of(part.names)
    positions = np.column_stack([part.values(f"{place}_{axis}_um") for axis in "yx"])
    values = np.column_stack(
        [
            sum((part.values(name) for name in genes), np.zeros(part.n_cells))
            for _, genes in settings.three
        ]
    )
    used = part.kept(exclude) & np.isfinite(positions).all(axis=1) & np.isfinite(values).all(axis=1)
    around = Surroundings.of(positions[used], settings.width_um)
    return _Laid(part, used, positions[used], values[used], around)


def _owner(part: Part, units: Sequence[str]) -> tuple[object, ...]:
    return tuple(part.image_id if name == "image_id" else part.row.sample[name] for name in units)


def _references(
    laid: Sequence[_Laid], owners: Sequence[Hashable]
) -> dict[Hashable, tuple[Reference, str]]:
    """Owner -> reference and where it is from; under () that of all reference images."""
    sections = [(section.values, section.around) for section in laid]
    try:
        every = learn_reference(sections)
        each = learn_left_out(sections, owners)
    except MeasurementError as problem:
        raise StudyError(f"measurements.zonation.reference: {problem} {KEPT}") from problem
    alone = "its own: no other reference unit" if len(each) == 1 else "the other reference units"
    found: dict[Hashable, tuple[Reference, str]] = {o: (r, alone) for o, r in each.items()}
    return {**found, (): (every, "all reference units")}


def _axis(section: _Laid, settings: Zonation, landmarks: Landmarks) -> Floats | None:
    """Place from the first end of the axis to the last, by the nearest landmark of each."""
    mine = landmarks.get(section.part.image_id, [])
    ends = [settings.three[0][0], settings.three[2][0]]
    places = [np.array([(y, x) for y, x, zone in mine if zone == end]) for end in ends]
    if not all(len(p) for p in places) or not len(section.positions):
        return None
    first, last = (spatial.cKDTree(p).query(section.positions)[0] for p in places)
    return np.asarray(first / np.maximum(first + last, 1e-9))


def _columns(zones: SectionZones, used: np.ndarray, settings: Zonation) -> Measured:
    """The cells' columns; masked where a cell took no part."""
    names = [zone for zone, _ in settings.three]
    named = np.array([*names, "unassigned"])
    found = zones.zones

    def spread(values: np.ndarray) -> np.ndarray:
        filled = np.zeros(used.size, dtype=values.dtype)
        filled[used] = values
        return np.ma.masked_array(filled, mask=~used)

    text, score, confidence, *flags = cell_columns(names)
    columns = {
        text: spread(named[found.zone]),
        score: spread(found.score),
        confidence: spread(found.confidence),
    }
    columns |= {flag: spread(found.zone == kind) for kind, flag in enumerate(flags)}
    return columns


def _row(zones: SectionZones, used: Reference, every: Reference, settings: Zonation) -> Row:
    """What a section says. Expression is a share of one level for all, so that it can be compared.

    Args:
        zones: of the section.
        used: what it was measured by.
        every: what all reference images set together.
        settings: of the zonation.
    """
    names = [zone for zone, _ in settings.three]
    told = [kind for kind in range(3) if every.scale[kind] > 0]
    shares = zones.expression[told] / every.scale[told]
    row: Row = {
        f"{name}_fraction": share
        for name, share in zip((*names, "unassigned"), zones.fraction, strict=True)
    }
    row |= {f"{n}_n": int((zones.zones.zone == kind).sum()) for kind, n in enumerate(names)}
    row |= {f"{n}_expression": v for n, v in zip(names, zones.expression, strict=True)}
    row |= {f"{n}_scale": v for n, v in zip(names, used.scale, strict=True)}
    return row | {
        # A zone without a cell leaves its genes unmeasured, and the mean with them.
        "zone_log2_expression": float(np.log2(np.where(shares > 0, shares, np.nan)).mean()),
        "zone_order": zones.order,
        "zone_coherence": zones.coherence,
        "zone_coherence_by_chance": zones.coherence_chance,
        "zone_steepness": -zones.steepness,
        "cut_low": used.low,
        "cut_high": used.high,
    }
