"""Write a whole simulated study: images, sample table, study file, truth and a warning label."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import polars as pl
import yaml

from pipelines.errors import SenescopeError, StudyError
from pipelines.run.workers import Workers
from pipelines.simulate.designs import (
    Sample,
    StudyDesign,
    beta_gal_samples,
    foci_samples,
    hybiss_samples,
    lobule_samples,
    reporter_base,
    reporter_samples,
    rna_brightfield_samples,
    rna_samples,
    tissue_base,
    tissue_samples,
)
from pipelines.simulate.files import write_image, write_labels, write_tables
from pipelines.simulate.lobule_images import CHANNELS as LOBULE_CHANNELS
from pipelines.simulate.randomness import part_rng
from pipelines.simulate.reporters import (
    DYES,
    ReporterSettings,
    reporter_controls,
    simulate_reporters,
)
from pipelines.simulate.rna import CHANNELS as RNA_CHANNELS
from pipelines.simulate.scene import Simulated, Table
from pipelines.simulate.study_files import study_file
from pipelines.study.controls import STAINED, UNLABELLED

Plan = Callable[[StudyDesign, int], list[Sample]]
ASSAYS: Mapping[str, Plan] = {
    "beta_gal": beta_gal_samples,
    "foci": foci_samples,
    "reporters": reporter_samples,
    "rna": rna_samples,
    "rna_brightfield": rna_brightfield_samples,
    "tissue": tissue_samples,
    "lobule": lobule_samples,
    "hybiss": hybiss_samples,
}
# One file a group of channels: the sample table's column, and what the file holds.
FILES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "beta_gal": {"image_rgb": ("rgb",), "image_dapi": ("dapi",)},
    "foci": {"image": ("dapi", "gh2ax")},
    "reporters": {"image": DYES},
    "rna": {"image": RNA_CHANNELS},
    "rna_brightfield": {"image": ("rgb",)},
    "tissue": {"image": DYES},
    "lobule": {"image": LOBULE_CHANNELS},
    "hybiss": {"image": LOBULE_CHANNELS[:1]},
}

README = """SIMULATED DATA: no real cells, no real donors.

Written by `senescope simulate {assay}` with seed {seed}. The same version, seed and design give the
same images. Names such as "werner" only say which effect was simulated.

study.yaml    the study, ready for `senescope run study.yaml`
samples.csv   one row an image
images/       OME-TIFF with channel names and pixel size
truth/        what is known: one CSV a kind of object with the image's name in its first column,
              samples.csv with the fractions and means that images were simulated with, and
              NAME_nuclei.tif, NAME_cells.tif with the true labels (uint32, 0 is background)
