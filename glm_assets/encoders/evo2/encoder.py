"""The Evo2 encoder: which forward gives the vectors, in batches that fit the memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.base import PADDING, Encoder, EncoderSpec
from glm_assets.encoders.device import CPU, out_of_memory_suppressed, prepare_device
from glm_assets.encoders.evo2.blocks import Arithmetic
from glm_assets.encoders.evo2.config import BFLOAT16_SPLIT, FLOAT32_RESIDUAL, layer_width, model_config
from glm_assets.encoders.evo2.downstream import embed_downstream_batch
from glm_assets.encoders.evo2.hook import LayerHook, pool_pair_outputs
from glm_assets.encoders.evo2.likelihood import (
    likelihoods_of_outputs,
    likelihoods_of_pair_outputs,
    logits_of_outputs,
    pair_likelihoods,
    window_likelihoods,
)
from glm_assets.encoders.evo2.model import load_model
from glm_assets.encoders.evo2.pairs import embed_pair_batch, embed_window_batch
from glm_assets.encoders.evo2.plan import (
    DOWNSTREAM_ONLY,
    LOGITS,
    TWO_FORWARDS,
    PairBatch,
    is_paired_layer,
    next_batch,
)
from glm_assets.encoders.evo2.tally import FlopTally
from glm_assets.encoders.pooling import Pooling
from glm_assets.encoders.reduction import pool_outputs
from glm_assets.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor

# Windows of 1,024 bases: eight fit a CPU's caches, thirty-two fill a large GPU.
_CPU_BATCH_TOKENS = 8_192
_GPU_BATCH_TOKENS = 32_768

_log = logging.getLogger(__name__)


class Evo2Encoder(Encoder):
    """An Evo2 model, hooked at one layer, or whole for the likelihood of windows or their logits.

    Args:
        spec: From `evo2_spec`.
        weights: A vtx checkpoint: a zip file of tensors in savanna layout, as Arc Institute publishes them.
        device: `cpu` or `cuda:N`. Make one GPU per process visible to keep vtx from touching the others.
        batch_tokens: Bases in one forward pass; a value that suits the device by default. It is halved whenever
            the GPU runs out of memory.
        cpu_threads: torch threads of this process when on a CPU.

    Raises:
        EncoderError: The weights do not fit the model, or the layer or device does not exist.
    """

    def __init__(
        self,
        spec: EncoderSpec,
        *,
        weights: Path,
        device: str,
        batch_tokens: int | None = None,
        cpu_threads: int = 1,
    ) -> None:
        self.device_name = prepare_device(device, cpu_threads)
        self.spec = spec
        self.batch_tokens = batch_tokens or (_CPU_BATCH_TOKENS if device == CPU else _GPU_BATCH_TOKENS)
        self._device = device
        self._pooling = Pooling.parse(spec.pooling)
        split = spec.dtype == BFLOAT16_SPLIT
        self._arithmetic = Arithmetic(wide_stream=split or spec.dtype == FLOAT32_RESIDUAL, split=split)
        self._model, config = self._load(weights)
        self._gives_likelihoods = self._pooling.kind == "log_likelihood"
        hooked = f"blocks.{config['num_layers'] - 1}" if spec.layer == LOGITS else spec.layer
        self._hook = LayerHook(self._model, replace(spec, layer=hooked), layer_width(hooked, config))
        self._counter = FlopTally(spec, config)

    def _load(self, weights: Path) -> tuple[Any, Mapping[str, Any]]:
        """The model on its device, and its configuration at full depth."""
        return load_model(self.spec, weights, self._device), model_config(self.spec.name)

    def embed_batch(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pooled vectors of one batch, in halves where the GPU's memory is too small.

        Args:
            windows: (b, L) ASCII bytes.

        Returns:
            (b, dimension) float32.

        Raises:
            EncoderError: Not even one window fits, or the pooling is around a variant.
        """
        if self._pooling.needs_variant:
            raise EncoderError(
                f"pooling {self._pooling.name} has no meaning for a single sequence",
                expected="mean, mean_bf16, covariance:WIDTH, positions:COUNT or log_likelihood",
                fix="set encoder.sequence_pooling",
            )
        if self._pooling.kind == "positions":  # the model being causal, none after the last wanted one matters
            windows = windows[:, : self._pooling.width]
        with out_of_memory_suppressed():
            return self._forward(windows)
        middle = self._halve(len(windows), windows.size, f"window of {windows.shape[1]} bases")
        return np.concatenate([self.embed_batch(windows[:middle]), self.embed_batch(windows[middle:])])

    def embed_pairs(
        self, ref: NDArray[np.uint8], var: NDArray[np.uint8], offset: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors of reference windows and what the variants add to them; see `Encoder.embed_pairs`.

        `spec.extras["pairs"]` says how: with the prefix that a variant shares with its reference computed once,
        over the pooled positions of variants only, or in two forwards.

        Args:
            ref: (n, L) reference windows, ASCII bytes; shorter ones are padded on the right with zero bytes.
            var: (n, L) variant windows, each as long as its reference window.
            offset: (n,) 0-based index of the variant's first base in its window.

        Returns:
            The reference vectors and the differences variant - reference, both (n, dimension) float32.

        Raises:
            EncoderError: A window is empty or longer than the context, or its variant's is of another length; an
                offset does not fit; not even one pair fits the GPU.
        """
        vectors, delta = self._embed_pairs([self.spec.layer], ref, var, offset)[0]
        return vectors, delta

    def embed_pairs_at(
        self, layers: Sequence[str], ref: NDArray[np.uint8], var: NDArray[np.uint8], offset: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Vectors of pairs at several layers from one forward, as `embed_pairs` gives them at one.

        Args:
            layers: Blocks, their `mlp` or `mlp.l3`, none deeper than the encoder's own layer.
            ref: (n, L) reference windows.
            var: (n, L) variant windows.
            offset: (n,) index of the variant's first base.

        Returns:
            (layers, 2, n, dimension) float32: reference vectors and differences.

        Raises:
            EncoderError: A layer is not one of these, or the pairs are not right, as in `embed_pairs`.
        """
        if self.spec.extras["pairs"] == TWO_FORWARDS or not all(map(is_paired_layer, layers)):
            raise EncoderError(
                f"layers {', '.join(layers)} cannot be had from one forward",
                expected="blocks, their mlp or mlp.l3, without FP8 and the original's casts and pooling",
            )
        return self._embed_pairs(layers, ref, var, offset)

    def _embed_pairs(
        self, layers: Sequence[str], ref: NDArray[np.uint8], var: NDArray[np.uint8], offset: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        lengths = np.count_nonzero(ref != PADDING, axis=1)
        self._check_lengths(lengths)
        if (odd := np.flatnonzero(lengths != np.count_nonzero(var != PADDING, axis=1))).size:
            raise EncoderError(f"the windows of pair {int(odd[0])} differ in length", expected="equal lengths")
        reference = np.unique(ref, axis=0, return_inverse=True)[1].reshape(-1)
        by_reference = np.argsort(reference, kind="stable")
        vectors = np.empty((len(layers), 2, len(ref), self.spec.dimension), np.float32)
        for length in np.unique(lengths):
            rows = by_reference[lengths[by_reference] == length]
            own = self._tokens_of_variant(int(length))
            while rows.size:
                # Read anew each time: it is lowered when the device runs out of memory.
                batch = rows[: next_batch(reference[rows], int(length), own, self.batch_tokens)]
                pairs = (ref[batch, :length], var[batch, :length], offset[batch])
                vectors[:, :, batch] = self._pairs_in_memory(layers, *pairs)
                rows = rows[batch.size :]
        return vectors

    def _tokens_of_variant(self, length: int) -> int:
        """Tokens that a variant takes in memory: in the mixers a whole window, unless only few are computed."""
        reach = self._pooling.positions_from_variant
        return min(length, reach) if reach and self.spec.extras["pairs"] == DOWNSTREAM_ONLY else length

    def _pairs_in_memory(
        self, layers: Sequence[str], ref: NDArray[np.uint8], var: NDArray[np.uint8], offset: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Vectors and differences (layers, 2, b, dimension) of one batch, in halves where the memory is too small."""
        batch = PairBatch.of(ref, var, offset, self._pooling)
        with out_of_memory_suppressed():
            return self._forward_pairs(layers, batch)
        length = ref.shape[1]
        tokens = len(batch.ref) * length + len(ref) * self._tokens_of_variant(length)
        middle = self._halve(len(ref), tokens, f"pair of windows of {length} bases")
        halves = (slice(None, middle), slice(middle, None))
        parts = [self._pairs_in_memory(layers, ref[half], var[half], offset[half]) for half in halves]
        return np.concatenate(parts, axis=2)

    def _forward_pairs(self, layers: Sequence[str], batch: PairBatch) -> NDArray[np.float32]:
        import torch

        method = self.spec.extras["pairs"]
        with torch.inference_mode():
            if method == TWO_FORWARDS:
                pairs = [self._two_forwards(batch)]
            elif self._gives_likelihoods:
                pairs = [pair_likelihoods(self._model, batch, self._arithmetic)]
            else:
                embed = embed_downstream_batch if method == DOWNSTREAM_ONLY else embed_pair_batch
                pairs = embed(self._model, layers, batch, self._pooling, self._arithmetic)
            found = torch.stack([torch.stack(pair).cpu() for pair in pairs]).numpy()
        tokens, flops = self._counter.pairs(batch)
        self.windows_computed += len(batch.ref) + len(batch.var)
        self.tokens_computed += tokens
        self.flops += flops
        return found

    def _two_forwards(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        if self._gives_likelihoods:
            ref, var = (self._hook.outputs(windows, self._device) for windows in (batch.ref, batch.var))
            return likelihoods_of_pair_outputs(self._model, ref, var, batch)
        return pool_pair_outputs(self._pooling, self._outputs(batch.ref), self._outputs(batch.var), batch)

    def _halve(self, count: int, tokens: int, what: str) -> int:
        """Give up on batches of this size after the GPU ran out of memory.

        Args:
            count: Rows of the batch.
            tokens: What the batch counted for in the plan.
            what: A row.

        Returns:
            How many of the `count` are half.

        Raises:
            EncoderError: There was only one.
        """
        import torch

        if count == 1:
            raise EncoderError(
                f"one {what} does not fit the memory of {self.device_name}",
                fix="shorten windows.length, or use a GPU with more memory",
            )
        torch.cuda.empty_cache()
        self.batch_tokens = min(self.batch_tokens, max(1, tokens // 2))
        _log.warning("GPU out of memory with %d x %s; continuing with %d", count, what, count // 2)
        return count // 2

    def _forward(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the blocks; the final norm and the unembedding only for likelihoods."""
        import torch

        with torch.inference_mode():
            two_forwards = self.spec.extras["pairs"] == TWO_FORWARDS
            pooled = self._pooled_outputs(windows) if two_forwards else self._pooled(windows)
            self.flops += self._counter.windows(*windows.shape)
            return pooled.cpu().numpy()

    def _pooled(self, windows: NDArray[np.uint8]) -> Tensor:
        if self._gives_likelihoods:
            return window_likelihoods(self._model, windows, self._arithmetic)
        layers = [self.spec.layer]
        (pooled,) = embed_window_batch(self._model, layers, windows, self._pooling, self._arithmetic)
        return pooled

    def _pooled_outputs(self, windows: NDArray[np.uint8]) -> Tensor:
        if self._gives_likelihoods:
            return likelihoods_of_outputs(self._model, self._hook.outputs(windows, self._device), windows)
        return pool_outputs(self._pooling, self._outputs(windows))

    def _outputs(self, windows: NDArray[np.uint8]) -> Tensor:
        """The layer's activations, or the model's logits, (b, L, d)."""
        outputs = self._hook.outputs(windows, self._device)
        return logits_of_outputs(self._model, outputs) if self.spec.layer == LOGITS else outputs
