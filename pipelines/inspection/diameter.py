"""The diameter of the objects: measured for `inspect`, and held against a study's for `check`."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from numpy.typing import NDArray

from pipelines.errors import ImageError
from pipelines.field.pixels import rgb_to_grey
from pipelines.images import Field
from pipelines.inspection.look import Channel
from pipelines.study.check import Checked, open_row
from pipelines.study.problems import Problem, warning
from pipelines.study.row import ImageRow
from pipelines.study.settings import CellposeSettings
from segmentation.catalogue import ModelError
from segmentation.diameter import Diameter, propose_diameter
from segmentation.models import load_model

MOST_IMAGES = 3


def diameter_of(channel: Channel, model: str) -> Diameter | None:
    """Measure the typical diameter of a channel's objects.

    Raises:
        ImageError: the model cannot be had.
    """
    try:
        return propose_diameter(channel.grey, load_model(model))
    except ModelError as error:
        raise ImageError(str(error)) from error


def diameter_problems(checked: Checked) -> list[Problem]:
    """Warnings where a study's diameter is not that of its objects.

    Up to three images are looked at, evenly chosen; a warning is given where the diameter lies
    outside the measured intervals of most of them, widened by 20 %.
    """
    rows = [row for row in checked.samples.rows if row.image_id not in checked.slides]
    chosen = rows[:: max(1, len(rows) // MOST_IMAGES)][:MOST_IMAGES]
    return [
        problem
        for where, settings in checked.study.cellpose_settings()
        for problem in _compared(checked, where, settings, chosen)
    ]


def _compared(
    checked: Checked, where: str, settings: CellposeSettings, rows: Sequence[ImageRow]
) -> Iterator[Problem]:
    found = list(_measured(checked, settings, rows))
    off = [(given, d) for given, d in found if not d.agrees(given)]
    if 2 * len(off) <= len(found):
        return
    given = median(g for g, _ in found)
    measured = median(d.px for _, d in found)
    low, high = min(d.low_px for _, d in found), max(d.high_px for _, d in found)
    yield warning(
        f"{where}.diameter",
        f"the objects seem to have a diameter of {measured:.0f} px ({low:.0f} to {high:.0f}, in "
        f"{len(found)} images), the study says {given:.0f} px: look at `senescope inspect`, since "
        "a wrong diameter is the commonest reason for wrong outlines",
    )


def _measured(
    checked: Checked, settings: CellposeSettings, rows: Sequence[ImageRow]
) -> Iterator[tuple[float, Diameter]]:
    """The study's diameter in px and the measured one, for each image that shows enough objects."""
    folder = checked.path.resolve().parent
    for row in rows:
        try:
            field = open_row(checked.study, row)
            model = load_model(settings.weights(folder))
            found = propose_diameter(_grey(field, settings.channel), model)
        except (ImageError, ModelError, ValueError):
            continue  # told of where images and models are checked
        if found is not None:
            yield settings.in_px("diameter", field.pixel_size_um), found


def _grey(field: Field, channel: str) -> NDArray[Any]:
    plane = field.plane(channel)
    return rgb_to_grey(plane) if channel == field.picture else plane
