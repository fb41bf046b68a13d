"""Rounds of in situ sequencing decoded, file by file: tables of x, y and gene for a study.

Reads a table of rounds and a codebook, decodes image after image, and writes ``IMAGE.csv`` for each
and ``decoding.csv``, which says how each round lay and how many reads are false.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from measurements.decoding.codebook import Codebook, Limits
from measurements.decoding.decode import Decoded, align_rounds, decode
from measurements.decoding.registration import Limits as AlignmentLimits
from measurements.errors import MeasurementError
from measurements.spots.settings import SpotSettings
from pipelines.errors import ImageError, StudyError
from pipelines.images import open_field
from pipelines.study.csv_table import parse_csv
from pipelines.study.messages import nearest
from pipelines.tables import write_csv

ROUND_COLUMNS = ("image_id", "round", "image")
TABLE = ("x", "y", "gene", "quality", "wrong_rounds")
SUMMARY = (
    "image_id", "rounds", "dots", "transcripts", "empty_words", "false_discovery",
    "false_discovery_error", "largest_shift_px", "largest_residual_px", "lowest_correlation",
    "shifts_px", "turns_deg", "scales", "error",
)  # fmt: skip


@dataclass(frozen=True)
class DecodeSettings:
    """How images are decoded.

    Attributes:
        nuclei: channel of the nuclear stain, in every round: index or name.
        dots: channels of the dots, in the order in which the codebook counts them from 0.
        sigma_px: SD of a dot's image, px.
        empty: pattern of names of words that no gene has.
        quality: smallest quality of a read.
        corrections: rounds of a read that may be wrong; None for what the words allow.
        residual_px: largest residual shift of a round, px.
    """

    nuclei: str
    dots: tuple[str, ...]
    sigma_px: float = 1.5
    empty: str = "empty*"
    quality: float = 0.5
    corrections: int | None = None
    residual_px: float = 1.0


def decode_files(
    rounds: Path,
    codebook: Path,
    output: Path,
    settings: DecodeSettings,
    say: Callable[[str], None] = print,
) -> int:
    """Decode every image of a table of rounds.

    Args:
        rounds: CSV with the columns image_id, round and image, one row a round of an image.
        codebook: CSV with the column gene and one column a round, in order: the channel's name or
            number in `settings.dots`, from 0.
        output: folder of the tables, made where missing.
        settings: how.
        say: is told of each image.

    Returns:
        Number of images that failed; why stands in decoding.csv.

    Raises:
        StudyError: the tables do not fit.
    """
    words = read_codebook(codebook, settings)
    images = read_rounds(rounds)
    output.mkdir(parents=True, exist_ok=True)
    rows: list[Mapping[str, object]] = []
    for image_id, files in images.items():
        try:
            found = _decode_image(files, words, settings)
        except (ImageError, MeasurementError) as error:
            rows.append({"image_id": image_id, "rounds": len(files), "error": str(error)})
            say(f"{image_id}: {error}")
            continue
        write_csv(output / f"{image_id}.csv", _transcripts(found, words), TABLE)
        rows.append(_summary(image_id, found, words))
        say(
            f"{image_id}: {rows[-1]['transcripts']} transcripts, false discovery "
            f"{found.false_discovery.share:.2%} ± {found.false_discovery.error:.2%}"
        )
    write_csv(output / "decoding.csv", rows, SUMMARY)
    return sum("error" in row for row in rows)


def read_rounds(path: Path) -> dict[str, list[Path]]:
    """Files of every image, round after round.

    Raises:
        StudyError: the table cannot be read, a file is missing, or images differ in rounds.
    """
    records = _records(path, ROUND_COLUMNS)
    found: dict[str, dict[int, Path]] = {}
    for line, record in enumerate(records, start=2):
        if not record["round"].isdigit():
            raise StudyError(f"{path.name} line {line}: round '{record['round']}' is no number")
        file, number = path.parent / record["image"], int(record["round"])
        if not file.is_file():
            raise StudyError(f"{path.name} line {line}: there is no file {file}")
        of_image = found.setdefault(record["image_id"], {})
        if number in of_image:
            raise StudyError(f"{path.name} line {line}: round {number} stands there twice")
        of_image[number] = file
    numbers = {tuple(sorted(files)) for files in found.values()}
    if len(numbers) > 1:
        raise StudyError(f"{path.name}: images differ in their rounds: {sorted(numbers)}")
    return {name: [files[number] for number in sorted(files)] for name, files in found.items()}


def read_codebook(path: Path, settings: DecodeSettings) -> Codebook:
    """The words of a panel.

    Raises:
        StudyError: the table cannot be read, names an unknown channel, or words cannot be told
            apart.
    """
    records = _records(path, ("gene",))
    known = {name: i for i, name in enumerate(settings.dots)}
    known |= {str(i): i for i in range(len(settings.dots))}
    words = []
    for line, record in enumerate(records, start=2):
        letters = [value for name, value in record.items() if name != "gene"]
        for letter in letters:
            if letter not in known:
                hint = nearest(letter, known)
                raise StudyError(f"{path.name} line {line}: no channel '{letter}'; {hint}")
        words.append([known[letter] for letter in letters])
    genes = [record["gene"] for record in records]
    empty = np.array([fnmatchcase(gene, settings.empty) for gene in genes])
    try:
        return Codebook(np.array(words, dtype=np.int64), genes, empty)
    except MeasurementError as error:
        raise StudyError(f"{path.name}: {error}") from error


def _records(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from error
    header, records, problems = parse_csv(text, path.name)
    problems += [
        f"{path.name}: no column '{name}'; {nearest(name, header)}"
        for name in needed
        if name not in header
    ]
    if not problems and not records:
        problems.append(f"{path.name} has a header and no rows")
    if problems:
        raise StudyError("\n".join(problems))
    return records


def _decode_image(files: Sequence[Path], words: Codebook, settings: DecodeSettings) -> Decoded:
    if words.words.shape[1] != len(files):
        raise ImageError(
            f"the codebook has {words.words.shape[1]} rounds and the image {len(files)}"
        )
    pictures = [_read(file, settings) for file in files]
    limits = AlignmentLimits(residual=settings.residual_px)
    alignments = align_rounds([nuclei for nuclei, _ in pictures], limits)
    return decode(
        [dots for _, dots in pictures],
        alignments,
        words,
        SpotSettings(sigma=settings.sigma_px),
        Limits(settings.quality, settings.corrections),
    )


def _read(file: Path, settings: DecodeSettings) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Nuclei (y, x) and dots (channel, y, x) of one round."""
    places = {f"dots{i}": _place(name) for i, name in enumerate(settings.dots)}
    channels = {"nuclei": _place(settings.nuclei), **places}
    files = dict.fromkeys(channels, file)
    field = open_field(file.name, files, channels, pixel_size_um="unknown", z="max")
    return field.plane("nuclei"), np.stack([field.plane(name) for name in places])


