"""How many reads of a panel's genes are false, from how often words that no gene has are read.

The few empty words of a codebook are read a few times in a field, so that the share of false reads
is known to a half of it. But every word that lies as far from the genes' as they lie from each
other would be read as an empty word is, were it in the codebook: a decoy, as in searches of spectra
(Elias & Gygi 2007, Nat Methods 4:207), of which there are hundreds. What one is read on average has
the same expectation as with empty words (Moffitt et al. 2016, PNAS 113:11046) and a fraction of its
error.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from measurements.decoding.codebook import (
    Codebook,
    Ints,
    Limits,
    Reads,
    shares,
    wrong_rounds_allowed,
)
from measurements.regions import Floats

# Words of all colours that are looked through for decoys, and decoys that are read, at most.
MOST_WORDS, MOST_DECOYS = 2**16, 1000
# Dots whose decoys are looked up at once.
AT_ONCE = 4096
SEED = 0


@dataclass(frozen=True, slots=True)
class FalseDiscovery:
    """Share of the genes' reads that are false; NaN without reads or words to tell it by.

    Attributes:
        share: 0 to 1.
        error: standard error of it.
    """

    share: float
    error: float


def false_discovery(
    light: Floats, reads: Reads, codebook: Codebook, limits: Limits
) -> FalseDiscovery:
    """Tell how many reads of genes are false by reading decoys in their place.

    A dot counts for a decoy as it would were the decoy in the codebook: nearer to it than to any
    gene, with no more wrong rounds than are allowed, and of enough quality. Dots are independent
    and a dot counts for several decoys, so that the variance is the sum of squares of what each
    dot adds.

    Args:
        light: (dot, round, channel) that the dots were read from.
        reads: of the same dots.
        codebook: its words; those of genes are looked at, and empty ones where no decoy is left.
        limits: which reads are kept.
    """
    genes = codebook.words[~codebook.empty]
    of_genes = int((reads.kept & ~codebook.empty[reads.word]).sum())
    decoys = decoys_of(genes, light.shape[2])
    if not len(decoys):
        decoys = codebook.words[codebook.empty]
    if not len(decoys) or not of_genes:
        return FalseDiscovery(float("nan"), float("nan"))
    allowed = wrong_rounds_allowed(codebook, limits)
    wrong = np.min([(reads.calls != word).sum(axis=1) for word in genes], axis=0)
    open_to = np.flatnonzero(wrong > 0)
    hits = [
        _decoys_hit(light[part], reads.calls[part], np.minimum(wrong[part] - 1, allowed), decoys,
                    limits.quality)
        for part in np.split(open_to, range(AT_ONCE, len(open_to), AT_ONCE))
    ]  # fmt: skip
    added = np.concatenate(hits) * len(genes) / len(decoys)
    error = float(np.sqrt((added**2).sum())) / of_genes
    return FalseDiscovery(min(1.0, float(added.sum()) / of_genes), error)


def decoys_of(genes: Ints, channels: int) -> Ints:
    """Words as far from every gene's, at least, as these lie from each other.

    Args:
        genes: (gene, round) channel.
        channels: that a word may have.

    Returns:
        (decoy, round), at most `MOST_DECOYS`; of more words than `MOST_WORDS`, and of more decoys,
        ones drawn at random, the same for the same genes.
    """
    rounds = genes.shape[1]
    apart = (genes[:, None] != genes[None]).sum(axis=2)
    np.fill_diagonal(apart, rounds)
    rng = np.random.default_rng(SEED)
    words = _some_words(rounds, channels, rng)
    nearest = np.full(len(words), rounds)
    for gene in genes:
        nearest = np.minimum(nearest, (words != gene).sum(axis=1))
    decoys: Ints = words[nearest >= apart.min()]
    if len(decoys) > MOST_DECOYS:
        decoys = decoys[np.sort(rng.choice(len(decoys), MOST_DECOYS, replace=False))]
    return decoys


def _some_words(rounds: int, channels: int, rng: np.random.Generator) -> Ints:
    """All words there are, or some drawn at random."""
    if channels**rounds <= MOST_WORDS:
        every: Ints = np.indices((channels,) * rounds, dtype=np.int64).reshape(rounds, -1).T
        return every
    some: Ints = np.unique(rng.integers(0, channels, (MOST_WORDS, rounds)), axis=0)
    return some


def _decoys_hit(
    light: Floats, calls: Ints, allowed: NDArray[np.int64], decoys: Ints, quality: float
) -> Ints:
    """How many decoys each dot is read as."""
    wrong = np.stack([(calls != word).sum(axis=1) for word in decoys], axis=1)
    dot, decoy = np.nonzero(wrong <= allowed[:, None])
    share = shares(light)[dot]
    in_word = np.take_along_axis(share, decoys[decoy][..., None], axis=2)[..., 0]
    kept = in_word.mean(axis=1) >= quality
    return np.bincount(dot[kept], minlength=len(calls)).astype(np.int64)
