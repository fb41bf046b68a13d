"""The studies that can be simulated: their samples and the effects in them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipelines.simulate.beta_gal import BetaGalSettings, simulate_beta_gal
from pipelines.simulate.cells import CellShape
from pipelines.simulate.foci import FociSettings, simulate_foci
from pipelines.simulate.lobule_images import (
    LobuleFieldSettings,
    simulate_lobule_field,
    simulate_lobule_transcripts,
)
from pipelines.simulate.lobule_study import hybiss_base, lobule_images
from pipelines.simulate.nuclei import NucleiSettings
from pipelines.simulate.optics import Optics, bleed_through_matrix
from pipelines.simulate.randomness import part_rng
from pipelines.simulate.reporters import ReporterSettings, simulate_reporters
from pipelines.simulate.rna import simulate_rna
from pipelines.simulate.rna_brightfield import RnaBrightfieldSettings, simulate_rna_brightfield
from pipelines.simulate.rna_study import rna_images
from pipelines.simulate.scene import Field, Simulated


@dataclass(frozen=True, slots=True)
class StudyDesign:
    """Size of a simulated study and of the effects in it.

    Attributes:
        units: donors of each genotype, or animals of each treatment.
        clones: clones of each donor; animals have none.
        fields: images of each clone or animal.
        donor_sd: SD between donors or animals, on the logit scale for fractions and the log scale
            for counts.
        clone_sd: SD between clones of a donor, on the same scale.
        effect: difference between the genotypes or from control to vehicle on that scale; with 0
            there is none to be found.
    """

    units: int = 3
    clones: int = 2
    fields: int = 1
    donor_sd: float = 0.3
    clone_sd: float = 0.15
    effect: float = 1.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a study.

    Attributes:
        name: stem of its files.
        columns: what the sample table says of it.
        truth: what it was simulated with, such as the probability of a cell to be stained.
        simulate: gives the image of a seed.
    """

    name: str
    columns: Mapping[str, str]
    truth: Mapping[str, float]
    simulate: Callable[[int], Simulated]


def beta_gal_samples(design: StudyDesign, seed: int) -> list[Sample]:
    """Plan SA-β-Gal images: healthy and Werner donors, their clones and fields."""
    base = BetaGalSettings(dapi_e=800.0)
    base = replace(
        base,
        scene=replace(base.scene, height=800, width=800),
        nuclei=replace(base.nuclei, count=24),
    )
    samples = []
    for name, columns, shift in _donors(design, seed):
        fraction = float(1 / (1 + np.exp(2.0 - shift)))
        simulate = partial(simulate_beta_gal, replace(base, stained_fraction=fraction))
        samples.append(Sample(name, columns, {"stained_fraction": fraction}, simulate))
    return samples


def foci_samples(design: StudyDesign, seed: int) -> list[Sample]:
    """Plan γH2AX images, at 40x: healthy and Werner donors, their clones and fields."""
    base = FociSettings(
        scene=Field(height=800, width=800, pixel_size_um=0.1625),
        nuclei=NucleiSettings(count=14),
        optics=Optics(numerical_aperture=1.3),
    )
    samples = []
    for name, columns, shift in _donors(design, seed):
        mean = float(3.0 * np.exp(0.7 * shift))
        foci = replace(base.foci, count_mean=mean)
        simulate = partial(simulate_foci, replace(base, foci=foci))
        samples.append(Sample(name, columns, {"foci_mean": mean}, simulate))
    return samples


def rna_samples(design: StudyDesign, seed: int) -> list[Sample]:
    """Plan images of RNA in situ: animals without and with treatment."""
    images = rna_images(design.units, design.fields, design.donor_sd, design.effect, seed)
    return [
        Sample(name, columns, {"molecules_mean": mean}, partial(simulate_rna, settings))
        for name, columns, mean, settings in images
    ]


def rna_brightfield_samples(design: StudyDesign, seed: int) -> list[Sample]:
    """Plan the same with RNA in a chromogen, in colour bright field."""
    base, samples = RnaBrightfieldSettings(), []
    for each in rna_samples(design, seed):
        mean = each.truth["molecules_mean"]
        molecules = replace(base.molecules, count_mean=mean, clusters_mean=0.04 * mean)
        simulate = partial(simulate_rna_brightfield, replace(base, molecules=molecules))
        samples.append(replace(each, simulate=simulate))
    return samples