def _place(name: str) -> int | str:
    return int(name) if name.isdigit() else name


def _transcripts(found: Decoded, words: Codebook) -> list[dict[str, object]]:
    """Rows of an image's table: genes only, empty words left out."""
    reads = found.reads
    return [
        {
            "x": round(float(found.places[i, 1]), 2),
            "y": round(float(found.places[i, 0]), 2),
            "gene": words.genes[reads.word[i]],
            "quality": round(float(reads.quality[i]), 3),
            "wrong_rounds": int(reads.wrong[i]),
        }
        for i in np.flatnonzero(_of_genes(found, words))
    ]


def _of_genes(found: Decoded, words: Codebook) -> NDArray[np.bool_]:
    kept: NDArray[np.bool_] = found.reads.kept & ~words.empty[found.reads.word]
    return kept


def _summary(image_id: str, found: Decoded, words: Codebook) -> dict[str, object]:
    shifts = [a.shift for a in found.alignments]
    return {
        "image_id": image_id,
        "rounds": len(shifts),
        "dots": len(found.places),
        "transcripts": int(_of_genes(found, words).sum()),
        "empty_words": int((found.reads.kept & words.empty[found.reads.word]).sum()),
        "false_discovery": found.false_discovery.share,
        "false_discovery_error": found.false_discovery.error,
        "largest_shift_px": max(float(np.hypot(*shift)) for shift in shifts),
        "largest_residual_px": max(a.residual for a in found.alignments),
        "lowest_correlation": min(a.correlation for a in found.alignments),
        "shifts_px": "; ".join(f"{y:.2f} {x:.2f}" for y, x in shifts),
        "turns_deg": "; ".join(f"{a.turn_deg:.3f}" for a in found.alignments),
        "scales": "; ".join(f"{a.scale:.4f}" for a in found.alignments),
    }
