"""What images are measured with and that lies outside them, decided before the first of them.

The uneven light of channels, given or estimated; the genes of tables of transcripts. For SA-β-Gal:
blank fields, and the colour of the precipitate where it is estimated from stained control images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.run.layout import Layout
from pipelines.run.provenance import stamp
from pipelines.study import Study
from pipelines.study.beta_gal import beta_gal_of, blank_file
from pipelines.study.check import Checked
from pipelines.study.csv_table import Value
from pipelines.study.row import ImageRow
from pipelines.study.settings import BetaGal, StainControls
from pipelines.study.transcripts import Transcripts
from pipelines.study.transcripts_check import transcripts_of

if TYPE_CHECKING:
    from pipelines.run.light import Light


@dataclass(frozen=True)
class References:
    """What a study's images are measured with.

    Attributes:
        study: the settings.
        folder: folder of the study file.
        blanks: blank fields: path from the folder -> SHA-256 of the file.
        stains: batch -> the estimated stain (see `measurements.stain_estimate.StainEstimate`);
            empty where none is estimated, and with the one key None where all are one batch.
        light: channel -> where its uneven light is; empty where none is taken off.
        genes: of the tables of transcripts; empty where there are none.
    """

    study: Study
    folder: Path
    blanks: Mapping[str, str]
    stains: Mapping[Value, Mapping[str, Any]]
    light: Mapping[str, "Light"]
    genes: tuple[str, ...] = ()

    @property
    def inputs(self) -> dict[str, Any]:
        """All of it as JSON can hold it, for fingerprints and provenance."""
        stains = [{"batch": batch, **found} for batch, found in self.stains.items()]
        light = {channel: dict(light.inputs) for channel, light in self.light.items()}
        named = {
            "blank_fields": dict(self.blanks),
            "stain_estimates": stains,
            "illumination": light,
            "genes": list(self.genes),
        }
        return {name: value for name, value in named.items() if value}

    def lit(self, study: Study) -> Study:
        """Settings with pictures of the light in the place of how to find it."""
        pictures = {channel: str(light.path) for channel, light in self.light.items()}
        return study.model_copy(update={"illumination": pictures}) if pictures else study

    def study_of(self, row: ImageRow) -> Study:
        """The settings with what was decided for one image in the place of how to decide it."""
        study = self._with_transcripts(self.lit(self.study), row)
        settings = beta_gal_of(study)
        if settings is None or not (self.stains or self.blanks):
            return study
        own: dict[str, object] = {}
        if self.stains and isinstance(settings.stain, StainControls):
            batch = row.sample[settings.stain.by] if settings.stain.by else None
            own["stain"] = tuple(self.stains[batch]["vector"])
        if settings.blank is not None:
            own["blank"] = str(blank_file(settings, row, self.folder))
        measurements = tuple(
            m.model_copy(update=own) if isinstance(m, BetaGal) else m for m in study.measurements
        )
        return study.model_copy(update={"measurements": measurements})

    def _with_transcripts(self, study: Study, row: ImageRow) -> Study:
        """The settings with the image's own table of transcripts, and all genes."""
        measurements = tuple(
            m.model_copy(update={"table": str(m.table_of(row, self.folder)), "genes": self.genes})
            if isinstance(m, Transcripts)
            else m
            for m in study.measurements
        )
        return study.model_copy(update={"measurements": measurements})


def decide_references(checked: Checked, layout: Layout) -> References:
    """Find the blank fields and the light of a study, estimate its stain, where it asks for that.

    Args:
        checked: the study and its images.
        layout: of the run, which keeps the light that was estimated.

    Raises:
        StudyError: images do not show what is estimated from them.
    """
    study, folder = checked.study, checked.path.resolve().parent
    settings, rows = beta_gal_of(study), checked.samples.rows
    light: Mapping[str, Light] = {}
    stains: Mapping[Value, Mapping[str, Any]] = {}
    # Imported here: only a study that asks for it needs arrays before its first image.
    if study.illumination != "none":
        from pipelines.run.light import decide_light

        light = decide_light(checked, layout)
    genes = _genes(checked, folder)
    if settings is None:
        return References(study, folder, {}, {}, light, genes)
    blanks = {path for row in rows if (path := blank_file(settings, row, folder)) is not None}
    stamps = [stamp(path, folder) for path in sorted(blanks)]
    if isinstance(settings.stain, StainControls):
        from pipelines.run.stain import estimate_stains

        stains = estimate_stains(checked, settings, settings.stain)
    return References(study, folder, {s.path: s.sha256 for s in stamps}, stains, light, genes)


def _genes(checked: Checked, folder: Path) -> tuple[str, ...]:
    """Genes of the study: those that it names, else all that its tables of transcripts have."""
    settings = transcripts_of(checked.study)
    if settings is None or settings.genes:
        return settings.genes if settings is not None else ()
    from pipelines.transcript_tables import genes_in

    found = {
        gene
        for row in checked.samples.rows
        for gene in genes_in(settings.table_of(row, folder), settings)
    }
    return tuple(sorted(found))
