"""Nuclei whose foci hide from the count, said at the end of a run."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from measurements.quality import OUT_OF_FOCUS
from pipelines.run.parts import Part
from pipelines.study.model import Study
from pipelines.study.settings import Foci

BLURRED_SHARE = 0.02
"""Share of the nuclei out of focus from which on they move a mean count [judgement]."""
PATCH = 8.0
"""How many times the contrast of the median nucleus's foci is debris, no focus [judgement]."""

Values = NDArray[np.float64]


def foci_warnings(study: Study, parts: Sequence[Part]) -> list[str]:
    """What counts of foci are to be read with.

    Args:
        study: the settings.
        parts: the images, their foci counted.
    """
    return [
        text
        for measurement in study.measurements
        if isinstance(measurement, Foci) and parts
        for text in _doubts(measurement.channel, study, parts)
    ]


def _doubts(channel: str, study: Study, parts: Sequence[Part]) -> list[str]:
    names = (f"{channel}_foci_count", f"{channel}_foci_mean_contrast", OUT_OF_FOCUS.name)
    counts, contrast, focus = (_all(study, parts, name) for name in names)
    counted = np.isfinite(counts)
    if not counted.any():
        return []
    counts, contrast, blurred = counts[counted], contrast[counted], focus[counted] == 1
    known = np.isfinite(contrast)
    patched = known & (contrast > PATCH * np.median(contrast[known])) if known.any() else known
    found = []
    if blurred.mean() > BLURRED_SHARE and not blurred.all():
        found.append(
            f"{channel}: {blurred.sum()} of {blurred.size} nuclei are out of focus and have "
            f"{np.mean(counts[blurred]):.3g} foci on average, the others "
            f"{np.mean(counts[~blurred]):.3g}: to leave them out, exclude: "
            f"{{flags: [{OUT_OF_FOCUS.name}]}}"
        )
    if patched.any():
        found.append(
            f"{channel}: {patched.sum()} of {patched.size} nuclei hold something over {PATCH:g} "
            "times as bright as usual foci, such as debris, which counts as a focus or two and "
            f"hides those beside it ({np.mean(counts[patched]):.3g} counted, elsewhere "
            f"{np.mean(counts[~patched]):.3g}): look at their pictures, and leave them out by "
            "hand in `senescope open`"
        )
    return found


def _all(study: Study, parts: Sequence[Part], column: str) -> Values:
    """A column of every cell that the study keeps; NaN where an image does not have it."""
    return np.concatenate(
        [
            part.values(column)[part.kept(study.exclude.flags)]
            if column in part.names
            else np.full(int(part.kept(study.exclude.flags).sum()), np.nan)
            for part in parts
        ]
    )
