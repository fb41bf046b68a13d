"""Every cell of one image measured, as the study asks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.beta_gal import BetaGal as MeasuredBetaGal
from measurements.beta_gal_parts import WholePicture
from measurements.blocks import touches_edge
from measurements.chromatin import ChromatinSettings, measure_chromatin
from measurements.columns import Column, Measured, in_physical_units
from measurements.intensity import measure_intensity
from measurements.morphology import measure_morphology, measure_size
from measurements.quality import (
    QualityLimits,
    measure_cell_quality,
    measure_saturated_cells,
)
from measurements.regions import Regions
from pipelines.field.beta_gal import (
    image_values,
    image_warnings,
    measure_stain,
    measure_stain_part,
)
from pipelines.field.foci import FociPart, measure_foci_part
from pipelines.field.labels import Labels
from pipelines.field.overlay import overlay
from pipelines.field.pixels import Grey, Pixels
from pipelines.field.place import Place, Surroundings, whole_image
from pipelines.field.reporters import measure_reporter_field
from pipelines.field.spots import SpotsPart, measure_spots_part
from pipelines.field.summary import Lights, summarise_image, with_more
from pipelines.field.transcripts import count_transcripts
from pipelines.study import Study
from pipelines.study.beta_gal import beta_gal_of
from pipelines.study.reporters import Reporters
from pipelines.study.settings import (
    Chromatin,
    CytoplasmRing,
    Foci,
    Intensity,
    Morphology,
    NucleiAsCells,
)
from segmentation.cells import Compartments, ring

CELL_ID = Column(
    "cell_id", "key", "uint32", "Number of the cell in its image, and its label there.",
    "position of the nucleus, row by row", aggregate=False,
)  # fmt: skip
N_NUCLEI = Column(
    "n_nuclei", "count", "uint32", "Nuclei found in the cell.", "segmentation.cells.pair"
)
TOUCHES_BORDER = Column(
    "touches_border", "flag", "bool",
    "The cell reaches the edge of the image, so that part of it may be missing.",
    "measurements.blocks.touches_edge",
)  # fmt: skip


@dataclass(frozen=True)
class MeasuredField:
    """What one image gives to the tables.

    Attributes:
        cells: one value a cell and column.
        foci: what may be foci; None where they were not asked for.
        summary: the image's own columns: flags, warnings, quality, score.
        overlay: (h, w, 3) uint8, outlines on the image; None where foci are to be drawn on it,
            which are known once all images are measured.
        lights: channel -> what the image tells of the light of its batch.
        spots: RNA spots; None where they were not asked for.
    """

    cells: Measured
    foci: FociPart | None
    summary: Mapping[str, str | float | int | None]
    overlay: NDArray[np.uint8] | None
    lights: Lights
    spots: SpotsPart | None = None

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.cells[CELL_ID].size)


def measure_field(
    pixels: Pixels, labels: Labels, study: Study, truth: NDArray[np.integer] | None
) -> MeasuredField:
    """Measure all that the study asks for in every cell of one image.

    Args:
        pixels: the image.
        labels: its nuclei and cells.
        study: the settings.
        truth: (y, x) annotated nuclei to score the segmentation with.
    """
    place = whole_image(labels)
    cells = measure_cells(pixels, labels, study, place)
    foci = _foci(pixels, labels, study, place)
    stain = whole_stain(pixels, labels, study)
    summary, lights = summarise_image(pixels, labels, place.ids.size, truth)
    if stain is not None:
        cells = {**cells, **stain.cells}
        summary = with_more(
            summary,
            image_values(stain.image, pixels.pixel_size_um),
            image_warnings(stain.image, pixels.rgb, pixels.blank),
        )
    genes, totals, doubts = count_transcripts(
        study, pixels.transcripts, labels.cells, place.ids, pixels.pixel_size_um
    )
    spots = measure_spots_part(pixels.planes, labels, study, pixels.pixel_size_um)
    totals = {**totals, **(spots.summary if spots is not None else {})}
    cells, summary = {**cells, **genes}, with_more(summary, totals, doubts)
    return MeasuredField(
        cells=in_physical_units(cells, pixels.pixel_size_um),
        foci=foci,
        summary=summary,
        overlay=overlay(pixels, labels, study, {}, {}) if foci is None else None,
        lights=lights,
        spots=spots,
    )


def measure_cells(pixels: Pixels, labels: Labels, study: Study, place: Place) -> Measured:
    """Measure the cells of an image, or of a picture cut out of a slide.

    What slides take rounds of their own for is not among it: SA-β-Gal and foci.

    Args:
        pixels: the picture.
        labels: its nuclei and cells.
        study: the settings.
        place: the cells wanted, and where the picture lies.

    Returns:
        One value a cell and column, lengths in px.
    """
    compartments = _compartments(labels, study.segmentation.cytoplasm, pixels.pixel_size_um, place)
    cells: dict[Column, NDArray[np.generic]] = dict(_keys(labels, compartments["cell"], place))
    around = Surroundings.of(pixels, labels, study, place)
    if study.segmentation.nuclei is not None:
        cells |= _focus(study.segmentation.nuclei.channel, pixels, compartments, around)
        cells |= measure_size(compartments["nucleus"], "nucleus")  # what debris is told by
    for measurement in study.measurements:
        if isinstance(measurement, Morphology):
            cells |= _morphology(compartments, with_cells=_cells_are_more(study))
        elif isinstance(measurement, Intensity):
            cells |= _intensity(measurement, pixels, compartments, around)
        elif isinstance(measurement, Chromatin):
            cells |= _chromatin(measurement, pixels, compartments["nucleus"], around)
        elif isinstance(measurement, Reporters):
            cells |= measure_reporter_field(
                measurement, study, pixels, compartments, labels.cells, around
            )
    return cells


def _cells_are_more(study: Study) -> bool:
    """Whether cells differ from nuclei: by the settings, so that all images have equal columns."""
    return not isinstance(study.segmentation.cells, NucleiAsCells)


def _compartments(
    labels: Labels, around: CytoplasmRing | None, pixel_size_um: float | None, place: Place
) -> dict[str, Regions]:
    """Nucleus, cytoplasm and cell of every cell, in the same rows."""
    cytoplasm = np.where(labels.nuclei > 0, np.uint32(0), labels.cells)
    if around is not None:
        parts = Compartments(labels.nuclei, cytoplasm, labels.cells)
        gap, width = (around.in_px(name, pixel_size_um) for name in ("gap", "width"))
        cytoplasm = ring(parts, gap, width)
    images = {"nucleus": labels.nuclei, "cytoplasm": cytoplasm, "cell": labels.cells}
    origin = place.view.top, place.view.left
    return {name: Regions.of(image, place.ids, origin) for name, image in images.items()}


def _keys(labels: Labels, cells: Regions, place: Place) -> Measured:
    n_nuclei = np.ones(len(cells)) if labels.n_nuclei is None else labels.n_nuclei
    return {
        CELL_ID: cells.ids,
        N_NUCLEI: n_nuclei.astype(np.uint32),
        TOUCHES_BORDER: touches_edge(cells, place.slide),
    }


def _morphology(compartments: Mapping[str, Regions], *, with_cells: bool) -> Measured:
    nucleus = measure_morphology(compartments["nucleus"], "nucleus")
    return (
        {**nucleus, **measure_morphology(compartments["cell"], "cell")} if with_cells else nucleus
    )


def _focus(
    channel: str, pixels: Pixels, compartments: Mapping[str, Regions], around: Surroundings
) -> Measured:
    """How sharp each nucleus is in the channel that nuclei were found in."""
    plane = pixels.planes[channel]
    level = around.background(plane, channel, "field").level
    return measure_cell_quality(plane, compartments["nucleus"], channel, level, QualityLimits())


def _intensity(
    settings: Intensity,
    pixels: Pixels,
    compartments: Mapping[str, Regions],
    around: Surroundings,
) -> Measured:
    plane, channel = pixels.planes[settings.channel], settings.channel
    chosen: dict[str, Regions] = {n: compartments[n] for n in settings.compartments}
    background = around.background(plane, channel, settings.background)
    level = around.saturation(plane, channel)
    measured = measure_intensity(plane, channel, chosen, background, level)
    saturated = measure_saturated_cells(
        plane, compartments["cell"], channel, level, QualityLimits()
    )
    return {**measured, **saturated}


def whole_stain(pixels: Pixels, labels: Labels, study: Study) -> MeasuredBetaGal | None:
    """SA-β-Gal, where the study asks for it; its light is that of a whole picture."""
    place = whole_image(labels)
    settings = beta_gal_of(study)
    if settings is None:
        return None
    cells, nuclear_ring = _cell_and_ring(pixels, labels, study, place)
    around = Surroundings.of(pixels, labels, study, place)
    return measure_stain(settings, pixels, cells, nuclear_ring, around)


def measure_cell_stain(
    pixels: Pixels, labels: Labels, study: Study, place: Place, whole: WholePicture
) -> Measured:
    """SA-β-Gal of cells in a picture cut out of a slide; see `measure_cells`.

    Args:
        pixels: the picture.
        labels: its nuclei and cells.
        study: the settings, which ask for it.
        place: the cells wanted, and where the picture lies.
        whole: what is known of the slide.
    """
    settings = beta_gal_of(study)
    assert settings is not None  # callers ask only where it is asked for
    cells, nuclear_ring = _cell_and_ring(pixels, labels, study, place)
    around = Surroundings.of(pixels, labels, study, place)
    return measure_stain_part(settings, pixels, cells, nuclear_ring, around, whole)


def _cell_and_ring(
    pixels: Pixels, labels: Labels, study: Study, place: Place
) -> tuple[Regions, Regions | None]:
    ring_settings = study.segmentation.cytoplasm
    compartments = _compartments(labels, ring_settings, pixels.pixel_size_um, place)
    return compartments["cell"], None if ring_settings is None else compartments["cytoplasm"]


def _chromatin(
    settings: Chromatin, pixels: Pixels, nuclei: Regions, around: Surroundings
) -> Measured:
    plane, channel = pixels.planes[settings.channel], settings.channel
    scale = settings.in_px("scale", pixels.pixel_size_um)
    level = around.background(plane, channel, "field").level
    return measure_chromatin(
        plane, channel, nuclei, level, ChromatinSettings(scale, settings.condensed)
    )


def _foci(pixels: Pixels, labels: Labels, study: Study, place: Place) -> FociPart | None:
    """What may be foci, where the study asks for them."""
    if not any(isinstance(m, Foci) for m in study.measurements):
        return None
    around = Surroundings.of(pixels, labels, study, place)

    def background(plane: Grey, channel: str) -> NDArray[np.float64]:
        return around.background(plane, channel, "field").level

    return measure_foci_part(pixels, Regions.of(labels.nuclei, place.ids), study, background)