"""
CONTROLS_LINE = """controls.csv  control images: DNA alone (unlabelled), or the dye `stained` too
"""
# Studies that come with control images, and the settings of these.
WITH_CONTROLS: Mapping[str, Callable[[], ReporterSettings]] = {
    "reporters": reporter_base,
    "tissue": tissue_base,
}
# Name of each control image of the reporter study, and what it is of.
CONTROLS = {
    "control_unlabelled_1": "only_dapi",
    "control_unlabelled_2": "only_dapi",
    "control_unlabelled_3": "only_dapi",
    "control_gfp": "only_gfp",
    "control_mcherry": "only_mcherry",
}


@dataclass(frozen=True, slots=True)
class FieldToWrite:
    """One image that is to be simulated and written.

    Attributes:
        name: stem of its files.
        simulate: gives the image of a seed.
        seed: seed of the image.
        assay: one of `ASSAYS`; decides which channels share a file.
        directory: folder of the study.
    """

    name: str
    simulate: Callable[[int], Simulated]
    seed: int
    assay: str
    directory: Path


def write_study(
    assay: str,
    directory: Path,
    seed: int,
    design: StudyDesign | None = None,
    workers: int = 1,
) -> Path:
    """Simulate a small study and write it.

    Args:
        assay: one of `ASSAYS`.
        directory: folder to write to; made if missing, and refused if it holds a study.
        seed: seed of everything; 0 or more.
        design: numbers of donors, clones and images, and effects; None for the default.
        workers: images simulated at the same time.

    Returns:
        Path of the study file.

    Raises:
        StudyError: the assay is unknown, the seed negative, or the folder holds a study.
        SenescopeError: a process that simulated an image was killed.
    """
    _check(assay, directory, seed)
    samples = ASSAYS[assay](design or StudyDesign(), seed)
    directory.mkdir(parents=True, exist_ok=True)
    fields = [
        FieldToWrite(sample.name, sample.simulate, _image_seed(seed, number), assay, directory)
        for number, sample in enumerate(samples)
    ]
    if assay in WITH_CONTROLS:
        fields += _plan_controls(directory, assay, seed)
    write_fields(fields, workers)
    _sample_table(assay, samples).write_csv(directory / "samples.csv")
    _truth_table(samples).write_csv(directory / "truth" / "samples.csv")
    readme = README.format(assay=assay, seed=seed)
    readme += CONTROLS_LINE if assay in WITH_CONTROLS else ""
    (directory / "README.txt").write_text(readme, encoding="utf-8")
    path = directory / "study.yaml"
    content = yaml.safe_dump(study_file(assay), sort_keys=False, allow_unicode=True)
    path.write_text(f"# Simulated data with known truth; see README.txt.\n{content}", "utf-8")
    return path


def _check(assay: str, directory: Path, seed: int) -> None:
    """Refuse what cannot be written."""
    if assay not in ASSAYS:
        raise StudyError(f"Unknown assay {assay!r}; it can be one of {', '.join(ASSAYS)}.")
    if seed < 0:
        raise StudyError(f"The seed is {seed}; give a whole number of 0 or more.")
    if (directory / "study.yaml").exists():
        raise StudyError(f"{directory} already holds a study; choose another folder.")


def _image_seed(seed: int, number: int) -> int:
    """Seed of one image of a study."""
    return int(part_rng(seed, "image", number).integers(2**31))


def write_fields(fields: Sequence[FieldToWrite], workers: int) -> None:
    """Simulate and write the images of one study, one or more, and what is known of them.

    Args:
        fields: the images.
        workers: images simulated at the same time.

    Raises:
        SenescopeError: a process that simulated an image was killed.
    """
    directory = fields[0].directory
    for folder in (directory / "images", directory / "truth"):
        folder.mkdir(parents=True, exist_ok=True)
    with Workers(write_field, _lost, workers) as pool:
        truth = dict(map(write_field, fields) if workers == 1 else pool.map(fields))
    write_tables(directory / "truth", {field.name: truth[field.name] for field in fields})


def write_field(field: FieldToWrite) -> tuple[str, Mapping[str, Table]]:
    """Simulate one image, write it and its true labels; return its name and what is known of it."""
    simulated = field.simulate(field.seed)
    for column, channels in FILES[field.assay].items():
        write_image(field.directory / _image_path(field.name, column), simulated, channels)
    for kind, table in simulated.inputs.items():
        (field.directory / kind).mkdir(exist_ok=True)
        pl.DataFrame(dict(table)).write_csv(field.directory / kind / f"{field.name}.csv")
    for kind, labels in simulated.labels.items():
        write_labels(field.directory / "truth" / f"{field.name}_{kind}.tif", labels)
    return field.name, simulated.truth


def _lost(field: FieldToWrite, why: str) -> NoReturn:
    raise SenescopeError(f"the process that simulated {field.name} {why}; try --workers 1")


def _image_path(name: str, column: str) -> str:
    """Path of an image in the study, such as ``images/h1c1_1_dapi.ome.tif``."""
    return f"images/{name}{column.removeprefix('image')}.ome.tif"


def _plan_controls(directory: Path, assay: str, seed: int) -> list[FieldToWrite]:
    """Plan the control images of a study of reporters, and write their list."""
    settings = reporter_controls(WITH_CONTROLS[assay]())
    fields, rows = [], []
    for number, (name, control) in enumerate(CONTROLS.items()):
        simulate = partial(simulate_reporters, settings[control])
        image_seed = _image_seed(seed, 10**6 + number)
        fields.append(FieldToWrite(name, simulate, image_seed, assay, directory))
        stained = UNLABELLED if control == "only_dapi" else control.removeprefix("only_")
        rows.append({"image": _image_path(name, "image"), STAINED: stained})
    pl.DataFrame(rows).write_csv(directory / "controls.csv")
    return fields


def _sample_table(assay: str, samples: list[Sample]) -> pl.DataFrame:
    """List images and what is said of them."""
    rows = [
        {column: _image_path(s.name, column) for column in FILES[assay]}
        | {"truth_nuclei": f"truth/{s.name}_nuclei.tif"}
        | dict(s.columns)
        for s in samples
    ]
    return pl.DataFrame(rows)


def _truth_table(samples: list[Sample]) -> pl.DataFrame:
    """List what images were simulated with."""
    rows = [{"image": s.name, **s.columns, **s.truth} for s in samples]
    return pl.DataFrame(rows)
