"""Methods of a run as text for a paper: what was done, with which settings and versions.

Written from provenance.json alone, so that it says what ran and not what the study file might say
today. Whatever the provenance does not hold is left out, never guessed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.data import RunData
from pipelines.report.methods_tissue import stains_sentence, tissue_sentence
from pipelines.words import counted

Settings = Mapping[str, Any]
TESTS = (
    "Unit means were compared by Welch's t-test (of fractions on the arcsine scale of group means; "
    "paired t-test within blocks), with 95 % confidence intervals and Hedges' g. Where a percentile"
    " of the study's own control cells is the gate, fractions were compared by a jackknife t-test "
    "that leaves each unit out of both the gate and the means (on the logit scale; of differences "
    "within blocks as they are). Beside it stand, for fractions, a binomial model of unit totals "
    "with overdispersion estimated by moments and the standard error of a jackknife over units, for"
    " counts a negative binomial one, and for other numbers a linear mixed model of cells fitted by"
    " restricted maximum likelihood."
)
SAMENESS = {"holm": "Holm's method", "bh": "the method of Benjamini and Hochberg"}


def methods_text(run: RunData) -> list[str]:
    """Paragraphs: images and segmentation, measurements, positive cells, statistics."""
    settings = run.provenance.get("settings")
    if not isinstance(settings, dict):
        return []
    measured = map(_measurement, _mappings(settings.get("measurements")))
    paragraphs = [
        _segmentation(settings, run),
        " ".join(filter(None, [stains_sentence(settings.get("stains")), *measured])),
        _positivity(settings),
        _statistics(settings),
    ]
    return [text for text in paragraphs if text]


def _segmentation(settings: Settings, run: RunData) -> str:
    versions = run.provenance.get("versions")
    known: Mapping[str, Any] = versions if isinstance(versions, dict) else {}
    size = settings.get("pixel_size_um")
    scale = f" at {size:g} µm a pixel" if isinstance(size, int | float) else ""
    program = " ".join(filter(None, ["senescope", known.get("senescope")]))
    n_images = run.tables["images"].height
    verb = "was" if n_images == 1 else "were"
    parts = [f"{counted(n_images, 'image')} {verb} analysed with {program}{scale}."]
    parts += _light(settings.get("illumination"), run)
    segmentation = settings.get("segmentation")
    if not isinstance(segmentation, dict):
        return " ".join(parts)
    engine = f"Cellpose {known['cellpose']}" if "cellpose" in known else "Cellpose"
    if isinstance(nuclei := segmentation.get("nuclei"), dict):
        parts.append(f"Nuclei were segmented with {engine}, {_model(nuclei)}.")
    cells = segmentation.get("cells")
    if isinstance(cells, dict):
        parts.append(_cells(cells, engine))
    ring = segmentation.get("cytoplasm")
    if isinstance(ring, dict):
        parts.append(
            f"Cytoplasm was measured in a ring of {_length(ring, 'width')} that begins "
            f"{_length(ring, 'gap')} from the nucleus."
        )
    return " ".join(parts)


def _light(wanted: object, run: RunData) -> list[str]:
    found = run.provenance.get("illumination")
    if wanted in (None, "none") or not isinstance(found, dict):
        return []
    if wanted != "estimate":
        return [f"Uneven light was taken off by pictures of it, in {', '.join(found)}."]
    fits = ", ".join(f"{name} {light['fall_off']:.0%}" for name, light in found.items())
    return [
        "Uneven light, a second-order polynomial fitted to the logarithm of what cells of all "
        f"images together add to the background, was taken off; it fell off by: {fits}."
    ]


def _model(settings: Settings) -> str:
    return (
        f"model {settings.get('model')}, channel {settings.get('channel')}, diameter "
        f"{_length(settings, 'diameter')}, flow threshold {settings.get('flow_threshold')}, cell "
        f"probability threshold {settings.get('cellprob_threshold')}"
    )


def _cells(cells: Settings, engine: str) -> str:
    match cells.get("method"):
        case "expand":
            return f"Cells were nuclei grown by {_length(cells, 'distance')} without overlap."
        case "voronoi":
            limit = _length(cells, "limit")
            return f"Cells were the pixels nearest to each nucleus, up to {limit} from it."
        case "cellpose":
            return f"Cells were segmented with {engine}, {_model(cells)}."
        case _:
            return "Nuclei alone were measured."


def _measurement(settings: Settings) -> str:
    channel = settings.get("channel")
    match settings.get("type"):
        case "morphology":
            return "Size and shape were measured for every nucleus and cell."
        case "intensity":
            places = ", ".join(map(str, settings.get("compartments") or ()))
            background = settings.get("background")
            minus = "" if background == "none" else f" above the {background} background"
            return f"Intensity of {channel} was measured in {places}{minus}."
        case "foci":
            return (
                f"Foci of {channel} were detected in the nucleus as peaks of a band-pass filter at "
                f"the scale {_length(settings, 'sigma')} (standard deviation)"
                f"{' through the z-stack' if settings.get('stack') else ''}, "
                f"{_foci_threshold(settings.get('threshold'))}."
            )
        case "beta_gal":
            return (
                "SA-β-Gal was measured as optical density of X-gal after colour deconvolution "
                "(Ruifrok and Johnston 2001)."
            )
        case "reporters":
            channels = ", ".join(map(str, settings.get("channels") or ()))
            unmixed = (
                " after unmixing by single-colour controls" if settings.get("bleed_through") else ""
            )
            return f"Reporters {channels} were measured in every cell{unmixed}."
        case _:
            return tissue_sentence(settings)


def _foci_threshold(threshold: object) -> str:
    if not isinstance(threshold, dict):
        return f"higher than {threshold} standard deviations of the nucleus around"
    controls = ", ".join(f"{k} {v}" for k, v in (threshold.get("controls") or {}).items())
    each = f" of each {threshold['by']}" if threshold.get("by") else ""
    if controls:
        return (
            f"at the height that the texture of control nuclei ({controls}){each} exceeds "
            f"{threshold.get('false_foci'):g} times a nucleus"
        )
    return (
        "above the height at which a peak is a focus with a probability of 0.4 (heights of texture "
        f"and of foci fitted to all images{each} together, with a share of foci for every image)"
    )


def _positivity(settings: Settings) -> str:
    rules = settings.get("positivity")
    if not isinstance(rules, dict) or not rules:
        return ""
    return " ".join(_rule(name, rule) for name, rule in rules.items() if isinstance(rule, dict))


def _rule(name: str, rule: Settings) -> str:
    match rule.get("rule"):
        case "control_percentile":
            controls = ", ".join(f"{k} {v}" for k, v in (rule.get("controls") or {}).items())
            how = f"percentile {rule.get('percentile'):g} of control cells ({controls})"
        case "gmm":
            how = "crossing of a two-component mixture"
        case "otsu":
            how = "threshold of Otsu on the logarithmic scale"
        case _:
            how = f"fixed threshold {rule.get('value')}"
    each = f", one for each {rule['by']}" if rule.get("by") else ""
    return f"A cell was positive for {name} where {rule.get('of')} exceeded the {how}{each}."


def _statistics(settings: Settings) -> str:
    design = settings.get("statistics")
    if not isinstance(design, dict):
        return ""
    excluded = (settings.get("exclude") or {}).get("flags") or ()
    without = f" Cells flagged {' or '.join(excluded)} were left out." if excluded else ""
    adjusted = SAMENESS.get(str(design.get("adjust")))
    ending = f" P-values were adjusted by {adjusted} over all comparisons." if adjusted else ""
    blocks = f" within blocks of {design['blocks']}" if design.get("blocks") else ""
    factors = " and ".join(map(str, design.get("factors") or ()))
    return (
        f"The {design.get('unit')} was the unit of replication; {factors} was compared{blocks}. "
        f"{TESTS}{ending}{without}"
    )


def _length(settings: Settings, name: str) -> str:
    for unit, text in (("um", "µm"), ("px", "px")):
        value = settings.get(f"{name}_{unit}")
        if isinstance(value, int | float):
            return f"{value:g} {text}"
    return "the default"


def _mappings(value: object) -> Sequence[Settings]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
