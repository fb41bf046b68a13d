"""The demo's simulated study: pictures made on the spot, the same ones each time."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path

import polars as pl

from pipelines.simulate import BetaGalSettings, Simulated, simulate_beta_gal
from pipelines.simulate.study import FieldToWrite, write_fields

SEED = 2024
SIDE_PX = 720
CELLS = 20
# Culture, donor, and the probability of its cells to be senescent.
DONORS = (
    ("reference", "r1", 0.0),
    ("reference", "r2", 0.0),
    ("reference", "r3", 0.0),
    ("healthy", "h1", 0.06),
    ("healthy", "h2", 0.10),
    ("healthy", "h3", 0.16),
    ("werner", "w1", 0.40),
    ("werner", "w2", 0.50),
    ("werner", "w3", 0.62),
)
README = """SIMULATED DATA: no real cells, no real donors.

Written by `senescope demo`, the same each time. Names such as "werner" only say which effect was
simulated.

study.yaml, samples.csv  the study: senescope run study.yaml
images/                  brightfield (rgb) and nuclei (dapi) of each field, OME-TIFF
truth/                   what is known: cells.csv, nuclei.csv and others have one row an object and
                         name its image, NAME_nuclei.tif and NAME_cells.tif hold the true labels,
                         samples.csv the fraction of senescent cells that was simulated
"""


def write_beta_gal(folder: Path, workers: int) -> Path:
    """Simulate the pictures of the demo's SA-β-Gal study, where they are not there yet.

    Args:
        folder: folder of the study, made where it is missing.
        workers: pictures simulated at the same time.

    Returns:
        The study file.
    """
    study = folder / "study.yaml"
    text = (files("pipelines.demo") / "data" / "beta_gal" / "study.yaml").read_text("utf-8")
    if study.is_file() and study.read_text("utf-8") == text:
        return study
    fields = [
        FieldToWrite(donor, _field(fraction), SEED + number, "beta_gal", folder)
        for number, (_, donor, fraction) in enumerate(DONORS)
    ]
    write_fields(fields, workers)
    _write_samples(folder)
    (folder / "README.txt").write_text(README, "utf-8")
    study.write_text(text, "utf-8")  # last: its presence says that all is there
    return study


def _field(stained_fraction: float) -> Callable[[int], Simulated]:
    """Gives the image of a seed, in which cells are stained with this probability."""
    base = BetaGalSettings(dapi_e=800.0, stained_fraction=stained_fraction)
    settings = replace(
        base,
        scene=replace(base.scene, height=SIDE_PX, width=SIDE_PX),
        nuclei=replace(base.nuclei, count=CELLS),
    )
    return partial(simulate_beta_gal, settings)


def _write_samples(folder: Path) -> None:
    """The sample table, and beside the truth what the donors were simulated with."""
    rows = [
        {
            "image_id": donor,
            "image_rgb": f"images/{donor}_rgb.ome.tif",
            "image_dapi": f"images/{donor}_dapi.ome.tif",
            "truth_nuclei": f"truth/{donor}_nuclei.tif",
            "donor": donor,
            "culture": culture,
        }
        for culture, donor, _ in DONORS
    ]
    pl.DataFrame(rows).write_csv(folder / "samples.csv")
    known = {"donor": [d for _, d, _ in DONORS], "stained_fraction": [f for *_, f in DONORS]}
    pl.DataFrame(known).write_csv(folder / "truth" / "samples.csv")
