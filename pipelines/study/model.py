"""The study file as typed models: one YAML file that describes a study from images to outcomes.

Every model forbids unknown keys. `load_study` reports all problems of the file at once and names,
for a key it does not know, the nearest one it does.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, ValidationError, model_validator

from pipelines.errors import StudyError
from pipelines.study.base import ChannelName, Lengths, Positive, Scalar, Settings
from pipelines.study.compute import Compute
from pipelines.study.messages import explain
from pipelines.study.reporters import Reporters
from pipelines.study.rules import Rule
from pipelines.study.settings import CellposeSettings, Measurement, Segmentation
from pipelines.study.stains import Colours, StainName, check_stains
from pipelines.study.watching import Watch
from pipelines.study.yaml_text import load_yaml

LIGHT_WORDS = ("none", "estimate")
# A path alone is written out for every channel before it is validated.
LIGHT_SCHEMA: list[JsonValue] = [
    {"type": "string"},
    {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
]


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"'{name}' becomes part of file names: use letters, digits, '.', '_', '-'")
    return name


class Positivity(Rule):
    """When a cell counts as positive: a threshold on one column of the cells table."""

    of: str
    """Column of tables/cells.parquet that the threshold is set on."""

    @model_validator(mode="after")
    def _percentile_has_controls(self) -> Self:
        if (self.rule == "control_percentile") != bool(self.controls):
            raise ValueError(
                "controls select the control images of rule control_percentile: "
                "give both, or another rule without controls"
            )
        return self


class Exclude(Settings):
    """Cells left out of the aggregates; they stay in the cells table with their flags."""

    flags: tuple[str, ...] = ()
    """Flag columns of the cells table; a cell that carries any of them is left out."""


class OutcomeWithin(Settings):
    """An outcome in a part of the cells."""

    of: str
    """Column of tables/cells.parquet."""
    within: Annotated[dict[str, Scalar | tuple[Scalar, ...]], Field(min_length=1)]
    """Columns of the cells table and the value, or values, that a cell must have to count; as they
    are written in the table, upper and lower case too."""


class Contrast(Settings):
    """One planned comparison."""

    within: dict[str, Scalar] = Field(default_factory=dict)
    """Factors and the level that both sides share; without it, the average over all levels."""
    compare: Annotated[dict[str, tuple[Scalar, Scalar]], Field(min_length=1, max_length=1)]
    """One factor and two of its levels: the first minus the second is estimated."""


class Statistics(Settings):
    """The design of the comparison. The unit is the replicate: cells are never the n."""

    unit: str
    """Sample column that names the replicate, e.g. donor or animal."""
    factors: Annotated[tuple[str, ...], Field(min_length=1)]
    """Sample columns that are compared."""
    reference: dict[str, Scalar] = Field(default_factory=dict)
    """Reference level of each factor."""
    blocks: str | None = None
    """Sample column of pairs or batches."""
    random: tuple[str, ...] = ()
    """Sample columns of levels nested in the unit, e.g. clone."""
    outcomes: tuple[str | OutcomeWithin, ...] = ()
    """What is compared: columns of the cells table, in all cells or within some, or columns of
    zonation.csv and densities.csv, which have one value a unit. Without any, every positivity rule
    of the study."""
    contrasts: tuple[Contrast, ...] = ()
    """Comparisons that were planned; without any, every level against the reference of its factor
    (every pair, where it has none) within each combination of the other factors."""
    adjust: Literal["holm", "bh", "none"] = "holm"
    """How p-values are adjusted for the number of comparisons, over all outcomes together."""


class Study(Settings):
    """One study: its images, what is measured in them, and what is compared."""

    study: Annotated[str, AfterValidator(_file_name)]
    """Short name, used for files."""
    title: str = ""
    """Title of the report."""
    samples: str | None = None
    """CSV, one row an image: `image` (path or glob, relative to the study file), or one column
    `image_CHANNEL` for each channel, and any columns that describe the sample. Every scene and time
    point of a file is an image; the columns `image_scene` and `image_time` choose one."""
    images: str | None = None
    """Instead of samples: a path whose {names} become the sample columns."""
    channels: Annotated[dict[ChannelName, int | str], Field(min_length=1)]
    """Channel name -> its index in the file from 0, the file's own channel name, or `rgb`."""
    stains: dict[ChannelName, StainName | Colours] = Field(default_factory=dict)
    """Stains of the brightfield picture (the channel that is `rgb`), each a channel of its own from
    then on, whose values are optical densities: name -> `haematoxylin`, `dab`, `fast_red`, `eosin`,
    or densities of red, green and blue as measured where it lies alone. Name all that the slide
    has, three at most: each is told from the others. `lipofuscin`, the pigment, may stand beside
    them, to be the `unused` channel of spots."""
    pixel_size_um: Positive | Literal["unknown"] | None = None
    """Edge of a pixel in µm where the file has none or to override it; `unknown` measures in px."""
    z: Literal["max", "mean", "best_focus", "none"] = "max"
    """Projection of z-stacks; `none` refuses them."""
    illumination: Annotated[
        Literal["none", "estimate"] | Annotated[dict[ChannelName, str], Field(min_length=1)],
        Field(json_schema_extra={"anyOf": LIGHT_SCHEMA}),
    ] = "none"
    """Uneven light taken off fluorescence channels before anything else: `estimate` tells it from
    all images of the study together; or CHANNEL: a picture of the light (an evenly fluorescent
    slide without the camera's offset, relative to the study file; or what a run left in
    illumination/). A path alone is the picture for every channel."""
    segmentation: Segmentation
    """Nuclei and cells."""
    measurements: Annotated[tuple[Measurement, ...], Field(min_length=1)]
    """What is measured in every cell."""
    positivity: dict[ChannelName, Positivity] = Field(default_factory=dict)
    """Positive cells: NAME gives the column NAME_positive."""
    exclude: Exclude = Exclude()
    """Cells left out of the aggregates; by default none."""
    statistics: Statistics | None = None
    """The design; its unit and factors decide how cells are aggregated."""
    compute: Compute = Compute()
    """Workers, memory, GPU, precision, and how slides are worked on."""
    watch: Watch = Watch()
    """What `senescope sweep` holds for finished, where images come in while the study goes on."""
    roots: tuple[str, ...] = (".",)
    """Folders that the study may read, relative to the study file."""

    @model_validator(mode="before")
    @classmethod
    def _one_light_for_all(cls, data: dict[str, object]) -> dict[str, object]:
        light, channels = data.get("illumination"), data.get("channels")
        if not isinstance(light, str) or light in LIGHT_WORDS or not isinstance(channels, dict):
            return data
        grey = [name for name, place in channels.items() if place != "rgb"]
        return {**data, "illumination": dict.fromkeys(grey, light)}

    @model_validator(mode="after")
    def _one_source_of_images(self) -> Self:
        if (self.samples is None) == (self.images is None):
            raise ValueError(
                "give samples (a CSV file) or images (a path with {names}), one of them"
            )
        return self

    @model_validator(mode="after")
    def _stains_of_a_picture(self) -> Self:
        check_stains(self.stains, self.channels)
        return self

    @model_validator(mode="after")
    def _one_name_one_marker(self) -> Self:
        kinds = [m for m in self.measurements if isinstance(m, Reporters)]
        if len(kinds) > 1:
            raise ValueError("measurements: give all channels in one measurement of type reporters")
        twice = [name for m in kinds for name in m.channels if name in self.positivity]
        if twice:
            raise ValueError(
                f"positivity.{twice[0]}: {twice[0]} is one of the reporters, which has its "
                f"threshold in their gates and its column {twice[0]}_positive from there"
            )
        return self

    @property
    def planes(self) -> tuple[str, ...]:
        """All that can be measured in: channels of the files, and stains."""
        return (*self.channels, *self.stains)

    @property
    def reporters(self) -> Reporters | None:
        """The reporters, where the study measures them."""
        return next((m for m in self.measurements if isinstance(m, Reporters)), None)

    def settings_with_lengths(self) -> list[tuple[str, Lengths]]:
        """Every part of the study that holds lengths, with its place in the file."""
        parts: list[tuple[str, object]] = [
            ("segmentation.nuclei", self.segmentation.nuclei),
            ("segmentation.cells", self.segmentation.cells),
            ("segmentation.cytoplasm", self.segmentation.cytoplasm),
        ]
        parts += [(f"measurements.{i}", m) for i, m in enumerate(self.measurements)]
        return [(where, part) for where, part in parts if isinstance(part, Lengths)]

    def cellpose_settings(self) -> list[tuple[str, CellposeSettings]]:
        """The Cellpose runs of the study, with their place in the file."""
        return [
            (where, part)
            for where, part in self.settings_with_lengths()
            if isinstance(part, CellposeSettings)
        ]


def load_study(path: Path) -> Study:
    """Read a study file.

    Args:
        path: YAML file.

    Raises:
        StudyError: the file is missing, is not YAML, or does not fit the model; the message lists
            every problem of the file, one a line.
    """
    return parse_study(_read_text(path), str(path))


def parse_study(text: str, name: str) -> Study:
    """Parse the text of a study file; `name` stands for it in messages. See `load_study`."""
    data = load_yaml(text, name)
    if not isinstance(data, dict):
        raise StudyError(
            f"{name} should hold a mapping that starts with 'study: NAME'; "
            f"found {'nothing' if data is None else type(data).__name__}"
        )
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        lines = explain(error, Study)
        raise StudyError("\n".join([f"{name}:", *(f"  {line}" for line in lines)])) from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StudyError(f"There is no study file {path}. Give the path of a YAML file.") from error
    except IsADirectoryError as error:
        raise StudyError(f"{path} is a folder. Give the study's YAML file in it.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from error
