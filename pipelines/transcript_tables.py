"""Tables of decoded transcripts, read: CSV or Parquet, one row a transcript."""

from pathlib import Path

import numpy as np
import polars as pl

from measurements.transcripts import Transcripts
from pipelines.errors import ImageError
from pipelines.study.messages import nearest
from pipelines.study.transcripts import Transcripts as Settings

DELIMITERS = ",;\t"
MOST_NAMED = 5


def genes_in(path: Path, settings: Settings) -> tuple[str, ...]:
    """Names of all genes of a table, ordered, without those that are ignored.

    Raises:
        ImageError: the table cannot be read, lacks a column, or has a row without a gene.
    """
    names = _collected(path, _scan(path, settings).select(pl.col(settings.gene).unique()))
    found = names[settings.gene].to_list()
    if None in found or "" in found:
        raise ImageError(f"{path.name} has rows whose '{settings.gene}' is empty")
    return tuple(sorted(name for name in found if not settings.is_ignored(name)))


def read_transcripts(path: Path, settings: Settings, pixel_size_um: float | None) -> Transcripts:
    """Read the transcripts of one image.

    Args:
        path: the table.
        settings: its columns and unit, and the genes, which are known by now.
        pixel_size_um: edge of a pixel of the image.

    Raises:
        ImageError: the table cannot be read or does not fit the settings.
    """
    if settings.unit == "um" and pixel_size_um is None:
        raise ImageError(
            f"{path.name} has places in µm and the image's pixel size is unknown: "
            "give pixel_size_um"
        )
    rows = _collected(path, _scan(path, settings))
    name = rows[settings.gene]
    number = {gene: i for i, gene in enumerate(settings.genes)}
    known = [g for g in name.unique().to_list() if g is not None and not settings.is_ignored(g)]
    if unknown := unknown_genes(known, settings):
        raise ImageError(f"{path.name}: {unknown}")
    rows = rows.filter(name.is_in(list(number)) | name.is_null())
    place = rows.select(settings.y, settings.x).to_numpy().astype(np.float64)
    if name.null_count() or not np.isfinite(place).all():
        raise ImageError(f"{path.name} has rows without a gene, or whose x or y is no number")
    scale = pixel_size_um if settings.unit == "um" and pixel_size_um is not None else 1.0
    gene = np.array([number[g] for g in rows[settings.gene].to_list()], dtype=np.int64)
    return Transcripts(place[:, 0] / scale, place[:, 1] / scale, gene, settings.genes)


def unknown_genes(found: list[str], settings: Settings) -> str:
    """Which of the names found are neither genes of the study nor ignored, in words; else empty."""
    unknown = sorted(set(found) - set(settings.genes))
    if not unknown:
        return ""
    named = ", ".join(f"'{name}'" for name in unknown[:MOST_NAMED])
    more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
    hint = nearest(unknown[0], settings.genes) if len(unknown) == 1 else ""
    return (
        f"{named}{more}: not among the {len(settings.genes)} genes of the study; add to genes, or "
        f"to ignore. {hint}"
    ).strip()


def _scan(path: Path, settings: Settings) -> pl.LazyFrame:
    """The three columns, unread."""
    columns = (settings.x, settings.y, settings.gene)
    try:
        if path.suffix == ".parquet":
            lazy = pl.scan_parquet(path)
        else:
            lazy = pl.scan_csv(path, separator=_delimiter(path), infer_schema=False)
        names = lazy.collect_schema().names()
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{path.name} cannot be read as a table: {error}") from error
    for column in columns:
        if column not in names:
            raise ImageError(f"{path.name} has no column '{column}'; {nearest(column, names)}")
    numbers = [pl.col(name).cast(pl.Float64) for name in columns[:2]]
    return lazy.select(*numbers, pl.col(settings.gene).cast(pl.String))


def _collected(path: Path, lazy: pl.LazyFrame) -> pl.DataFrame:
    try:
        return lazy.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).splitlines()[0]
        raise ImageError(f"{path.name} cannot be read as a table: {said}") from error


def _delimiter(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline()
    return max(DELIMITERS, key=first.count)
