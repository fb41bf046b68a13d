"""The fall-off of light that all images of a batch and channel share.

One image cannot tell light from how its cells happen to lie: nuclei of one clone or one phase of
the cycle are alike, and lie together. Another image's cells lie otherwise, and the light is the
same. So each image leaves the sums of a regression of its cells' logarithms on their places. The
sums of a batch add up to the regression of all its cells, every image with a mean of its own, and
how much the images disagree tells how well the light is known, however alike cells of one place
are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from measurements.background import robust_sd
from measurements.columns import Column
from measurements.field_places import TILES, block_of, second_order, tile_centres
from measurements.regions import Floats

BATCH_FALL_OFF = Column(
    "{channel}_batch_light_fall_off",
    "1",
    "float64",
    "How much less light of {channel} falls on the darkest place of the field than on the "
    "brightest (1 - least / largest value of a smooth fit where cells lie), as all images of the "
    "batch together show it, less what chance adds; empty where the batch has too few images.",
    "least squares of log medians of cells above the background on y, x, y², yx, x² within images "
    "(Likar et al. 2000, J Microsc 197:285), Huber's weights of images; times √(1 - 1/F)",
)
BATCH_ERROR = Column(
    "{channel}_batch_light_fall_off_se",
    "1",
    "float64",
    "Standard error of {channel}_batch_light_fall_off.",
    "least squares, variance by how much the images' own fits disagree",
)
BATCH_LIGHT = (BATCH_FALL_OFF, BATCH_ERROR)
"""Columns of images that are decided over their batch."""

CLIP_SD = 3.0
N_TERMS = 5
FEWEST_OF_IMAGE = 10
"""Places of an image under which its spread, by which cells are clipped, is hardly known."""
FEWEST_IMAGES = 12
"""Images that tell the light of a batch [judgement]: of draws of 12 DNA images of a real plate 94 %
were flagged in light that falls off by 40 %, of 8 images 65 % (tests.benchmarks.batch_light)."""
REFITS = 20
TUNING = 1.345
"""Of Huber's weights."""


