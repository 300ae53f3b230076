"""k-mers as tokens, one after the other without overlap: AAAAAA is 0, AAAAAC 1 and TTTTTT 4,095."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.tokenizers.base import Ids
from glm_assets.errors import EncoderError
from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids, upper
from glm_assets.genome.kmers import kmer_names, reverse_complements
from glm_assets.storage.atomic import digest_of

DEFAULT_K: Final = 6
MAX_K: Final = 8
"""4^8 ids fill 16 bits."""

Codes = NDArray[np.uint16]

_BASES = np.frombuffer(b"ACGT", np.uint8)
_PAD = 0


def encode_kmers(bases: NDArray[np.uint8], k: int, phase: int = 0) -> tuple[Codes, NDArray[np.bool_]]:
    """Cut bases into k-mers: the id is the sum of base_i 4^(k-1-i), with A 0, C 1, G 2 and T 3.

    Args:
        bases: (n,) ASCII; lower case counts as upper case.
        k: Bases of a k-mer, 1 to `MAX_K`.
        phase: Bases that are passed over before the first.

    Returns:
        ((n - phase) // k,) ids, and whether all letters of each k-mer are A, C, G or T; where they are not, the id
        means nothing. Bases after the last whole k-mer are left out.

    Raises:
        EncoderError: k is out of range.
    """
    _check(k)
    count = max(0, len(bases) - phase) // k
    digits = encode_ids(upper(bases[phase : phase + count * k])).reshape(count, k)
    codes, known = np.zeros(count, np.uint16), np.ones(count, bool)
    for place in range(k):
        codes = (codes << 2 | digits[:, place]).astype(np.uint16, copy=False)
        known &= digits[:, place] != UNKNOWN_ID
    return codes, known


def decode_kmers(codes: NDArray[np.integer], k: int) -> NDArray[np.uint8]:
    """The bases (k n,) as ASCII that n ids spell."""
    digits = np.asarray(codes, np.int64)[:, None] >> 2 * np.arange(k - 1, -1, -1) & 3
    return _BASES[digits].reshape(-1)


def reverse_complement_kmers(codes: NDArray[np.integer], k: int) -> Codes:
    """The ids of the other strand, read 5' to 3', along the last axis."""
    return _turned(k)[codes][..., ::-1]


@lru_cache(maxsize=MAX_K)
def _turned(k: int) -> Codes:
    table = reverse_complements(k).astype(np.uint16)
    table.flags.writeable = False
    return table


def _check(k: int) -> None:
    if not 1 <= k <= MAX_K:
        raise EncoderError(f"tokens of {k} bases", expected=f"1 to {MAX_K}")


class KmerTokenizer:
    """One token for each k bases. A k-mer with another letter has no token, and neither has an unfinished last one.

    Args:
        k: Bases of a token, 1 to `MAX_K`.

    Raises:
        EncoderError: k is out of range.
    """

    unk_id = None
    pad_id = _PAD

    def __init__(self, k: int = DEFAULT_K) -> None:
        _check(k)
        self.k = k
        self.name = f"kmer {k}"
        self.vocabulary_size = 4**k
        self.digest = digest_of({"tokenizer": "kmer", "k": k})
        self.token_strings: tuple[str | None, ...] = tuple(kmer_names(k, canonical=False))

    def encode(self, sequences: Sequence[str]) -> list[Ids]:
        """The ids of each sequence, lower case as upper case."""
        encoded = []
        for text in sequences:
            # "?" stands for what is no ASCII: no base either, and one letter still.
            codes, known = encode_kmers(np.frombuffer(text.encode("ascii", "replace"), np.uint8), self.k)
            encoded.append(codes[known].astype(np.int32))
        return encoded

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The bases that ids spell."""
        return decode_kmers(np.asarray(ids, np.int64), self.k).tobytes().decode("ascii")
