"""Control images of the reporters: rows of their own, which are measured and in no table."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipelines.study.csv_table import Value
from pipelines.study.messages import nearest
from pipelines.study.model import Study
from pipelines.study.row import ImageRow
from pipelines.study.samples import Samples, qualified_id, read_table

STAINED = "stained"
UNLABELLED = "unlabelled"
NO_CONTROLS = Samples((), (), ())


def join_controls(study: Study, samples: Samples, folder: Path) -> Samples:
    """Read the table of control images.

    Args:
        study: the study.
        samples: its images, which the control images must not be among.
        folder: folder of the study file; relative paths start there.

    Returns:
        Rows whose sample column ``stained`` is ``unlabelled`` or a reporter's channel; none where
        the study unmixes nothing.
    """
    reporters = study.reporters
    if reporters is None or reporters.bleed_through is None:
        return NO_CONTROLS
    found = read_table(study, folder, reporters.bleed_through, "bleed_through")
    if found.problems or found.absent:
        return Samples((), found.columns, (*found.problems, *found.absent))
    if STAINED not in found.columns:
        missing = (
            f"{reporters.bleed_through}: no column '{STAINED}': unlabelled, or the one reporter "
            f"that is in the image; found: {', '.join(found.columns) or 'no such column'}"
        )
        return Samples((), (), (missing,))
    ids = {row.image_id for row in samples.rows}
    rows = [_row(row, study, samples, ids, folder) for row in found.rows]
    problems = _name_problems(rows, study) + _shared(rows, samples)
    return Samples(tuple(rows), found.columns, tuple(problems))


def study_of_controls(study: Study) -> Study:
    """The settings for control images, of which nothing but reporters is needed."""
    measured = (study.reporters,) if study.reporters else ()
    return study.model_copy(update={"measurements": measured})


def _row(row: ImageRow, study: Study, samples: Samples, taken: set[str], folder: Path) -> ImageRow:
    """The row with ``stained`` in one way of writing, and an id that no sample has."""
    stained = str(row.sample[STAINED] or "").strip()
    if stained in _counterstains(study):
        stained = UNLABELLED
    sample = {name: _alike(name, value, samples) for name, value in row.sample.items()}
    name = qualified_id(row, folder) if row.image_id in taken else row.image_id
    return replace(row, image_id=name, sample={**sample, STAINED: stained})


def _counterstains(study: Study) -> set[str]:
    """The channel of the nuclear stain, unless it is a reporter itself."""
    nuclei, reporters = study.segmentation.nuclei, study.reporters
    assert reporters is not None  # there are control rows only with reporters
    return {nuclei.channel} - {*reporters.channels} if nuclei is not None else set()


def _alike(name: str, value: Value, samples: Samples) -> Value:
    """A value in the type that the sample table's column of this name has."""
    as_text = any(isinstance(row.sample.get(name), str) for row in samples.rows)
    return str(value) if as_text and value is not None else value


def _name_problems(rows: list[ImageRow], study: Study) -> list[str]:
    """Names that are no reporter, and reporters without a control."""
    assert study.reporters is not None  # there are control rows only with reporters
    known = (UNLABELLED, *study.reporters.channels)
    names = dict.fromkeys(str(row.sample[STAINED]) for row in rows)
    problems = [_unknown(name, known, study.channels) for name in names if name not in known]
    missing = [channel for channel in study.reporters.channels if channel not in names]
    problems += [
        f"no image is stained {channel}: give images of cells with {channel} alone, or leave "
        "bleed_through out, which unmixes nothing"
        for channel in missing
    ]
    return problems


def _unknown(name: str, known: tuple[str, ...], channels: Mapping[str, object]) -> str:
    if name in channels:
        return (
            f"stained: '{name}' is a channel of the study and none of the reporters; known: "
            f"{', '.join(known)}. Leave its images out"
        )
    return f"stained: '{name or '(empty)'}' is unknown; {nearest(name, known)}"


def _shared(rows: list[ImageRow], samples: Samples) -> list[str]:
    """Images that are samples as well, by their files or by their id."""
    files = {path.resolve() for row in samples.rows for path in row.files.values()}
    ids = {row.image_id for row in samples.rows}
    problems = [
        f"{row.image_id} is an image of the samples too: a control image is in none of the "
        "tables; list it in one place. Gates can take sample rows, by their `controls`"
        for row in rows
        if any(path.resolve() in files for path in row.files.values())
    ]
    return problems or [
        f"the image id {row.image_id} is that of a sample; give another in a column image_id"
        for row in rows
        if row.image_id in ids
    ]
