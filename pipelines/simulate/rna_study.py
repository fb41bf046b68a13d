"""The simulated study of RNA in situ: animals whose cells have more of a transcript, or not."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pipelines.simulate.randomness import part_rng
from pipelines.simulate.rna import RnaSettings

ANIMALS = ("animal", "treatment", "field")
TREATMENTS = ("none", "vehicle")


def rna_images(
    units: int, fields: int, animal_sd: float, effect: float, seed: int
) -> Iterator[tuple[str, dict[str, str], float, RnaSettings]]:
    """Plan images: name, sample columns, mean molecules a cell, settings.

    Args:
        units: animals of each treatment.
        fields: images of each.
        animal_sd: SD between animals, on the log scale.
        effect: difference between the treatments, in halves of a log unit.
        seed: seed of the study.
    """
    base = RnaSettings()
    for arm, treatment in enumerate(TREATMENTS):
        for unit in range(units):
            shift = part_rng(seed, "animal", arm, unit).normal(0, animal_sd)
            mean = float(4.0 * np.exp(0.5 * effect * arm + shift))
            molecules = replace(base.molecules, count_mean=mean, clusters_mean=0.04 * mean)
            for number in range(1, fields + 1):
                animal = f"{treatment}{unit + 1}"
                columns = dict(zip(ANIMALS, (animal, treatment, str(number)), strict=True))
                yield f"{animal}_{number}", columns, mean, replace(base, molecules=molecules)


def rna_study() -> dict[str, object]:
    """What is measured in images of RNA in situ."""
    return {
        "channels": {"dapi": "dapi", "cdkn1a": "rna", "blank": "blank"},
        "segmentation": {
            "nuclei": {"channel": "dapi", "model": "compact", "diameter_um": 8},
            "cells": {"method": "expand", "distance_um": 5},
        },
        "measurements": [
            {"type": "morphology"},
            {
                "type": "spots",
                "channel": "cdkn1a",
                "sigma_um": 0.18,
                "unused": {"channel": "blank"},
            },
        ],
        "statistics": {
            "unit": "animal",
            "factors": ["treatment"],
            "reference": {"treatment": "none"},
            "outcomes": ["cdkn1a_molecules", "cdkn1a_h_score"],
        },
    }


def rna_brightfield_study() -> dict[str, object]:
    """What is measured in the same study in a chromogen, on haematoxylin."""
    study = rna_study()
    return {
        "channels": {"picture": "rgb"},
        "stains": {"haematoxylin": "haematoxylin", "cdkn1a": "dab"},
        "segmentation": {
            "nuclei": {"channel": "haematoxylin", "model": "compact", "diameter_um": 8},
            "cells": {"method": "expand", "distance_um": 5},
        },
        "measurements": [
            {"type": "morphology"},
            {"type": "spots", "channel": "cdkn1a", "sigma_um": 0.37},
        ],
        "statistics": study["statistics"],
    }
