"""What only the whole study can tell: debris, DNA in units of G1, numbers of cells, light."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from measurements.chromatin import DNA_CONTENT
from measurements.columns import PX_SUFFIX, UM_SUFFIX, Column
from measurements.outliers import DEBRIS, OutlierLimits, count_outliers, find_debris
from measurements.ploidy import DNA_INDEX, IN_G1, dna_index, in_g1
from measurements.quality import NUCLEUS_BRIGHTNESS
from pipelines.run.batch_light import with_light
from pipelines.run.parts import Part
from pipelines.study import Study
from pipelines.study.settings import Chromatin

AREAS = ("nucleus_area" + UM_SUFFIX[2], "nucleus_area" + PX_SUFFIX[2])


def judge(study: Study, parts: Sequence[Part]) -> list[Part]:
    """Add to each image what is decided by comparison with the others.

    Args:
        study: the settings.
        parts: all images that are in the tables.
    """
    if not parts:
        return []
    batches = _batches(study, parts)
    judged = with_light(_with_count_outliers(parts, batches), batches)
    judged = _with_debris(study, judged, batches)
    for measurement in study.measurements:
        if isinstance(measurement, Chromatin):
            judged = _with_dna_index(measurement.channel, judged, batches)
    return judged


def _batches(study: Study, parts: Sequence[Part]) -> NDArray[np.intp]:
    """Number of each image's batch: those that gates are set by, and the blocks of the design."""
    columns = [rule.by for rule in study.positivity.values()]
    columns += [study.statistics.blocks] if study.statistics else []
    names = [c for c in dict.fromkeys(columns) if c is not None]
    keys = [tuple(str(part.row.sample.get(name)) for name in names) for part in parts]
    order = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([order[key] for key in keys], dtype=np.intp)


def _with_count_outliers(parts: Sequence[Part], batches: NDArray[np.intp]) -> list[Part]:
    areas = [
        float(p.marker["summary"]["height_px"]) * p.marker["summary"]["width_px"] for p in parts
    ]
    found = count_outliers([part.n_cells for part in parts], areas, batches, OutlierLimits())
    return [
        part.with_image_columns({column: values[i] for column, values in found.items()})
        for i, part in enumerate(parts)
    ]


def _with_debris(study: Study, parts: list[Part], batches: NDArray[np.intp]) -> list[Part]:
    nuclei = study.segmentation.nuclei
    if nuclei is None:
        return parts
    area = next(name for name in AREAS if name in parts[0].names)
    brightness = NUCLEUS_BRIGHTNESS.bind(channel=nuclei.channel).name
    counts = [part.n_cells for part in parts]
    # A nucleus that the edge cuts is small for no fault of its own.
    whole = _of_all(parts, "touches_border") != 1
    found = np.zeros(whole.size, dtype=bool)
    found[whole] = find_debris(
        _of_all(parts, area)[whole],
        _of_all(parts, "nucleus_solidity")[whole],
        _of_all(parts, brightness)[whole],
        np.repeat(batches, counts)[whole],
        OutlierLimits(),
    )
    return _adding(parts, DEBRIS, found)


def _with_dna_index(channel: str, parts: list[Part], batches: NDArray[np.intp]) -> list[Part]:
    """DNA content in units of the batch's G1 peak, told by whole nuclei that are no debris."""
    whole = _of_all(parts, "touches_border") != 1
    if DEBRIS.name in parts[0].names:
        whole &= _of_all(parts, DEBRIS.name) != 1
    content = _of_all(parts, DNA_CONTENT.bind(channel=channel).name)
    of_cells = np.repeat(batches, [part.n_cells for part in parts])
    index = dna_index(content, whole, of_cells)
    with_index = _adding(parts, DNA_INDEX.bind(channel=channel), index)
    return _adding(with_index, IN_G1.bind(channel=channel), in_g1(index))


def _adding(parts: list[Part], column: Column, values: NDArray[np.generic]) -> list[Part]:
    pieces = np.split(values, np.cumsum([part.n_cells for part in parts])[:-1])
    return [part.adding({column: piece}) for part, piece in zip(parts, pieces, strict=True)]


def _of_all(parts: Sequence[Part], name: str) -> NDArray[np.float64]:
    return np.concatenate([part.values(name) for part in parts])
