"""What the SA-β-Gal settings of a study point at, and whether it is there."""

import re
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import ImageError
from pipelines.images import open_field
from pipelines.study.asked import asked, repeated
from pipelines.study.design import selected
from pipelines.study.messages import nearest
from pipelines.study.model import Study
from pipelines.study.problems import Problem, error, warning
from pipelines.study.row import ImageRow
from pipelines.study.samples import Samples, outside_roots
from pipelines.study.settings import BetaGal, ExpandedCells, NucleiAsCells, StainControls

NAMES = re.compile(r"\{([^{}]*)\}")


def beta_gal_of(study: Study) -> BetaGal | None:
    """The study's SA-β-Gal settings, where it measures that."""
    return next((m for m in study.measurements if isinstance(m, BetaGal)), None)


def blank_file(settings: BetaGal, row: ImageRow, folder: Path) -> Path | None:
    """The blank field of one image; {names} in its path are the image's sample columns.

    Args:
        settings: of the study, whose names are all sample columns.
        row: the image.
        folder: folder of the study file.
    """
    if settings.blank is None:
        return None
    return folder / NAMES.sub(lambda match: str(row.sample[match[1]]), settings.blank)


def beta_gal_problems(study: Study, samples: Samples, folder: Path) -> list[Problem]:
    """All that is wrong with the SA-β-Gal settings, without reading a pixel."""
    found = asked(study, BetaGal)
    if not found:
        return []
    where, settings = found[0]
    problems = repeated(found)
    if "rgb" not in study.channels.values():
        problems.append(error(where, "beta_gal needs a brightfield picture: a channel that is rgb"))
    elif samples.rows:
        problems += _blank_problems(f"{where}.blank", settings, study, samples, folder)
    problems += _cell_problems(study)
    if samples.rows and isinstance(settings.stain, StainControls):
        problems += _control_problems(f"{where}.stain", settings.stain, samples)
    return problems


def _cell_problems(study: Study) -> list[Problem]:
    """X-gal lies in the cytoplasm, so cells must reach where it lies."""
    cells = study.segmentation.cells
    better = "use method voronoi with limit_um 50 or so, or a cell model"
    if isinstance(cells, NucleiAsCells):
        return [
            warning(
                "segmentation.cells",
                "beta_gal is measured in nuclei alone, while X-gal's precipitate lies around them; "
                + better,
            )
        ]
    if isinstance(cells, ExpandedCells):
        return [
            warning(
                "segmentation.cells",
                "cells are nuclei grown by a fixed distance: the cytoplasm of flat cells such as "
                "MSC reaches 50 µm and more beyond the nucleus, and X-gal's precipitate out there "
                "is missed; " + better,
            )
        ]
    return []


def _blank_problems(
    where: str, settings: BetaGal, study: Study, samples: Samples, folder: Path
) -> list[Problem]:
    if settings.blank is None:
        return []
    unknown = [name for name in NAMES.findall(settings.blank) if name not in samples.columns]
    if unknown:
        return [
            error(where, f"no sample column '{name}'; {nearest(name, samples.columns)}")
            for name in unknown
        ]
    first_rows: dict[Path, ImageRow] = {}
    for row in samples.rows:
        path = blank_file(settings, row, folder)
        assert path is not None  # there is a blank field
        first_rows.setdefault(path, row)
    problems = [
        error(where, f"{path} lies outside the folders the study may read; add its folder to roots")
        for path in outside_roots(first_rows, study, folder)
    ]
    for path, row in first_rows.items():
        problems += _file_problems(where, path, row, study)
    return problems


def _file_problems(where: str, path: Path, row: ImageRow, study: Study) -> list[Problem]:
    """Whether a blank field is a picture as large as the first image that it belongs to."""
    if not path.is_file():
        return [error(where, f"there is no file {path}")]
    picture = next(name for name, place in study.channels.items() if place == "rgb")
    try:
        shape = _shape(path, study)
    except ImageError as failure:
        return [error(where, str(failure))]
    try:
        of_image = _shape(row.files[picture], study)
    except ImageError:
        return []  # told of where images are checked
    if shape == of_image:
        return []
    sizes = " and ".join("x".join(map(str, size)) for size in (shape, of_image))
    message = (
        f"{path.name} and the image {row.image_id} have {sizes} pixels (y, x): take the blank "
        "field with the same camera settings"
    )
    return [error(where, message)]


def _shape(path: Path, study: Study) -> tuple[int, int]:
    """Rows and columns of a colour picture, from its header."""
    return open_field(
        path.name, {"rgb": path}, {"rgb": "rgb"}, pixel_size_um="unknown", z=study.z
    ).shape


def _control_problems(where: str, stain: StainControls, samples: Samples) -> list[Problem]:
    names = [*stain.controls, *([stain.by] if stain.by else [])]
    unknown = [name for name in names if name not in samples.columns]
    if unknown:
        return [
            error(where, f"no sample column '{name}'; {nearest(name, samples.columns)}")
            for name in unknown
        ]
    controls = selected(samples.rows, stain.controls)
    if not controls:
        wanted = ", ".join(f"{column} {value}" for column, value in stain.controls.items())
        return [error(f"{where}.controls", f"no image has {wanted}")]
    return _bare_batches(where, stain.by, samples.rows, controls)


def _bare_batches(
    where: str, by: str | None, rows: Sequence[ImageRow], controls: Sequence[ImageRow]
) -> list[Problem]:
    if by is None:
        return []
    bare = {row.sample[by] for row in rows} - {row.sample[by] for row in controls}
    return [
        error(f"{where}.by", f"{by} {batch} has no stained control image")
        for batch in sorted(bare, key=str)
    ]
