"""Pictures that went through JPEG: found by their grey values, their colour given back.

JPEG stores colour more coarsely than brightness, and faint stain is a small difference of colours.
Three of its losses leave traces that can be undone from the decoded picture alone: colours were
rounded to whole levels when the picture became red, green and blue; before that, when the
coefficients became pixels; and where colour is stored for blocks but brightness for pixels, fine
neutral detail lost the tint of the light. What was rounded away inside a block is gone.

How much a decoded picture tells of its compression: Neelamani et al. 2006 (IEEE Trans Image
Process 15:1365).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Colours = NDArray[np.int16]
Levels = NDArray[np.float32]

RED_OF_CR, BLUE_OF_CB = 1.402, 1.772
GREEN_OF_CB, GREEN_OF_CR = -0.344136, -0.714136
"""From luminance and two colour differences to red, green and blue: ITU-T T.871 (JFIF), 7."""
LUMINANCE = (0.299, 0.587, 0.114)
MOST = 127
UNKNOWN = np.int16(-999)

MINIMUM_VALID = 0.9
MINIMUM_PAIRS = 6
SAMPLE = 250_000

FLAT_WINDOW = 7
EVEN_REACH = FLAT_WINDOW // 2
MINIMUM_BESIDE = 100
MINIMUM_STORED = 0.98
COARSEST_STEP = 64
LEVELS_PER_STEP = 8
TINT_SMOOTHING = 3.0
TINT_REACH = 13
"""How far the restored picture looks around a pixel, px: a Gaussian of that SD, cut at 4 SD."""


@dataclass(frozen=True, slots=True, eq=False)
class Traces:
    """What JPEG would leave in pixels; traces of the parts of a picture add up.

    Attributes:
        n_pixels: pixels looked at, clipped ones left out.
        n_valid: those whose colour comes from two whole colour differences.
        pairs: bool, one for each pair of these: whether it occurs.
    """

    n_pixels: int
    n_valid: int
    pairs: NDArray[np.bool_]

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> "Traces":
        """Look at some pixels (n, 3)."""
        found = np.zeros((2 * MOST + 1) ** 2, dtype=bool)
        if pixels.dtype != np.uint8 or not pixels.size:
            return cls(0, 0, found)
        used = pixels[((pixels > 0) & (pixels < np.iinfo(np.uint8).max)).all(axis=1)]
        pairs = _colour_differences(used)
        valid = pairs[pairs[:, 0] != UNKNOWN].astype(np.int64) + MOST
        found[valid[:, 0] * (2 * MOST + 1) + valid[:, 1]] = True
        return cls(len(used), len(valid), found)

    def __add__(self, other: "Traces") -> "Traces":
        """Traces in both parts."""
        return Traces(
            self.n_pixels + other.n_pixels, self.n_valid + other.n_valid, self.pairs | other.pairs
        )

    @property
    def decoded(self) -> bool:
        """Whether the picture was decoded from JPEG. Grey ones have one pair, a valid one."""
        many = self.n_valid >= MINIMUM_VALID * self.n_pixels and self.n_pixels > 0
        return bool(many and self.pairs.sum() >= MINIMUM_PAIRS)


def sample_step(n_pixels: int) -> int:
    """Every which pixel of a picture, row by row, is looked at for traces of JPEG."""
    return max(1, n_pixels // SAMPLE)


def went_through_jpeg(rgb: NDArray[Any]) -> bool:
    """Whether a picture was decoded from JPEG and not changed since, whatever file it is in now.

    Red less green and blue less green of a decoded pixel come from two whole colour differences,
    which a quarter of all pairs do. A decoded picture has hardly any other pair; of a picture
    that was scaled, rotated or adjusted afterwards nothing is known, and none is made of it.

    Args:
        rgb: (y, x, 3).
    """
    flat = rgb.reshape(-1, 3)
    return Traces.of(flat[:: sample_step(len(flat))]).decoded


def restored(rgb: NDArray[np.uint8], stored: Levels | None = None) -> Levels:
    """A decoded picture as it was before its colours were rounded.

    Args:
        rgb: uint8 (y, x, 3), which `went_through_jpeg`.
        stored: `stored_levels` of the larger picture that it was cut out of. Default: its own.

    Returns:
        (y, x, 3), grey values of at least half a level. Clipped pixels stay as they are.
    """
    pairs = _colour_differences(rgb)
    known = pairs[..., 0] != UNKNOWN
    if stored is None:
        stored = stored_levels(_counts(_even_areas(pairs)))
    cb, cr = pairs[..., 0], pairs[..., 1]
    green = _green_offset(cb, cr)
    luminance = rgb[..., 1] - np.floor(green + np.float32(0.5))
    blueness, redness = (stored[np.clip(plane, -MOST, MOST) + MOST] for plane in (cb, cr))
    result = rgb.astype(np.float32)
    for colour, offset in enumerate(
        (
            RED_OF_CR * redness,
            GREEN_OF_CB * blueness + GREEN_OF_CR * redness,
            BLUE_OF_CB * blueness,
        )
    ):
        np.copyto(result[..., colour], luminance + offset, where=known)
    return np.maximum(result, np.float32(0.5))


def even_counts(rgb: NDArray[Any], part: tuple[slice, slice]) -> NDArray[np.int64]:
    """How often each colour difference fills an even area; counts of parts of a picture add up.

    Args:
        rgb: (y, x, 3): the part with `EVEN_REACH` px around it, as far as the picture goes.
        part: rows and columns that count.
    """
    if rgb.dtype != np.uint8:
        return np.zeros(2 * MOST + 1, dtype=np.int64)
    return _counts(_even_areas(_colour_differences(rgb), part))


def with_tint(picture: Levels, light: Levels) -> Levels:
    """Give fine detail the tint of the light, which JPEG left to it without.

    Neutral detail darkens all colours in the proportion of the light. JPEG keeps the detail of
    luminance alone, equal steps in all colours, and in tinted light these read as colour.

    Args:
        picture: (y, x, 3), from `restored`.
        light: (y, x, 3), what an empty field would show.
    """
    luminance, empty = _luminance(picture), _luminance(light)
    # Twice the grid on which colour is stored [judgement: 2, 3 and 4 px differ little].
    detail = luminance - ndimage.gaussian_filter(luminance, TINT_SMOOTHING)
    result = np.empty_like(picture)
    for colour in range(3):
        tint = light[..., colour] / empty - 1
        result[..., colour] = picture[..., colour] + tint * detail
    return np.maximum(result, np.float32(0.5))


def _luminance(picture: Levels) -> Levels:
    weights = np.asarray(LUMINANCE, dtype=np.float32)
    return np.asarray(picture @ weights, dtype=np.float32)


def _green_offset(cb: Colours, cr: Colours) -> Levels:
    return np.float32(GREEN_OF_CB) * cb + np.float32(GREEN_OF_CR) * cr


def _colour_differences(rgb: NDArray[np.uint8]) -> Colours:
    """Whole colour differences (..., 2), blue and red, of decoded pixels; `UNKNOWN` for others."""
    grey = rgb.astype(np.int16)
    top = np.iinfo(np.uint8).max
    found: Colours = _pairs()[
        grey[..., 0] - grey[..., 1] + top, grey[..., 2] - grey[..., 1] + top
    ].copy()
    return found


@cache
def _pairs() -> Colours:
    """Colour differences by red less green and blue less green, both from -255 on."""
    cb, cr = np.meshgrid(*[np.arange(-MOST, MOST + 1, dtype=np.int16)] * 2, indexing="ij")
    green = np.floor(_green_offset(cb, cr) + np.float32(0.5))
    red = (np.floor(RED_OF_CR * cr + 0.5) - green).astype(int)
    blue = (np.floor(BLUE_OF_CB * cb + 0.5) - green).astype(int)
    top = np.iinfo(np.uint8).max
    table = np.full((2 * top + 1, 2 * top + 1, 2), UNKNOWN, dtype=np.int16)
    inside = (np.abs(red) <= top) & (np.abs(blue) <= top)
    table[red[inside] + top, blue[inside] + top] = np.stack([cb[inside], cr[inside]], axis=-1)
    return table


def stored_levels(counts: NDArray[np.int64]) -> Levels:
    """Colour difference that was stored for each whole one, from -127 on.

    The mean of a block is stored in steps of an eighth of a whole number. Of a step over 1 not
    every whole level occurs in even areas, and the coarsest step that leaves out what is missing
    is taken. Where nothing is missing between two levels that are there, whole levels were stored
    as far as anyone can tell.

    Args:
        counts: `even_counts` of the picture.
    """
    whole = np.arange(-MOST, MOST + 1)
    for eighths in range(LEVELS_PER_STEP * COARSEST_STEP, LEVELS_PER_STEP, -1):
        step = eighths / LEVELS_PER_STEP
        most = np.ceil(MOST / step)
        stored = np.arange(-most, most + 1) * step
        shown = np.floor(stored + 0.5)
        fitting = counts[np.isin(whole, shown)]
        # Levels beside each other that are both there, and more than one apart.
        there = np.abs(shown) <= MOST
        often = counts[shown[there].astype(int) + MOST] >= MINIMUM_BESIDE
        gaps = (np.diff(shown[there]) > 1) & often[1:] & often[:-1]
        if gaps.any() and fitting.sum() >= MINIMUM_STORED * counts.sum():
            return np.interp(whole, shown, stored).astype(np.float32)
    return whole.astype(np.float32)


def _counts(differences: Colours) -> NDArray[np.int64]:
    return np.bincount(differences + MOST, minlength=2 * MOST + 1)


def _even_areas(pairs: Colours, part: tuple[slice, slice] = (slice(None), slice(None))) -> Colours:
    """Colour differences of pixels whose surroundings have the same."""
    found = []
    for plane in (pairs[..., 0], pairs[..., 1]):
        even = (
            (ndimage.maximum_filter(plane, FLAT_WINDOW) == plane)
            & (ndimage.minimum_filter(plane, FLAT_WINDOW) == plane)
            & (plane != UNKNOWN)
        )
        found.append(plane[part][even[part]])
    return np.concatenate(found)
