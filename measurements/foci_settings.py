"""How foci are looked for: the scale of a focus, and what it has to stand out from."""

from dataclasses import dataclass

from measurements.errors import MeasurementError


@dataclass(frozen=True, slots=True)
class FociSettings:
    """How foci are found.

    Attributes:
        sigma: px, SD of a focus as it is imaged, 0.42 of its width at half height; in a stack one
            value for each axis (planes, px, px), or one for all. It matters most of all settings;
            20 % off cost little.
        threshold: noise SDs that a focus's band-pass response stands over its nucleus; None leaves
            it to the heights of the peaks, of the image or of its batch (`foci_threshold`).
        fine: SD of the fine Gaussian, times `sigma`; the optimum is flat.
        coarse: SD of the coarse Gaussian, the level around a focus, times `sigma`.
        surroundings: how far, times `sigma`, the noise around a place is measured; 7 is 1.5 µm for
            a focus 0.5 µm wide.
        ridge_ratio: largest ratio of the response's principal curvatures at a focus; lines such
            as folds and rims exceed it (Lowe 2004, IJCV 60:91, section 4.1).
    """

    sigma: float | tuple[float, ...] = 2.0
    threshold: float | None = None
    fine: float = 0.9
    coarse: float = 1.4
    surroundings: float = 7.0
    ridge_ratio: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        scales = self.sigma if isinstance(self.sigma, tuple) else (self.sigma,)
        if not (all(s > 0 for s in scales) and 0 < self.fine < self.coarse < self.surroundings):
            raise MeasurementError(
                f"Foci need sigma > 0 and 0 < fine < coarse < surroundings, got {self.sigma}, "
                f"{self.fine}, {self.coarse} and {self.surroundings}."
            )
        if self.ridge_ratio < 1 or (self.threshold is not None and not self.threshold >= 0):
            raise MeasurementError(
                f"Foci need ridge_ratio >= 1 and threshold >= 0 or None, got {self.ridge_ratio} "
                f"and {self.threshold}."
            )

    def sigmas(self, ndim: int) -> tuple[float, ...]:
        """SD of a focus along each axis.

        Raises:
            MeasurementError: the image has not as many axes as `sigma` has values.
        """
        scales = self.sigma if isinstance(self.sigma, tuple) else (self.sigma,) * ndim
        if len(scales) != ndim or ndim not in (2, 3):
            raise MeasurementError(
                f"Foci are found in (y, x) and (z, y, x) images, with one sigma for each axis or "
                f"one for all; got {ndim} axes and sigma {self.sigma}."
            )
        return scales
