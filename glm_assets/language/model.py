"""What a causal language model of DNA is to those who score, draw or judge sequences with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Decoder(Protocol):
    """A model that has read a batch of prompts and goes on token by token."""

    @property
    def logits(self) -> Tensor:
        """(b, V) float32 of each sequence's next token."""
        ...

    def advance(self, tokens: Tensor) -> None:
        """Read the next token (b,) of each sequence."""
        ...


class LanguageModel(Protocol):
    """A causal language model: the logits at a token depend on it and on those before it alone."""

    @property
    def name(self) -> str:
        """What it is called in tables and messages."""
        ...

    @property
    def device(self) -> str:
        """Where it computes: `cpu` or `cuda:N`."""
        ...

    @property
    def context(self) -> int:
        """Longest sequence in tokens."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """V, the width of its logits."""
        ...

    @property
    def bases_per_token(self) -> int:
        """1 of a model of bytes, k of one of k-mers."""
        ...

    @property
    def start_id(self) -> int | None:
        """Token put in front of a sequence so that its first token is predicted too; None without one."""
        ...

    @property
    def sequence_ids(self) -> NDArray[np.int64]:
        """(s,) ids of the tokens that spell A, C, G and T; of a byte model in that order."""
        ...

    def encode(self, sequence: str) -> NDArray[np.int64]:
        """(L,) ids of a sequence."""
        ...

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """The sequence that ids spell."""
        ...

    def logits(self, ids: Tensor) -> Tensor:
        """(b, L, V) float32 for ids (b, L) int64; row i is about token i + 1. Padding on the right changes nothing."""
        ...

    def decoder(self, prompts: Tensor) -> Decoder:
        """Begin to draw after prompts (b, L) of equal length."""
        ...
