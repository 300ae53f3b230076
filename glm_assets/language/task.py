"""Training a causal language model on windows of tokens, as the training loop wants it.

Importing this module imports torch. An epoch of the loop is a number of optimiser steps, after which the validation
windows are looked at, and not a pass over the data: a genome is too long for that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glm_assets.errors import TrainingError
from glm_assets.language.loss import language_figures, next_token_loss, token_losses
from glm_assets.language.window_order import WindowOrder
from glm_assets.language.windows import WindowBatch
from glm_assets.training.batches import Planned
from glm_assets.training.distributed import ALONE, Ranks
from glm_assets.training.parameter_groups import decayed_groups
from glm_assets.training.states import load_part, trainable_state

Rows = NDArray[np.int64]


class Windows(Protocol):
    """Windows of one split, such as `language.windows.TokenWindows`."""

    def __len__(self) -> int: ...

    def take(self, rows: Rows) -> WindowBatch:
        """Some of them."""
        ...


class TokenBatch(NamedTuple):
    """Windows on the device.

    Attributes:
        inputs: (b, L) ids.
        targets: (b, L) ids, each the one after its input.
        weights: (b, L), 0 where a token is no target.
        positions: (b, L) of the tokens.
        block: (b,) segment that each window is of.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    positions: Tensor
    block: Tensor

    @classmethod
    def of(cls, windows: WindowBatch, device: str) -> TokenBatch:
        """Bring windows to a device."""
        arrays = (windows.inputs, windows.targets, windows.weights, windows.positions, windows.block)
        return cls(*(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays))


class LanguageTask:
    """A causal language model and its windows.

    What the order of windows is drawn from is the seed alone, and no process and no checkpoint has to keep it: an
    epoch takes up where the one before it ended, and no window comes again before all have been seen.

    Args:
        model: Takes ids (b, L) and gives logits (b, L, V); on the device. A subclass may call it otherwise.
        train: What it learns from.
        val: What judges it.
        batch_size: Windows in a forward pass.
        bases_per_token: 1 of a model of bytes, k of one of k-mers.
        label_smoothing: Share of a target's probability that is spread over all; while training only.
        ranks: The processes that train together.
        sharded: Whether the model is divided over them, so that all of them must judge all windows together.
        device: Where the model is.
        validation_windows: Most windows of `val` that are looked at, always the same ones, evenly spaced.
        micro_batches: Forward passes of an epoch, over all processes: steps x accumulation x processes.
        seed: Of the order of windows.

    Raises:
        TrainingError: A split has no window.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Windows,
        val: Windows,
        *,
        batch_size: int,
        bases_per_token: int = 1,
        label_smoothing: float = 0.0,
        ranks: Ranks = ALONE,
        sharded: bool = False,
        device: str = "cpu",
        validation_windows: int,
        micro_batches: int,
        seed: int,
    ) -> None:
        for split, windows in (("train", train), ("val", val)):
            if not len(windows):
                raise TrainingError(
                    f"the split {split} has no window", fix="use a shorter context, or give it more sequence"
                )
        self.model, self.train, self.val = model, train, val
        self._batch_size, self._bases = batch_size, bases_per_token
        self._smoothing, self._device, self._ranks = label_smoothing, device, ranks
        self._judges = ALONE if sharded else ranks
        self._micro_batches = micro_batches
        self._order = WindowOrder(len(train), seed)
        count = min(len(val), validation_windows)
        self._judged = np.arange(count, dtype=np.int64) * len(val) // count
        self._tokens, self._seconds, self._begun = 0, 0.0, 0.0

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """All that is trained; norms and biases do not decay."""
        return decayed_groups(self.model, weight_decay)

    def batches(self, epoch: int) -> Planned[TokenBatch]:
        """The epoch's windows."""
        each, first = self._batch_size, (epoch - 1) * self._micro_batches
        self._begun = time.monotonic()
        return Planned(range(first, first + self._micro_batches), lambda at: self._taken(at * each, each))

    def loss(self, batch: TokenBatch, epoch: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Cross entropy of the next tokens, the mean over those that count."""
        self._tokens += batch.inputs.numel()
        logits = self.logits(batch)
        loss, weight = next_token_loss(logits, batch.targets, batch.weights, label_smoothing=self._smoothing)
        return {"loss": loss, "weight": weight}

    def logits(self, batch: TokenBatch) -> Tensor:
        """(b, L, V) for a batch; what a subclass overrides whose model takes more than ids."""
        return self.model(batch.inputs)

    def after_epoch(self, rate: float, weight_decay: float, steps: int) -> None:  # noqa: ARG002
        """Stop the clock."""
        if self._device != "cpu":
            torch.cuda.synchronize(self._device)
        self._seconds += time.monotonic() - self._begun

    @property
    def tokens_per_second(self) -> float | None:
        """Of all processes, in the epochs that this call has trained; None where it trained none."""
        return self._tokens * self._ranks.size / self._seconds if self._seconds else None

    def validate(self, epoch: int) -> dict[str, float]:  # noqa: ARG002
        """Nats per token, perplexity and bits per base of the validation windows; less loss is a better score."""
        own = self._judged[self._judges.share(len(self._judged))]
        sums = self._judges.gather(np.concatenate([self._sums(own), np.zeros((0, 2))]))
        total, weight = sums.sum(axis=0).tolist()
        if not weight:
            raise TrainingError(
                "no token of the validation windows counts",
                expected="some sequence that is not soft-masked",
                fix="look at more validation windows, or keep what is soft-masked as a target",
            )
        figures = language_figures(total / weight, self._bases)
        return {**figures, "score": -figures["loss"]}

    def state(self) -> Mapping[str, Tensor]:
        """What is trained, and not the model it sits on."""
        return trainable_state(self.model)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        load_part(self.model, state)

    def _taken(self, start: int, count: int) -> TokenBatch:
        return TokenBatch.of(self.train.take(self._order.rows(start, count)), self._device)

    def _sums(self, rows: Rows) -> NDArray[np.float64]:
        """(n, 2) summed losses and weights of validation windows."""
        self.model.eval()
        parts = [np.zeros((0, 2))]
        # Not inference mode: a model may keep what it computes here, such as rotary angles, for the next step.
        with torch.no_grad():
            for start in range(0, len(rows), self._batch_size):
                batch = TokenBatch.of(self.val.take(rows[start : start + self._batch_size]), self._device)
                losses = token_losses(self.logits(batch), batch.targets) * batch.weights
                both = torch.stack([losses.double().sum(dim=1), batch.weights.double().sum(dim=1)], dim=1)
                parts.append(both.cpu().numpy())
        return np.concatenate(parts)
