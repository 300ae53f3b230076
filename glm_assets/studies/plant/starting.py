"""Where the weights of a plant language model begin. torch is imported when it runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.language.token_store import TokenStore

if TYPE_CHECKING:
    from torch import Tensor

    from glm_assets.encoders.plant_lm.network import PlantLm

_BASE_DEVIATION: Final = 0.02
_OWN_DEVIATION: Final = 0.005
_OUTPUT_SCALE: Final = 0.3
"""Of the last norm, so that logits begin near the frequencies and not beside them."""

_CHUNK: Final = 1 << 22


def begin_with_bases(network: PlantLm, frequencies: NDArray[np.float64]) -> None:
    """Begin with what is known of k-mers before anything was learnt.

    A token's vector, in the embedding and in an output layer of its own, is the sum of a vector for each base at each
    of its places and a small one of its own: words that differ in a base begin alike, and what is learnt of one is
    learnt of them all. The output's bias is the logarithm of the tokens' frequencies, so that the first loss is about
    that of unigrams. With random vectors both must be learnt for each of 4^k words, of which a small genome has few.

    Args:
        network: With weights as torch's generator drew them.
        frequencies: (V,) shares of the tokens in the training split, none 0.
    """
    import torch

    config = network.config
    bias = torch.from_numpy(np.log(frequencies)).float()
    with torch.no_grad():
        network.tokens.weight.copy_(_sums_of_bases(config.k, config.width))
        if network.output is not None:
            network.output.weight.copy_(_sums_of_bases(config.k, config.width))
            network.output.bias.copy_(bias)
        elif network.output_bias is not None:
            network.output_bias.copy_(bias)
        network.final_norm.weight.fill_(_OUTPUT_SCALE)


def token_frequencies(stores: Iterable[TokenStore], weights: Sequence[float]) -> NDArray[np.float64]:
    """How often each token is in the training split; each is taken to be there once more than it is.

    Args:
        stores: By species.
        weights: (s,) what each species counts for.

    Returns:
        (V,) shares, which sum to 1.
    """
    shares = [weight * _shares(store) for store, weight in zip(stores, weights, strict=True)]
    return np.sum(shares, axis=0) / sum(weights)


def _shares(store: TokenStore) -> NDArray[np.float64]:
    counts = np.ones(store.card.vocabulary_size)
    for row in store.segments.filter(pl.col("split") == "train").iter_rows(named=True):
        end = row["first_token"] + row["tokens"]
        for start in range(row["first_token"], end, _CHUNK):
            ids = store.tokens(np.arange(start, min(start + _CHUNK, end)))
            counts += np.bincount(ids, minlength=len(counts))
    return counts / counts.sum()


def _sums_of_bases(k: int, width: int) -> Tensor:
    """(4^k, d) for tokens whose number has a digit of base 4 for each base, the first base's the highest."""
    import torch

    bases = torch.randn(k, 4, width) * _BASE_DEVIATION
    ids = torch.arange(4**k)
    vectors = torch.randn(4**k, width) * _OWN_DEVIATION
    for place in range(k):
        vectors += bases[place, ids // 4 ** (k - 1 - place) % 4]
    return vectors
