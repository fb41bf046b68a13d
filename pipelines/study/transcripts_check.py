"""What is wrong with a study's tables of transcripts, before an image is read."""

from collections import Counter
from pathlib import Path

from pipelines.errors import ImageError
from pipelines.study.asked import asked, repeated
from pipelines.study.messages import nearest
from pipelines.study.model import Study
from pipelines.study.problems import Problem, error
from pipelines.study.row import ImageRow
from pipelines.study.samples import Samples, outside_roots
from pipelines.study.transcripts import IMAGE_ID, NAMES, Transcripts


def transcripts_of(study: Study) -> Transcripts | None:
    """The study's settings of transcripts, where it has some."""
    return next((m for m in study.measurements if isinstance(m, Transcripts)), None)


def transcript_problems(study: Study, samples: Samples, folder: Path) -> list[Problem]:
    """All that is wrong with the tables of transcripts and their settings."""
    found = asked(study, Transcripts)
    if not found:
        return []
    place, settings = found[0]
    where = f"{place}.table"
    problems = repeated(found)
    if settings.unit == "um" and study.pixel_size_um == "unknown":
        problems.append(
            error(where, "unit: um needs a pixel size, which is 'unknown'; give pixel_size_um")
        )
    known = (*samples.columns, IMAGE_ID)
    unknown = [name for name in NAMES.findall(settings.table) if name not in known]
    if unknown:
        return problems + [
            error(where, f"no sample column '{name}'; {nearest(name, known)}") for name in unknown
        ]
    tables = {row.image_id: settings.table_of(row, folder) for row in samples.rows}
    outside = outside_roots(tables.values(), study, folder)
    problems += [
        error(where, f"{path} lies outside the folders the study may read; add its folder to roots")
        for path in outside
    ]
    problems += [
        error(where, f"{path} is the table of more than one image; put {{image_id}} into its path")
        for path, count in Counter(tables.values()).items()
        if count > 1
    ]
    inside = [row for row in samples.rows if tables[row.image_id] not in outside]
    return problems + [p for row in inside for p in _table_problems(where, row, folder, settings)]


def _table_problems(
    where: str, row: ImageRow, folder: Path, settings: Transcripts
) -> list[Problem]:
    # Imported here: tables take a quarter of a second to be able to read.
    from pipelines.transcript_tables import genes_in, unknown_genes

    path = settings.table_of(row, folder)
    if not path.is_file():
        return [error(where, f"there is no file {path} for the image {row.image_id}")]
    try:
        found = genes_in(path, settings)
    except ImageError as failure:
        return [error(where, str(failure))]
    wrong = unknown_genes(list(found), settings) if settings.genes else ""
    return [error(where, f"{path.name}: {wrong}")] if wrong else []
