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
    """How v1, v2 and v3 differ inside a block, and where the gates start."""

    norm_name: str
    norm: Callable[[int], nn.Module]
    gated: bool
    scaled: bool
    gate: float = 0.0


_STYLES = {
    "v1": _Style("ln", nn.LayerNorm, gated=False, scaled=False),
    "v2": _Style("ln", nn.LayerNorm, gated=True, scaled=False),
    "v3": _Style("norm", RMSNorm, gated=True, scaled=True),
}


def _zeroed(linear: nn.Linear) -> nn.Linear:
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def _widened(x: Tensor) -> Tensor:
    """What autocast has narrowed, in float32."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class Block(nn.Module):
    """A straight path plus a non-linear branch: a norm before it, and after it the layer scale and the gate alpha.

    Attributes:
        alpha: The gate (1,); None in v1, whose branches are always open.
        layerscale: Factor of each output (out_dim,); None in v1 and v2.
        skipped: Whether the branch, known to give zeros and to have no gradient, is left out.
    """

    layerscale: nn.Parameter | None
    alpha: nn.Parameter | None

    def __init__(self, in_dim: int, out_dim: int, style: _Style, dropout: float) -> None:
        super().__init__()
        scale = nn.Parameter(torch.full((out_dim,), _LAYERSCALE)) if style.scaled else None
        self.register_parameter("layerscale", scale)
        self.register_parameter("alpha", nn.Parameter(torch.full((1,), style.gate)) if style.gated else None)
        self.add_module(style.norm_name, style.norm(in_dim))
        self.norm_name = style.norm_name
        self.drop = nn.Dropout(dropout)
        self.skipped = False

    @property
    def last_linear(self) -> nn.Linear:
        """The branch's last linear layer, which starts at zero."""
        raise NotImplementedError

    def straight(self, x: Tensor) -> Tensor:
        """What the branch is added to."""
        return x

    def branch(self, x: Tensor) -> Tensor:
        """The branch before layer scale and gate."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, in_dim) to (n, out_dim)."""
        if self.skipped:
            return self.straight(x)
        return self.straight(x) + self.gated(self.branch(x))

    def normed(self, x: Tensor) -> Tensor:
        """The branch's input, normalised."""
        return self.get_submodule(self.norm_name)(x)

    def gated(self, y: Tensor) -> Tensor:
        """The branch's output times layer scale and gate."""
        if self.layerscale is not None:
            y = self.layerscale * y
        return y if self.alpha is None else self.alpha * y


class SimpleBlock(Block):
    """`x + alpha * (s * drop(GELU(W norm(x) + b)))`, W and b starting at zero."""

    def __init__(self, dim: int, style: _Style, dropout: float) -> None:
        super().__init__(dim, dim, style, dropout)
        self.linear = _zeroed(nn.Linear(dim, dim))

    @property
    def last_linear(self) -> nn.Linear:
        """W and b."""
        return self.linear

    def branch(self, x: Tensor) -> Tensor:
        """(n, dim) to (n, dim)."""
        return self.drop(functional.gelu(self.linear(self.normed(x))))


class ProjectionBlock(Block):
    """`V x + alpha * (s * drop(GELU(W norm(x) + b)))`, W and b starting at zero, V as torch initialises it."""

    def __init__(self, in_dim: int, out_dim: int, style: _Style, dropout: float) -> None:
        super().__init__(in_dim, out_dim, style, dropout)
        self.linear = _zeroed(nn.Linear(in_dim, out_dim))
        self.skip = nn.Linear(in_dim, out_dim, bias=False)

    @property
    def last_linear(self) -> nn.Linear:
        """W and b."""
        return self.linear

    def straight(self, x: Tensor) -> Tensor:
        """(n, in_dim) to (n, out_dim); the path stays wide under autocast, as it does in the other blocks."""
        return _widened(self.skip(x))

    def branch(self, x: Tensor) -> Tensor:
        """(n, in_dim) to (n, out_dim)."""
        return self.drop(functional.gelu(self.linear(self.normed(x))))


class RichBlock(Block):
    """`x + alpha * (s * drop(W2 drop(GELU(W1 norm(x) + b1)) + b2))`, W2 and b2 starting at zero."""

    def __init__(self, dim: int, style: _Style, dropout: float) -> None:
        super().__init__(dim, dim, style, dropout)
        self.fc1 = nn.Linear(dim, RICH_EXPANSION * dim)
        self.fc2 = _zeroed(nn.Linear(RICH_EXPANSION * dim, dim))

    @property
    def last_linear(self) -> nn.Linear:
        """W2 and b2."""
        return self.fc2

    def branch(self, x: Tensor) -> Tensor:
        """(n, dim) to (n, dim)."""
        return self.drop(self.fc2(self.drop(functional.gelu(self.fc1(self.normed(x))))))


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

    def __init__(self, shape: HeadShape, dropout: float, gate: float) -> None:
        super().__init__()
        style = _STYLES[shape.version]._replace(gate=gate)
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

    A row's output depends on that row alone, so references and variants may pass as one batch
    (`head(torch.cat([ref, var])).chunk(2)`), which keeps the processor busier than two halves.

    The last linear layer of every branch starts at zero. A gate that starts there too can never move, and neither can
    its branch: each one's gradient is a multiple of the other. The original starts so; with `gate` 1 both learn.

    Args:
        shape: Widths and block counts.
        dropout: Rate while training.
        gate: Where every alpha of v2 and v3 starts.

    Attributes:
        shape: Widths and block counts.
        head: The network itself.
    """

    def __init__(self, shape: HeadShape, dropout: float = DROPOUT, *, gate: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.head = CompressHead(shape, dropout) if shape.version == "v0" else ResidualHead(shape, dropout, gate)

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors (n, in_dim) to unit vectors (n, out_dim), in float32 at least."""
        return functional.normalize(_widened(self.head(x)), dim=-1, eps=1e-12)


def parameter_count(module: nn.Module) -> int:
    """Number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())
