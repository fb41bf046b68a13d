"""Everything about a study that can be known before computing: all its problems at once."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipelines.errors import ImageError, MismatchError, StudyError
from pipelines.images import Field, open_field
from pipelines.study.beta_gal import beta_gal_problems
from pipelines.study.controls import join_controls
from pipelines.study.design import design_problems
from pipelines.study.illumination import illumination_problems
from pipelines.study.messages import nearest
from pipelines.study.model import Study, load_study
from pipelines.study.neighbours_check import neighbours_problems
from pipelines.study.problems import Problem, error, warning
from pipelines.study.reporters import Reporters
from pipelines.study.reporters_check import reporter_problems
from pipelines.study.row import ImageRow
from pipelines.study.samples import Samples, join_samples
from pipelines.study.settings import Chromatin, Foci, Intensity
from pipelines.study.slides import is_slide, slide_problems
from pipelines.study.spots import Spots
from pipelines.study.stacks import check_stacks
from pipelines.study.stains import stain_problems, weights_of
from pipelines.study.tissue_check import tissue_problems
from pipelines.study.transcripts_check import transcript_problems
from segmentation.catalogue import known_model_names

HEADER_THREADS = 8


@dataclass(frozen=True)
class Checked:
    """A study that was read and checked.

    Attributes:
        path: the study file.
        study: its settings.
        samples: its images with their sample columns.
        controls: control images, which are measured like the others and are in no table of cells.
        problems: all that was found, errors first.
        slides: ids of the images that are worked on in blocks, being large.
    """

    path: Path
    study: Study
    samples: Samples
    controls: Samples
    problems: tuple[Problem, ...]
    slides: frozenset[str]

    @property
    def rows(self) -> tuple[ImageRow, ...]:
        """All images to work on."""
        return (*self.samples.rows, *self.controls.rows)

    def raise_errors(self) -> None:
        """Raise a `StudyError` that lists every error, if there is one."""
        errors = [p for p in self.problems if p.level == "error"]
        if errors:
            raise StudyError("\n".join(f"{p.where}: {p.message}" for p in errors))


def check_study(path: Path, *, among: frozenset[str] | None = None) -> Checked:
    """Read a study and find all that is wrong with it, without reading a pixel.

    Args:
        path: study file.
        among: ids of the images that are to be in it, where others are still awaited.

    Raises:
        StudyError: the file itself does not parse; the message lists every problem in it.
    """
    study = load_study(path)
    folder = path.resolve().parent
    samples = join_samples(study, folder)
    controls = join_controls(study, samples, folder)
    problems = [error("samples", text) for text in samples.problems]
    if among is None:
        problems += [error("samples", text) for text in samples.absent]
    else:
        there = tuple(row for row in samples.rows if row.image_id in among)
        samples = replace(samples, rows=there)
    problems += _channel_problems(study)
    problems += _model_problems(study, folder)
    problems += stain_problems(study)
    problems += beta_gal_problems(study, samples, folder)
    problems += design_problems(study, samples)
    problems += reporter_problems(study, samples, controls)
    problems += neighbours_problems(study)
    problems += transcript_problems(study, samples, folder)
    problems += tissue_problems(study, samples, folder)
    opened = _opened(study, (*samples.rows, *controls.rows))
    problems += _image_problems(opened)
    slides = frozenset(
        name
        for name, image in opened.items()
        if isinstance(image, Field) and is_slide(image, study.compute.slide_above_px)
    )
    large = {name: opened[name] for name in sorted(slides)}
    problems += slide_problems(study, large)
    problems += illumination_problems(study, opened, large, folder)
    problems.sort(key=lambda p: p.level)
    return Checked(path, study, samples, controls, tuple(problems), slides)


def open_row(study: Study, row: ImageRow) -> Field:
    """Open one image of a study lazily, as both the check and the run do.

    Raises:
        ImageError: the image cannot be used; see `pipelines.images.open_field`.
    """
    field = open_field(
        row.image_id,
        row.files,
        study.channels,
        pixel_size_um=study.pixel_size_um,
        z=study.z,
        scene=row.scene,
        time=row.time,
    )
    check_stacks(field, study)
    return replace(field, stains=weights_of(study.stains)) if study.stains else field


def _channel_problems(study: Study) -> list[Problem]:
    """Channels that are used but not declared, or brightfield where one grey channel is needed."""
    uses = [(where, part.channel) for where, part in study.cellpose_settings()]
    uses += [
        (f"measurements.{i}", m.channel)
        for i, m in enumerate(study.measurements)
        if isinstance(m, Intensity | Foci | Chromatin | Spots)
    ]
    uses += [
        (f"measurements.{i}.unused", m.unused.channel)
        for i, m in enumerate(study.measurements)
        if isinstance(m, Spots) and m.unused is not None
    ]
    uses += [
        (f"measurements.{i}", channel)
        for i, m in enumerate(study.measurements)
        if isinstance(m, Reporters)
        for channel in m.channels
    ]
    problems = []
    for where, channel in uses:
        if channel not in study.planes:
            hint = nearest(channel, study.planes)
            problems.append(error(f"{where}.channel", f"no channel '{channel}'; {hint}"))
    once = [(m.type, m.channel) for m in study.measurements if isinstance(m, Foci | Spots)]
    problems += [
        error("measurements", f"{kind} of {channel} are measured twice; their columns are the same")
        for kind, channel in dict.fromkeys(once)
        if once.count((kind, channel)) > 1
    ]
    rgb = [name for name, place in study.channels.items() if place == "rgb"]
    if len(rgb) > 1:
        problems.append(error("channels", f"one channel can be rgb; found {', '.join(rgb)}"))
    problems += [
        error(
            f"{where}.channel",
            f"'{channel}' is rgb; a single grey channel is needed here, or one of its stains "
            "(name them under `stains`)",
        )
        for where, channel in uses
        if channel in rgb and where.startswith("measurements")
    ]
    return problems


def _model_problems(study: Study, folder: Path) -> list[Problem]:
    problems = []
    for where, part in study.cellpose_settings():
        if part.model in known_model_names() or (folder / part.model).is_file():
            continue
        hint = nearest(part.model, known_model_names())
        message = f"'{part.model}' is neither a model nor a weights file; {hint}"
        problems.append(error(f"{where}.model", message))
    if study.pixel_size_um == "unknown":
        problems += [
            error(where, f"{name} needs a pixel size, which is 'unknown'; give {name[:-3]}_px")
            for where, part in study.settings_with_lengths()
            for name in part.uses_um()
        ]
    return problems


def _opened(study: Study, rows: Sequence[ImageRow]) -> dict[str, Field | ImageError]:
    """Every image by its id, or why it cannot be used, from the headers."""
    with ThreadPoolExecutor(HEADER_THREADS) as pool:
        opened = list(pool.map(lambda row: _try_open(study, row), rows))
    return {row.image_id: image for row, image in zip(rows, opened, strict=True)}


def _image_problems(opened: Mapping[str, Field | ImageError]) -> list[Problem]:
    """What the headers say. Images that fail alone are warnings: the run goes on without them."""
    failed = {name: e for name, e in opened.items() if isinstance(e, ImageError)}
    mismatched = [e for e in failed.values() if isinstance(e, MismatchError)]
    readable = len(opened) - (len(failed) - len(mismatched))
    level: Literal["error", "warning"] = (
        "error" if mismatched and len(mismatched) == readable else "warning"
    )
    return _grouped(failed, level)


def _try_open(study: Study, row: ImageRow) -> Field | ImageError:
    try:
        return open_row(study, row)
    except ImageError as e:
        return e


def _grouped(
    failed: Mapping[str, ImageError], mismatch_level: Literal["error", "warning"]
) -> list[Problem]:
    """One problem an image, but a single one where every image of the study says the same."""
    problems = [
        error(f"image {image_id}", str(e))
        if isinstance(e, MismatchError) and mismatch_level == "error"
        else warning(
            f"image {image_id}", f"{str(e).rstrip('.')}. It will be a row in failures.csv."
        )
        for image_id, e in failed.items()
    ]
    return [*problems[:1], _more(problems[1:])] if _all_alike(problems) else problems


def _all_alike(problems: Sequence[Problem]) -> bool:
    return len(problems) > 3 and all(p.level == "error" for p in problems)


def _more(problems: Iterable[Problem]) -> Problem:
    rest = list(problems)
    return error("images", f"{len(rest)} more images do not fit the study in such a way")