@dataclass(frozen=True, slots=True, eq=False)
class LightSums:
    """What one image tells of the light of one channel, small enough to keep with its results.

    Attributes:
        n: places: cells, or tiles of the background.
        of_cells: they are cells.
        uneven: the flag by this image alone, for batches of few images.
        products: (5, 5) sums of products of the terms y, x, y², yx and x² less their means.
        with_logs: (5,) sums of their products with the logarithms of brightness.
        held: bool, one a tile of the field: holds a place.
    """

    n: int
    of_cells: bool
    uneven: bool
    products: Floats
    with_logs: Floats
    held: NDArray[np.bool_]

    @classmethod
    def of(
        cls, y: Floats, x: Floats, levels: Floats, *, of_cells: bool, uneven: bool
    ) -> "LightSums":
        """Sums over places from -1 to 1 whose brightness is `levels`; those of 0 or NaN are none.

        Args:
            y: row of each place.
            x: its column.
            levels: brightness there.
            of_cells: see `LightSums`.
            uneven: see `LightSums`.
        """
        lit = np.isfinite(levels) & (levels > 0)
        terms = second_order(y[lit], x[lit])[:, 1:]
        held = np.zeros(TILES**2, dtype=bool)
        held[block_of(y[lit], x[lit], TILES)] = True
        if lit.any():
            terms -= terms.mean(axis=0)
        # Terms less their means need no logarithms less theirs.
        logs = clipped(np.log(levels[lit]))
        return cls(int(lit.sum()), of_cells, uneven, terms.T @ terms, terms.T @ logs, held)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return {
            "n": self.n,
            "of_cells": self.of_cells,
            "uneven": self.uneven,
            "products": self.products.ravel().tolist(),
            "with_logs": self.with_logs.tolist(),
            "held": np.packbits(self.held).tobytes().hex(),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "LightSums":
        """What `as_json` gave."""
        bits = np.frombuffer(bytes.fromhex(kept["held"]), dtype=np.uint8)
        return cls(
            n=kept["n"],
            of_cells=kept["of_cells"],
            uneven=kept["uneven"],
            products=np.reshape(kept["products"], (N_TERMS, N_TERMS)),
            with_logs=np.array(kept["with_logs"]),
            held=np.unpackbits(bits, count=TILES**2).astype(bool),
        )


@dataclass(frozen=True, slots=True)
class BatchLight:
    """Light of one channel over the field, as the images of a batch show it.

    Attributes:
        fall_off: see `BATCH_FALL_OFF`.
        error: see `BATCH_ERROR`.
        p: of an F test against even light, the images being what is drawn by chance.
        n_images: images that it comes from.
    """

    fall_off: float
    error: float
    p: float
    n_images: int


def batch_light(images: Sequence[LightSums]) -> BatchLight | None:
    """Tell the light of a batch.

    Args:
        images: of one channel, optics and size of the field.

    Returns:
        None with fewer than `FEWEST_IMAGES` images of `FEWEST_OF_IMAGE` places. Where some images
        have a background brighter than their cells, the more common kind counts.
    """
    known = [image for image in images if image.n >= FEWEST_OF_IMAGE]
    of_cells = 2 * sum(image.of_cells for image in known) >= len(known)
    used = [image for image in known if image.of_cells == of_cells]
    if len(used) < FEWEST_IMAGES:
        return None
    light, products, variance = _fitted(used)
    explained = float(light @ products @ light) / N_TERMS
    f = explained / variance if variance > 0 else (np.inf if explained > 0 else 0.0)
    # Errors of a fit add to the range of any surface: without light that falls off F is 1.
    beyond_chance = np.sqrt(max(0.0, 1 - 1 / f)) if f > 0 else 0.0
    terms = second_order(*tile_centres())[np.any([image.held for image in used], axis=0), 1:]
    logs = terms @ light
    left = float(np.exp(-np.ptp(logs) * beyond_chance))
    between = terms[logs.argmax()] - terms[logs.argmin()]
    error = left * float(np.sqrt(between @ np.linalg.pinv(products) @ between * variance))
    p = float(stats.f.sf(f, N_TERMS, N_TERMS * (len(used) - 1)))
    return BatchLight(1 - left, error, p, len(used))


def _fitted(images: Sequence[LightSums]) -> tuple[Floats, Floats, float]:
    """Light of a batch, its weighted products, and the variance that these are to be scaled by.

    An image whose own light lies farther from the batch's than those of others usually do, by more
    than chance, counts less (Huber 1964, Ann Math Stat 35:73).
    """
    own = np.array([np.linalg.pinv(image.products) @ image.with_logs for image in images])
    products = np.array([image.products for image in images])
    with_logs = np.array([image.with_logs for image in images])
    weights = np.ones(len(images))
    for _ in range(REFITS):
        summed = np.tensordot(weights, products, 1)
        light = np.linalg.pinv(summed) @ (weights @ with_logs)
        apart = own - light
        squares = np.einsum("ni,nij,nj->n", apart, products, apart) / N_TERMS
        usual = np.median(squares) / (stats.chi2.median(N_TERMS) / N_TERMS)
        if not usual > 0:
            break
        # The root of a chi square over its degrees of freedom q is near normal: 1, SD 1 / √(2 q).
        beyond = (np.sqrt(squares / usual) - 1) * np.sqrt(2 * N_TERMS)
        weights = TUNING / np.maximum(beyond, TUNING)
    n = len(images)
    return light, summed, float(weights @ squares / weights.sum() * n / (n - 1))


def clipped(logs: Floats) -> Floats:
    """Logarithms no farther than `CLIP_SD` robust SD from their median."""
    if not logs.size:
        return logs
    centre, reach = np.median(logs), CLIP_SD * robust_sd(logs)
    return np.clip(logs, centre - reach, centre + reach)
