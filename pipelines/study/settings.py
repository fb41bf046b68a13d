"""Settings of each stage, as typed models: segmentation and every kind of measurement.

A new measurement is a model here, with its own ``type``, added to `Measurement`.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.study.base import ChannelName, Lengths, NonNegative, Positive, Scalar, Settings
from pipelines.study.density import Density
from pipelines.study.neighbours import Neighbours
from pipelines.study.reporters import Reporters
from pipelines.study.spots import Spots
from pipelines.study.stains import Colours
from pipelines.study.transcripts import Transcripts
from pipelines.study.zonation import Zonation
from segmentation.catalogue import known_model_names

Compartment = Literal["nucleus", "cytoplasm", "cell"]


class CellposeSettings(Lengths):
    """One Cellpose model run on one channel."""

    channel: ChannelName
    """Channel of the study that the model sees."""
    model: str = "compact"
    """`compact` (ships with senescope), a stock Cellpose name such as `cpsam_v2` (downloaded by
    Cellpose on your machine), or the path of a weights file."""
    diameter_um: Positive | None = None
    """Typical diameter of the objects in µm."""
    diameter_px: Positive | None = None
    """Typical diameter of the objects in px, instead of µm."""
    flow_threshold: NonNegative = 0.4
    """Largest flow error of an object that is kept; 0 keeps all (Cellpose's default 0.4)."""
    cellprob_threshold: float = 0.0
    """Pixels above this cell logit belong to objects (Cellpose's default 0)."""

    def weights(self, folder: Path) -> str:
        """The model as `segmentation` takes it: a known name, or a path that starts at `folder`."""
        return self.model if self.model in known_model_names() else str(folder / self.model)


class CellposeCells(CellposeSettings):
    """Cells outlined by a Cellpose model of their own; nuclei are paired to them."""

    method: Literal["cellpose"]


class ExpandedCells(Lengths):
    """Cells as nuclei grown by a distance, without overlap."""

    method: Literal["expand"]
    distance_um: Positive | None = None
    """How far a cell reaches beyond its nucleus, in µm."""
    distance_px: Positive | None = None
    """The same in px."""


class VoronoiCells(Lengths):
    """Cells as the pixels nearest to each nucleus, up to a limit."""

    method: Literal["voronoi"]
    limit_um: Positive | None = None
    """Largest distance from the nucleus, in µm."""
    limit_px: Positive | None = None
    """The same in px."""


class NucleiAsCells(Settings):
    """No cytoplasm: the cell is its nucleus."""

    method: Literal["nuclei"] = "nuclei"


CellSettings = Annotated[
    CellposeCells | ExpandedCells | VoronoiCells | NucleiAsCells, Field(discriminator="method")
]


class CytoplasmRing(Lengths):
    """A ring around the nucleus, within the cell, measured instead of the whole cytoplasm."""

    gap_um: NonNegative | None = None
    """Left out next to the nucleus, where its blur reaches, in µm."""
    gap_px: NonNegative | None = None
    """The same in px."""
    width_um: Positive | None = None
    """Width of the ring beyond the gap, in µm."""
    width_px: Positive | None = None
    """The same in px."""


class Segmentation(Settings):
    """How pixels become nuclei and cells."""

    nuclei: CellposeSettings | None = None
    """Nuclei from a nuclear stain; leave out only where cells come from a Cellpose model."""
    cells: CellSettings = NucleiAsCells()
    """Cells: `expand`, `voronoi`, `cellpose` or `nuclei`."""
    cytoplasm: CytoplasmRing | None = None
    """Where cytoplasm is measured; without it, all of the cell but its nucleus."""

    @model_validator(mode="after")
    def _something_to_segment(self) -> Self:
        if self.nuclei is None and not isinstance(self.cells, CellposeCells):
            raise ValueError(
                f"cells.method: {self.cells.method} starts from nuclei: give segmentation.nuclei, "
                "or cells with method: cellpose"
            )
        return self


class Morphology(Settings):
    """Size and shape of nuclei and cells."""

    type: Literal["morphology"]


class Intensity(Settings):
    """Grey values of a channel in the compartments of every cell."""

    type: Literal["intensity"]
    channel: ChannelName
    compartments: tuple[Compartment, ...] = ("nucleus", "cytoplasm", "cell")
    """Where to measure."""
    background: Literal["local", "field", "none"] = "local"
    """What is subtracted: the surroundings of each cell, the field's background, or nothing."""


class FociThreshold(Settings):
    """How a threshold for foci is found once all images are measured."""

    by: str | None = None
    """Sample column of batches or plates, whose images are judged together."""
    controls: dict[str, Scalar] = Field(default_factory=dict)
    """Sample columns and their values that select control images. With them a batch has one
    threshold, set by its control nuclei; without, each image of a batch has its own."""
    false_foci: Positive = 0.5
    """Foci a control nucleus that its texture is allowed to look like (with controls)."""


class FociStack(Settings):
    """Foci looked for in the z-stack; nuclei are found in its projection."""

    sigma_z_um: Positive | None = None
    """Standard deviation of a focus's blurred spot along z, in µm: about twice that in the plane,
    or more in a wide-field microscope."""
    sigma_z_planes: Positive | None = None
    """The same in planes."""
    z_step_um: Positive | None = None
    """Distance of the planes in µm where the file has none, or to override it."""

    @model_validator(mode="after")
    def _one_depth(self) -> Self:
        if (self.sigma_z_um is None) == (self.sigma_z_planes is None):
            raise ValueError("give sigma_z_um or sigma_z_planes, one of them")
        return self


class Foci(Lengths):
    """Foci of a nuclear marker (γH2AX, 53BP1) in every nucleus."""

    type: Literal["foci"]
    channel: ChannelName
    sigma_um: Positive | None = None
    """Standard deviation of a focus's blurred spot, in µm; 2.0 px where neither is given."""
    sigma_px: Positive | None = None
    """The same in px."""
    threshold: Positive | FociThreshold = FociThreshold()
    """Noise units above the nucleus's own level that a focus must reach; or how that is found from
    the heights of the peaks of all images, which part into texture and foci."""
    stack: FociStack | None = None
    """Look for foci in the z-stack rather than in its projection."""

    @model_validator(mode="before")
    @classmethod
    def _default_sigma(cls, data: object) -> object:
        if isinstance(data, dict) and not {"sigma_um", "sigma_px"} & data.keys():
            return {**data, "sigma_px": 2.0}
        return data


class Chromatin(Lengths):
    """Texture, condensed spots (SAHF) and DNA content of every nucleus."""

    type: Literal["chromatin"]
    channel: ChannelName
    """Channel of the DNA stain."""
    scale_um: Positive | None = None
    """Smallest detail that the optics resolve, in µm; 2.0 px where neither is given."""
    scale_px: Positive | None = None
    """The same in px."""
    condensed: Annotated[float, Field(gt=1)] = 1.5
    """Times the nucleus's own level from which chromatin counts as condensed."""

    @model_validator(mode="before")
    @classmethod
    def _default_scale(cls, data: object) -> object:
        if isinstance(data, dict) and not {"scale_um", "scale_px"} & data.keys():
            return {**data, "scale_px": 2.0}
        return data


class StainControls(Settings):
    """Stained control images that the colour of the precipitate is estimated from, once a study."""

    controls: Annotated[dict[str, Scalar], Field(min_length=1)]
    """Sample columns and their values that select images with strongly stained cells."""
    by: str | None = None
    """Sample column of batches or microscopes: one estimate each."""


class BetaGal(Settings):
    """SA-β-Gal in every cell, from the brightfield picture (a channel that is `rgb`)."""

    type: Literal["beta_gal"]
    stain: Colours | StainControls | None = None
    """Densities of red, green and blue of the precipitate, any length; or `{controls: ...}` to
    estimate them from stained control images; without it, the default for X-gal, whose derivation
    is in measurements/beta_gal.md."""
    residual: Colours | None = None
    """The same of what is not stain; without it neutral grey, which is what cells, droplets, debris
    and edges do to light. Give the colour of a counterstain where there is one."""
    blank: str | None = None
    """Picture of an empty field taken in the same light (path from the study file); {names} in it
    are sample columns, such as `blanks/{batch}.tif`. Without it, the light of an empty field is
    taken from the background between the cells of each picture."""
    dark: NonNegative | Colours = 0.0
    """Grey value without light, one number or one each of red, green and blue."""
    gamma: Positive | Literal["srgb"] = 1.0
    """How the camera's software encoded light: 1 where grey values are proportional to light,
    `srgb` where it saved pictures made for screens, or an exponent such as 2.2."""
    background: Literal["local", "field", "none"] = "field"
    """Stain that is subtracted: that of the field, or of each cell's surroundings where stain hazes
    some places more than others."""
    stained_od: Positive | None = None
    """Density above which a pixel counts as stained; without it, 3 robust SD of the background."""


Measurement = Annotated[
    Morphology
    | Intensity
    | Foci
    | Chromatin
    | BetaGal
    | Reporters
    | Spots
    | Transcripts
    | Neighbours
    | Zonation
    | Density,
    Field(discriminator="type"),
]
