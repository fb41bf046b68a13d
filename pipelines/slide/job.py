"""What segmenting one slide is: its settings, its plan, and where its blocks are kept."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Literal

from pipelines.errors import ImageError
from pipelines.field.pixels import Grey, rgb_to_grey
from pipelines.files import replacing
from pipelines.images import Field
from pipelines.run.provenance import fingerprint
from pipelines.study.compute import SHARD_PX
from segmentation.slides.grid import Block, Box, Shape, blocks

# Longer side of the small picture that is drawn of a slide, px.
_PICTURE_PX = 2048


def picture_step(shape: Shape) -> int:
    """Every which pixel of a slide is drawn in its small picture: a power of two."""
    step = 1
    while max(shape) > step * _PICTURE_PX:
        step *= 2
    return step


@dataclass(frozen=True)
class SlideSettings:
    """How a slide's objects are found, in pixels; picklable.

    Attributes:
        channel: channel, or picture, that the model sees.
        model: see `segmentation.models.load_model`.
        diameter_px: typical diameter.
        flow_threshold: see `segmentation.masks.segment`.
        cellprob_threshold: the same.
        reach_px: how far a cell reaches beyond its nucleus; 0 for nuclei alone.
        gpu: see `segmentation.models.load_model`.
        precision: the same.
        block_px: side of a block.
    """

    channel: str
    model: str
    diameter_px: float
    flow_threshold: float = 0.4
    cellprob_threshold: float = 0.0
    reach_px: float = 0.0
    gpu: bool | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    block_px: int = SHARD_PX

    @property
    def rim_px(self) -> int:
        """Pixels around a core whose nuclei reach into it with their cells."""
        return 0 if self.reach_px == 0 else ceil(self.reach_px) + 1


@dataclass(frozen=True)
class SlideJob:
    """A slide to segment; picklable, and all that a block's task is given.

    Attributes:
        field: the image.
        settings: how.
        work: folder of what is not finished.
        grey_range: grey values that become 0 and 1; None where the slide is constant.
        halo_px: pixels around a core that a block sees.
    """

    field: Field
    settings: SlideSettings
    work: Path
    grey_range: tuple[float, float] | None
    halo_px: int

    @property
    def shape(self) -> Shape:
        """Rows and columns of the slide."""
        return self.field.shape

    def blocks(self) -> tuple[Block, ...]:
        """All blocks of the slide."""
        return blocks(self.shape, self.settings.block_px, self.halo_px)

    def read(self, box: Box) -> Grey:
        """Pixels of the channel that the model sees."""
        return read_grey(self.field, self.settings.channel, box)

    @property
    def picture_step(self) -> int:
        """Every which pixel is drawn in the small picture: see `picture_step`."""
        return picture_step(self.shape)

    @property
    def store(self) -> Path:
        """The OME-Zarr that the labels are written to, until it is whole."""
        return self.work / "labels.ome.zarr"

    @property
    def keys(self) -> Path:
        """Names of all objects of the slide."""
        return self.work / "keys.npy"

    @property
    def pieces(self) -> Path:
        """Objects that no block saw whole."""
        return self.work / "pieces.json"

    def found(self, block: Block) -> Path:
        """What a block found."""
        return self.work / "blocks" / f"{block.index:06d}.npz"

    def written(self, block: Block) -> Path:
        """There when a block's labels are in the store."""
        return self.work / "written" / f"{block.index:06d}"


def read_grey(image: Field, channel: str, box: Box) -> Grey:
    """A box of a channel, the mean of the colours of a picture."""
    plane = image.plane(channel, box.slices)
    return rgb_to_grey(plane) if channel == image.picture else plane


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
        stage: what is done.
        done: blocks that are done.
        total: blocks in all.
    """

    stage: str
    done: int
    total: int


def open_work(work: Path, key: str) -> None:
    """Go on with a working folder, or start anew where what it was made of changed.

    Args:
        work: the folder.
        key: what stands for the files and settings that its content depends on.
    """
    marker = work / "key.json"
    if marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) != key:
        shutil.rmtree(work)
    if not marker.is_file():
        shutil.rmtree(work, ignore_errors=True)
        with replacing(marker) as place:
            place.write_text(json.dumps(key), encoding="utf-8")


def work_key(settings: SlideSettings, stamp: str) -> str:
    """What stands for settings and files: for the blocks' size too, since blocks are kept."""
    return fingerprint(asdict(settings), stamp)


@contextmanager
def told_if_full(place: Path) -> Iterator[None]:
    """Turn the error of a disk that takes no more into one for people."""
    try:
        yield
    except OSError as error:
        raise disk_full(error, place) from error


def disk_full(error: OSError, place: Path) -> ImageError:
    """The error of a disk that takes no more, for people."""
    free = shutil.disk_usage(place if place.exists() else place.parent).free / 2**30
    return ImageError(
        f"{place} cannot be written: {error.strerror or error} ({free:.1f} GiB are free). What is "
        "done is kept and whole: make room, and the same command goes on from there"
    )
