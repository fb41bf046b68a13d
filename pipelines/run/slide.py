"""One slide, from its file to its part of the tables: what `pipelines.run.image` is for a field.

The slide leaves what a field leaves. Until it is finished, ``parts/IMAGE/work`` keeps what its
blocks have found, so that a run that was stopped goes on from there.
"""

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from measurements.transcripts import TRANSCRIPTS
from pipelines.errors import ImageError
from pipelines.field.beta_gal import image_values, image_warnings
from pipelines.field.pixels import Grey
from pipelines.field.summary import NO_CELLS, Summary, with_more
from pipelines.field.transcripts import transcript_totals, transcripts_in
from pipelines.files import put_folder, replacing
from pipelines.images import Field
from pipelines.overlay import draw_overlay, save_png
from pipelines.overlay.outlines import Picture, Positive
from pipelines.run.image import Part, Stage, attempt, corrected_files, same_files, write_marker
from pipelines.run.layout import Layout
from pipelines.run.provenance import FileStamp, fingerprint
from pipelines.run.task import ImageOutcome, ImageTask, picture_key
from pipelines.slide.cells import Measuring, measure_cells_of
from pipelines.slide.cluster import Each
from pipelines.slide.job import SlideSettings, open_work, picture_step, told_if_full
from pipelines.slide.peaks import measure_peaks_of
from pipelines.slide.segmenting import (
    Say,
    plan_slide,
    segment_slide,
    small_labels,
    small_picture,
)
from pipelines.slide.spot_rounds import measure_spots_of
from pipelines.slide.stain_rounds import SlidePicture, picture_of
from pipelines.slide.stored import StoredSlide
from pipelines.study import Study
from pipelines.study.check import open_row
from pipelines.study.settings import ExpandedCells, NucleiAsCells, VoronoiCells


def process_slide(task: ImageTask, each: Each, say: Say = lambda _: None) -> ImageOutcome:
    """Segment and measure one slide and write its part; never raises for a bad slide.

    Args:
        task: the slide's task.
        each: where blocks are computed.
        say: is told of every block that is done.
    """
    return attempt(task, partial(_work, each=each, say=say))


def why_refused_of_slide(labels: Path) -> str:
    """Why labels that were given for a slide are not taken."""
    return f"labels of a slide cannot be corrected by hand; remove {labels}"


def _work(
    task: ImageTask,
    stamps: list[FileStamp],
    part: Part | None,
    stage: Stage,
    *,
    each: Each,
    say: Say,
) -> int:
    row, study, layout = task.row, task.study, Layout(task.output)
    if files := list(corrected_files(layout, row.image_id).values()):
        raise ImageError(why_refused_of_slide(files[0]))
    field = open_row(study, row)
    labels, work = layout.labels(row.image_id), layout.work(row.image_id)
    kept = part is not None and _fits(part, task, stamps) and labels.is_dir()
    stage.now = "segment"
    if not kept:
        content = fingerprint([(s.sha256, s.place) for s in stamps], task.segmentation_key)
        job = plan_slide(field, slide_settings(study, field, task.folder), work / "labels", content)
        segment_slide(job, each, say)
    stage.now = "measure"
    slide = StoredSlide(field, labels if kept else job.store)
    measuring = Measuring(slide, study, work / "cells", study.compute.block_px)
    table = layout.cells_part(row.image_id)
    with told_if_full(measuring.work):
        open_work(measuring.work, task.measurement_key)
    stain = picture_of(measuring, each, say)
    whole = None if stain is None else stain.whole
    transcripts = transcripts_in(study, field.shape, field.pixel_size_um)
    n_cells = measure_cells_of(measuring, task.measurement_key, table, each, say, whole)
    peaks, of_nuclei = layout.peaks_part(row.image_id), layout.peak_nuclei_part(row.image_id)
    heights = measure_peaks_of(measuring, peaks, of_nuclei, each, say)
    spots = measure_spots_of(measuring, layout.found_spots_part(row.image_id), each, say)
    # Which peaks are foci is decided once all images are measured; those of before are no more.
    for settled in (layout.foci_part, layout.spots_part):
        settled(row.image_id).unlink(missing_ok=True)
    stage.now = "write"
    if not kept:
        plane = small_picture(job)
        _keep(layout.small_picture(row.image_id), plane)
        picture = slide_overlay(field, study, job.store, plane, {})
        save_png(layout.qc(row.image_id), picture, picture_key(task.measurement_key, {}))
        put_folder(job.store, labels)
    summary = with_more(_summary(field, n_cells, stain), spots, ())
    if transcripts is not None:
        in_cells = pc.sum(pq.read_table(table, columns=[TRANSCRIPTS.name]).column(0)).as_py() or 0
        summary = with_more(summary, *transcript_totals(transcripts, field.shape, in_cells))
    write_marker(task, stamps, n_cells, None, summary, heights, {})
    shutil.rmtree(work, ignore_errors=True)
    return n_cells


