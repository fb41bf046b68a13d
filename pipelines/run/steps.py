"""A whole study: checked, its images measured, its tables gathered, its report written.

`prepare`, then `process_image` for every task, then `finish`: `senescope run` and the Prefect flow
are these three and differ only in who calls the middle one, and who draws the pictures.
"""

import fnmatch
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pipelines.errors import StudyError
from pipelines.run.layout import Layout
from pipelines.run.references import References, decide_references
from pipelines.run.task import (
    ImageOutcome,
    ImageTask,
    PictureOutcome,
    PictureTask,
    draw,
    settings_keys,
)
from pipelines.study import Study
from pipelines.study.check import Checked, check_study
from pipelines.study.controls import study_of_controls
from segmentation.catalogue import COMPACT, known_model_names, weights_file, weights_sha256

DrawAll = Callable[[Sequence[PictureTask]], Iterable[PictureOutcome]]


@dataclass(frozen=True)
class Plan:
    """A study that passed its check, and what is to be done.

    Attributes:
        checked: the study, its images and its warnings.
        output: folder of the run.
        tasks: the images to work on.
        references: what images are measured with and that lies outside them.
        started: seconds since the epoch.
    """

    checked: Checked
    output: Path
    tasks: tuple[ImageTask, ...]
    references: References
    started: float


@dataclass(frozen=True)
class RunSummary:
    """What a run leaves, for the person who waits for it.

    Attributes:
        output: folder of the run.
        report: its report.
        n_images: images in the tables.
        n_cells: cells in the tables.
        n_failed: images in failures.csv.
        kept: images left untouched, since nothing they depend on changed.
        lost_pictures: images in the tables whose picture could not be drawn, and why.
        warnings: what the results should be read with.
    """

    output: Path
    report: Path
    n_images: int
    n_cells: int
    n_failed: int
    kept: int
    lost_pictures: tuple[PictureOutcome, ...] = ()
    warnings: tuple[str, ...] = ()


def prepare(
    study_path: Path,
    output: Path,
    *,
    only: str | None = None,
    restart: bool = False,
    among: frozenset[str] | None = None,
) -> Plan:
    """Check a study and plan its images.

    Args:
        study_path: study file.
        output: folder of the run, made if need be.
        only: pattern of image ids, such as ``plate1_*``; the others are left as they are.
        restart: forget what an earlier run left in `output`.
        among: ids of the images that are to be in the study, where others are still awaited.

    Raises:
        StudyError: the study has errors, `only` matches no image, `output` cannot be written, or
            control images do not show what the study takes from them.
    """
    started = time.time()
    checked = check_study(study_path, among=among)
    checked.raise_errors()
    folder = study_path.resolve().parent
    chosen = [r for r in checked.rows if only is None or fnmatch.fnmatch(r.image_id, only)]
    if not chosen:
        raise StudyError(f"--only {only}: no image id matches; ids look like {_examples(checked)}")
    layout = _open_output(output, restart=restart)
    references = decide_references(checked, layout)
    hashes = _model_hashes(checked.study, folder)
    keys = settings_keys(checked.study, version("senescope"), hashes, references.inputs)
    studies = [(row, references.study_of(row)) for row in checked.samples.rows if row in chosen]
    # Every image is unmixed by all control images, so that none of them may be left out.
    of_controls = references.lit(study_of_controls(checked.study))
    studies += [(row, of_controls) for row in checked.controls.rows]
    tasks = tuple(
        ImageTask(row, study, folder, layout.root, *keys, row.image_id in checked.slides)
        for row, study in studies
    )
    return Plan(checked, layout.root, tasks, references, started)


def draw_here(tasks: Sequence[PictureTask]) -> Iterable[PictureOutcome]:
    """Draw pictures one after another in this process."""
    return map(draw, tasks)


def finish(
    plan: Plan, outcomes: Iterable[ImageOutcome], draw_all: DrawAll = draw_here
) -> RunSummary:
    """Gather the images' parts into tables, draw who is positive, write the report.

    Args:
        plan: what was to be done.
        outcomes: what became of its tasks.
        draw_all: draws pictures, such as in worker processes.
    """
    # Imported here: tables and figures take seconds, which would hold up the first image.
    from pipelines.report import build_report
    from pipelines.run.gather import gather
    from pipelines.run.portraits import draw_portraits

    ended = list(outcomes)
    gathered = gather(plan.checked, plan.output, plan.tasks, ended, plan.references, plan.started)
    lost = [outcome for outcome in draw_all(gathered.pictures) if outcome.error]
    hidden = draw_portraits(plan.checked, Layout(plan.output))
    report = build_report([plan.output], Layout(plan.output).report)
    return RunSummary(
        output=plan.output,
        report=report,
        n_images=gathered.n_images,
        n_cells=gathered.n_cells,
        n_failed=gathered.n_failed,
        kept=sum(outcome.status == "kept" for outcome in ended),
        lost_pictures=tuple(lost),
        warnings=(*gathered.warnings, *(f"no single cells of {text}" for text in hidden)),
    )


def _open_output(output: Path, *, restart: bool) -> Layout:
    layout = Layout(output.resolve())
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
        if restart:
            for name in ("parts", "labels", "qc", "tables", "portraits"):
                shutil.rmtree(layout.root / name, ignore_errors=True)
        probe = layout.root / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StudyError(
            f"The output folder {output} cannot be written: {error.strerror}"
        ) from error
    return layout


def _model_hashes(study: Study, folder: Path) -> dict[str, str]:
    """What stands for each model in the fingerprints: the hash of weights that may change.

    Cellpose's own models stand for themselves, by name: their file may not be here yet.
    """
    settings = {s.model: s.weights(folder) for _, s in study.cellpose_settings()}
    return {name: _model_hash(name, settings[name]) for name in sorted(settings)}


def _model_hash(name: str, weights: str) -> str:
    if name in known_model_names() and name != COMPACT:
        return name
    path = weights_file(weights)
    assert path is not None  # only stock models may be absent
    return weights_sha256(path)


def _examples(checked: Checked) -> str:
    ids: Sequence[str] = [row.image_id for row in checked.samples.rows[:3]]
    return ", ".join(ids)
