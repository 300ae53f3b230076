"""What an encoder is: its specification, and how windows and pairs of windows become vectors.

A new model subclasses `Encoder`, sets `spec`, `device_name` and `batch_tokens`, and writes `embed_batch`; lengths,
batches and pairs are dealt with here. No model lives here and torch is not imported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.device import CPU, peak_memory
from glm_assets.errors import EncoderError
from glm_assets.storage.atomic import digest_of

PADDING = 0


@dataclass(frozen=True, kw_only=True)
class EncoderSpec:
    """Everything that defines a vector, and nothing that does not.

    Batch size, device and library versions are absent on purpose: they change rounding at most, and a product's
    manifest records them.

    Attributes:
        name: Registry name.
        revision: SHA-256 of the weights file.
        layer: Path of the hooked submodule, such as `blocks.25.mlp.l3`.
        pooling: Name of the pooling over positions.
        dimension: Length of a vector.
        context: Longest window in bases.
        dtype: Type of the computation, such as `float32` or `bfloat16`.
        reverse_complement: Whether vectors are means over both strands.
        needs: What the machine must offer, such as `fp8`.
        extras: Further values that the numbers depend on.
    """

    name: str
    revision: str
    layer: str
    pooling: str
    dimension: int
    context: int
    dtype: str
    reverse_complement: bool = False
    needs: tuple[str, ...] = ()
    extras: Mapping[str, bool | int | str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The specification as JSON-able values."""
        return asdict(self)

    @property
    def fingerprint(self) -> str:
        """SHA-256 hex digest of the specification: vectors of equal fingerprints are comparable."""
        return digest_of(self.as_dict())


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of the same windows, each saving on top of those before it.

    Attributes:
        original: The whole model over reference and variant of every pair.
        early_exit: No block after the hooked layer.
        shared_prefix: Also, of a variant only the tokens that its reference lacks.
        computed: Also, each reference window once for all its variants: what was done.
    """

    original: float = 0.0
    early_exit: float = 0.0
    shared_prefix: float = 0.0
    computed: float = 0.0

    def __add__(self, other: Flops) -> Flops:
        return Flops(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Flops) -> Flops:
        return Flops(*(mine - theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    def saved_shares(self) -> dict[str, float] | None:
        """What each saving took off, as shares of the original; None where nothing was counted."""
        if not self.original:
            return None
        return {
            "early_exit": (self.original - self.early_exit) / self.original,
            "shared_prefix": (self.early_exit - self.shared_prefix) / self.original,
            "shared_references": (self.shared_prefix - self.computed) / self.original,
        }


class Encoder(ABC):
    """A genomic language model that turns windows into pooled vectors.

    Attributes:
        spec: What its vectors are.
        device_name: Where it computes, for people.
        batch_tokens: Bases in one forward pass, at most (a longer single window is a batch of its own).
        windows_computed: Windows that went through the model so far.
        tokens_computed: Bases that were computed for them.
        flops: What that cost and what was saved, where the encoder can tell.
        probe_drift: How far its probe is from the one in the store, as `probe.check_probe` found; None unasked.
    """

    spec: EncoderSpec
    device_name: str
    batch_tokens: int
    windows_computed: int = 0
    tokens_computed: int = 0
    flops: Flops = Flops()
    probe_drift: float | None = None
    _device: str = CPU

    def forget_work(self) -> None:
        """Set the counters of work to nothing."""
        self.windows_computed = self.tokens_computed = 0
        self.flops = Flops()

    @property
    def peak_memory(self) -> int:
        """Most bytes of a GPU's memory that were used so far; 0 where there is none."""
        return peak_memory(self._device)

    @abstractmethod
    def embed_batch(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pooled vectors of one batch.

        Args:
            windows: (b, L) ASCII bytes, upper case, without padding.

        Returns:
            (b, dimension) float32.
        """

    def embed(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pooled vectors of windows of any lengths.

        Sequences of equal length share batches and none is ever padded inside the model, so a vector does not
        depend on what else is embedded with it.

        Args:
            windows: (n, L) ASCII bytes, upper case; shorter sequences are padded on the right with zero bytes.

        Returns:
            (n, dimension) float32, in the order of the rows.

        Raises:
            EncoderError: A sequence is empty or longer than the encoder's context.
        """
        lengths = np.count_nonzero(windows != PADDING, axis=1)
        self._check_lengths(lengths)
        vectors = np.empty((len(windows), self.spec.dimension), np.float32)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            while rows.size:
                # Read anew each time: an encoder lowers it when its device runs out of memory.
                batch = rows[: max(1, self.batch_tokens // int(length))]
                vectors[batch] = self.embed_batch(windows[batch, :length])
                self.windows_computed += batch.size
                self.tokens_computed += batch.size * int(length)
                rows = rows[batch.size :]
        return vectors

    def embed_pairs(
        self, ref: NDArray[np.uint8], var: NDArray[np.uint8], offset: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors of reference windows and what the variants add to them.

        Rows with the same reference window share its vector. This default makes two independent forward passes; an
        encoder that shares the prefix of a pair overrides it.

        Args:
            ref: (n, L) reference windows, ASCII bytes.
            var: (n, L) variant windows.
            offset: (n,) 0-based index of the variant's first base in its window; the default has no use for it.

        Returns:
            The reference vectors and the differences variant - reference, both (n, dimension) float32.
        """
        del offset
        distinct, rows = np.unique(ref, axis=0, return_inverse=True)
        ref_vectors = self.embed(distinct)[rows.reshape(-1)]
        return ref_vectors, self.embed(var) - ref_vectors

    def _check_lengths(self, lengths: NDArray[np.integer]) -> None:
        if lengths.size and lengths.min() == 0:
            raise EncoderError(f"sequence {int(lengths.argmin())} is empty", expected="at least one base")
        if lengths.size and lengths.max() > self.spec.context:
            raise EncoderError(
                f"sequence {int(lengths.argmax())} has {int(lengths.max())} bases",
                expected=f"at most {self.spec.context}, the context of encoder {self.spec.name}",
                fix="shorten windows.length, or choose an encoder with a longer context",
            )
