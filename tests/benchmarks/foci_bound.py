"""How far foci can be found at all: detectors that are told what no detector can know.

Two are judged, each with the one threshold that is best for a condition's fields in hindsight:
senescope's own peaks, which shows what its threshold costs, and linear filters that are told the
level and the spread of the nucleus around every place from the image without foci, the shape of
foci, and the covariance of texture and noise (the prewhitened matched filter, Hotelling observer:
Barrett & Myers 2004, Foundations of Image Science, section 13.2). What the latter are told gives
away the grains of the texture themselves, so that they are beyond what can be reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from pipelines.simulate.camera import noise_sd_e
from pipelines.simulate.scene import Simulated
from tests.benchmarks.foci_fields import SIGMA, Condition, Places, judge

Floats = NDArray[np.float64]

RADIUS = 9
AROUND_PX = 14
TUNING = range(3)
DOG = 0.9, 1.4


@dataclass(frozen=True, eq=False)
class Scored:
    """Places that may be foci, with a score: higher is likelier."""

    places: Places
    score: Floats


def best_f1(found: Sequence[Scored], fields: Sequence[Simulated]) -> float:
    """F1 with the single threshold that is best in hindsight."""
    scores = np.sort(np.concatenate([each.score for each in found]))[::-1]
    n_true = judge([each.places for each in found], fields).true
    ranks = np.unique((np.linspace(0.3, 2, 80) * n_true).astype(int))
    levels = scores[ranks[ranks < scores.size]]
    return max(
        (judge([e.places[e.score > t] for e in found], fields).f1 for t in levels), default=0
    )


def told(fields: Sequence[Simulated]) -> float:
    """The best F1 of the filters that are told level and spread."""
    standard = [standardised(field, field.channels["gh2ax"]) for field in fields]
    return max(
        best_f1([_peaks(image, kernel) for image in standard], fields)
        for kernel in (prewhitened(), band_pass())
    )


def standardised(field: Simulated, image: NDArray[np.generic]) -> Floats:
    """Grey values less the true level around, in true SDs of texture and noise; 0 outside."""
    background, labels = field.expected["gh2ax_background"], field.labels["nuclei"]
    camera = Condition().settings().camera
    y, x = np.mgrid[-AROUND_PX : AROUND_PX + 1, -AROUND_PX : AROUND_PX + 1]
    disc = (np.hypot(y, x) <= AROUND_PX).astype(float)
    result = np.zeros(labels.shape)
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        mask = labels[box] == label
        flat = (background[box] - background[box][mask].mean()) * mask
        n, total, squares = (
            signal.fftconvolve(a, disc, mode="same")[mask] for a in (mask, flat, flat**2)
        )
        level = total / n + background[box][mask].mean()
        electrons = (level - camera.offset_dn) * camera.electrons_per_dn
        noise = noise_sd_e(electrons, camera) / camera.electrons_per_dn
        spread = np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0) + noise**2)
        result[box][mask] = (image[box][mask].astype(float) - level) / spread
    return result


@lru_cache(maxsize=1)
def prewhitened() -> Floats:
    """Kernel of the matched filter, from fields without foci on the tuning seeds."""
    patches = np.concatenate([_patches(Condition(count=0).simulate(s, told=True)) for s in TUNING])
    covariance = patches.T @ patches / len(patches)
    widths = Condition().simulate(TUNING[0]).truth["foci"]["sigma_px"].astype(float)
    shape = np.mean([_bell(width) for width in widths], axis=0)
    kernel = np.linalg.solve(covariance, shape.ravel()).reshape(shape.shape)
    # Texture has no direction: what the estimate has of one is chance.
    turned = [np.rot90(k, n) for k in (kernel, kernel.T) for n in range(4)]
    return np.asarray(np.mean(turned, axis=0))


def band_pass() -> Floats:
    """Kernel of senescope's difference of two Gaussians."""
    near, around = (_bell(factor * SIGMA) for factor in DOG)
    return np.asarray(near / near.sum() - around / around.sum())


def _bell(sigma: float) -> Floats:
    y, x = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    return np.asarray(np.exp(-(y**2 + x**2) / (2 * sigma**2)))


def _patches(field: Simulated) -> Floats:
    """Squares that lie in one nucleus in focus, as rows; 3000 at random."""
    labels = field.labels["nuclei"]
    sharp = np.concatenate([[False], np.asarray(field.truth["nuclei"]["in_focus"])])
    size = 2 * RADIUS + 1
    inside = ndimage.minimum_filter(np.where(sharp[labels], labels, 0), size)
    inside = (inside > 0) & (inside == ndimage.maximum_filter(labels, size))
    inside[:RADIUS] = inside[-RADIUS:] = False
    inside[:, :RADIUS] = inside[:, -RADIUS:] = False
    image = standardised(field, field.channels["gh2ax"])
    at = np.random.default_rng(0).permutation(np.argwhere(inside))[:3000]
    steps = np.arange(-RADIUS, RADIUS + 1)
    rows, columns = (at[:, i, None] + steps for i in (0, 1))
    return image[rows[:, :, None], columns[:, None, :]].reshape(len(at), size**2)


def _peaks(image: Floats, kernel: Floats) -> Scored:
    response = signal.fftconvolve(image, kernel, mode="same")
    # To the pixel: a match may be five times as far.
    at = (response == ndimage.maximum_filter(response, 5)) & (image != 0) & (response > 0)
    return Scored(np.argwhere(at).astype(float), response[at])
