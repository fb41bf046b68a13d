"""What is wrong with a study's reporters and what would spoil them, before a pixel is read."""

from pipelines.study.base import Settings
from pipelines.study.controls import STAINED, UNLABELLED
from pipelines.study.design import control_problems
from pipelines.study.model import Study
from pipelines.study.problems import Problem, error, warning
from pipelines.study.reporters import ReporterGate, Reporters
from pipelines.study.row import ImageRow
from pipelines.study.samples import Samples
from pipelines.study.settings import CellposeCells, ExpandedCells, NucleiAsCells, VoronoiCells

# Figures of tests/benchmarks/reporters.py: simulated cells of 14 µm around nuclei of 7 µm.
NO_OUTLINES = {
    "expand": "rings around nuclei reach into neighbours: in simulated fields of touching cells "
    "6 % of the reporter classes are wrong with 6 µm and 4 % with 3 µm (2 % with rule gmm, where "
    "both kinds of cells are frequent), against 1 % with outlines of whole cells",
    "voronoi": "a cell's share of the image holds background and its neighbours: in simulated "
    "fields of touching cells 9 % of the reporter classes are wrong with a limit of 12 µm, against "
    "4 % with method expand and 3 µm, and 1 % with outlines of whole cells",
    "nuclei": "reporters are then measured in the nucleus, where the nuclear stain hides "
    "autofluorescence: in simulated fields 19 % of the reporter classes are wrong, against 4 % "
    "with method expand and 3 µm, and 1 % with outlines of whole cells",
}
NOT_UNMIXED = (
    "no control images: nothing is unmixed, and cells bright in one reporter can pass for positive "
    "in the other. In simulated fields with 25 % of gfp in the channel of mcherry and 15 % of "
    "mcherry in that of gfp, four of five cells with gfp alone were called double; with control "
    "images none was. Take an image of each reporter alone and of unlabelled cells"
)


def reporter_problems(study: Study, samples: Samples, controls: Samples) -> list[Problem]:
    """All that can be known of reporters without reading a pixel.

    Args:
        study: the settings.
        samples: its images.
        controls: the control images, from `pipelines.study.controls.join_controls`.
    """
    settings = study.reporters
    if settings is None:
        return []
    where = f"measurements.{study.measurements.index(settings)}"
    problems = [error(f"{where}.bleed_through", text) for text in controls.problems]
    problems += _outline_problems(where, settings, study.segmentation.cells)
    if controls.rows and STAINED in samples.columns:
        problems.append(
            error("samples", f"the column '{STAINED}' is that of control images; rename it")
        )
    if settings.bleed_through is None and len(settings.channels) > 1:
        problems.append(warning(f"{where}.bleed_through", NOT_UNMIXED))
    bare = [row for row in controls.rows if row.sample[STAINED] == UNLABELLED]
    if controls.rows and not bare:
        problems.append(
            warning(
                f"{where}.bleed_through",
                "no image is unlabelled: autofluorescence is not taken off, and cells that are "
                "bright by it look like cells with every reporter. Give images of cells with the "
                "nuclear stain alone",
            )
        )
    for channel in settings.channels:
        place, gate = f"{where}.gates.{channel}", settings.gate(channel)
        problems += control_problems(place, gate, study, samples)
        if gate.by_unlabelled and not controls.problems:
            problems += _unlabelled_problems(place, gate, samples, bare)
    return problems


def _outline_problems(where: str, settings: Reporters, cells: Settings) -> list[Problem]:
    """Cells that are no outlines of whole cells."""
    if isinstance(cells, CellposeCells):
        return []
    assert isinstance(cells, ExpandedCells | VoronoiCells | NucleiAsCells)
    problems = [warning("segmentation.cells", f"{cells.method}: {NO_OUTLINES[cells.method]}")]
    if settings.haze:
        problems.append(
            error(
                f"{where}.haze",
                f"haze needs outlines of whole cells, cells by a cellpose model; with "
                f"{cells.method} the parts of cells that are left out pass for haze, and more "
                "classes are wrong than without (13 instead of 6 % in simulated fields). Leave it "
                "out",
            )
        )
    return problems


def _unlabelled_problems(
    where: str, gate: ReporterGate, samples: Samples, bare: list[ImageRow]
) -> list[Problem]:
    """A gate that is to be set on unlabelled images."""
    if not bare:
        return [error(where, "no controls, and bleed_through has no unlabelled image: give one")]
    problems = [
        warning(
            where,
            "the threshold comes from unlabelled images. Cells that carry a reporter and do not "
            "express it are brighter: where there are such images (no doxycycline), name them in "
            "`controls`",
        )
    ]
    if gate.by is None or gate.by not in samples.columns:
        return problems
    if any(gate.by not in row.sample for row in bare):
        return [error(f"{where}.by", f"the control images have no column '{gate.by}'"), *problems]
    batches = {row.sample[gate.by] for row in samples.rows}
    missing = batches - {row.sample[gate.by] for row in bare}
    return problems + [
        error(f"{where}.by", f"{gate.by} {batch} has no unlabelled image")
        for batch in sorted(missing, key=str)
    ]
