"""A trained classifier in use: reads in, probabilities and vectors out. torch is imported when one is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder
from glm_assets.encoders.cutting import cut_to_context
from glm_assets.encoders.shards import window_matrix
from glm_assets.encoders.tokenizers.base import Tokenizer, pad_batch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from glm_assets.training.sequence_classifier import SequenceClassifier

_AT_ONCE = 4_096


@dataclass(frozen=True)
class Verdicts:
    """What a classifier says of reads.

    Attributes:
        probabilities: (n, classes) float32.
        vectors: (n, d) float32, what the probabilities are of.
        unknown_share: (n,) share of tokens that the tokenizer does not know.
        truncated: (n,) whether a read has more tokens than are read.
    """

    probabilities: NDArray[np.float32]
    vectors: NDArray[np.float32]
    unknown_share: NDArray[np.float64]
    truncated: NDArray[np.bool_]


class ReadClassifier(Protocol):
    """A classifier of reads."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the classes, by index."""
        ...

    def classify(self, sequences: Sequence[str]) -> Verdicts:
        """Classify reads of any number, upper-case DNA."""
        ...

    def of_vectors(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities (n, classes) of vectors (n, d), such as a sample's aggregate."""
        ...


class TunedClassifier:
    """A fine-tuned language model.

    Args:
        model: With its head.
        labels: Of the classes.
        tokenizer: The one it was trained with.
        max_length: Tokens of a read that are read.
        device: Where the model is.
        batch_size: Reads in a forward pass.
    """

    def __init__(
        self,
        model: SequenceClassifier,
        labels: tuple[str, ...],
        tokenizer: Tokenizer,
        *,
        max_length: int,
        device: str,
        batch_size: int,
    ) -> None:
        self.labels = labels
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._device = device
        self._batch_size = batch_size

    def classify(self, sequences: Sequence[str]) -> Verdicts:
        """Reads of like numbers of tokens share a forward pass."""
        ids = self._tokenizer.encode(sequences)
        lengths = np.array([len(row) for row in ids])
        vectors = np.empty((len(ids), self._model.width), np.float32)
        for rows in _by_size(lengths, self._batch_size):
            batch = pad_batch([ids[row] for row in rows], self._tokenizer.pad_id, self._max_length)
            vectors[rows] = self._embed(batch.ids, batch.mask)
        unknown = self._tokenizer.unk_id
        shares = [float((row == unknown).mean()) if unknown is not None else 0.0 for row in ids]
        return Verdicts(self.of_vectors(vectors), vectors, np.array(shares), lengths > self._max_length)

    def of_vectors(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities by the head."""
        return _probabilities(self._model.classify, vectors, self._device)

    def _embed(self, ids: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            tokens, kept = (torch.from_numpy(each).to(self._device) for each in (ids, mask))
            return self._model.embed(tokens, kept).float().cpu().numpy()


class FrozenClassifier:
    """A head on the vectors of an encoder that was not trained.

    Args:
        encoder: Any of the registry.
        head: Takes its vectors.
        labels: Of the classes.
        weights: The encoder's weights file.
        device: Where the head is.
    """

    def __init__(
        self, encoder: Encoder, head: nn.Module, labels: tuple[str, ...], *, weights: Path, device: str
    ) -> None:
        self.labels = labels
        self._weights = weights
        self._encoder = encoder
        self._head = head.eval()
        self._device = device

    def classify(self, sequences: Sequence[str]) -> Verdicts:
        """Reads longer than the encoder's context are cut to it."""
        cut = cut_to_context(sequences, self._encoder.spec, self._weights)
        longer = np.array([len(part) < len(whole) for part, whole in zip(cut, sequences, strict=True)])
        vectors = self._encoder.embed(window_matrix(pl.Series(cut)))
        return Verdicts(self.of_vectors(vectors), vectors, np.zeros(len(vectors)), longer)

    def of_vectors(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities by the head."""
        return _probabilities(self._head, vectors, self._device)


def _by_size(sizes: NDArray[np.integer], batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Rows in batches of like sizes."""
    order = np.argsort(sizes, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _probabilities(
    head: Callable[[Tensor], Tensor], vectors: NDArray[np.float32], device: str
) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        parts: list[Tensor] = [
            head(torch.from_numpy(vectors[start : start + _AT_ONCE]).to(device)).softmax(dim=1).cpu()
            for start in range(0, len(vectors), _AT_ONCE)
        ]
    return torch.cat(parts).numpy() if parts else np.zeros((0, 0), np.float32)
