"""Columns of foci: one row a nucleus, and one row a focus or a peak that may be one."""

from measurements.columns import Column, area, position

DETECTOR = "mask-normalised difference of Gaussians over local noise; measurements.foci_response"
EXTENT = "watershed basin of the band-pass response, down to half of its peak"
PARTING = "measurements.foci_threshold; thresholds in tables/thresholds.csv"
NOT_COUNTED = "Empty for a nucleus that is stained all over or missing"

COUNT = Column(
    "{channel}_foci_count",
    "count",
    "uint32",
    f"Foci of {{channel}} in the nucleus, {{where}}. {NOT_COUNTED}.",
    DETECTOR,
)
AT_LEAST = {
    n: Column(
        f"{{channel}}_foci_ge{n}",
        "flag",
        "bool",
        f"The nucleus has {n} or more foci of {{channel}}. {NOT_COUNTED}.",
        "[judgement] no standard exists; 3, 5 and 10 are in use, 5 is what senescope goes by",
    )
    for n in (3, 5, 10)
}
INTEGRATED = Column(
    "{channel}_foci_integrated",
    "a.u.·px",
    "float64",
    "Sum over all foci of the nucleus of {channel} above the local level of the nucleus.",
    EXTENT,
)
AREA_FRACTION = Column(
    "{channel}_foci_area_fraction",
    "1",
    "float64",
    "Share of the nucleus that foci of {channel} cover.",
    EXTENT,
)
MEAN_CONTRAST = Column(
    "{channel}_foci_mean_contrast",
    "a.u.",
    "float64",
    "Mean contrast of the nucleus's foci of {channel}; NaN without foci.",
    DETECTOR,
)
THRESHOLD = Column(
    "{channel}_foci_threshold",
    "a.u.",
    "float64",
    "Band-pass response of {channel} above which a peak is a focus, on average over the nucleus.",
    f"threshold x noise around each place; {PARTING}",
)
PAN_NUCLEAR = Column(
    "{channel}_pan_nuclear",
    "flag",
    "bool",
    "The nucleus is bright in {channel} all over and even, so that it has no foci to count.",
    "[judgement] mean above background over 3 x that of a usual nucleus (median of the controls, "
    "or of the batch) and variation under 0.25",
)

CHANNEL = Column("channel", "key", "str", "Channel of the focus.", "study", aggregate=False)
NUCLEUS_ID = Column(
    "cell_id", "key", "uint32", "Label of the nucleus that the focus is in.", "labels",
    aggregate=False,
)  # fmt: skip
FOCUS_ID = Column(
    "focus_id", "key", "uint32", "Number of the focus in its image and channel, from 1.", "order",
    aggregate=False,
)  # fmt: skip
FOCUS_PLANE = Column(
    "plane", "1", "float64", "Plane of the stack that the focus is in; 0 is the first.", DETECTOR,
    aggregate=False,
)  # fmt: skip
FOCUS_Y = position("y", "Row of the focus; 0 is the first pixel's centre.", DETECTOR)
FOCUS_X = position("x", "Column of the focus; 0 is the first pixel's centre.", DETECTOR)
FOCUS_AREA = area("area", "Pixels of the focus; in a stack, seen from above.", EXTENT)
FOCUS_HEIGHT = Column(
    "height",
    "1",
    "float64",
    "Band-pass response at the focus over the noise around it: what the threshold is set on.",
    DETECTOR,
)
FOCUS_CONTRAST = Column(
    "contrast",
    "a.u.",
    "float64",
    "Grey value at the focus's peak less the nucleus's level around it.",
    "peak - local background",
)
FOCUS_SNR = Column(
    "snr",
    "1",
    "float64",
    "Contrast of the focus over the SD of the nucleus around it, foci left out.",
    "(peak - local background) / SD of the nucleus's texture and noise around it",
)
FOCUS_INTEGRATED = Column(
    "integrated",
    "a.u.·px",
    "float64",
    "Sum of grey values above the local level over the focus's pixels.",
    EXTENT,
)

NUCLEUS_AREA = area("nucleus_area", "Pixels of the nucleus; in a stack, seen from above.", "labels")
NUCLEUS_NOISE = Column(
    "noise", "a.u.", "float64",
    "SD of the band-pass response without foci, root mean square over the nucleus.",
    "measurements.foci_noise", aggregate=False,
)  # fmt: skip
NUCLEUS_LEVEL = Column(
    "level", "a.u.", "float64", "Mean of the nucleus above the field's background.",
    "measurements.foci_pan_nuclear", aggregate=False,
)  # fmt: skip
NUCLEUS_VARIATION = Column(
    "variation", "1", "float64", "SD over mean of the nucleus at the scale of foci.",
    "measurements.foci_pan_nuclear", aggregate=False,
)  # fmt: skip
