"""How RNA spots are looked for, told from autofluorescence, and counted."""

from dataclasses import dataclass

from measurements.errors import MeasurementError


@dataclass(frozen=True, slots=True)
class SpotSettings:
    """How spots are found.

    Attributes:
        sigma: px, SD of a single molecule's image, 0.42 of its width at half height.
        threshold: noise SDs that a spot's band-pass response stands over its surroundings; None
            leaves it to the heights of the image's summits (`measurements.foci_threshold`).
        aperture: how far around its pixels a spot's light is summed, times `sigma`; with 2 a
            single molecule's sum has 97 % of its light.
    """

    sigma: float = 1.3
    threshold: float | None = None
    aperture: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        if not (self.sigma > 0 and self.aperture >= 1):
            raise MeasurementError(
                f"Spots need sigma > 0 and aperture >= 1, got {self.sigma} and {self.aperture}."
            )


@dataclass(frozen=True, slots=True)
class UnusedChannel:
    """When a spot is autofluorescence, by the same place in a channel that nothing was put into.

    Attributes:
        distance: px within which the same spot is looked for: the shift between channels.
        height: noise SDs that the unused channel's response stands over its surroundings there.
        ratio: its contrast there over the spot's own, grey values, from which the spot is
            autofluorescence: above what bleeds through, below what lipofuscin has.
    """

    distance: float = 2.0
    height: float = 4.0
    ratio: float = 0.25
