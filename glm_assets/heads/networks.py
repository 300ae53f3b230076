"""The four head networks, as in the original pipeline: layers, initialisation and state-dict keys.

Importing this module imports torch. Every network maps encoder vectors (n, in_dim) to vectors (n, out_dim);
`Head` wraps one under the key prefix `head.` and normalises its output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from glm_assets.heads.shapes import RICH_EXPANSION, HeadShape

DROPOUT = 0.1
_LAYERSCALE = 0.01


class RMSNorm(nn.Module):
    """`x * rsqrt(mean(x^2) + 1e-6) * scale`; `torch.nn.RMSNorm` would call the scale `weight`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.scale


class _Style(NamedTuple):
    """How v1, v2 and v3 differ inside a block."""

    norm_name: str
    norm: Callable[[int], nn.Module]
    gated: bool
    scaled: bool


_STYLES = {
    "v1": _Style("ln", nn.LayerNorm, gated=False, scaled=False),
    "v2": _Style("ln", nn.LayerNorm, gated=True, scaled=False),
    "v3": _Style("norm", RMSNorm, gated=True, scaled=True),
}


def _zeroed(linear: nn.Linear) -> nn.Linear:
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class _Branch(nn.Module):
    """The non-linear half of a block: a norm before it, and after it the layer scale and the gate alpha."""

    layerscale: nn.Parameter | None
    alpha: nn.Parameter | None

    def __init__(self, in_dim: int, out_dim: int, style: _Style, dropout: float) -> None:
        super().__init__()
        scale = nn.Parameter(torch.full((out_dim,), _LAYERSCALE)) if style.scaled else None
        self.register_parameter("layerscale", scale)
        self.register_parameter("alpha", nn.Parameter(torch.zeros(1)) if style.gated else None)
        self.add_module(style.norm_name, style.norm(in_dim))
        self.norm_name = style.norm_name
        self.drop = nn.Dropout(dropout)

    def normed(self, x: Tensor) -> Tensor:
        return self.get_submodule(self.norm_name)(x)

    def gated(self, y: Tensor) -> Tensor:
        if self.layerscale is not None:
            y = self.layerscale * y
        return y if self.alpha is None else self.alpha * y


class SimpleBlock(_Branch):
    """`x + alpha * (s * drop(GELU(W norm(x) + b)))`, W and b starting at zero."""

    def __init__(self, dim: int, style: _Style, dropout: float) -> None:
        super().__init__(dim, dim, style, dropout)
        self.linear = _zeroed(nn.Linear(dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, dim) to (n, dim)."""
        return x + self.gated(self.drop(functional.gelu(self.linear(self.normed(x)))))


class ProjectionBlock(_Branch):
    """`V x + alpha * (s * drop(GELU(W norm(x) + b)))`, W and b starting at zero, V as torch initialises it."""

    def __init__(self, in_dim: int, out_dim: int, style: _Style, dropout: float) -> None:
        super().__init__(in_dim, out_dim, style, dropout)
        self.linear = _zeroed(nn.Linear(in_dim, out_dim))
        self.skip = nn.Linear(in_dim, out_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_dim) to (n, out_dim)."""
        return self.skip(x) + self.gated(self.drop(functional.gelu(self.linear(self.normed(x)))))


class RichBlock(_Branch):
    """`x + alpha * (s * drop(W2 drop(GELU(W1 norm(x) + b1)) + b2))`, W2 and b2 starting at zero."""

    def __init__(self, dim: int, style: _Style, dropout: float) -> None:
        super().__init__(dim, dim, style, dropout)
        self.fc1 = nn.Linear(dim, RICH_EXPANSION * dim)
        self.fc2 = _zeroed(nn.Linear(RICH_EXPANSION * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, dim) to (n, dim)."""
        inner = self.drop(functional.gelu(self.fc1(self.normed(x))))
        return x + self.gated(self.drop(self.fc2(inner)))


class _PlainBlock(nn.Module):
    """The block of v0: `x + drop(GELU(LN(W x + b)))`."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, dim), nn.LayerNorm(dim), nn.GELU(), nn.Dropout(dropout))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


class CompressHead(nn.Module):
    """v0: compress to the hidden width, refine there, expand to the output width."""

    def __init__(self, shape: HeadShape, dropout: float) -> None:
        super().__init__()
        self.compress = nn.Sequential(
            nn.Linear(shape.in_dim, shape.hidden), nn.LayerNorm(shape.hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.refine = nn.Sequential(*(_PlainBlock(shape.hidden, dropout) for _ in range(shape.high)))
        self.expand = nn.Linear(shape.hidden, shape.out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_dim) to (n, out_dim)."""
        return self.expand(self.refine(self.compress(x)))


class ResidualHead(nn.Module):
    """v1, v2 and v3: two projections with blocks at the hidden and at the output width, then a norm."""

    def __init__(self, shape: HeadShape, dropout: float) -> None:
        super().__init__()
        style = _STYLES[shape.version]
        self.low_name = "refine" if shape.version == "v1" else "low"
        self.out_name = f"out_{style.norm_name}"
        self.proj1 = ProjectionBlock(shape.in_dim, shape.hidden, style, dropout)
        self.high = nn.Sequential(*(SimpleBlock(shape.hidden, style, dropout) for _ in range(shape.high)))
        self.proj2 = ProjectionBlock(shape.hidden, shape.out_dim, style, dropout)
        simple = [SimpleBlock(shape.out_dim, style, dropout) for _ in range(shape.low)]
        rich = [RichBlock(shape.out_dim, style, dropout) for _ in range(shape.rich)]
        self.add_module(self.low_name, nn.Sequential(*simple, *rich))
        self.add_module(self.out_name, style.norm(shape.out_dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_dim) to (n, out_dim)."""
        x = self.proj2(self.high(self.proj1(x)))
        return self.get_submodule(self.out_name)(self.get_submodule(self.low_name)(x))


class Head(nn.Module):
    """A head network under the key prefix `head.`, its output normalised to unit length.

    Attributes:
        shape: Widths and block counts.
        head: The network itself.
    """

    def __init__(self, shape: HeadShape, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.shape = shape
        network = CompressHead if shape.version == "v0" else ResidualHead
        self.head = network(shape, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors (n, in_dim) to unit vectors (n, out_dim)."""
        return functional.normalize(self.head(x), dim=-1, eps=1e-12)


def parameter_count(module: nn.Module) -> int:
    """Number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())
