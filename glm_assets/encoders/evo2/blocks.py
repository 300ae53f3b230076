"""What our forwards of Evo2 share about its blocks: arithmetic, the gated MLP, and a layer's outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Arithmetic:
    """In which types a model with weights of one type computes.

    Attributes:
        wide_stream: Keep the residual stream, to which every block adds, in float32; else it has the weights' type.
        split: Give a product its activations as the sum of two bfloat16 numbers and keep its result in float32.
            The published weights are bfloat16 numbers, so that what the activations lose is all that is lost: with
            two numbers next to nothing, at twice the products' price.
    """

    wide_stream: bool = False
    split: bool = False

    def start(self, embedded: Tensor) -> Tensor:
        """The residual stream as it enters the first block."""
        return embedded.float() if self.wide_stream else embedded

    def result_type(self, layer: Any) -> Any:
        """The type of a linear layer's output."""
        import torch

        return torch.float32 if self.split else layer.weight.dtype

    def multiply(self, layer: Any, x: Tensor) -> Tensor:
        """A linear layer's output for activations (..., w), which are rounded as this arithmetic says."""
        if not self.split:
            out = layer(x.to(layer.weight.dtype))
            return out[0] if isinstance(out, tuple) else out
        import torch

        high = x.to(torch.bfloat16)
        low = (x - high.float()).to(torch.bfloat16)
        if layer.weight.dtype != torch.bfloat16:  # a CPU multiplies no bfloat16 into float32: the same sum in one
            out = torch.nn.functional.linear(high.float() + low.float(), layer.weight)
        else:
            products = [
                torch.mm(part.flatten(0, -2), layer.weight.T, out_dtype=torch.float32) for part in (high, low)
            ]
            out = (products[0] + products[1]).unflatten(0, x.shape[:-1])
        return out if layer.bias is None else out + layer.bias.float()

    def gated(self, block: Any, stream: Tensor) -> Tensor:
        """The input of the MLP's last projection."""
        mlp = block.mlp
        hidden = block.post_norm(stream)
        return mlp.act(self.multiply(mlp.l1, hidden)) * self.multiply(mlp.l2, hidden)


def row_outputs(
    layers: Sequence[str], index: int, block: Any, inner: Tensor, stream: Tensor
) -> Iterator[tuple[str, list[Tensor], list[Tensor | None]]]:
    """The wanted layers of one block: their names, activations, and the weights that make outputs of these."""
    for layer in layers:
        if int(layer.split(".")[1]) != index:
            continue
        with_residual = layer.count(".") == 1
        parts = [inner, stream] if with_residual else [inner]
        yield layer, parts, [block.mlp.l3.weight, None] if with_residual else [block.mlp.l3.weight]
