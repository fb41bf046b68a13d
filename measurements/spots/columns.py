"""Columns of RNA spots: one row a cell, and one row a spot."""

from measurements.columns import Column, position

FOUND = "summits of the band-pass response; measurements.spots.detection"
LIGHT = "grey value less the level around, over the spot's pixels; measurements.spots.light"
MOLECULES = (
    "light of a clump of spots over that of one molecule, at least its number of spots; "
    "measurements.spots.molecules, the light of one in tables/thresholds.csv"
)
ACD = "ACD (RNAscope), bounds as in the study; measurements.spots.score"

SPOT_COUNT = Column(
    "{channel}_spot_count", "count", "uint32",
    "Spots of {channel} resolved in the cell; autofluorescent ones left out.", FOUND,
)  # fmt: skip
COUNTS = {
    "cell": Column(
        "{channel}_molecules", "count", "float64",
        "Estimated molecules of {channel} in the cell, those of clusters included.", MOLECULES,
    ),
    "nucleus": Column(
        "{channel}_nucleus_molecules", "count", "float64",
        "Estimated molecules of {channel} in the nucleus.", MOLECULES,
    ),
    "cytoplasm": Column(
        "{channel}_cytoplasm_molecules", "count", "float64",
        "Estimated molecules of {channel} in the cell outside its nucleus.", MOLECULES,
    ),
}  # fmt: skip
CLUSTERED = Column(
    "{channel}_clustered_share", "1", "float64",
    "Share of the cell's molecules of {channel} that lie in unresolved clusters; NaN without any.",
    MOLECULES,
)  # fmt: skip
INTEGRATED = Column(
    "{channel}_spots_integrated", "a.u.·px", "float64",
    "Light of all spots of {channel} in the cell; of a stain its optical density.", LIGHT,
)  # fmt: skip
REJECTED = Column(
    "{channel}_autofluorescent_count", "count", "uint32",
    "Spots of {channel} in the cell that the unused channel shows too, and that are not counted.",
    "measurements.spots.detection.is_autofluorescent",
)  # fmt: skip
SCORE = Column("{channel}_score", "1", "uint8", "RNAscope score of the cell for {channel}.", ACD)
H_SCORE = Column(
    "{channel}_h_score", "1", "float64",
    "100 x the RNAscope score for {channel}: its mean over cells is the H-score, the sum of score "
    "x percent of cells.", ACD,
)  # fmt: skip

SPOT_CELL = Column(
    "cell_id", "key", "uint32", "Cell that the spot lies in; 0 for none.", "labels",
    aggregate=False,
)  # fmt: skip
SPOT_CHANNEL = Column("channel", "key", "str", "Channel of the spot.", "study", aggregate=False)
SPOT_ID = Column(
    "spot_id", "key", "uint32", "Number of the spot in its image and channel, from 1.", "order",
    aggregate=False,
)  # fmt: skip
SPOT_IN_NUCLEUS = Column("in_nucleus", "flag", "bool", "The spot lies on a nucleus.", "labels")
SPOT_Y = position("y", "Row of the spot; 0 is the first pixel's centre.", FOUND)
SPOT_X = position("x", "Column of the spot; 0 is the first pixel's centre.", FOUND)
SPOT_HEIGHT = Column(
    "height", "1", "float64",
    "Band-pass response at the spot over the noise around it: what the threshold is set on.", FOUND,
)  # fmt: skip
SPOT_CONTRAST = Column(
    "contrast", "a.u.", "float64", "Grey value at the spot's peak less the level around.", FOUND
)
SPOT_INTEGRATED = Column(
    "integrated", "a.u.·px", "float64", "Light of the spot; of a stain its optical density.", LIGHT
)
SPOT_CLUMP = Column(
    "clump", "key", "int64", "Number of the clump: spots whose pixels touch are in one.", LIGHT,
    aggregate=False,
)  # fmt: skip
SPOT_ISOLATED = Column("isolated", "flag", "bool", "No other spot shares light with it.", LIGHT)
SPOT_REJECTED = Column(
    "autofluorescent", "flag", "bool", "The unused channel shows the spot too: it is not counted.",
    "measurements.spots.detection.is_autofluorescent",
)  # fmt: skip
SPOT_MOLECULES = Column(
    "molecules", "count", "float64", "Estimated molecules; 0 where autofluorescent.", MOLECULES
)

IMAGE_THRESHOLD = Column(
    "{channel}_spot_threshold", "1", "float64",
    "Height in noise SDs that spots of {channel} exceed in this image.",
    "measurements.foci_threshold.parting_height, or the study",
)  # fmt: skip
IMAGE_SPOTS = Column(
    "{channel}_spots_in_image", "count", "int64",
    "Spots of {channel} in the image, also outside cells; autofluorescent ones left out.", FOUND,
)  # fmt: skip
IMAGE_REJECTED = Column(
    "{channel}_autofluorescent_in_image", "count", "int64",
    "Spots of {channel} in the image that the unused channel shows too.",
    "measurements.spots.detection.is_autofluorescent",
)  # fmt: skip
IMAGE_COLUMNS = (IMAGE_THRESHOLD, IMAGE_SPOTS, IMAGE_REJECTED)
