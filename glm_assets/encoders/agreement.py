"""Whether vectors that somebody else computed are those that an encoder makes: figures, limits and the refusal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.base import EncoderSpec
from glm_assets.errors import EncoderError
from glm_assets.storage.vector_files import Vectors

Pairs = tuple[Vectors, Vectors]

_IMPORTABLE = ("mean", "mean_bf16")


@dataclass(frozen=True)
class Agreement:
    """How close foreign pairs of vectors are to recomputed ones.

    Attributes:
        rows: Pairs compared.
        reference_error_median: Median over rows of the L2 distance of the reference vectors relative to the
            recomputed one's norm.
        reference_error_max: Largest of these.
        delta_error_median: The same of the differences variant - reference.
        delta_error_max: Largest of these.
        delta_correlation_mean: Mean over rows of Pearson's correlation of the differences over the dimensions;
            a difference that is constant counts as 0.
        delta_correlation_min: Smallest of these.
    """

    rows: int
    reference_error_median: float
    reference_error_max: float
    delta_error_median: float
    delta_error_max: float
    delta_correlation_mean: float
    delta_correlation_min: float


@dataclass(frozen=True)
class Limits:
    """What foreign vectors must keep to.

    Measured with the demo's model against float32 on 64 pairs (SNVs, insertions, deletions; windows of 256 and of
    1,024 bases), vectors made by the original's procedure: two full forwards, mean, float16.

    | made with | reference error: median, largest | correlation, mean |
    |---|---|---|
    | float32, mean | 0.0002, 0.0003 | 1.000 |
    | float32, mean in bfloat16 | 0.0017, 0.0024 | 0.998 to 1.000 |
    | model cast to bfloat16, mean in bfloat16 | 0.009 to 0.018, 0.029 | 0.986 to 0.992 |
    | vectors of other rows | 0.19 to 0.28, 0.34 to 0.51 | -0.03 to 0.03 |
    | reference and variant exchanged | 0.04 to 0.13, 0.09 to 0.30 | -1.000 |
    | another layer | 1.2 to 9.5, 1.6 to 10.7 | -0.01 to 0.12 |

    The limits of the reference leave room for FP8 and for other GPUs. The demo's differences are large, 4 to 13 per
    cent of the reference. Of smaller ones, storing in float16 after a float32 mean keeps a correlation of 0.98 to
    0.999, and a mean in bfloat16 one of 0.59 to 0.94 (measured on synthetic data). A study that takes the mean in
    bfloat16 has that noise on both sides, hence its lower limit; one that takes it in float32 refuses vectors with it.
    """

    reference_error_median: float = 0.1
    reference_error_max: float = 0.5
    delta_correlation_mean: float = 0.9

    @classmethod
    def of(cls, spec: EncoderSpec) -> Limits:
        """The limits for vectors of that specification."""
        return cls(delta_correlation_mean=0.3) if spec.pooling == "mean_bf16" else cls()


def require_importable(spec: EncoderSpec, layout: str) -> None:
    """Refuse studies whose vectors the original's procedure cannot have made.

    Args:
        spec: Of the study's encoder.
        layout: Of its windows.

    Raises:
        EncoderError: The original takes the mean over whole windows around the variant, of one strand.
    """
    if spec.pooling not in _IMPORTABLE:
        culprit, fix = f"pooling {spec.pooling}", "set encoder.pooling to mean or mean_bf16"
    elif spec.reverse_complement:
        culprit, fix = "the mean over both strands", "set encoder.reverse_complement to false"
    elif layout != "centred":
        culprit, fix = f"windows of the layout {layout}", "set windows.layout to centred"
    else:
        return
    raise EncoderError(
        f"vectors cannot be imported into a study with {culprit}",
        expected="the original's: the mean over a window around the variant, of one strand",
        fix=f"{fix} in a profile and data root of its own, or compute the vectors here",
    )


def measure_agreement(found: Pairs, expected: Pairs) -> Agreement:
    """Compare pairs.

    Args:
        found: Reference vectors and differences, (n, dimension) each, n at least 1.
        expected: The recomputed ones.
    """
    reference, delta = (_relative_errors(mine, other) for mine, other in zip(found, expected, strict=True))
    correlation = _correlations(found[1], expected[1])
    return Agreement(
        rows=len(reference),
        reference_error_median=float(np.median(reference)),
        reference_error_max=float(reference.max()),
        delta_error_median=float(np.median(delta)),
        delta_error_max=float(delta.max()),
        delta_correlation_mean=float(correlation.mean()),
        delta_correlation_min=float(correlation.min()),
    )


def check_agreement(agreement: Agreement, spec: EncoderSpec) -> None:
    """Refuse vectors beyond the limits.

    Raises:
        EncoderError: With the figures, the limits and what could be wrong.
    """
    limits = Limits.of(spec)
    if (
        agreement.reference_error_median <= limits.reference_error_median
        and agreement.reference_error_max <= limits.reference_error_max
        and agreement.delta_correlation_mean >= limits.delta_correlation_mean
    ):
        return
    raise EncoderError(
        f"the vectors are not those that this study's encoder makes: over {agreement.rows} recomputed rows the "
        f"relative error of the reference vectors is {agreement.reference_error_median:.3g} in the median "
        f"(limit {limits.reference_error_median}) and {agreement.reference_error_max:.3g} at most "
        f"(limit {limits.reference_error_max}), that of the differences {agreement.delta_error_median:.3g} and "
        f"{agreement.delta_error_max:.3g}, and the differences correlate with {agreement.delta_correlation_mean:.3f} "
        f"in the mean (limit {limits.delta_correlation_mean})",
        expected=f"vectors of {spec.name}, weights {spec.revision[:12]}, layer {spec.layer}, pooling {spec.pooling}",
        fix="name the layer, pooling (mean_bf16 is the original's) and weights that they were made with in the "
        "profile, or compute the vectors here",
    )


def _relative_errors(found: Vectors, expected: Vectors) -> NDArray[np.float64]:
    """(n,) L2 distances relative to what was expected; a row that should be zero and is not counts as infinite."""
    distance = np.linalg.norm(found.astype(np.float64) - expected, axis=1)
    norm = np.linalg.norm(expected.astype(np.float64), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance == 0, 0.0, distance / norm)


def _correlations(found: Vectors, expected: Vectors) -> NDArray[np.float64]:
    """(n,) correlations row by row."""
    mine, other = (part - part.mean(axis=1, dtype=np.float64, keepdims=True) for part in (found, expected))
    size = np.linalg.norm(mine, axis=1) * np.linalg.norm(other, axis=1)
    return np.divide((mine * other).sum(axis=1), size, out=np.zeros(len(size)), where=size > 0)