def slide_settings(study: Study, field: Field, folder: Path) -> SlideSettings:
    """How a study segments its slides, in pixels.

    Args:
        study: the settings, which `pipelines.study.check` has found to fit slides.
        field: the slide.
        folder: folder of the study file, where paths of weights start.
    """
    nuclei, cells, size = study.segmentation.nuclei, study.segmentation.cells, field.pixel_size_um
    assert nuclei is not None  # held by slide_problems
    reach = 0.0
    if isinstance(cells, ExpandedCells):
        reach = cells.in_px("distance", size)
    elif isinstance(cells, VoronoiCells):
        reach = cells.in_px("limit", size)
    return SlideSettings(
        channel=nuclei.channel,
        model=nuclei.weights(folder),
        diameter_px=nuclei.in_px("diameter", size),
        flow_threshold=nuclei.flow_threshold,
        cellprob_threshold=nuclei.cellprob_threshold,
        reach_px=reach,
        gpu={"auto": None, "yes": True, "no": False}[study.compute.gpu],
        precision=study.compute.precision,
        block_px=study.compute.block_px,
    )


def _fits(part: Part, task: ImageTask, stamps: list[FileStamp]) -> bool:
    """Whether the labels of an earlier run are those that this one would make."""
    return part["segmentation_key"] == task.segmentation_key and same_files(part, stamps)


def slide_overlay(
    field: Field, study: Study, store: Path, plane: Grey, positive: Positive
) -> Picture:
    """Draw a slide reduced to some 2,000 px, with outlines and positive cells.

    Args:
        field: the slide.
        study: the settings.
        store: OME-Zarr of its labels.
        plane: every so-manieth pixel of the segmented channel.
        positive: by marker; empty where the study has no positivity.
    """
    nuclei, step, size = study.segmentation.nuclei, picture_step(field.shape), field.pixel_size_um
    assert nuclei is not None  # held by slide_problems
    with_cells = not isinstance(study.segmentation.cells, NucleiAsCells)
    return draw_overlay(
        {nuclei.channel: plane},
        None,
        small_labels(store, "nuclei", step),
        small_labels(store, "cells", step) if with_cells else None,
        positive=positive,
        pixel_size_um=None if size is None else size * step,
        title=field.image_id,
    )


def _keep(path: Path, plane: Grey) -> None:
    """The small picture's pixels, so that drawing it again reads no slide."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, plane)


def _summary(field: Field, n_cells: int, stain: SlidePicture | None) -> Summary:
    """The slide's own columns of images.csv; quality is not told of slides."""
    summary: Summary = {
        "height_px": field.shape[0],
        "width_px": field.shape[1],
        "pixel_size_um": field.pixel_size_um,
        "flags": "" if n_cells else NO_CELLS.name,
        "warnings": ";".join(field.warnings),
    }
    if stain is None:
        return summary
    values = image_values(stain.columns, field.pixel_size_um)
    return with_more(summary, values, image_warnings(stain.columns))
