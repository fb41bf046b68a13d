"""What the columns of spread.csv and spread_rings.csv are."""

from measurements.columns import Column

SPREAD = "measurements.spread"
SHIFTS = (
    "random shifts with variance correction; Mrkvička et al. 2021 (Spatial Statistics 42:100430)"
)
CROSS = "rigid motion correction; Ohser & Stoyan 1981 (Biometrical Journal 23:523)"
OVER_UNITS = "of a group: Student's t over units"

LEVEL = Column("level", "key", "str", "unit: one unit's sections together; group: the mean of its "
               "units, of ranges the geometric mean.", "run")  # fmt: skip
NAME = Column("name", "key", "str", "The question, by its name in the study file.", "study file")


def _count(name: str, meaning: str) -> Column:
    return Column(name, "count", "int64", meaning, SPREAD)


def _number(name: str, unit: str, meaning: str, source: str = SPREAD) -> Column:
    return Column(name, unit, "float64", meaning, source)


SPREAD_COLUMNS = (
    LEVEL,
    NAME,
    _count("n_units", "Units that the row is about."),
    _count("n_sections", "Images with two cells or more."),
    _count("n_sections_used", "Those with a source and a responder, which were shifted."),
    _count("n_sources", "Source cells."),
    _count("n_responders", "Other cells whose response is asked about and known."),
    _number("contact_um", "µm", "Cells nearer to a source than this are left out: they may touch "
            "it and show its light.", "study file, or twice the median distance of neighbours"),
    _number("within_um", "µm", "Distance from the nearest source that parts near from far."),
    _count("n_near", "Responders nearer than that, those at contact left out."),
    _count("n_far", "Responders at or beyond it."),
    _number("near_fraction", "1", "Share of the near ones that respond."),
    _number("far_fraction", "1", "Share of the far ones that respond."),
    _number("difference", "1", "Near less far, sections and strata each compared within "
            "themselves.", "Mantel-Haenszel; Greenland & Robins 1985 (Biometrics 41:55)"),
    _number("ci_low", "1", "Lower end of its 95 % interval.", f"{SHIFTS}; {OVER_UNITS}"),
    _number("ci_high", "1", "Upper end of its 95 % interval.", f"{SHIFTS}; {OVER_UNITS}"),
    _number("p", "1", "Two-sided, of this distance alone: rank among shifts that keep the patches "
            "of the response and the clusters of sources.", f"{SHIFTS}; {OVER_UNITS}"),
    _number("p_any", "1", "Of a unit's strongest distance, the choice among them allowed for.",
            SHIFTS),
    _number("difference_with_contact", "1", "The difference with cells at contact as near ones; it "
            "holds light that sources leak."),
    _number("range_um", "µm", "Distance over which the effect falls to 1/e; empty where no effect "
            "falls off with distance.", "measurements.spread.decay"),
    _number("range_ci_low_um", "µm", "Lower end of its 95 % interval.",
            f"jackknife over blocks; {OVER_UNITS} on the log scale"),
    _number("range_ci_high_um", "µm", "Upper end of its 95 % interval.",
            f"jackknife over blocks; {OVER_UNITS} on the log scale"),
    _count("n_shifts", "Random shifts of each section."),
    _count("seed", "Seed of the shifts."),
    Column("note", "key", "str", "Sections that could not be used, and why.", "run"),
)  # fmt: skip
RING_COLUMNS = (
    LEVEL,
    NAME,
    _number("from_um", "µm", "Inner edge of the ring about the nearest source."),
    _number("to_um", "µm", "Outer edge; empty for all beyond."),
    Column("contact", "flag", "bool", "Cells here may touch a source.", SPREAD),
    _count("n", "Responders in the ring."),
    _count("n_positive", "Those that respond."),
    _number("fraction", "1", "n_positive / n."),
    _number("expected_fraction", "1", "Share over all shifts, cells at contact left out.", SHIFTS),
    _number("expected_low", "1", "Lower end of the range that holds 95 % of shifts.", SHIFTS),
    _number("expected_high", "1", "Upper end of it.", SHIFTS),
    _number("pair_correlation", "1", "Pairs of a source and a responding cell at this distance, "
            "over those of the same densities without interaction; edge-corrected.", CROSS),
    _number("pair_correlation_of_all", "1", "The same of sources and all responders: what the "
            "tissue's own unevenness gives.", CROSS),
    _number("cross_k_um2", "µm²", "Responding cells within to_um of a source, over their density.",
            CROSS),
    _number("source_within_fraction", "1", "Share of responding cells with a source within to_um, "
            "distances beyond the edge censored.", "Kaplan-Meier; Baddeley & Gill 1997 (Ann. Stat. "
            "25:263)"),
)  # fmt: skip
