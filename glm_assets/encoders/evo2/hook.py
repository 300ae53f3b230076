"""Any layer of Evo2 by a forward hook: vtx's own forward runs, and the layer's outputs are pooled as they are.

This is the way for layers and casts that our own forwards do not offer.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.evo2.plan import PairBatch
from glm_assets.encoders.pooling import Pooling
from glm_assets.encoders.reduction import Reduction, pool_outputs
from glm_assets.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor, nn


class LayerHook:
    """A layer of a model, whose output each forward leaves here.

    Args:
        model: A vtx `StripedHyena` whose last block is the layer's.
        spec: Names the layer and the original's casts.
        width: Numbers that the layer puts out at each position.

    Raises:
        EncoderError: The model has no such layer.
    """

    def __init__(self, model: Any, spec: EncoderSpec, width: int) -> None:
        self._model = model
        self._width = width
        self._spec = spec
        self._output: Tensor | None = None
        _find_layer(model, spec.layer).register_forward_hook(self._keep)

    def outputs(self, windows: NDArray[np.uint8], device: str) -> Tensor:
        """The layer's output (b, L, d) for whole windows (b, L); call it in inference mode.

        The final norm and the unembedding are not needed and not run.

        Raises:
            EncoderError: The layer takes no part in a forward pass, or does not put out one vector a position.
        """
        import torch

        with self._original_casts():
            tokens = torch.from_numpy(windows.astype(np.int64)).to(device)
            self._model.stateless_forward(self._model.embedding_layer(tokens))
        output, self._output = self._output, None
        if output is None:
            raise EncoderError(
                f"layer {self._spec.layer!r} takes no part in a forward pass", fix="choose another layer"
            )
        if output.shape != (*windows.shape, self._width):
            raise EncoderError(
                f"layer {self._spec.layer!r} puts out arrays of shape {tuple(output.shape)}",
                expected=f"(windows, positions, {self._width})",
                fix="choose a block, or one of its linear layers",
            )
        return output

    def _keep(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        self._output = output[0] if isinstance(output, tuple) else output

    def _original_casts(self) -> contextlib.AbstractContextManager[Any]:
        import torch

        if self._spec.extras["cast_all_bf16"]:
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return contextlib.nullcontext()


def pool_pair_outputs(pooling: Pooling, ref: Tensor, var: Tensor, batch: PairBatch) -> tuple[Tensor, Tensor]:
    """Pool a layer's outputs of two forwards.

    Args:
        pooling: Any.
        ref: (R, L, d) outputs for the references.
        var: (V, L, d) outputs for the variants.
        batch: Says which reference a variant has and which positions are pooled.

    Returns:
        (V, dimension) reference vectors and (V, dimension) differences variant - reference, float32.
    """
    if pooling.kind in ("mean_bf16", "positions"):
        vectors = pool_outputs(pooling, ref)[batch.reference]
        return vectors, pool_outputs(pooling, var) - vectors
    rows, counts = batch.pooled, batch.pooled_counts
    reduction = Reduction(pooling, [None], ref.shape[-1])
    deltas = ([var[row, span].float() - ref[of, span].float()] for row, (of, span) in enumerate(rows))
    return reduction.pool(([ref[of, span]] for of, span in rows), counts), reduction.pool(deltas, counts)


def _find_layer(model: nn.Module, layer: str) -> nn.Module:
    try:
        return model.get_submodule(layer)
    except AttributeError:
        block = model.get_submodule(".".join(layer.split(".")[:2]))
        names = [name for name, _ in block.named_modules() if name]
        raise EncoderError(
            f"unknown layer {layer!r}", expected=f"below that block, one of {', '.join(names)}"
        ) from None
