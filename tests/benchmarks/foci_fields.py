"""Simulated fields of foci, and what was found in them judged by what is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from pipelines.simulate.foci import GH2AX_NM, FociSettings, simulate_foci
from pipelines.simulate.optics import FWHM_PER_SIGMA, psf_sigma_um
from pipelines.simulate.scene import Field, Simulated
from pipelines.simulate.spots import FocusSettings, imaged_width_um

Places = NDArray[np.float64]

SCENE = Field(height=640, width=760)
NUCLEI = 5
BASE = FocusSettings(depth_fraction=0, exact_count=20, min_spacing_widths=2.0)
WIDTH_PX = imaged_width_um(BASE, FociSettings().optics, GH2AX_NM) / SCENE.pixel_size_um
STRICT_PX = FWHM_PER_SIGMA * psf_sigma_um(FociSettings().optics, GH2AX_NM) / SCENE.pixel_size_um
SIGMA = WIDTH_PX / FWHM_PER_SIGMA


@dataclass(frozen=True)
class Condition:
    """What is simulated: the ratio, foci a nucleus, spacing in widths, share of pairs, loss."""

    snr: float = 5.0
    count: int = 20
    spacing: float = 2.0
    pairs: float = 0.0
    falloff: float = 0.15

    def settings(self) -> FociSettings:
        foci = replace(
            BASE,
            snr=(self.snr, self.snr),
            exact_count=self.count,
            min_spacing_widths=2.0 if self.pairs else self.spacing,
            pair_fraction=self.pairs,
            pair_widths=self.spacing,
        )
        settings = FociSettings(scene=replace(SCENE, falloff=self.falloff), foci=foci)
        return replace(settings, nuclei=replace(settings.nuclei, count=NUCLEI))

    def simulate(self, seed: int, *, told: bool = False) -> Simulated:
        """A field; where `told`, with the images without noise."""
        return simulate_foci(replace(self.settings(), keep_expected=told), seed)


@dataclass
class Score:
    """Counts over fields, of nuclei in focus."""

    true: int = 0
    found: int = 0
    right: int = 0
    strict: int = 0
    nuclei: int = 0

    @property
    def f1(self) -> float:
        return 2 * self.right / max(self.true + self.found, 1)

    @property
    def f1_strict(self) -> float:
        return 2 * self.strict / max(self.true + self.found, 1)

    @property
    def bias(self) -> float:
        return (self.found - self.true) / max(self.true, 1)


def matches(true: Places, found: Places, radius: float) -> int:
    """Number of one-to-one pairs within a distance, the nearest first."""
    if not len(true) or not len(found):
        return 0
    near = KDTree(true).sparse_distance_matrix(KDTree(found), radius, output_type="ndarray")
    taken: set[tuple[str, int]] = set()
    for pair in near[np.argsort(near["v"], kind="stable")]:
        ends = {("true", int(pair["i"])), ("found", int(pair["j"]))}
        if not ends & taken:
            taken |= ends
    return len(taken) // 2


def judge(found: Sequence[Places], fields: Sequence[Simulated]) -> Score:
    """Compare what was found in each field with the truth."""
    score = Score()
    for places, field in zip(found, fields, strict=True):
        labels = field.labels["nuclei"]
        sharp = np.concatenate([[False], np.asarray(field.truth["nuclei"]["in_focus"])])
        foci = field.truth["foci"]
        true = np.column_stack([foci["y"], foci["x"]])[sharp[foci["nucleus"]]]
        inside = places[sharp[labels[tuple(np.rint(places).astype(int).T)]]]
        score.true += len(true)
        score.found += len(inside)
        score.right += matches(true, inside, WIDTH_PX)
        score.strict += matches(true, inside, STRICT_PX)
        score.nuclei += int(sharp.sum())
    return score
