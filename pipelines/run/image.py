"""One image, from its file to its part of the tables: what every worker and every task runs.

Each image leaves ``parts/IMAGE/`` (its rows, and image.json, written last, which says what they
were made from), ``labels/IMAGE.ome.zarr`` and ``qc/IMAGE.png``. An image whose image.json fits the
present settings and files is left untouched; where only measurements changed, its labels are kept.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ImageError, SenescopeError, may_pass
from pipelines.field import Labels, MeasuredField, measure_field, read_pixels, segment_field
from pipelines.field.summary import Lights
from pipelines.images.formats import companions
from pipelines.labels_store import read_label_image, read_labels, write_labels
from pipelines.overlay import save_png
from pipelines.run.layout import Layout, read_part
from pipelines.run.provenance import FileStamp, stamp
from pipelines.run.task import Failure, ImageOutcome, ImageTask, picture_key
from pipelines.study.check import open_row
from pipelines.study.transcripts_check import transcripts_of
from pipelines.tables import arrow_table, write_parquet, write_text


@dataclass
class Stage:
    """Where the work on an image stands, for its failure's row."""

    now: Literal["read", "segment", "measure", "write"] = "read"


Part = Mapping[str, Any]
Work = Callable[[ImageTask, list[FileStamp], Part | None, Stage], int]
"""Makes the part of an image: task, its files, the part of an earlier run, stage -> cells."""


def process_image(task: ImageTask) -> ImageOutcome:
    """Read, segment and measure one image and write its part; never raises for a bad image."""
    return attempt(task, _measure)


def attempt(task: ImageTask, work: Work) -> ImageOutcome:
    """Do the work of an image unless it is done; what goes wrong is an outcome, no exception."""
    start = time.perf_counter()
    layout = Layout(task.output)
    stage = Stage()
    try:
        stage.now = "read"
        part = read_part(layout, task.row.image_id)
        stamps = _stamps(task, part)
        if part is not None and _is_current(part, task, stamps):
            return ImageOutcome(task.row.image_id, "kept", part["n_cells"], 0.0)
        n_cells = work(task, stamps, part, stage)
    except Exception as error:  # noqa: BLE001  one image must never stop the others
        with suppress(OSError):  # the disk itself may be what failed
            layout.marker(task.row.image_id).unlink(missing_ok=True)
        failure = Failure(task.row.image_id, stage.now, _sentence(error))
        seconds = time.perf_counter() - start
        return ImageOutcome(task.row.image_id, "failed", 0, seconds, failure, may_pass(error))
    return ImageOutcome(task.row.image_id, "measured", n_cells, time.perf_counter() - start)


def _measure(task: ImageTask, stamps: list[FileStamp], part: Part | None, stage: Stage) -> int:
    row, study, layout = task.row, task.study, Layout(task.output)
    field = open_row(study, row)
    pixels = read_pixels(field, study)
    stage.now = "segment"
    labels = _kept_labels(task, layout, stamps, part)
    fresh = labels is None
    if labels is None:
        labels = segment_field(pixels, study, task.folder, _corrected(task, layout))
    stage.now = "measure"
    truth = read_label_image(row.truth) if row.truth is not None else None
    measured = measure_field(pixels, labels, study, truth)
    stage.now = "write"
    if fresh:
        write_labels(
            layout.labels(row.image_id),
            {"nuclei": labels.nuclei, "cells": labels.cells},
            field.pixel_size_um,
        )
    _write_part(task, layout, stamps, labels, measured)
    return measured.n_cells


def _kept_labels(
    task: ImageTask, layout: Layout, stamps: list[FileStamp], part: Mapping[str, Any] | None
) -> Labels | None:
    """The labels of an earlier run, where neither their settings nor the files changed."""
    path = layout.labels(task.row.image_id)
    if part is None or not path.is_dir():
        return None
    if part["segmentation_key"] != task.segmentation_key or not same_files(part, stamps):
        return None
    n_nuclei = None if part["n_nuclei"] is None else np.array(part["n_nuclei"], dtype=np.int64)
    return Labels(read_labels(path, "nuclei"), read_labels(path, "cells"), n_nuclei)


