"""Blocks that can never move: a gate at zero in front of a last linear layer at zero.

Importing this module imports torch. The gradient of either is a multiple of the other, and everything before them has
none, so the block is the identity (a projection: its straight path) for as long as it trains; only weight decay still
shrinks its norm, its layer scale and a rich block's first layer. In the original's v2 and v3 these are all blocks that
take nothing from the teacher. They need no computing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from glm_assets.heads.networks import Block, Head, parameter_count


@dataclass(frozen=True)
class Dormant:
    """A head's blocks that cannot move.

    Attributes:
        blocks: Their names, such as `high.0`; of a projection it is the branch alone, never the straight path.
        parameters: All of their parameters.
        block_share: Their share of the blocks that have a branch.
        parameter_share: Their share of the head's parameters.
    """

    blocks: tuple[str, ...]
    parameters: tuple[nn.Parameter, ...]
    block_share: float
    parameter_share: float

    @torch.no_grad()
    def decay(self, rate: float, weight_decay: float, steps: int) -> None:
        """Shrink the parameters as that many steps of AdamW without a gradient would.

        Args:
            rate: Learning rate of the steps.
            weight_decay: Of AdamW, on all parameters.
            steps: How many.
        """
        for parameter in self.parameters:
            parameter.mul_((1 - rate * weight_decay) ** steps)

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "blocks": list(self.blocks),
            "parameters": sum(parameter.numel() for parameter in self.parameters),
            "block_share": self.block_share,
            "parameter_share": self.parameter_share,
        }


def dormant_blocks(head: Head) -> tuple[str, ...]:
    """Names of the blocks whose gate and last linear layer are exactly zero; none in v0 and v1, which have no gates."""
    return tuple(name for name, block in _blocks(head) if _is_dormant(block))


def find_dormant(head: Head) -> Dormant:
    """What of a head cannot move."""
    blocks = list(_blocks(head))
    dormant = [(name, block) for name, block in blocks if _is_dormant(block)]
    parameters = tuple(parameter for _, block in dormant for parameter in _branch_parameters(block))
    return Dormant(
        blocks=tuple(name for name, _ in dormant),
        parameters=parameters,
        block_share=len(dormant) / len(blocks) if blocks else 0.0,
        parameter_share=sum(parameter.numel() for parameter in parameters) / parameter_count(head),
    )


def skip_dormant(head: Head) -> Dormant:
    """Leave the blocks that cannot move out of the head's passes, and out of what an optimizer is given.

    The outputs stay the same to the bit. The parameters ask for no gradient any more, so neither clipping nor AdamW
    touches them; `Dormant.decay` does to them what AdamW would. Weights that are loaded into the head afterwards must
    have the same blocks at zero, as all checkpoints of its training have.
    """
    found = find_dormant(head)
    for name, block in _blocks(head):
        block.skipped = name in found.blocks
    for parameter in found.parameters:
        parameter.requires_grad_(False)
    return found


def _blocks(head: Head) -> Iterator[tuple[str, Block]]:
    for name, module in head.head.named_modules():
        if isinstance(module, Block):
            yield name, module


def _is_dormant(block: Block) -> bool:
    last = block.last_linear
    return block.alpha is not None and not any(
        bool(tensor.any()) for tensor in (block.alpha, last.weight, last.bias)
    )


def _branch_parameters(block: Block) -> list[nn.Parameter]:
    return [parameter for name, parameter in block.named_parameters() if not name.startswith("skip.")]
