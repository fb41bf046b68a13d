"""Small reporter studies whose every cell is known: discs in rows, bleed-through, noise."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tifffile

from pipelines.field import Labels
from tests.studies import write_samples

SHAPE = (150, 150)
PER_ROW = 5
N_CELLS = PER_ROW**2
CHANNELS = ("dapi", "gfp", "mcherry")
# Light of gfp and mcherry in each channel.
BLEED = np.array([[0.05, 0.0], [1.0, 0.1], [0.2, 1.0]])
SIGNS = {
    "primary": (False, True),
    "secondary": (True, False),
    "double": (True, True),
    "negative": (False, False),
}
STUDY = """
study: reporters
samples: samples.csv
channels: {{dapi: 0, gfp: 1, mcherry: 2}}
pixel_size_um: 0.5
segmentation:
  nuclei: {{channel: dapi, diameter_px: 10}}
  cells: {{method: expand, distance_px: 6}}
measurements:
  - {{type: morphology}}
  - type: reporters
    channels: [mcherry, gfp]
    bleed_through: {bleed_through}
    gates: {{mcherry: {{{gate}}}, gfp: {{{gate}}}}}
    classes:
      primary: [mcherry+, gfp-]
      secondary: [mcherry-, gfp+]
      double: [mcherry+, gfp+]
      negative: [mcherry-, gfp-]
{more}
"""
GATE = "controls: {dox: 'no'}, percentile: 99"


def grid_labels() -> Labels:
    """The same 25 nuclei of radius 5 px and cells of radius 11 px in every image."""
    y, x = np.indices(SHAPE)
    nuclei, cells = (np.zeros(SHAPE, np.uint32) for _ in range(2))
    for number in range(N_CELLS):
        row, column = divmod(number, PER_ROW)
        distance = np.hypot(y - 15 - 30 * row, x - 15 - 30 * column)
        cells[distance <= 11] = number + 1
        nuclei[distance <= 5] = number + 1
    return Labels(nuclei, cells, None)


def image(classes: Sequence[str], seed: int, stained: Sequence[str] = CHANNELS) -> np.ndarray:
    """One field, (channel, y, x) uint16: cells of these classes, the last one autofluorescent.

    Args:
        classes: of the 25 cells.
        seed: of brightness and noise.
        stained: dyes that are in the specimen.
    """
    rng = np.random.default_rng(seed)
    labels = grid_labels()
    on = np.array([SIGNS[name] for name in classes]) & [d in stained for d in CHANNELS[1:]]
    dyes = np.where(on, rng.uniform(800, 2000, on.shape), 0.0)
    own = rng.uniform(10, 30, N_CELLS)
    own[-1] = 900.0
    light = dyes @ BLEED.T + own[:, None] * [1.0, 0.9, 0.8]
    planes = []
    for channel in range(3):
        amounts = np.append(0.0, light[:, channel])
        plane = 100 + amounts[labels.cells] + 1500 * (labels.nuclei > 0) * (channel == 0)
        planes.append(plane + rng.normal(0, 3, SHAPE))
    return np.stack(planes).round().astype(np.uint16)


def mixed(seed: int) -> list[str]:
    """25 classes, every one of the four among them."""
    return list(np.random.default_rng(seed).permutation((list(SIGNS) * 7)[:N_CELLS]))


def write_reporter_study(
    folder: Path,
    *,
    bleed_through: str = "controls.csv",
    gate: str = GATE,
    more: str = "",
    stained: Mapping[str, str] | None = None,
) -> tuple[Path, dict[str, list[str]]]:
    """Write images, tables and the study file.

    Args:
        folder: where to.
        bleed_through: name of the control table in the study file.
        gate: both gates, without braces.
        more: further lines of the study.
        stained: control image -> what the table says is stained in it.

    Returns:
        The study file, and the classes of the cells of each sample image.
    """
    truth = {f"no{i}": ["negative"] * N_CELLS for i in range(4)}
    truth |= {f"dox{i}": mixed(i) for i in range(4)}
    controls = {f"unlabelled{i}": ("unlabelled", ("dapi",)) for i in range(4)}
    controls |= {f"only_{dye}": (dye, ("dapi", dye)) for dye in CHANNELS[1:]}
    for number, (name, classes) in enumerate(truth.items()):
        _write(folder / f"{name}.tif", image(classes, number))
    for number, (name, (_, dyes)) in enumerate(controls.items()):
        _write(folder / f"{name}.tif", image(["double"] * N_CELLS, 100 + number, dyes))
    rows = [
        {"image": f"{n}.tif", "animal": f"A{n}", "dox": "no" if n.startswith("no") else "yes"}
        for n in truth
    ]
    write_samples(folder, rows)
    said = stained or {name: kind for name, (kind, _) in controls.items()}
    lines = [f"{name}.tif,{kind}" for name, kind in said.items()]
    (folder / "controls.csv").write_text("\n".join(["image,stained", *lines]) + "\n")
    path = folder / "study.yaml"
    path.write_text(STUDY.format(bleed_through=bleed_through, gate=gate, more=more))
    return path, truth


def _write(path: Path, planes: np.ndarray) -> None:
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX"})
