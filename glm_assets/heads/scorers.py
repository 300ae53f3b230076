"""One interface for all that scores variants: heads, probes and zero-shot scores. torch is imported with a head's use.

A larger score means more pathogenic. The vectors of a pair are those of `Scorer.vectors`: pooled, covariance-pooled, or
log-likelihoods, which are pairs of dimension 1 (log P of the reference window, and of the variant's minus that).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import EncoderError
from glm_assets.heads.apply import embed
from glm_assets.heads.distances import pair_distances, unit_distances
from glm_assets.heads.probes import LinearProbe

if TYPE_CHECKING:
    from glm_assets.heads.networks import Head

ScorerKind = Literal["head", "probe", "zero_shot"]
VectorKind = Literal["pooled", "covariance", "likelihood"]


class Scorer(Protocol):
    """Something that scores embedded pairs."""

    @property
    def name(self) -> str:
        """What tables and figures call it: `head_v3`, `linear_probe`, `distance`, `log_likelihood_ratio`."""
        ...

    @property
    def kind(self) -> ScorerKind:
        """What it is."""
        ...

    @property
    def vectors(self) -> VectorKind:
        """Which of the study's vectors it takes."""
        ...

    def score(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score pairs.

        Args:
            ref: (n, dimension) vectors of the reference windows.
            delta: (n, dimension) differences variant - reference.

        Returns:
            (n,), larger for the more pathogenic.
        """
        ...

    def distance(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Cosine distance of each pair (n,) in [0, 2], or None where the scorer has none."""
        ...


@dataclass(frozen=True)
class HeadScorer:
    """A head: the cosine distance of its unit vectors.

    Attributes:
        name: As in `Scorer`.
        head: As `heads.apply.load_head` gives it.
    """

    name: str
    head: Head
    kind: ScorerKind = "head"
    vectors: VectorKind = "pooled"

    def score(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float64]:
        """The distance."""
        return self.distance(ref, delta)

    def distance(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float64]:
        """Half the squared distance of the two unit vectors, (n,)."""
        return unit_distances(embed(self.head, ref), embed(self.head, ref + delta)).astype(np.float64)


@dataclass(frozen=True)
class ProbeScorer:
    """A linear probe: its probability of pathogenic.

    Attributes:
        name: As in `Scorer`.
        probe: As `heads.probes.load_probe` gives it.
        vectors: What it was fitted to.
    """

    name: str
    probe: LinearProbe
    vectors: VectorKind = "pooled"
    kind: ScorerKind = "probe"

    def score(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability, (n,)."""
        return self.probe.probability(ref, delta)

    def distance(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> None:  # noqa: ARG002
        """None: a probability is no distance."""
        return


@dataclass(frozen=True)
class CosineDistance:
    """The encoder's own vectors, no training: how far the variant moves its window."""

    name: str = "distance"
    kind: ScorerKind = "zero_shot"
    vectors: VectorKind = "pooled"

    def score(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float64]:
        """The distance."""
        return self.distance(ref, delta)

    def distance(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float64]:
        """Cosine distance of reference and variant, (n,)."""
        return pair_distances(ref, delta).astype(np.float64)


@dataclass(frozen=True)
class LikelihoodRatio:
    """The model's own judgement, no training: a variant it finds less likely than the reference is more pathogenic."""

    name: str = "log_likelihood_ratio"
    kind: ScorerKind = "zero_shot"
    vectors: VectorKind = "likelihood"

    def score(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> NDArray[np.float64]:
        """What the variant costs, log P(reference window) - log P(variant window), (n,).

        Args:
            ref: (n, 1) log P of the reference windows.
            delta: (n, 1) log P of the variant windows minus that.

        Raises:
            EncoderError: The vectors are no log-likelihoods.
        """
        if ref.shape != delta.shape or delta.ndim != 2 or delta.shape[1] != 1:
            raise EncoderError(
                f"vectors of shape {ref.shape} and {delta.shape} are no log-likelihoods", expected="(n, 1)"
            )
        return -delta[:, 0].astype(np.float64)

    def distance(self, ref: NDArray[np.float32], delta: NDArray[np.float32]) -> None:  # noqa: ARG002
        """None: a ratio is no distance."""
        return
