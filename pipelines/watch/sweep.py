"""One sweep over a watched folder: what is whole and new is measured, and the tables follow.

`senescope sweep` and the Prefect flow are this function; the ends of a study's images, tables and
report are those of `senescope run`.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipelines.errors import StudyError
from pipelines.review.store import rename_images
from pipelines.run.layout import Layout, read_part
from pipelines.run.lock import only_run
from pipelines.run.provenance import FileStamp, stamp
from pipelines.run.steps import DrawAll, Plan, RunSummary, draw_here, finish, prepare
from pipelines.run.task import Failure, ImageOutcome
from pipelines.study.controls import join_controls
from pipelines.study.model import Study, load_study
from pipelines.study.samples import ImageRow, Samples, join_samples
from pipelines.tables import write_text
from pipelines.watch.look import Look, image_files, look_at
from pipelines.words import counted

SHOWN = 5

MeasureAll = Callable[[Plan], Iterable[ImageOutcome]]


@dataclass(frozen=True)
class Swept:
    """What a sweep found and did.

    Attributes:
        look: the folder as it was.
        absent: sentences about images that the sample table names and that are not there yet.
        summary: of the tables; None where nothing was ready, or they were left as they were.
        failed: of the images worked on, those that failed.
    """

    look: Look
    absent: tuple[str, ...]
    summary: RunSummary | None
    failed: tuple[ImageOutcome, ...] = ()

    @property
    def held_back(self) -> bool:
        """Whether the tables were left as they were, since measured images are gone."""
        return self.summary is None and bool(self.look.gone)

    def sentences(self) -> list[str]:
        """What a person should hear beside the summary."""
        waiting = [row.image_id for row in self.look.waiting]
        found = [
            *_said(len(waiting), "still being written: left for a later sweep", waiting),
            *_said(len(self.absent), "named and not there yet", self.absent),
            *_said(
                len(self.look.renamed),
                "renamed, and measured before",
                [f"{old} -> {new}" for old, new in self.look.renamed.items()],
            ),
        ]
        if self.held_back:
            found += _said(
                len(self.look.gone),
                "measured before and gone; new images were measured, and all tables left as they "
                "were. Bring the files back, or set watch.missing: drop to take them out",
                self.look.gone,
            )
        elif self.summary is None:
            found.append("Nothing is ready to be measured.")
        return found


def sweep(
    study_path: Path,
    output: Path,
    measure_all: MeasureAll,
    draw_all: DrawAll = draw_here,
    sleep: Callable[[float], None] = time.sleep,
) -> Swept:
    """Measure what is whole in a watched folder and write the tables of all that was measured.

    Args:
        study_path: study file.
        output: folder of the run, made if need be.
        measure_all: works on the images of a plan.
        draw_all: draws pictures.
        sleep: waits so many seconds, between two looks at a new file.

    Raises:
        BusyError: another run is at work in `output`.
        StudyError: see `pipelines.run.steps.prepare`.
    """
    study, folder = load_study(study_path), study_path.resolve().parent
    with only_run(output) as root:
        samples = join_samples(study, folder)
        if samples.problems:
            raise StudyError("\n".join(f"samples: {text}" for text in samples.problems))
        look = _look(samples, study, folder, root, sleep)
        if not look.ready:
            return Swept(look, samples.absent, None)
        measured = _known(look, root)
        _move_parts(look, folder, Layout(root))
        among = frozenset(row.image_id for row in (*look.ready, *measured))
        plan = prepare(study_path, root, among=among)
        left = {*look.doubles, *(row.image_id for row in measured)}
        plan = replace(plan, tasks=tuple(t for t in plan.tasks if t.row.image_id not in left))
        outcomes = [*measure_all(plan), *_refused(look, Layout(root))]
        failed = tuple(o for o in outcomes if o.failure is not None)
        if look.gone and study.watch.missing == "stop":
            return Swept(look, samples.absent, None, failed)
        return Swept(look, samples.absent, finish(plan, outcomes, draw_all), failed)


def _look(
    samples: Samples, study: Study, folder: Path, root: Path, sleep: Callable[[float], None]
) -> Look:
    look = look_at(samples.rows, study, folder, root, sleep)
    controls = {row.image_id for row in join_controls(study, samples, folder).rows}
    return replace(look, gone=tuple(name for name in look.gone if name not in controls))


def _known(look: Look, root: Path) -> list[ImageRow]:
    """Images that are being written anew: their rows stay as they were until that is done."""
    return [row for row in look.waiting if read_part(Layout(root), row.image_id) is not None]


def _refused(look: Look, layout: Layout) -> list[ImageOutcome]:
    """Copies are failures that anyone can see, and cells that nobody counts twice."""
    outcomes = []
    for name, first in look.doubles.items():
        layout.marker(name).unlink(missing_ok=True)
        why = f"the same content as {first}, whose cells would count twice; remove one of them"
        failure = Failure(name, "read", why)
        outcomes.append(ImageOutcome(name, "failed", 0, 0.0, failure))
    return outcomes


def _move_parts(look: Look, folder: Path, layout: Layout) -> None:
    """Give what was measured of renamed images, and decided of their cells, their new names.

    Their pictures are drawn anew.
    """
    if look.renamed and layout.exclusions.is_file():
        rename_images(layout, look.renamed)
    rows = {row.image_id: row for row in look.ready}
    for old, new in look.renamed.items():
        part = read_part(layout, old)
        assert part is not None  # it was there when the folder was looked at
        layout.marker(old).unlink()  # first: whoever finds half of it measures the image anew
        for place in (layout.part, layout.labels):
            if place(old).is_dir() and not place(new).exists():
                place(old).rename(place(new))
        layout.qc(old).unlink(missing_ok=True)
        for name in ("nuclei", "cells"):
            if layout.corrected(old, name).is_file():
                layout.corrected(old, name).rename(layout.corrected(new, name))
        row, before = rows[new], part["files"]
        known = [FileStamp(**entry) for entry in before]
        paths = image_files(row)
        images = [asdict(stamp(path, folder, known, row.place)) for path in paths]
        stamps = [*images, *before[len(paths) :]]
        write_text(
            layout.marker(new), json.dumps({**part, "image_id": new, "files": stamps}, indent=1)
        )


def _said(count: int, what: str, names: Sequence[str]) -> list[str]:
    if not count:
        return []
    more = f" and {count - SHOWN} more" if count > SHOWN else ""
    return [f"{counted(count, 'image')} {what}: {', '.join(names[:SHOWN])}{more}"]
