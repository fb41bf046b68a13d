"""Words of channels looked up: which gene a dot is, and how surely."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from measurements.errors import MeasurementError
from measurements.regions import Floats

Ints = NDArray[np.int64]
NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """The words of a panel.

    Attributes:
        words: (word, round) channel that each word lights up in, from 0.
        genes: name of each word's gene.
        empty: whether no gene has the word: what is read as it is false.
    """

    words: Ints
    genes: Sequence[str]
    empty: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse words that cannot be told apart."""
        n = len(self.genes)
        if self.words.ndim != 2 or self.words.shape[0] != n or self.empty.shape != (n,) or n == 0:
            raise MeasurementError(
                f"A codebook needs a word for each gene, got {self.words.shape} for {n} genes."
            )
        if self.words.min() < 0:
            raise MeasurementError("Words are channels counted from 0.")
        distances = self.distances()
        if (distances == 0).any():
            a, b = np.argwhere(distances == 0)[0]
            raise MeasurementError(f"{self.genes[a]} and {self.genes[b]} have the same word.")

    def distances(self) -> Ints:
        """(word, word) rounds in which two words differ; the diagonal has the number of rounds."""
        apart = (self.words[:, None] != self.words[None]).sum(axis=2)
        np.fill_diagonal(apart, self.words.shape[1])
        return np.asarray(apart, dtype=np.int64)

    @property
    def corrections(self) -> int:
        """Wrong rounds that leave a word nearer to its own than to any other."""
        return int((self.distances().min() - 1) // 2)


@dataclass(frozen=True, slots=True)
class Limits:
    """Which reads are kept.

    Attributes:
        quality: smallest quality of a read.
        corrections: rounds that may be wrong; None for as many as the words' distance allows.
    """

    quality: float = 0.5
    corrections: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reads:
    """What every dot was read as; one value each.

    Attributes:
        calls: (dot, round) brightest channel; `NONE` where there is no light.
        call_quality: (dot, round) its share of the round's light, 0 to 1.
        word: row of the codebook, `NONE` where no word is near enough.
        quality: mean over rounds of the share of light in the word's channel.
        wrong: rounds in which the call is not the word's.
        kept: whether the word is known and its quality is enough.
    """

    calls: Ints
    call_quality: Floats
    word: Ints
    quality: Floats
    wrong: Ints
    kept: NDArray[np.bool_]

    def take(self, chosen: NDArray[np.bool_]) -> "Reads":
        """Some of them."""
        return Reads(*(getattr(self, part.name)[chosen] for part in fields(self)))


def read_words(light: Floats, codebook: Codebook, limits: Limits) -> Reads:
    """Look up the word of every dot.

    A round's call is its brightest channel, and its quality that channel's share of the light
    (Ke et al. 2013, Nat Methods 10:857, who keep reads by the lowest of them). A dot is the word
    that differs from its calls in the fewest rounds, if in no more than may be wrong and in fewer
    than any other word.

    Args:
        light: (dot, round, channel), bleed-through taken off.
        codebook: the words.
        limits: which reads are kept.

    Raises:
        MeasurementError: the codebook has other rounds or more channels than the light.
    """
    n, rounds, channels = light.shape
    if codebook.words.shape[1] != rounds or codebook.words.max() >= channels:
        raise MeasurementError(
            f"The words have {codebook.words.shape[1]} rounds and channels up to "
            f"{codebook.words.max()}; the images have {rounds} rounds of {channels} channels."
        )
    share = shares(light)
    calls = np.where(share.any(axis=2), share.argmax(axis=2), NONE)
    wrong = (calls[:, None] != codebook.words[None]).sum(axis=2)
    ordered = np.sort(wrong, axis=1)
    allowed = wrong_rounds_allowed(codebook, limits)
    unique = ordered[:, 0] < ordered[:, 1] if wrong.shape[1] > 1 else np.ones(n, dtype=bool)
    known = (ordered[:, 0] <= allowed) & unique
    nearest = wrong.argmin(axis=1)
    in_word = np.take_along_axis(share, codebook.words[nearest][..., None], axis=2)[..., 0]
    quality = in_word.mean(axis=1)
    return Reads(
        calls,
        share.max(axis=2),
        np.where(known, nearest, NONE).astype(np.int64),
        quality,
        ordered[:, 0],
        known & (quality >= limits.quality),
    )


def wrong_rounds_allowed(codebook: Codebook, limits: Limits) -> int:
    """Wrong rounds that a read may have: the limit, by default what the words can correct."""
    return codebook.corrections if limits.corrections is None else limits.corrections


def shares(light: Floats) -> Floats:
    """Share of each channel in the light of each round, (dot, round, channel); 0 of the dark."""
    total = light.sum(axis=2, keepdims=True)
    share: Floats = np.divide(light, total, out=np.zeros_like(light), where=total > 0)
    return share
