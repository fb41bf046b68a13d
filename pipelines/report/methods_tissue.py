"""Methods as text for a paper: stains, RNA, zones, densities and spread."""

from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]
PIGMENT = "lipofuscin"


def tissue_sentence(settings: Settings) -> str:
    """What one measurement of tissue did; empty for any other.

    Args:
        settings: of the measurement, from provenance.json.
    """
    match settings.get("type"):
        case "spots":
            return _spots(settings)
        case "transcripts":
            return _transcripts(settings)
        case "zonation":
            return _zonation(settings)
        case "density":
            return _density(settings)
        case "neighbours":
            return _spread(settings)
        case _:
            return ""


def stains_sentence(stains: object) -> str:
    """How stains of a brightfield picture became channels; empty without any.

    Args:
        stains: name -> the stain or its densities, from provenance.json.
    """
    if not isinstance(stains, dict) or not stains:
        return ""
    named = {name: _stain(name, stain) for name, stain in stains.items() if stain != PIGMENT}
    pigment = ", ".join(_stain(name, PIGMENT) for name in stains if name not in named)
    beside = f"; {pigment} was told from the stain most like it" if pigment else ""
    told = "from each other" if len(named) > 1 else "from neutral grey"
    return (
        f"Stains of the brightfield picture ({', '.join(named.values())}) were told {told} as "
        f"optical densities, by colour deconvolution (Ruifrok and Johnston 2001){beside}."
    )


def _stain(name: str, stain: object) -> str:
    if isinstance(stain, list | tuple):
        densities = ", ".join(f"{density:g}" for density in stain)
        return f"{name}: red, green and blue {densities}"
    return f"{name}: {str(stain).replace('_', ' ')}" if stain != name else name


def _spots(settings: Settings) -> str:
    channel, unused = settings.get("channel"), settings.get("unused")
    height = settings.get("threshold")
    least = (
        f"higher than {height:g} SDs of the noise"
        if isinstance(height, int | float)
        else "above a height told from those of each image"
    )
    single = settings.get("single")
    light = (
        f"{single:g}"
        if isinstance(single, int | float)
        else "the mean around the mode of isolated spots"
    )
    without = (
        f", spots with {unused.get('ratio'):g} times their contrast or more in {unused['channel']} "
        "left out as autofluorescence or pigment"
        if isinstance(unused, dict)
        else ""
    )
    return (
        f"RNA of {channel} was counted as spots, peaks of a band-pass filter {least}{without}; "
        f"molecules of clusters are their light over that of one molecule ({light})."
    )


def _transcripts(settings: Settings) -> str:
    ignored = ", ".join(settings.get("ignore") or ())
    without = f" ({ignored} left out)" if ignored else ""
    return f"Decoded transcripts{without} were counted by gene in every cell."


def _zonation(settings: Settings) -> str:
    zones = [(name, " + ".join(of)) for name, of in (settings.get("zones") or {}).items()]
    if len(zones) < 2:
        return ""
    named = ", ".join(f"{name} ({of})" for name, of in zones)
    first, last = zones[0][0], zones[-1][0]
    least = (
        f"{settings.get('least_counts'):g} counts"
        if settings.get("values") == "counts"
        else f"{settings.get('least_share'):g} of the reference's strong level"
    )
    around = f"(Gaussian, SD {settings.get('width_um'):g} µm)"
    return (
        f"Cells were assigned to the zones {named} by s = (a - b) / (a + b), where a and b are "
        f"what the surroundings of the cell {around} express of {first} and {last}, each over its "
        f"95th percentile in reference images ({_selection(settings.get('reference'))}), which "
        "also set the cut-offs; each reference unit was measured by the others. Cells with less "
        f"than {least} around them were left "
        "without a zone."
    )


def _density(settings: Settings) -> str:
    area = "of tissue" if settings.get("area") == "tissue" else "of the image"
    sums = " and ".join(settings.get("sums") or ())
    more = f", as was the sum of {sums} over them" if sums else ""
    return (
        f"Cells with {_selection(settings.get('cells'))} were counted for each mm² {area}{more}; "
        "the images of a unit were added up."
    )


def _spread(settings: Settings) -> str:
    contact = settings.get("contact_um")
    near = f"{contact:g} µm" if contact else "twice the distance of neighbouring cells"
    among = settings.get("among")
    which = f" in cells with {_selection(among)}" if among else ""
    return (
        f"Whether {settings.get('response')}{which} depends on the distance from the nearest cell "
        f"with {_selection(settings.get('source'))} was tested by {settings.get('shifts')} random "
        f"shifts of the sources within each section (seed {settings.get('seed')}), cells nearer "
        f"than {near} left out; one estimate a unit."
    )


def _selection(selection: object) -> str:
    if not isinstance(selection, dict):
        return ""
    return ", ".join(
        f"{name} {' or '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in selection.items()
    )
