"""Zones of a tissue from the counts of a few zone genes, such as those of the liver lobule.

`reference` learns once, from reference animals, how strong each gene is and where zones part;
`assignment` gives every cell a zone by that; `section` says what a section's zones look like.
"""

from measurements.zones.assignment import UNASSIGNED, Zones, ZoneSettings, assign_zones
from measurements.zones.reference import Reference, learn_left_out, learn_reference
from measurements.zones.section import SectionZones, measure_section
from measurements.zones.surroundings import Surroundings

__all__ = [
    "UNASSIGNED",
    "Reference",
    "SectionZones",
    "Surroundings",
    "ZoneSettings",
    "Zones",
    "assign_zones",
    "learn_left_out",
    "learn_reference",
    "measure_section",
]
