"""The band-pass that foci are looked for with: a difference of Gaussians of the root of brightness.

It is weighted by the mask of the nuclei, so that neither a nucleus's rim nor what lies outside
makes a response. What it needs of the mask is worked out once, since an image is filtered several
times: as it is, and without the light of its foci.
"""

from dataclasses import dataclass

import numpy as np

from measurements.foci_settings import FociSettings
from measurements.foci_smoothing import Image, Scales, box, gaussian, in_units, ratio, scaled

# How far, times a focus's SD, the level is looked for that takes slopes off before the band-pass:
# towards the rim a nucleus gets thin, and what the mask cuts off there would weigh on one side.
LEVEL = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class _Smoothing:
    """A kernel, and how much of the mask it covers around each pixel."""

    scales: Scales
    weight: Image


@dataclass(frozen=True, slots=True, eq=False)
class BandPass:
    """Difference of two Gaussians of the root of nuclei's brightness.

    Attributes:
        mask: image: 1 in nuclei, 0 outside.
        unit: image: the brightness at which each nucleus's root is taken, grey values, positive in
            nuclei. A small change of the root times the unit is the change in grey values.
        level: the box that slopes are taken off with.
        fine: the Gaussian near a focus's own scale.
        coarse: the Gaussian of what is around.
    """

    mask: Image
    unit: Image
    level: _Smoothing
    fine: _Smoothing
    coarse: _Smoothing

    @classmethod
    def of(cls, mask: Image, unit: Image, sigmas: Scales, settings: FociSettings) -> "BandPass":
        """For foci of these SDs, px."""
        level, fine, coarse = (
            scaled(sigmas, times) for times in (LEVEL, settings.fine, settings.coarse)
        )
        return cls(
            mask,
            unit,
            _Smoothing(level, box(mask, level)),
            _Smoothing(fine, gaussian(mask, fine)),
            _Smoothing(coarse, gaussian(mask, coarse)),
        )

    def response(self, levelled: Image, without_foci: Image | None = None) -> Image:
        """Response, grey values, 0 outside nuclei.

        Args:
            levelled: grey values less the level of each nucleus.
            without_foci: the same without the light of foci, which tells the slopes: a very bright
                one would be the edge of a slope all around. Default: there are none.
        """
        even = self._evened(levelled)
        ground = even if without_foci is None else self._evened(without_foci)
        slope = ratio(box(ground, self.level.scales), self.level.weight)
        even = (even - slope) * self.mask
        near, around = (
            ratio(gaussian(even, kernel.scales), kernel.weight)
            for kernel in (self.fine, self.coarse)
        )
        response: Image = (near - around) * self.mask * self.unit
        return response

    def _evened(self, levelled: Image) -> Image:
        even: Image = 2 * np.sqrt(np.maximum(1 + in_units(levelled, self.unit), 0)) - 2
        return even