def _write_part(
    task: ImageTask,
    layout: Layout,
    stamps: list[FileStamp],
    labels: Labels,
    measured: MeasuredField,
) -> None:
    image_id = task.row.image_id
    write_parquet(layout.cells_part(image_id), arrow_table(measured.cells))
    foci = measured.foci
    if foci is not None:
        write_parquet(layout.peaks_part(image_id), arrow_table(foci.peaks))
        write_parquet(layout.peak_nuclei_part(image_id), arrow_table(foci.nuclei))
    if measured.spots is not None:
        write_parquet(layout.found_spots_part(image_id), arrow_table(measured.spots.spots))
    layout.spots_part(image_id).unlink(missing_ok=True)
    # Which peaks are foci is decided once all images are measured; those of before are no more.
    layout.foci_part(image_id).unlink(missing_ok=True)
    if measured.overlay is not None:
        save_png(layout.qc(image_id), measured.overlay, picture_key(task.measurement_key, {}))
    n_nuclei = None if labels.n_nuclei is None else labels.n_nuclei.tolist()
    heights = {} if foci is None else foci.heights
    lights = measured.lights
    write_marker(task, stamps, measured.n_cells, n_nuclei, measured.summary, heights, lights)


def write_marker(
    task: ImageTask,
    stamps: list[FileStamp],
    n_cells: int,
    n_nuclei: list[int] | None,
    summary: Mapping[str, object],
    foci_heights: Mapping[str, list[int]],
    lights: Lights,
) -> None:
    """Say that the image's part is whole, and what it was made from."""
    part = {
        "image_id": task.row.image_id,
        "n_cells": n_cells,
        "n_nuclei": n_nuclei,
        "segmentation_key": task.segmentation_key,
        "measurement_key": task.measurement_key,
        "files": [asdict(s) for s in stamps],
        "summary": dict(summary),
        "foci_heights": dict(foci_heights),
        "lights": {channel: sums.as_json() for channel, sums in lights.items()},
    }
    write_text(Layout(task.output).marker(task.row.image_id), json.dumps(part, indent=1))


def _stamps(task: ImageTask, part: Mapping[str, Any] | None) -> list[FileStamp]:
    """The image's files as they are now, hashed anew only where size or time changed."""
    known = [FileStamp(**entry) for entry in part["files"]] if part else []
    row = task.row
    images = [part for path in row.files.values() for part in (path, *companions(path))]
    corrected = corrected_files(Layout(task.output), row.image_id).values()
    try:
        stamps = [stamp(path, task.folder, known, row.place) for path in dict.fromkeys(images)]
        transcripts = transcripts_of(task.study)
        table = [] if transcripts is None else [Path(transcripts.table)]
        others = [*([row.truth] if row.truth else []), *table, *corrected]
        return [*stamps, *(stamp(path, task.folder, known) for path in others)]
    except OSError as error:
        raise ImageError(f"{error.filename} cannot be read: {error.strerror}") from error


def corrected_files(layout: Layout, image_id: str) -> dict[str, Path]:
    """Label images of an image that a person corrected: ``nuclei``, ``cells`` -> file."""
    paths = {name: layout.corrected(image_id, name) for name in ("nuclei", "cells")}
    return {name: path for name, path in paths.items() if path.is_file()}


def _corrected(task: ImageTask, layout: Layout) -> dict[str, NDArray[np.uint32]]:
    files = corrected_files(layout, task.row.image_id)
    return {name: read_label_image(path) for name, path in files.items()}


def _is_current(part: Mapping[str, Any], task: ImageTask, stamps: list[FileStamp]) -> bool:
    return bool(part["measurement_key"] == task.measurement_key) and same_files(part, stamps)


def same_files(part: Mapping[str, Any], stamps: list[FileStamp]) -> bool:
    """Whether a part was made from the same place in files of the same content."""
    before = [(entry["sha256"], entry.get("place", "")) for entry in part["files"]]
    return before == [(s.sha256, s.place) for s in stamps]


def _sentence(error: Exception) -> str:
    """The error's own words where it was written for people; else its kind as well."""
    text = str(error) or "no message"
    if isinstance(error, SenescopeError | ValueError):
        return text
    return f"{type(error).__name__}: {text}"
