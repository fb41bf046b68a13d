"""Simulated microscope images with known truth, for every assay of the project.

Each assay is a pure function ``simulate_<assay>(settings, seed) -> Simulated``. Difficulty is a
parameter of the frozen settings and is fixed before a method is tested. `study.write_study` writes
a whole study.
"""

from pipelines.simulate.beta_gal import BetaGalSettings, simulate_beta_gal
from pipelines.simulate.designs import StudyDesign
from pipelines.simulate.foci import FociSettings, simulate_foci
from pipelines.simulate.reporters import (
    ReporterSettings,
    simulate_reporter_controls,
    simulate_reporters,
)
from pipelines.simulate.rna import RnaSettings, simulate_rna
from pipelines.simulate.scene import Simulated
from pipelines.simulate.study import ASSAYS, write_study

__all__ = [
    "ASSAYS",
    "BetaGalSettings",
    "FociSettings",
    "ReporterSettings",
    "RnaSettings",
    "Simulated",
    "StudyDesign",
    "simulate_beta_gal",
    "simulate_foci",
    "simulate_reporter_controls",
    "simulate_reporters",
    "simulate_rna",
    "write_study",
]
