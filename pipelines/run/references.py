"""What images are measured with and that lies outside them, decided before the first of them.

For SA-β-Gal: blank fields, and the colour of the precipitate where it is estimated from stained
control images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.run.provenance import stamp
from pipelines.study import Study
from pipelines.study.beta_gal import beta_gal_of, blank_file
from pipelines.study.check import Checked
from pipelines.study.csv_table import Value
from pipelines.study.samples import ImageRow
from pipelines.study.settings import BetaGal, StainControls


@dataclass(frozen=True)
class References:
    """What a study's images are measured with.

    Attributes:
        study: the settings.
        folder: folder of the study file.
        blanks: blank fields: path from the folder -> SHA-256 of the file.
        stains: batch -> the estimated stain (see `measurements.stain_estimate.StainEstimate`);
            empty where none is estimated, and with the one key None where all are one batch.
    """

    study: Study
    folder: Path
    blanks: Mapping[str, str]
    stains: Mapping[Value, Mapping[str, Any]]

    @property
    def inputs(self) -> dict[str, Any]:
        """All of it as JSON can hold it, for fingerprints and provenance."""
        stains = [{"batch": batch, **found} for batch, found in self.stains.items()]
        named = {"blank_fields": dict(self.blanks), "stain_estimates": stains}
        return {name: value for name, value in named.items() if value}

    def study_of(self, row: ImageRow) -> Study:
        """The settings with what was decided for one image in the place of how to decide it."""
        settings = beta_gal_of(self.study)
        if settings is None or not self.inputs:
            return self.study
        own: dict[str, object] = {}
        if self.stains and isinstance(settings.stain, StainControls):
            batch = row.sample[settings.stain.by] if settings.stain.by else None
            own["stain"] = tuple(self.stains[batch]["vector"])
        if settings.blank is not None:
            own["blank"] = str(blank_file(settings, row, self.folder))
        measurements = tuple(
            m.model_copy(update=own) if isinstance(m, BetaGal) else m
            for m in self.study.measurements
        )
        return self.study.model_copy(update={"measurements": measurements})


def decide_references(checked: Checked) -> References:
    """Find the blank fields of a study and estimate its stain, where it asks for that.

    Raises:
        StudyError: the control images cannot be read, or show no stain.
    """
    study, folder = checked.study, checked.path.resolve().parent
    settings, rows = beta_gal_of(study), checked.samples.rows
    if settings is None:
        return References(study, folder, {}, {})
    blanks = {path for row in rows if (path := blank_file(settings, row, folder)) is not None}
    stamps = [stamp(path, folder) for path in sorted(blanks)]
    stains: Mapping[Value, Mapping[str, Any]] = {}
    if isinstance(settings.stain, StainControls):
        # Imported here: only a study that estimates its stain needs arrays before its first image.
        from pipelines.run.stain import estimate_stains

        stains = estimate_stains(checked, settings, settings.stain)
    return References(study, folder, {s.path: s.sha256 for s in stamps}, stains)
