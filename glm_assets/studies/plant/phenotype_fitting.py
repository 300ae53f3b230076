"""Fitting a classifier of samples to the vectors of their genes.

A gene's vector is taken as how it differs from that gene's mean over the samples that are fitted to: genes differ far
more from each other than one does between samples, so a missing gene would shift a plain mean by more than what tells
the samples apart. A missing gene then counts as an ordinary one, as far as the others are concerned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.studies.plant.configuration import PhenotypeSettings
from glm_assets.studies.plant.segment_vectors import SegmentVectors

if TYPE_CHECKING:
    from glm_assets.training.set_classifier import SetClassifier

_BLOCK_BYTES: Final = 1 << 27

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Standard:
    """What vectors are standardised by, taken from the samples that are fitted to alone.

    Attributes:
        centre: (genes, d) mean of each gene.
        scale: (d,) standard deviation over samples of the mean of their centred genes; 1 where there is none.
    """

    centre: Vectors
    scale: Vectors

    def apply(self, vectors: Vectors, mask: NDArray[np.bool_]) -> Vectors:
        """Standardised vectors (m, genes, d); noughts where the mask (m, genes) is false."""
        return np.where(mask[:, :, None], (vectors - self.centre) / self.scale, np.float32(0))


@dataclass(frozen=True)
class PhenotypeHead:
    """A fitted classifier.

    Attributes:
        standard: Of its vectors.
        network: Pooling and linear layer.
    """

    standard: Standard
    network: SetClassifier

    def probabilities(self, vectors: SegmentVectors, samples: NDArray[np.integer]) -> NDArray[np.float64]:
        """(m, classes) of some samples."""
        import torch

        self.network.eval()
        parts = []
        with torch.inference_mode():
            for block in _blocks(vectors, samples):
                sets, mask = vectors.take(block)
                logits = self.network(torch.from_numpy(self.standard.apply(sets, mask)), torch.from_numpy(mask))
                parts.append(torch.softmax(logits.double(), dim=1).numpy())
        return np.concatenate(parts)


def fit_phenotype_head(
    vectors: SegmentVectors,
    samples: NDArray[np.integer],
    labels: NDArray[np.integer],
    classes: int,
    settings: PhenotypeSettings,
    seed: int,
) -> PhenotypeHead:
    """Fit a head by cross entropy with AdamW.

    Args:
        vectors: Of all samples.
        samples: (m,) those to fit to, each with a gene at least.
        labels: (m,) their classes.
        classes: How many there are.
        settings: Pooling, epochs, learning rate, weight decay and batch size.
        seed: Of the first weights and of the order of samples.
    """
    import torch

    from glm_assets.training.seeding import seeded
    from glm_assets.training.set_classifier import SetClassifier

    standard = fit_standard(vectors, samples)
    read = _reader(vectors, samples, standard, pooled=settings.pooling == "mean")
    truth = torch.from_numpy(labels.astype(np.int64))
    with seeded(seed):
        network = SetClassifier(vectors.shape[2], classes=classes, pooling=settings.pooling).train()
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        for _ in range(settings.epochs):
            for rows in torch.randperm(len(samples)).split(settings.batch_size):
                sets, mask = read(rows.numpy())
                logits = network(torch.from_numpy(sets), torch.from_numpy(mask))
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(logits, truth[rows]).backward()
                optimizer.step()
    return PhenotypeHead(standard, network.eval())


def fit_standard(vectors: SegmentVectors, samples: NDArray[np.integer]) -> Standard:
    """What standardises vectors, of some samples (m,) alone.

    A gene that none of them has is centred by the mean of the genes.
    """
    _, genes, width = vectors.shape
    total, there = np.zeros((genes, width)), np.zeros(genes)
    for block in _blocks(vectors, samples):
        sets, mask = vectors.take(block)
        total += sets.sum(axis=0, dtype=np.float64)
        there += mask.sum(axis=0)
    centre = np.where(there[:, None] > 0, total / np.maximum(there, 1)[:, None], total.sum(axis=0) / there.sum())
    standard = Standard(centre.astype(np.float32), np.ones(width, np.float32))
    spread = _pooled(vectors, samples, standard).std(axis=0, dtype=np.float64)
    # Below what float32 can tell apart there is rounding alone, which must not be blown up.
    constant = spread <= 1e-6 * np.abs(centre).max(axis=0)
    return Standard(standard.centre, np.where(constant, 1.0, spread).astype(np.float32))


def _reader(
    vectors: SegmentVectors, samples: NDArray[np.integer], standard: Standard, *, pooled: bool
) -> Callable[[NDArray[np.integer]], tuple[Vectors, NDArray[np.bool_]]]:
    """What gives standardised sets and their mask, by the places of samples among those that are fitted to."""
    if pooled:
        # Means, which no weight changes, need be taken once only: sets of one vector.
        means = _pooled(vectors, samples, standard)[:, None]
        return lambda rows: (means[rows], np.ones((len(rows), 1), dtype=bool))

    def read(rows: NDArray[np.integer]) -> tuple[Vectors, NDArray[np.bool_]]:
        sets, mask = vectors.take(samples[rows])
        return standard.apply(sets, mask), mask

    return read


def _pooled(vectors: SegmentVectors, samples: NDArray[np.integer], standard: Standard) -> Vectors:
    """(m, d) means over the genes that each sample has."""
    means = []
    for block in _blocks(vectors, samples):
        sets, mask = vectors.take(block)
        present = mask.sum(axis=1, keepdims=True, dtype=np.float32)
        means.append(standard.apply(sets, mask).sum(axis=1) / present)
    return np.concatenate(means)


def _blocks(vectors: SegmentVectors, samples: NDArray[np.integer]) -> Iterator[NDArray[np.integer]]:
    """Some samples at a time: the vectors of all need not fit into memory."""
    _, genes, width = vectors.shape
    size = max(1, _BLOCK_BYTES // (4 * genes * width))
    for start in range(0, len(samples), size):
        yield samples[start : start + size]
