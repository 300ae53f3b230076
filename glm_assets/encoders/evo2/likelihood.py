"""How likely Evo2 finds windows: the sum over a window's bases of the log-probability of each, given those before it.

As in evo2's own `score_sequences` with `reduce_method="sum"`: natural logarithms, probabilities over the whole
vocabulary of 512 bytes, no token put in front. So the first base of a window is not predicted and adds nothing: 1,024
bases have 1,023 terms. The final norm, the unembedding and the softmax are computed in float32 whatever the blocks are
computed in (evo2 rounds a bfloat16 model's logits, of about 10, to steps of 0.06 before it takes their softmax), and
terms are added up in float64.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.evo2.blocks import Arithmetic
from glm_assets.encoders.evo2.pairs import Layout, run_blocks
from glm_assets.encoders.evo2.plan import PairBatch

if TYPE_CHECKING:
    from torch import Tensor


def pair_likelihoods(model: Any, batch: PairBatch, arithmetic: Arithmetic) -> tuple[Tensor, Tensor]:
    """Log-likelihoods of reference windows, and what the variants change of them, from the paired forward.

    Call it in inference mode.

    Args:
        model: A vtx `StripedHyena` of full depth.
        batch: The windows.
        arithmetic: In which types the blocks compute.

    Returns:
        (V, 1) log P(reference window) and (V, 1) log P(variant window) - log P(reference window), float32. The terms
        of the prefix that both share are one and the same number, so that they add exactly nothing to a difference.
    """
    layout = Layout.of(batch, model.embedding_layer.weight.device)
    tokens = np.concatenate([batch.ref, batch.var])
    terms = _terms(model, _last_stream(model, tokens, layout, arithmetic), layout.source, tokens)
    return _of_pairs(terms, batch)


def window_likelihoods(model: Any, windows: NDArray[np.uint8], arithmetic: Arithmetic) -> Tensor:
    """Log-likelihoods (b, 1) of single windows (b, L), float32, by the same arithmetic as a pair's."""
    layout = Layout.of_windows(windows, model.embedding_layer.weight.device)
    terms = _terms(model, _last_stream(model, windows, layout, arithmetic), layout.source, windows)
    return terms.sum(dim=1, keepdim=True).float()


def logits_of_outputs(model: Any, outputs: Tensor) -> Tensor:
    """Logits (..., vocabulary), float32, from the last block's outputs (..., d)."""
    from torch.nn.functional import linear

    scale = model.norm.scale  # a model over several GPUs ends where it begins
    unembedding = (model.embedding_layer if model.config.tie_embeddings else model.unembed).weight
    return linear(model.norm(outputs.to(scale.device).float()), unembedding.float())


def likelihoods_of_outputs(model: Any, outputs: Tensor, windows: NDArray[np.uint8]) -> Tensor:
    """Log-likelihoods (b, 1) of windows (b, L), float32, from the last block's outputs (b, L, d) for them."""
    return _terms_of_outputs(model, outputs, windows).sum(dim=1, keepdim=True).float()


def likelihoods_of_pair_outputs(model: Any, ref: Tensor, var: Tensor, batch: PairBatch) -> tuple[Tensor, Tensor]:
    """As `pair_likelihoods`, from the last block's outputs of two forwards, (R, L, d) and (V, L, d)."""
    import torch

    pairs = ((ref, batch.ref), (var, batch.var))
    return _of_pairs(torch.cat([_terms_of_outputs(model, *pair) for pair in pairs]), batch)


def _of_pairs(terms: Tensor, batch: PairBatch) -> tuple[Tensor, Tensor]:
    ref, var = terms.tensor_split([len(batch.ref)])
    own = ref[batch.reference]
    return own.sum(dim=1, keepdim=True).float(), (var - own).sum(dim=1, keepdim=True).float()


def _last_stream(model: Any, tokens: NDArray[np.uint8], layout: Layout, arithmetic: Arithmetic) -> Tensor:
    """The last block's output (N, d) for distinct tokens."""
    ((_, block, inner, row),) = deque(run_blocks(model, tokens, layout, arithmetic), maxlen=1)
    return (arithmetic.multiply(block.mlp.l3, inner) + row)[0]


def _terms_of_outputs(model: Any, outputs: Tensor, windows: NDArray[np.uint8]) -> Tensor:
    import torch

    places = torch.arange(windows.size, device=outputs.device).reshape(windows.shape)
    return _terms(model, outputs.flatten(0, 1), places, windows)


def _terms(model: Any, stream: Tensor, places: Tensor, windows: NDArray[np.uint8]) -> Tensor:
    """Log-probability of each base but a window's first.

    Args:
        model: Gives the final norm and the unembedding.
        stream: (N, d) outputs of the last block.
        places: (w, L) which of these each base of each window has.
        windows: (w, L) ASCII.

    Returns:
        (w, L - 1) float64.
    """
    import torch

    logits = logits_of_outputs(model, stream)
    predicted = torch.from_numpy(windows[:, 1:].astype(np.int64)).to(logits.device)
    return logits.log_softmax(dim=-1)[places[:, :-1].to(logits.device), predicted].double()
