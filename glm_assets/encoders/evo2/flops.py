"""How many floating-point operations Evo2 takes, by a formula over its configuration.

A product counts two operations per multiplication, attention counts full squares, and an FFT of n points 5 n log2 n.
Element-wise work is not counted, as torch's counter does not, to which a test holds this formula.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Evo2Flops:
    """The shape of a model that is built to some depth.

    Args:
        config: As `config.model_config` gives it.
        blocks: How many of its blocks run.
        last_projection: Whether the last block's MLP projects every token, and not only what is pooled of them.
        unembeds: Whether every token's logits are computed.
    """

    config: Mapping[str, Any]
    blocks: int
    last_projection: bool = True
    unembeds: bool = False

    @property
    def unembedding(self) -> float:
        """Of one token."""
        return 2.0 * self.config["hidden_size"] * self.config["vocab_size"]

    @property
    def token(self) -> float:
        """Of one token in all layers that work on one token at a time."""
        hidden, inner = self.config["hidden_size"], self.config["inner_mlp_size"]
        unneeded = 0.0 if self.last_projection else 2.0 * hidden * inner
        logits = self.unembedding if self.unembeds else 0.0
        return self.blocks * (8.0 * hidden**2 + 6.0 * hidden * inner) - unneeded + logits

    def mixers(self, length: int) -> float:
        """Of one whole window of `length` tokens in the sequence mixers."""
        hidden = self.config["hidden_size"]
        attention = 4.0 * hidden * length**2
        return self._count("attn") * attention + self._filters(length, length)

    def downstream_mixers(self, count: int, length: int) -> float:
        """Of `count` tokens of a variant in the mixers, beside a reference window of `length`."""
        hidden, total = self.config["hidden_size"], length + count
        return self._count("attn") * 4.0 * hidden * count * total + self._filters(count, count)

    def filter_transforms(self, length: int) -> float:
        """Of the long filters' own transforms, once a batch."""
        return (self._count("hcm") + self._count("hcl")) * self.config["hidden_size"] * _fft(2 * length)

    def _filters(self, outputs: int, transformed: int) -> float:
        hidden, short = self.config["hidden_size"], self.config["short_filter_length"]
        convolutions = self._count("hcs") + self._count("hcm") + self._count("hcl")
        return (
            convolutions * 2.0 * 3 * hidden * short * (outputs + short - 1)
            + self._count("hcs") * 2.0 * hidden * self.config["hcs_filter_length"] * outputs
            + (self._count("hcm") + self._count("hcl")) * 2 * hidden * _fft(2 * transformed)
        )

    def _count(self, kind: str) -> int:
        return sum(index < self.blocks for index in self.config[f"{kind}_layer_idxs"])


def _fft(points: int) -> float:
    return 5.0 * points * math.log2(points)