def reporter_base() -> ReporterSettings:
    """Settings of the reporter study: a smaller field, with bleed-through of 15 %."""
    base = ReporterSettings(bleed_through=bleed_through_matrix(4, 0.15))
    return replace(
        base,
        scene=replace(base.scene, height=700, width=700),
        nuclei=replace(base.nuclei, count=40),
        expression=replace(base.expression, reach_um=40.0),
    )


def tissue_base() -> ReporterSettings:
    """Settings of the tissue study: small cells that touch, a field of 420 µm."""
    base = reporter_base()
    return replace(
        base,
        scene=replace(base.scene, height=1300, width=1300),
        nuclei=replace(base.nuclei, count=420, area_um2=42.0, min_gap_um=5.0, elongation=1.4),
        cells=CellShape(8.0, 2.0, (3, 6), 0.15),
    )


def tissue_samples(design: StudyDesign, seed: int) -> list[Sample]:
    """Plan sections of tissue: the animals of `reporter_samples`, cells side by side."""
    return reporter_samples(design, seed, tissue_base())


def lobule_samples(design: StudyDesign, seed: int) -> list[Sample]:
    """Plan sections of liver with zone genes as light of proteins; see `lobule_study`."""
    return _liver(design, seed, LobuleFieldSettings(), simulate_lobule_field)


def hybiss_samples(design: StudyDesign, seed: int) -> list[Sample]:
    """Plan the same with zone genes as tables of decoded transcripts."""
    return _liver(design, seed, hybiss_base(), simulate_lobule_transcripts)


def _liver(
    design: StudyDesign,
    seed: int,
    base: LobuleFieldSettings,
    simulate: Callable[[LobuleFieldSettings, int], Simulated],
) -> list[Sample]:
    images = lobule_images(
        base, (design.units, design.fields), design.donor_sd, design.effect, seed
    )
    return [
        Sample(
            name,
            columns,
            {"erk": settings.lobules.erk, "p38": settings.lobules.p38},
            partial(simulate, settings),
        )
        for name, columns, settings in images
    ]


def reporter_samples(
    design: StudyDesign, seed: int, base: ReporterSettings | None = None
) -> list[Sample]:
    """Plan reporter images: animals without doxycycline, with vehicle, and with an inhibitor.

    Primary cells appear with doxycycline; the inhibitor of the IL-1 receptor halves the secondary.
    """
    base = base or reporter_base()
    arms = (
        ("none", "none", 0.0, 0.0),
        ("yes", "vehicle", 1.0, 1.0),
        ("yes", "il1r1_inhibitor", 1.0, 0.5),
    )
    samples = []
    for arm, (dox, treatment, on, spread) in enumerate(arms):
        for unit in range(design.units):
            shift = part_rng(seed, "animal", arm, unit).normal(0, design.donor_sd)
            primary = on * 0.18 / (1 + np.exp(-design.effect - shift))
            # Nothing is expressed without doxycycline: these animals are the gates' controls.
            secondary = on * (0.02 + spread * 0.3 / (1 + np.exp(-design.effect - shift)))
            expression = replace(
                base.expression,
                primary_fraction=float(primary),
                secondary_fraction=float(secondary),
                double_fraction=0.03 * on,
            )
            simulate = partial(simulate_reporters, replace(base, expression=expression))
            animal = f"{treatment.split('_')[0]}{unit + 1}"
            truth = {"primary_fraction": float(primary), "secondary_fraction": float(secondary)}
            for number in range(1, design.fields + 1):
                columns = {
                    "animal": animal,
                    "model": "MEK1",
                    "dox": dox,
                    "treatment": treatment,
                    "field": str(number),
                }
                samples.append(Sample(f"{animal}_{number}", columns, truth, simulate))
    return samples


def _donors(design: StudyDesign, seed: int) -> list[tuple[str, dict[str, str], float]]:
    """List the images of donors: name, columns, and the sum of effects on the link scale."""
    images = []
    for group, (genotype, code) in enumerate((("healthy", "h"), ("werner", "w"))):
        for unit in range(design.units):
            donor = part_rng(seed, "donor", group, unit).normal(0, design.donor_sd)
            for clone in range(design.clones):
                own = part_rng(seed, "clone", group, unit, clone).normal(0, design.clone_sd)
                for number in range(1, design.fields + 1):
                    columns = {
                        "donor": f"{code}{unit + 1}",
                        "genotype": genotype,
                        "clone": f"{code}{unit + 1}c{clone + 1}",
                        "field": str(number),
                    }
                    name = f"{columns['clone']}_{number}"
                    images.append((name, columns, group * design.effect + donor + own))
    return images
