"""Pictures that went through JPEG: found by their grey values, their colour given back.

JPEG stores colour more coarsely than brightness, and faint stain is a small difference of colours.
Three of its losses leave traces that can be undone from the decoded picture alone: colours were
rounded to whole levels when the picture became red, green and blue; before that, when the
coefficients became pixels; and where colour is stored for blocks but brightness for pixels, fine
neutral detail lost the tint of the light. What was rounded away inside a block is gone.

How much a decoded picture tells of its compression: Neelamani et al. 2006 (IEEE Trans Image
Process 15:1365).
"""

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
MINIMUM_BESIDE = 100
MINIMUM_STORED = 0.98
COARSEST_STEP = 64
LEVELS_PER_STEP = 8
TINT_SMOOTHING = 3.0


def went_through_jpeg(rgb: NDArray[Any]) -> bool:
    """Whether a picture was decoded from JPEG and not changed since, whatever file it is in now.

    Red less green and blue less green of a decoded pixel come from two whole colour differences,
    which a quarter of all pairs do. A decoded picture has hardly any other pair; of a picture
    that was scaled, rotated or adjusted afterwards nothing is known, and none is made of it.

    Args:
        rgb: (y, x, 3).
    """
    if rgb.dtype != np.uint8 or not rgb.size:
        return False
    flat = rgb.reshape(-1, 3)
    sample = flat[:: max(1, len(flat) // SAMPLE)]
    sample = sample[((sample > 0) & (sample < np.iinfo(np.uint8).max)).all(axis=1)]
    if not len(sample):
        return False
    pairs = _colour_differences(sample)
    valid = pairs[:, 0] != UNKNOWN
    # Grey pictures have one pair, which is a valid one.
    return bool(
        valid.mean() >= MINIMUM_VALID and len(np.unique(pairs[valid], axis=0)) >= MINIMUM_PAIRS
    )


def restored(rgb: NDArray[np.uint8]) -> Levels:
    """A decoded picture as it was before its colours were rounded.

    Args:
        rgb: uint8 (y, x, 3), which `went_through_jpeg`.

    Returns:
        (y, x, 3), grey values of at least half a level. Clipped pixels stay as they are.
    """
    pairs = _colour_differences(rgb)
    known = pairs[..., 0] != UNKNOWN
    stored = _stored_levels(pairs)
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


def _stored_levels(pairs: Colours) -> Levels:
    """Colour difference that was stored for each whole one, from -127 on.

    The mean of a block is stored in steps of an eighth of a whole number. Of a step over 1 not
    every whole level occurs in even areas, and the coarsest step that leaves out what is missing
    is taken. Where nothing is missing between two levels that are there, whole levels were stored
    as far as anyone can tell.
    """
    whole = np.arange(-MOST, MOST + 1)
    counts = np.bincount(_even_areas(pairs) + MOST, minlength=whole.size)
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


def _even_areas(pairs: Colours) -> Colours:
    """Colour differences of pixels whose surroundings have the same."""
    found = [
        plane[
            (ndimage.maximum_filter(plane, FLAT_WINDOW) == plane)
            & (ndimage.minimum_filter(plane, FLAT_WINDOW) == plane)
            & (plane != UNKNOWN)
        ]
        for plane in (pairs[..., 0], pairs[..., 1])
    ]
    return np.concatenate(found)
