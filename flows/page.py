"""What a flow shows in Prefect's page: how far it is, samples, failures, and where the report is.

A page is not the work: where the server cannot be reached, the log says so and the work goes on.
"""

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from markupsafe import escape
from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from pipelines.run.layout import Layout
from pipelines.run.steps import RunSummary
from pipelines.run.task import ImageOutcome

EVERY_S = 5.0
SHOWN_ROWS = 200
SHOWN_COLUMNS = 12


@dataclass
class Progress:
    """A bar in Prefect's page, and a line in the log for every image that failed.

    Attributes:
        total: images to work on; set once they are known.
        done: those that ended.
    """

    total: int = 0
    done: int = 0
    _artifact: UUID | None = None
    _said: float = field(default_factory=lambda: -EVERY_S)

    def say(self, outcome: ImageOutcome) -> None:
        """Count an image; the page hears of it every few seconds."""
        self.done += 1
        if outcome.failure is not None:
            failure = outcome.failure
            get_run_logger().error("%s failed (%s): %s", *vars(failure).values())
        now = time.monotonic()
        if now - self._said >= EVERY_S or self.done == self.total:
            self._said = now
            _try(self._show)

    def _show(self) -> None:
        percent = 100.0 * self.done / max(1, self.total)
        if self._artifact is None:
            made = create_progress_artifact(percent, key="images", description="Images done")
            self._artifact = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self._artifact, percent)


def show_outcome(
    output: Path, summary: RunSummary | None, failed: Sequence[ImageOutcome], notes: Sequence[str]
) -> None:
    """Show what a run left.

    Args:
        output: folder of the run.
        summary: of its tables; None where they were left as they were.
        failed: images that failed.
        notes: sentences that a person should read.
    """
    _try(lambda: _show_failures(failed, notes))
    if summary is not None:
        _try(lambda: _show_samples(Layout(output)))
        _try(lambda: _show_report(summary))


def _show_samples(layout: Layout) -> None:
    level = next((n for n in ("samples", "images") if layout.table(n).is_file()), None)
    if level is None:
        return
    with layout.table(level).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shown = [dict(list(row.items())[:SHOWN_COLUMNS]) for row in rows[:SHOWN_ROWS]]
    if shown:
        create_table_artifact(
            shown, key="samples", description=f"{level}.csv: {len(shown)} of {len(rows)} rows"
        )


def _show_failures(failed: Sequence[ImageOutcome], notes: Sequence[str]) -> None:
    lines = [f"- {_text(note)}" for note in notes]
    failures = [outcome.failure for outcome in failed if outcome.failure is not None]
    if failures:
        lines += ["", "| image | stage | why |", "| --- | --- | --- |"]
        lines += [
            f"| {_text(f.image_id)} | {f.stage} | {_text(f.error)} |" for f in failures[:SHOWN_ROWS]
        ]
    more = len(failures) - SHOWN_ROWS
    if more > 0:
        lines += ["", f"and {more} more in failures.csv"]
    create_markdown_artifact("\n".join(lines) or "No image failed.", key="failures")


def _show_report(summary: RunSummary) -> None:
    create_link_artifact(
        summary.report.as_uri(),
        link_text=str(summary.report),
        key="report",
        description=f"{summary.n_images} images, {summary.n_cells} cells, "
        f"{summary.n_failed} images failed. Tables: {summary.output / 'tables'}",
    )


def _text(text: str) -> str:
    """A file's words in a page: no markup of theirs, and no end of the table's row."""
    return str(escape(" ".join(text.split()))).replace("|", "\\|")


def _try(show: Callable[[], None]) -> None:
    try:
        show()
    except Exception as error:  # noqa: BLE001  whatever a server or the way to it does
        get_run_logger().warning("Prefect's page could not be written to: %s", error)
