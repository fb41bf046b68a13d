"""Simulated studies of the zones of the liver: their animals, and what is measured in them."""

from dataclasses import replace

import numpy as np

from pipelines.simulate.lobule import GENES, ZONES
from pipelines.simulate.lobule_images import MARKERS, LobuleFieldSettings
from pipelines.simulate.randomness import part_rng

Image = tuple[str, dict[str, str], LobuleFieldSettings]


def hybiss_base() -> LobuleFieldSettings:
    """Settings of the study of transcripts: as few of each gene as in situ sequencing decodes."""
    base = LobuleFieldSettings()
    return replace(base, lobules=replace(base.lobules, counts=(12.0, 5.0, 9.0)))


def lobule_images(
    base: LobuleFieldSettings, size: tuple[int, int], sd: float, effect: float, seed: int
) -> list[Image]:
    """Plan sections: animals without doxycycline, and with MEK1 or MKK6 switched on.

    MEK1 (ERK) loses pericentral cells and mixes the zones, MKK6 (p38) lowers the zone genes and
    keeps the layout; half of what either can do at the default effect of 1.5. With MEK1 there are
    more macrophages, with more Il1b.

    Args:
        base: a section without either.
        size: animals of each group, and sections of each animal.
        sd: SD between animals; their capture of molecules has a third of it, on the log scale.
        effect: 0 for none, 3 for all.
        seed: seed of the study.
    """
    strength = min(1.0, effect / 3)
    arms = (("none", "none", 0.0, 0.0), ("mek1", "yes", strength, 0.0),
            ("mkk6", "yes", 0.0, strength))  # fmt: skip
    images = []
    for arm, (model, dox, erk, p38) in enumerate(arms):
        for unit in range(size[0]):
            captured = float(np.exp(part_rng(seed, "liver", arm, unit).normal(0, sd) / 3))
            first, middle, last = (c * captured for c in base.lobules.counts)
            tissue = replace(base.lobules, counts=(first, middle, last), erk=erk, p38=p38)
            animal = f"{model}-{unit + 1}"
            for number in range(1, size[1] + 1):
                columns = {"animal": animal, "model": model, "dox": dox, "section": str(number)}
                settings = replace(
                    base,
                    lobules=tissue,
                    macrophages=base.macrophages * (1 + 2 * erk),
                    il1b=base.il1b * (1 + 6 * erk),
                )
                images.append((f"{animal}_{number}", columns, settings))
    return images


def lobule_study() -> dict[str, object]:
    """Zones by the light of proteins in the cells."""
    intensity: dict[str, object] = {
        "type": "intensity",
        "compartments": ["cell"],
        "background": "field",
    }
    channels = [gene.lower() for gene in GENES]
    measured: list[dict[str, object]] = [{**intensity, "channel": c} for c in channels]
    names = [f"{channel}_cell_mean_above_background" for channel in channels]
    return _study({"dapi": "dapi", **{c: c for c in channels}}, measured, names, "intensity")


def hybiss_study() -> dict[str, object]:
    """Zones by decoded transcripts in the cells, and macrophages by theirs."""
    measured: dict[str, object] = {
        "type": "transcripts",
        "table": "transcripts/{image_id}.csv",
        "unit": "um",
        "genes": [*GENES, *MARKERS],
    }
    macrophages: dict[str, object] = {
        "type": "density",
        "name": "macrophages",
        "cells": {"macrophage_positive": True},
        "sums": ["Il1b_transcripts"],
    }
    names = [f"{gene}_transcripts" for gene in GENES]
    study = _study({"dapi": "dapi"}, [measured, macrophages], names, "counts")
    few = {"of": "Adgre1_transcripts", "rule": "fixed", "value": 2.5}
    statistics = study.pop("statistics")
    assert isinstance(statistics, dict)
    outcomes = [
        "macrophages_per_mm2",
        "macrophages_Il1b_transcripts_per_mm2",
        {"of": "Il1b_transcripts", "within": {"macrophage_positive": True}},
    ]
    statistics = {**statistics, "outcomes": [*statistics["outcomes"], *outcomes]}
    return study | {"positivity": {"macrophage": few}, "statistics": statistics}


def _study(
    channels: dict[str, str], measured: list[dict[str, object]], names: list[str], values: str
) -> dict[str, object]:
    zonation = {
        "type": "zonation",
        "zones": {zone: [name] for zone, name in zip(ZONES, names, strict=True)},
        "values": values,
        "reference": {"model": "none"},
        "landmarks": "truth/veins.csv",
    }
    nuclei = {"channel": "dapi", "model": "compact", "diameter_um": 8}
    return {
        "channels": channels,
        "segmentation": {"nuclei": nuclei, "cells": {"method": "expand", "distance_um": 8}},
        "measurements": [{"type": "morphology"}, *measured, zonation],
        "statistics": {
            "unit": "animal",
            "factors": ["model"],
            "reference": {"model": "none"},
            "outcomes": ["zone_pericentral", "zone_order", "zone_log2_expression"],
        },
    }
