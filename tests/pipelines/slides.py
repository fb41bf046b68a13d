"""Small slides on disk and the fake network, for tests of the block path."""

from pathlib import Path

import numpy as np
import tifffile

from pipelines.images import Field, open_field
from pipelines.slide.job import SlideSettings
from tests.segmentation.slides.fake import TILING, blobs, network

DIAMETER = 30.0


def write_tiled(path: Path, image: np.ndarray) -> Path:
    """A tiled OME-TIFF of one channel."""
    tifffile.imwrite(
        path, image[np.newaxis], tile=(128, 128), ome=True, compression="zlib",
        metadata={"axes": "CYX", "Channel": {"Name": ["dna"]}},
    )  # fmt: skip
    return path


def slide_field(folder: Path, shape=(400, 520), n=70, seed=0) -> Field:
    """A slide of blobs, 16 bit."""
    image = (1000 * np.clip(blobs(shape, n, seed=seed) + 0.1, 0, 2)).astype(np.uint16)
    path = write_tiled(folder / "slide.ome.tif", image)
    return open_field("slide", {"dna": path}, {"dna": 0}, pixel_size_um=0.5, z="none")


def settings(**more) -> SlideSettings:
    return SlideSettings(
        **{"channel": "dna", "model": "fake", "diameter_px": DIAMETER, "block_px": 256} | more
    )


def use_fake_network(monkeypatch) -> None:
    """In this process the network answers at once, on tiles of 64 px."""
    monkeypatch.setattr("pipelines.slide.tasks.load_network", lambda *_: (network, TILING, 1))


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
