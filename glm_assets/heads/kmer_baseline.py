"""The classifier that any model of reads must beat: a linear model of their k-mers. Numpy and safetensors only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import CheckpointError, SettingsError, TrainingError
from glm_assets.genome.kmers import kmer_counts, kmer_frequencies, kmer_names
from glm_assets.heads.files import read_arrays
from glm_assets.storage.atomic import atomic_path

if TYPE_CHECKING:
    from scipy.sparse import csr_array

STRENGTHS: Final = (0.1, 1.0, 10.0, 100.0)
"""Inverse penalties that are tried, the strongest penalty first; on real reads of 150 bases 1 is best."""

MAX_TRAIN_READS: Final = 200_000
"""More take gigabytes and hardly change a linear model: `some_of_each_class` chooses so many."""

_MAX_ITERATIONS: Final = 500
_RECIPE: Final = "kmer_baseline"


@dataclass(frozen=True)
class KmerBaseline:
    """A fitted multinomial logistic regression on the square roots of k-mer frequencies.

    The roots keep a frequent k-mer from outweighing many rare ones, and give each read a vector of length 1 whatever
    the number of its bases.

    Attributes:
        k: Bases of a k-mer.
        canonical: Whether a k-mer and its reverse complement are one feature.
        weight: (features, classes) log-odds per unit, float64.
        bias: (classes,) log-odds of a read without k-mers; -inf for a class that no training read has.
        validation: Inverse penalty, as text, to the macro F1 of the validation reads; the best one was taken.
    """

    k: int
    canonical: bool
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    validation: dict[str, float]

    @property
    def classes(self) -> int:
        """How many classes it tells apart."""
        return len(self.bias)

    def probabilities(self, sequences: Sequence[str]) -> NDArray[np.float64]:
        """Probability of each class.

        Args:
            sequences: n reads of any lengths.

        Returns:
            (n, classes), rows sum to 1; a read without k-mers has the shares that the bias gives.
        """
        return _softmax(_features(sequences, self.k, self.canonical) @ self.weight + self.bias)


def fit_kmer_baseline(
    train_sequences: Sequence[str],
    train_labels: NDArray[np.integer],
    val_sequences: Sequence[str],
    val_labels: NDArray[np.integer],
    *,
    classes: int,
    k: int = 6,
    canonical: bool = True,
    strengths: Sequence[float] = STRENGTHS,
) -> KmerBaseline:
    """Fit one model for each penalty and keep the one with the best macro F1 on the validation reads.

    The fit starts from nought and draws nothing at random: equal reads give an equal model.

    Args:
        train_sequences: n reads.
        train_labels: (n,) class of each, 0 to classes - 1.
        val_sequences: m other reads, m >= 1.
        val_labels: (m,) class of each.
        classes: How many classes there are, those without training reads included.
        k: Bases of a k-mer.
        canonical: Whether a k-mer and its reverse complement are one feature; reads come from both strands.
        strengths: Inverse penalties to try; of equally good ones the first is taken.

    Raises:
        SettingsError: No penalty is given, or k is out of range.
        TrainingError: Labels do not fit the reads or the classes, or the training reads are of one class only.
    """
    if not strengths:
        raise SettingsError("a k-mer baseline without strengths", expected="at least one inverse penalty")
    for part, sequences, labels in (("train", train_sequences, train_labels), ("val", val_sequences, val_labels)):
        _require_labels(part, len(sequences), labels, classes)
    if len(np.unique(train_labels)) < 2:
        raise TrainingError("the training reads are of one class", expected="two classes at least")
    train, val = _features(train_sequences, k, canonical), _features(val_sequences, k, canonical)
    fits = {str(strength): _fit(train, train_labels, classes, strength) for strength in strengths}
    validation = {
        strength: _macro_f1(val @ weight + bias, val_labels) for strength, (weight, bias) in fits.items()
    }
    weight, bias = fits[max(validation, key=lambda strength: validation[strength])]
    return KmerBaseline(k, canonical, weight, bias, validation)


def some_of_each_class(labels: NDArray[np.integer], most: int = MAX_TRAIN_READS) -> NDArray[np.int64]:
    """Places of reads to fit on, at even distances within each class.

    Args:
        labels: (n,) class of each read.
        most: How many to choose about; rarer classes may add one each.

    Returns:
        Ascending places: all of them where there are no more, else of each class its share and one at least.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    chosen = []
    for number in np.unique(labels):
        own = np.flatnonzero(labels == number)
        share = max(1, len(own) * most // len(labels))
        chosen.append(own[np.arange(share) * len(own) // share])
    return np.sort(np.concatenate(chosen))


def save_kmer_baseline(baseline: KmerBaseline, path: Path) -> None:
    """Write a safetensors file; equal baselines give equal bytes."""
    from safetensors.numpy import save_file

    recipe = {"k": baseline.k, "canonical": baseline.canonical, "validation": baseline.validation}
    with atomic_path(path) as temporary:
        # safetensors writes several entries of metadata in an order of chance.
        metadata = {_RECIPE: json.dumps(recipe, sort_keys=True)}
        save_file({"weight": baseline.weight, "bias": baseline.bias}, temporary, metadata=metadata)


def load_kmer_baseline(path: Path) -> KmerBaseline:
    """Read a baseline back; it gives the very probabilities it gave when it was fitted.

    Args:
        path: From `save_kmer_baseline`.

    Raises:
        MissingUpstreamError: There is no such file.
        CheckpointError: The file is no k-mer baseline, or damaged.
    """
    metadata, tensors = read_arrays(path, "k-mer baseline")
    recipe = json.loads(metadata.get(_RECIPE, "{}"))
    if set(tensors) != {"weight", "bias"} or set(recipe) != {"k", "canonical", "validation"}:
        raise CheckpointError(f"{path} is no k-mer baseline", expected="weight, bias and their recipe")
    weight, bias = tensors["weight"], tensors["bias"]
    expected = (len(kmer_names(recipe["k"], canonical=recipe["canonical"])), len(bias))
    if weight.shape != expected:
        raise CheckpointError(f"{path} has weights of shape {weight.shape}", expected=str(expected))
    return KmerBaseline(recipe["k"], recipe["canonical"], weight, bias, recipe["validation"])


def _features(sequences: Sequence[str], k: int, canonical: bool) -> csr_array:
    frequencies = kmer_frequencies(kmer_counts(sequences, k, canonical=canonical))
    frequencies.data = np.sqrt(frequencies.data, dtype=np.float64)
    return frequencies


def _fit(
    features: csr_array, labels: NDArray[np.integer], classes: int, strength: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight (features, classes) and bias (classes,) of one penalty."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=_MAX_ITERATIONS).fit(features, labels)
    coefficients, intercepts = np.asarray(model.coef_), np.asarray(model.intercept_)
    if len(coefficients) == 1:  # of two classes: the log-odds of the second
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((coefficients.shape[1], classes))
    bias = np.full(classes, -np.inf)
    weight[:, model.classes_] = coefficients.T
    bias[model.classes_] = intercepts
    return weight, bias


def _macro_f1(logits: NDArray[np.float64], labels: NDArray[np.integer]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, logits.argmax(axis=1), average="macro"))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _require_labels(part: str, reads: int, labels: NDArray[np.integer], classes: int) -> None:
    if not reads or len(labels) != reads:
        raise TrainingError(f"{len(labels):,} labels for {reads:,} {part} reads", expected="a label for each read")
    if labels.min() < 0 or labels.max() >= classes:
        raise TrainingError(f"a {part} label is not one of the {classes} classes", expected=f"0 to {classes - 1}")
