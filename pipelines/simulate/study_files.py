"""The study files of the studies that can be simulated: channels, measurements, comparisons."""

from pipelines.simulate.lobule_study import hybiss_study, lobule_study
from pipelines.simulate.reporters import DYES
from pipelines.simulate.rna_study import rna_brightfield_study, rna_study


def study_file(assay: str) -> dict[str, object]:
    """Give the content of the study file of an assay."""
    parts = {"foci": _foci_study, "beta_gal": _beta_gal_study, "reporters": _reporter_study}
    parts |= {
        "tissue": _tissue_study,
        "rna": rna_study,
        "rna_brightfield": rna_brightfield_study,
        "lobule": lobule_study,
        "hybiss": hybiss_study,
    }
    return {
        "study": f"simulated-{assay.replace('_', '-')}",
        "title": f"Simulated {assay} study with known truth (no real cells)",
        "samples": "samples.csv",
        **parts[assay](),
    }


def _foci_study() -> dict[str, object]:
    """What is measured in γH2AX images."""
    return {
        "channels": {"dapi": "dapi", "gh2ax": "gh2ax"},
        "segmentation": {"nuclei": _nuclei(17), "cells": {"method": "nuclei"}},
        "measurements": [
            {"type": "morphology"},
            {"type": "foci", "channel": "gh2ax", "sigma_um": 0.25},
        ],
        "statistics": {**_by_donor(), "outcomes": ["gh2ax_foci_count"]},
    }


def _beta_gal_study() -> dict[str, object]:
    """What is measured in SA-β-Gal images."""
    positive = {"of": "beta_gal_mean_od", "rule": "control_percentile", "percentile": 95}
    return {
        "channels": {"rgb": "rgb", "dapi": 0},
        "segmentation": {"nuclei": _nuclei(17), "cells": {"method": "voronoi", "limit_um": 50}},
        "measurements": [{"type": "beta_gal"}],
        "positivity": {"beta_gal": {**positive, "controls": {"genotype": "healthy"}}},
        "statistics": {**_by_donor(), "outcomes": ["beta_gal_positive"]},
    }


def _reporter_study() -> dict[str, object]:
    """What is measured in reporter images."""
    reporters = {
        "type": "reporters",
        "channels": ["mcherry", "gfp"],
        "bleed_through": "controls.csv",
        "gates": {"mcherry": _gate(), "gfp": _gate()},
        "classes": {
            "primary": ["mcherry+", "gfp-"],
            "secondary": ["mcherry-", "gfp+"],
            "double": ["mcherry+", "gfp+"],
            "negative": ["mcherry-", "gfp-"],
        },
    }
    return {
        "channels": {n: n for n in DYES},
        "segmentation": {"nuclei": _nuclei(14), "cells": {"method": "expand", "distance_um": 3}},
        "measurements": [
            {"type": "morphology"},
            {"type": "intensity", "channel": "p21", "compartments": ["nucleus"]},
            reporters,
        ],
        # One in twenty cells of the animals without doxycycline has p21 all the same, so that a
        # high percentile of theirs would lie among positive cells.
        "positivity": {"p21": {"of": "p21_nucleus_mean_above_background", "rule": "gmm"}},
        "statistics": {
            "unit": "animal",
            "factors": ["treatment"],
            "reference": {"treatment": "none"},
            "contrasts": [{"compare": {"treatment": ["il1r1_inhibitor", "vehicle"]}}],
            "outcomes": ["reporter_class_secondary", "p21_positive"],
        },
    }


def _tissue_study() -> dict[str, object]:
    """What is measured in sections of tissue: reporters, and how p21 spreads."""
    study = _reporter_study()
    spread = {
        "type": "neighbours",
        "name": "p21_spread",
        "source": {"reporter_class": ["primary", "double"]},
        "response": "p21_positive",
        "rings_um": [0, 15, 30, 60],
    }
    nuclei = {"nuclei": _nuclei(8), "cells": {"method": "expand", "distance_um": 3}}
    measured = study["measurements"]
    assert isinstance(measured, list)
    return study | {"segmentation": nuclei, "measurements": [*measured, spread]}


def _nuclei(diameter_um: int) -> dict[str, object]:
    """Segment nuclei of this diameter with the model that ships."""
    return {"channel": "dapi", "model": "compact", "diameter_um": diameter_um}


def _by_donor() -> dict[str, object]:
    """Compare genotypes with donors as the n."""
    return {
        "unit": "donor",
        "factors": ["genotype"],
        "reference": {"genotype": "healthy"},
        "random": ["clone"],
    }


def _gate() -> dict[str, object]:
    """Gate by the animals that got no doxycycline; a new object each time keeps YAML plain."""
    return {"rule": "control_percentile", "controls": {"dox": "none"}, "percentile": 99}
