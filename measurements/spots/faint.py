"""Spots too faint to be any, where grey values have a scale of their own."""

from dataclasses import replace

from measurements.spots.detection import Spots

DENSITY = 0.06
"""Least optical density of a chromogen's dot over its surroundings [judgement]: a dot that is seen
by eye has 0.1 to 0.6. What JPEG of quality 75 to 85 makes of haematoxylin reaches 0.05 where it is
unmixed (95th percentile, simulated fields), many noise SDs where the picture is even otherwise."""


def without_faint(spots: Spots, least: float) -> Spots:
    """Leave out spots of less contrast.

    Args:
        spots: of a picture, or of a view of a slide. Whether they are isolated is as it was found.
        least: contrast, grey values.
    """
    kept = spots.contrast >= least
    return replace(
        spots,
        places=spots.places[kept],
        height=spots.height[kept],
        contrast=spots.contrast[kept],
        integrated=spots.integrated[kept],
        clump=spots.clump[kept],
        isolated=spots.isolated[kept],
    )
