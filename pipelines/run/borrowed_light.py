"""SA-β-Gal of images that cells cover, in the light of images of their batch that show background.

Decided once all images are measured, since it takes their cells to know what shows background. A
covered image's stain is then measured anew; the rows that it was measured with stay in its part.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from measurements.background import outside_cells
from measurements.beta_gal_columns import (
    IMAGE_CLIPPED,
    IMAGE_JPEG,
    IMAGE_LENDERS,
    IMAGE_OUTSIDE,
    LEAST_OUTSIDE,
    MEAN,
    MOST_CLIPPED,
    named,
)
from measurements.borrowed_light import (
    LEAST_LENDERS,
    MOST_APART,
    SharedLight,
    empty_field,
    shared_light,
    shows_light,
    told_light,
)
from measurements.columns import in_physical_units
from measurements.errors import MeasurementError
from measurements.light_surface import Light
from pipelines.errors import ImageError
from pipelines.field.beta_gal import BORROWED, COVERED, image_values, stain_settings
from pipelines.field.cells import whole_stain
from pipelines.field.labels import Labels
from pipelines.field.pixels import Grey, Pixels
from pipelines.field.place import local_background
from pipelines.labels_store import read_labels
from pipelines.run.layout import Layout
from pipelines.run.parts import Part
from pipelines.run.references import References
from pipelines.study import Study
from pipelines.study.beta_gal import beta_gal_of
from pipelines.study.check import Checked, open_row
from pipelines.tables import arrow_table, write_parquet

MOST_LENDERS = 12
LEAST_SHOWN = 0.05
"""Share of a lender outside cells [judgement]: gaps between crowded cells hold their blur."""
LOWEST_CELLS = 5
MOST_BELOW = 0.005
"""How far the least stained cells (5th percentile) may lie under those of every lender, OD
[judgement]: a camera that balances white by what it sees takes a covered image's stain for light,
and cells without stain then hold less than none."""


@dataclass(frozen=True)
class Settled:
    """Images with the light that they were measured in at last.

    Attributes:
        parts: all of them.
        lent: what was lent to whom, for provenance.json.
        refused: image -> why nothing was lent to it.
    """

    parts: list[Part]
    lent: Sequence[Mapping[str, object]]
    refused: Mapping[str, str]


def settle_light(
    checked: Checked, layout: Layout, references: References, parts: Sequence[Part]
) -> Settled:
    """Measure covered images anew in the light of their batch, where that is told.

    Args:
        checked: the study and its images.
        layout: of the run.
        references: what images are measured with.
        parts: all images; slides lend nothing and borrow nothing.
    """
    settings = beta_gal_of(checked.study)
    fields = [part for part in parts if part.image_id not in checked.slides]
    if settings is None or settings.blank is not None or not any(map(_covered, fields)):
        return Settled(list(parts), [], {})
    alike: dict[tuple[object, ...], list[Part]] = {}
    for part in fields:
        alike.setdefault(_kind(checked.study, part), []).append(part)
    settled: dict[str, Part] = {}
    lent: list[Mapping[str, object]] = []
    refused: dict[str, str] = {}
    for group in alike.values():
        wanted = [part for part in group if _covered(part)]
        try:
            covered = [part for part in wanted if not _shows(checked.study, layout, part)]
            among = _Group(layout, references, covered, _lenders(group) if covered else [])
            given = among.settle(checked.study.compute.workers)
        except (ImageError, MeasurementError) as failure:
            # One file that cannot be read again must not cost the tables.
            given = Settled([], [], {part.image_id: str(failure) for part in wanted})
        settled |= {part.image_id: part for part in given.parts}
        lent += given.lent
        refused |= given.refused
    return Settled([settled.get(part.image_id, part) for part in parts], lent, refused)


@dataclass(frozen=True)
class _Group:
    """Covered images, and those that may lend them light.

    Attributes:
        layout: of the run.
        references: what images are measured with.
        covered: where nothing shows background; there may be none.
        lenders: of the same batch, size and kind of picture.
    """

    layout: Layout
    references: References
    covered: Sequence[Part]
    lenders: Sequence[Part]

    def settle(self, workers: int) -> Settled:
        """Measure the covered images anew, where the lenders agree.

        Raises:
            ImageError: a picture or its labels cannot be read.
            MeasurementError: a lender's background is not above dark.
        """
        if not self.covered:
            return Settled([], [], {})
        if len(self.lenders) < LEAST_LENDERS:
            return self._refused(
                f"{len(self.lenders)} images of the batch have {LEAST_SHOWN:.0%} of background "
                f"and {LEAST_LENDERS} are needed"
            )
        with ThreadPoolExecutor(workers) as pool:
            lights = list(pool.map(self._light, self.lenders))
            study = self.references.study_of(self.covered[0].row)
            shared = self._shared(study, lights)
            if shared.apart > MOST_APART:
                return self._refused(
                    f"the light of images that show it lies up to {shared.apart:.2g} apart and "
                    f"{MOST_APART:g} is allowed"
                )
            found = list(pool.map(lambda part: self._measured(part, shared), self.covered))
        lent = [part for part in found if part is not None]
        taken = {part.image_id for part in lent}
        refused = {
            part.image_id: "its least stained cells would hold less than none"
            for part in self.covered
            if part.image_id not in taken
        }
        return Settled(lent, [self._said(shared, sorted(taken))] if lent else [], refused)

    def _refused(self, why: str) -> Settled:
        return Settled([], [], {part.image_id: why for part in self.covered})

    def _shared(self, study: Study, lights: Sequence[Light]) -> SharedLight:
        asked = beta_gal_of(study)
        assert asked is not None  # callers ask only where it is asked for
        settings = stain_settings(asked, np.dtype(np.uint8))
        return shared_light(lights, settings.light, settings.stain, settings.residual)

    def _light(self, part: Part) -> Light:
        study = self.references.study_of(part.row)
        settings = beta_gal_of(study)
        assert settings is not None  # callers ask only where it is asked for
        rgb, _ = self._picture(part, study)
        shown = _outside(study, self.layout, part)
        return told_light(rgb, shown, stain_settings(settings, rgb.dtype).light)

    def _measured(self, part: Part, shared: SharedLight) -> Part | None:
        """A covered image in lent light; None where that cannot be its light."""
        study = self.references.study_of(part.row)
        settings = beta_gal_of(study)
        assert settings is not None  # callers ask only where it is asked for
        rgb, size = self._picture(part, study)
        empty = empty_field(shared.light, stain_settings(settings, rgb.dtype).light)
        pixels = Pixels(part.image_id, {}, rgb, size, (), empty)
        stain = whole_stain(pixels, self._labels(part), study)
        assert stain is not None
        cells = in_physical_units(stain.cells, size)
        if _least_stained(stain.cells[named(MEAN, "cell")]) < self._lowest() - MOST_BELOW:
            return None
        table, fresh = pq.read_table(part.path), arrow_table(cells)
        for field in fresh.schema:
            table = table.set_column(
                table.schema.get_field_index(field.name), field, fresh.column(field.name)
            )
        path = self.layout.lit_cells_part(part.image_id)
        write_parquet(path, table)
        summary = part.marker["summary"]
        values = image_values(stain.image, size) | {IMAGE_LENDERS.name: float(len(self.lenders))}
        told = str(summary["warnings"]).replace(COVERED, BORROWED)
        marker = {**part.marker, "summary": {**summary, **values, "warnings": told}}
        return replace(part, marker=marker, path=path)

    def _lowest(self) -> float:
        """Least stained cells of the lender that has the least."""
        mean = named(MEAN, "cell").name
        return min(_least_stained(lender.values(mean)) for lender in self.lenders)

    def _picture(self, part: Part, study: Study) -> tuple[Grey, float | None]:
        field = open_row(study, part.row)
        assert field.picture is not None  # the study was checked
        return field.plane(field.picture), field.pixel_size_um

    def _labels(self, part: Part) -> Labels:
        path = self.layout.labels(part.image_id)
        return Labels(read_labels(path, "nuclei"), read_labels(path, "cells"), None)

    def _said(self, shared: SharedLight, to: Sequence[str]) -> dict[str, object]:
        """What was lent, as provenance.json has it."""
        return {
            "to": list(to),
            "from": [part.image_id for part in self.lenders],
            "apart": shared.apart,
            "grey": shared.light.grey.tolist(),
            "tints": [tint.tolist() for tint in shared.light.tints],
        }


def _covered(part: Part) -> bool:
    return float(part.marker["summary"][IMAGE_OUTSIDE.name]) < LEAST_OUTSIDE


def _shows(study: Study, layout: Layout, part: Part) -> bool:
    """Whether slits between the cells tell the light, which they do better than other images."""
    return shows_light(_outside(study, layout, part))


def _outside(study: Study, layout: Layout, part: Part) -> NDArray[np.bool_]:
    """Where an image shows background."""
    gap = local_background(study, part.marker["summary"]["pixel_size_um"]).gap
    return outside_cells(read_labels(layout.labels(part.image_id), "cells"), gap)


def _lenders(group: Sequence[Part]) -> Sequence[Part]:
    """Images that show enough background, evenly spread over the sample table."""
    shown = [
        part
        for part in group
        if part.n_cells
        and float(part.marker["summary"][IMAGE_OUTSIDE.name]) >= LEAST_SHOWN
        and float(part.marker["summary"][IMAGE_CLIPPED.name]) <= MOST_CLIPPED
    ]
    return shown[:: -(-len(shown) // MOST_LENDERS)] if shown else []


def _kind(study: Study, part: Part) -> tuple[object, ...]:
    """Batch, by all that gates and the stain are told by, and what the camera made of it."""
    settings, summary = beta_gal_of(study), part.marker["summary"]
    columns = [rule.by for rule in study.positivity.values()]
    columns.append(getattr(settings.stain, "by", None) if settings is not None else None)
    batch = tuple(part.row.sample[name] for name in dict.fromkeys(columns) if name is not None)
    sizes = (summary["height_px"], summary["width_px"], summary["pixel_size_um"])
    return (*batch, *sizes, summary[IMAGE_JPEG.name], _dtype(study, part))


def _dtype(study: Study, part: Part) -> str | None:
    """Type of the picture's grey values; None where it cannot be read."""
    try:
        rgb = open_row(study, part.row).rgb
    except ImageError:
        return None
    return None if rgb is None else str(rgb.dtype)


def _least_stained(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, LOWEST_CELLS)) if known.size else float("nan")
