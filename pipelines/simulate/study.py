"""Write a whole simulated study: images, sample table, study file, truth and a warning label."""

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import yaml

from pipelines.errors import StudyError
from pipelines.simulate.designs import (
    Sample,
    StudyDesign,
    beta_gal_samples,
    foci_samples,
    reporter_base,
    reporter_samples,
    study_file,
)
from pipelines.simulate.files import write_image, write_labels, write_tables
from pipelines.simulate.randomness import part_rng
from pipelines.simulate.reporters import DYES, reporter_controls, simulate_reporters
from pipelines.simulate.scene import Simulated, Table
from pipelines.study.controls import STAINED, UNLABELLED

Plan = Callable[[StudyDesign, int], list[Sample]]
ASSAYS: Mapping[str, Plan] = {
    "beta_gal": beta_gal_samples,
    "foci": foci_samples,
    "reporters": reporter_samples,
}
# One file a group of channels: the sample table's column, and what the file holds.
FILES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "beta_gal": {"image_rgb": ("rgb",), "image_dapi": ("dapi",)},
    "foci": {"image": ("dapi", "gh2ax")},
    "reporters": {"image": DYES},
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
# Name of each control image of the reporter study, and what it is of.
CONTROLS = {
    "control_unlabelled_1": "only_dapi",
    "control_unlabelled_2": "only_dapi",
    "control_unlabelled_3": "only_dapi",
    "control_gfp": "only_gfp",
    "control_mcherry": "only_mcherry",
}


def write_study(assay: str, directory: Path, seed: int, design: StudyDesign | None = None) -> Path:
    """Simulate a small study and write it.

    Args:
        assay: one of `ASSAYS`.
        directory: folder to write to; made if missing, and refused if it holds a study.
        seed: seed of everything; 0 or more.
        design: numbers of donors, clones and images, and effects; None for the default.

    Returns:
        Path of the study file.

    Raises:
        StudyError: the assay is unknown, the seed negative, or the folder holds a study.
    """
    _check(assay, directory, seed)
    samples = ASSAYS[assay](design or StudyDesign(), seed)
    for folder in (directory / "images", directory / "truth"):
        folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, Mapping[str, Table]] = {}
    for number, sample in enumerate(samples):
        simulated = sample.simulate(_image_seed(seed, number))
        _write_field(directory, assay, sample.name, simulated)
        tables[sample.name] = simulated.truth
    if assay == "reporters":
        tables |= _write_controls(directory, seed)
    write_tables(directory / "truth", tables)
    _sample_table(assay, samples).write_csv(directory / "samples.csv")
    _truth_table(samples).write_csv(directory / "truth" / "samples.csv")
    readme = README.format(assay=assay, seed=seed)
    readme += CONTROLS_LINE if assay == "reporters" else ""
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


def _write_field(directory: Path, assay: str, name: str, simulated: Simulated) -> None:
    """Write a field's images and its true labels."""
    for column, channels in FILES[assay].items():
        write_image(directory / _image_path(name, column), simulated, channels)
    for kind, labels in simulated.labels.items():
        write_labels(directory / "truth" / f"{name}_{kind}.tif", labels)


def _image_path(name: str, column: str) -> str:
    """Path of an image in the study, such as ``images/h1c1_1_dapi.ome.tif``."""
    return f"images/{name}{column.removeprefix('image')}.ome.tif"


def _write_controls(directory: Path, seed: int) -> dict[str, Mapping[str, Table]]:
    """Write the control images of the reporter study and their list."""
    settings = reporter_controls(reporter_base())
    tables, rows = {}, []
    for number, (name, control) in enumerate(CONTROLS.items()):
        simulated = simulate_reporters(settings[control], _image_seed(seed, 10**6 + number))
        _write_field(directory, "reporters", name, simulated)
        tables[name] = simulated.truth
        stained = UNLABELLED if control == "only_dapi" else control.removeprefix("only_")
        rows.append({"image": _image_path(name, "image"), STAINED: stained})
    pl.DataFrame(rows).write_csv(directory / "controls.csv")
    return tables


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
