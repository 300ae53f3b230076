"""Training a classifier of reads: batches of tokens or of stored vectors, cross entropy, macro-F1 on validation reads.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glm_assets.encoders.tokenizers.base import pad_batch
from glm_assets.encoders.tokenizers.token_arrays import TokenArrays
from glm_assets.evaluation.classification import Classified, accuracy_of, confusion_matrix, macro_f1_of
from glm_assets.training.batches import Planned
from glm_assets.training.distributed import ALONE, Ranks
from glm_assets.training.parameter_groups import decayed_groups
from glm_assets.training.states import load_part, trainable_state

Rows = NDArray[np.int64]

# Reads are sorted by length within so many batches: less padding, and still in random order.
_SORTED_BATCHES = 32


class Inputs(Protocol):
    """What a model takes of reads."""

    def of(self, rows: Rows, device: str) -> tuple[Tensor, ...]:
        """The model's arguments for some reads."""
        ...

    @property
    def sizes(self) -> NDArray[np.integer]:
        """(n,) what a read costs: reads of like sizes share batches."""
        ...


@dataclass(frozen=True)
class TokenInputs:
    """Padded tokens and their mask.

    Attributes:
        tokens: Of all reads.
        pad_id: Fills up shorter reads.
    """

    tokens: TokenArrays
    pad_id: int

    def of(self, rows: Rows, device: str) -> tuple[Tensor, ...]:
        """(b, L) ids and their mask."""
        batch = pad_batch(self.tokens.rows(rows), self.pad_id)
        return torch.from_numpy(batch.ids).to(device), torch.from_numpy(batch.mask).to(device)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Tokens of each read."""
        return self.tokens.lengths


@dataclass(frozen=True)
class VectorInputs:
    """Vectors of a frozen model.

    Attributes:
        vectors: (n, d) float32.
    """

    vectors: NDArray[np.float32]

    def of(self, rows: Rows, device: str) -> tuple[Tensor, ...]:
        """(b, d) vectors."""
        return (torch.from_numpy(self.vectors[rows]).to(device),)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """All alike."""
        return np.ones(len(self.vectors), np.int64)


@dataclass(frozen=True)
class Reads:
    """Reads of one split.

    Attributes:
        inputs: Of all reads of the study.
        rows: (n,) those of this split.
        labels: (n,) label of each, by index.
    """

    inputs: Inputs
    rows: Rows
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, places: Rows, device: str) -> tuple[tuple[Tensor, ...], Tensor]:
        """The model's arguments and the labels of some of them; `places` count within the split."""
        labels = torch.from_numpy(self.labels[places]).to(device)
        return self.inputs.of(self.rows[places], device), labels


class ClassifierTask:
    """A classifier and its reads, as the training loop wants them.

    Args:
        model: Takes what the reads' inputs give; on the device.
        train: What it learns from.
        val: What judges epochs, by macro-F1.
        names: The labels, by index.
        batch_size: Reads in a forward pass.
        label_smoothing: Share of a label's probability that is spread over all.
        ranks: The processes that train together.
        sharded: Whether the model is divided over them, so that all of them must judge all reads together.
        device: Where the model is.
    """

    def __init__(
        self,
        model: nn.Module,
        train: Reads,
        val: Reads,
        *,
        names: tuple[str, ...],
        batch_size: int,
        label_smoothing: float = 0.0,
        ranks: Ranks = ALONE,
        sharded: bool = False,
        device: str = "cpu",
    ) -> None:
        self.model = model
        self.train = train
        self.val = val
        self._names = names
        self._batch_size = batch_size
        self._smoothing = label_smoothing
        self._ranks = ALONE if sharded else ranks
        self._device = device

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """All that is trained; norms and biases do not decay."""
        return decayed_groups(self.model, weight_decay)

    def batches(self, epoch: int) -> Planned[tuple[tuple[Tensor, ...], Tensor]]:  # noqa: ARG002
        """The training reads in random order, those of like length together."""
        order = torch.randperm(len(self.train)).numpy()
        sizes = self.train.inputs.sizes[self.train.rows]
        chunk = self._batch_size * _SORTED_BATCHES
        plan: list[Rows] = []
        for start in range(0, len(order), chunk):
            part = order[start : start + chunk]
            part = part[np.argsort(sizes[part], kind="stable")]
            plan += [part[at : at + self._batch_size] for at in range(0, len(part), self._batch_size)]
        shuffled = [plan[number] for number in torch.randperm(len(plan)).tolist()]
        return Planned(shuffled, lambda places: self.train.batch(places, self._device))

    def loss(self, batch: tuple[tuple[Tensor, ...], Tensor], epoch: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Cross entropy, the mean over the batch's reads."""
        inputs, labels = batch
        logits = self.model(*inputs)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=self._smoothing)
        return {"loss": loss, "weight": torch.tensor(float(len(labels)), device=logits.device)}

    def after_epoch(self, rate: float, weight_decay: float, steps: int) -> None:
        """Nothing is left to do."""

    def validate(self, epoch: int) -> dict[str, float]:  # noqa: ARG002
        """Loss, accuracy and macro-F1 of the validation reads; the last one is the score."""
        share = self._ranks.share(len(self.val))
        own = np.arange(len(self.val))[share]
        logits = self._ranks.gather(
            np.concatenate([*self._judged(own), np.zeros((0, len(self._names)), np.float32)])
        )
        scores = torch.from_numpy(logits)
        loss = functional.cross_entropy(scores, torch.from_numpy(self.val.labels))
        judged = confusion_matrix(Classified(scores.softmax(dim=1).numpy(), self.val.labels, self._names))
        score = float(macro_f1_of(judged))
        return {"loss": float(loss), "accuracy": float(accuracy_of(judged)), "macro_f1": score, "score": score}

    def state(self) -> Mapping[str, Tensor]:
        """What is trained, and not the model it sits on."""
        return trainable_state(self.model)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        load_part(self.model, state)

    def _judged(self, places: Rows) -> Iterator[NDArray[np.float32]]:
        """Logits of some validation reads, a batch at a time."""
        self.model.eval()
        with torch.inference_mode():
            for start in range(0, len(places), self._batch_size):
                inputs, _ = self.val.batch(places[start : start + self._batch_size], self._device)
                yield self.model(*inputs).float().cpu().numpy()
