"""Evo2 through the modules of vtx: built only as deep as the hooked block, pooled in the hook."""

from __future__ import annotations

import contextlib
import io
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders import evo2_cpu
from glm_assets.encoders.base import PADDING, Encoder, EncoderSpec
from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.encoders.evo2_config import EVO2_MODELS, blocks_needed, model_config
from glm_assets.encoders.evo2_pairs import SHARED_PREFIX, PairBatch, embed_pair_batch, next_batch
from glm_assets.encoders.pooling import find_pooling
from glm_assets.errors import EncoderError

if TYPE_CHECKING:
    from torch import Tensor, nn

# Windows of 1,024 bases: eight fit a CPU's caches, thirty-two fill a large GPU.
_CPU_BATCH_TOKENS = 8_192
_GPU_BATCH_TOKENS = 32_768

_log = logging.getLogger(__name__)


class Evo2Encoder(Encoder):
    """An Evo2 model, hooked at one layer.

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
        self._pool = find_pooling(spec.pooling)
        self._pooled: Tensor | None = None
        self._model = _load(spec, weights, device)
        _find_layer(self._model, spec.layer).register_forward_hook(self._keep_pooled)

    def embed_batch(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pooled vectors of one batch, in halves where the GPU's memory is too small.

        Args:
            windows: (b, L) ASCII bytes.

        Returns:
            (b, dimension) float32.

        Raises:
            EncoderError: Not even one window fits.
        """
        import torch

        with contextlib.suppress(torch.OutOfMemoryError):
            return self._forward(windows)
        middle = self._halve(len(windows), windows.shape[1], "window")
        return np.concatenate([self.embed_batch(windows[:middle]), self.embed_batch(windows[middle:])])

    def embed_pairs(
        self, ref: NDArray[np.uint8], var: NDArray[np.uint8], offset: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors of reference windows and what the variants add to them; see `Encoder.embed_pairs`.

        Where `spec.extras["pairs"]` says so, the prefix that a variant shares with its reference is computed once.

        Args:
            ref: (n, L) reference windows, ASCII bytes; shorter ones are padded on the right with zero bytes.
            var: (n, L) variant windows, each as long as its reference window.
            offset: (n,) 0-based index of the variant in its window; the windows themselves say where they differ.

        Returns:
            The reference vectors and the differences variant - reference, both (n, dimension) float32.

        Raises:
            EncoderError: A window is empty or longer than the context, or its variant's is of another length; not
                even one pair fits the GPU.
        """
        if self.spec.extras["pairs"] != SHARED_PREFIX:
            return super().embed_pairs(ref, var, offset)
        lengths = np.count_nonzero(ref != PADDING, axis=1)
        self._check_lengths(lengths)
        if (odd := np.flatnonzero(lengths != np.count_nonzero(var != PADDING, axis=1))).size:
            raise EncoderError(f"the windows of pair {int(odd[0])} differ in length", expected="equal lengths")
        reference = np.unique(ref, axis=0, return_inverse=True)[1].reshape(-1)
        by_reference = np.argsort(reference, kind="stable")
        vectors = np.empty((2, len(ref), self.spec.dimension), np.float32)
        for length in np.unique(lengths):
            rows = by_reference[lengths[by_reference] == length]
            while rows.size:
                # Read anew each time, as in `embed`.
                batch = rows[: next_batch(reference[rows], self.batch_tokens // int(length))]
                vectors[:, batch] = self._pairs_in_memory(ref[batch, :length], var[batch, :length])
                rows = rows[batch.size :]
        return vectors[0], vectors[1]

    def _pairs_in_memory(self, ref: NDArray[np.uint8], var: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors and differences (2, b, dimension) of one batch, in halves where the memory is too small."""
        import torch

        batch = PairBatch.of(ref, var)
        with contextlib.suppress(torch.OutOfMemoryError):
            return self._forward_pairs(batch)
        middle = self._halve(len(ref), ref.shape[1], "pair of windows")
        halves = (slice(None, middle), slice(middle, None))
        return np.concatenate([self._pairs_in_memory(ref[half], var[half]) for half in halves], axis=1)

    def _forward_pairs(self, batch: PairBatch) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            vectors, deltas = embed_pair_batch(self._model, self.spec.layer, batch)
            both = torch.stack([vectors[batch.reference], deltas]).cpu().numpy()
        self.windows_computed += len(batch.ref) + len(batch.var)
        self.tokens_computed += batch.tokens
        return both

    def _halve(self, count: int, length: int, what: str) -> int:
        """Give up on batches of this size after the GPU ran out of memory.

        Returns:
            How many of the `count` are half.

        Raises:
            EncoderError: There was only one.
        """
        import torch

        if count == 1:
            raise EncoderError(
                f"one {what} of {length} bases does not fit the memory of {self.device_name}",
                fix="shorten windows.length, or use a GPU with more memory",
            )
        torch.cuda.empty_cache()
        middle = count // 2
        self.batch_tokens = min(self.batch_tokens, middle * length)
        _log.warning("GPU out of memory with %d x %s; continuing with %d", count, what, middle)
        return middle

    def _forward(self, windows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the blocks; the final norm and the unembedding are not needed and not run."""
        import torch

        with torch.inference_mode(), self._original_casts():
            tokens = torch.from_numpy(windows.astype(np.int64)).to(self._device)
            self._model.stateless_forward(self._model.embedding_layer(tokens))
        pooled, self._pooled = self._pooled, None
        if pooled is None:
            raise EncoderError(f"layer {self.spec.layer!r} takes no part in a forward pass", fix="choose another")
        return pooled.cpu().numpy()

    def _keep_pooled(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        import torch

        hidden = output[0] if isinstance(output, tuple) else output
        if hidden.shape[2:] != (self.spec.dimension,):
            raise EncoderError(
                f"layer {self.spec.layer!r} puts out arrays of shape {tuple(hidden.shape)}",
                expected=f"(windows, positions, {self.spec.dimension})",
                fix="choose a block, or one of its linear layers",
            )
        with torch.autocast(hidden.device.type, enabled=False):  # which would sum bfloat16 in float32
            self._pooled = self._pool(hidden)

    def _original_casts(self) -> contextlib.AbstractContextManager[Any]:
        import torch

        if self.spec.extras["cast_all_bf16"]:
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return contextlib.nullcontext()


def build_model(config: dict[str, Any], device: str) -> Any:
    """An untrained vtx `StripedHyena` in evaluation mode; the caller's random state is left alone.

    Args:
        config: As `model_config` gives it, possibly with fewer layers.
        device: `cpu` or `cuda:N`; vtx builds on all visible GPUs, the caller moves the model.
    """
    evo2_cpu.install(device, fp8=config["use_fp8_input_projections"])
    import torch
    from vortex.model.model import StripedHyena
    from vortex.model.utils import dotdict

    with torch.random.fork_rng(devices=[]), _quiet():
        return StripedHyena(dotdict(config)).eval()


def _load(spec: EncoderSpec, weights: Path, device: str) -> Any:
    config = model_config(spec.name)
    # Early exit: deeper blocks are neither built nor read from the file.
    config["num_layers"] = blocks_needed(spec.layer, config)
    config["use_fp8_input_projections"] = "fp8" in spec.needs
    config["use_flash_attn"] = device != CPU and evo2_cpu.has_flash_attention()
    model = build_model(config, device)
    _read_weights(model, weights, spec)
    return _place(model, spec, device)


def _read_weights(model: Any, weights: Path, spec: EncoderSpec) -> None:
    """Fill the model from a file of tensors; vtx reads with `weights_only`, so no code in it can run.

    With FP8, Transformer Engine unpickles its own state in the file: then the file must be trusted.
    """
    from vortex.model.utils import load_checkpoint

    try:
        with _quiet():
            load_checkpoint(model, str(weights))
    except (OSError, EOFError, RuntimeError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise EncoderError(
            f"{weights} cannot be loaded as {spec.name} ({reason})",
            expected=f"a zip file of tensors (torch.save of a state dict) with the shapes of {spec.name}",
            fix="point GLM_CHECKPOINT at a checkpoint of this model, or choose the encoder that it belongs to",
        ) from error


def _place(model: Any, spec: EncoderSpec, device: str) -> Any:
    """Give the model its types and its device.

    vtx has cast all but the poles and residues to bfloat16. A plain `.to(dtype)` on a GPU would cast those too and
    move the vectors by a per cent.
    """
    import torch
    from vortex.model.utils import move_to_device

    if device == CPU:
        model.float()
    elif spec.extras["cast_all_bf16"]:
        model.to(dtype=torch.bfloat16)
    if not EVO2_MODELS[spec.name].spread:
        move_to_device(model, torch.device(device))
        model.block_idx_to_device = dict.fromkeys(model.block_idx_to_device, device)
    return model


def _find_layer(model: nn.Module, layer: str) -> nn.Module:
    try:
        return model.get_submodule(layer)
    except AttributeError:
        block = model.get_submodule(".".join(layer.split(".")[:2]))
        names = [name for name, _ in block.named_modules() if name]
        raise EncoderError(
            f"unknown layer {layer!r}", expected=f"below that block, one of {', '.join(names)}"
        ) from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send the progress bars and prints of vtx to the debug log."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        yield
    if text := said.getvalue().strip():
        _log.debug("vtx: %s", text)
