"""Linear probes: logistic regression on what a variant does to its window's vector. Numpy and safetensors only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import CheckpointError
from glm_assets.heads.files import MODEL_FILE, read_arrays
from glm_assets.storage.atomic import atomic_path

Features = Literal["delta", "ref_delta"]

_TENSORS = ("mean", "scale", "weight", "bias")
_BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe.

    Attributes:
        features: Of what it is a function: `delta`, or `ref_delta` for reference vector and difference.
        mean: Mean of each feature over the training rows (d,), float64.
        scale: Its standard deviation (d,), 1 where it is constant; float64.
        weight: Coefficients of the standardised features (d,), float64.
        bias: Intercept.
    """

    features: Features
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: float

    def probability(self, ref: NDArray[np.floating], delta: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probability that each variant is pathogenic, under the class shares of the training rows.

        Args:
            ref: (n, dimension) reference vectors.
            delta: (n, dimension) differences variant - reference.

        Returns:
            (n,) in [0, 1].

        Raises:
            CheckpointError: The vectors have another width than those of the training.
        """
        width = len(self.mean) // (2 if self.features == "ref_delta" else 1)
        if ref.shape != delta.shape or delta.ndim != 2 or delta.shape[1] != width:
            raise CheckpointError(
                f"vectors of shape {ref.shape} and {delta.shape} do not fit a probe of width {width}",
                expected=f"(n, {width}), from the encoder the probe was trained on",
            )
        return self.probability_of(features_of(self.features, ref, delta))

    def probability_of(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """The same, of features (n, d) as `features_of` gives them."""
        logit = np.empty(len(values))
        for start in range(0, len(values), _BLOCK_ROWS):  # in float64 all at once would take twice the features
            block = values[start : start + _BLOCK_ROWS].astype(np.float64)
            logit[start : start + _BLOCK_ROWS] = ((block - self.mean) / self.scale) @ self.weight + self.bias
        small = np.exp(-np.abs(logit))
        return np.where(logit >= 0, 1.0, small) / (1.0 + small)


def features_of(features: Features, ref: NDArray[np.floating], delta: NDArray[np.floating]) -> NDArray[np.float32]:
    """What a probe sees of pairs: (n, dimension), or twice as wide with the reference's vector before it."""
    parts = (ref, delta) if features == "ref_delta" else (delta,)
    return np.concatenate(parts, axis=1, dtype=np.float32)


def save_probe(probe: LinearProbe, folder: Path) -> None:
    """Write `model.safetensors` into a folder."""
    from safetensors.numpy import save_file

    tensors = {"mean": probe.mean, "scale": probe.scale, "weight": probe.weight, "bias": np.array([probe.bias])}
    with atomic_path(folder / MODEL_FILE) as temporary:
        # safetensors writes several entries in an order of chance, and equal probes are to have equal bytes.
        save_file(tensors, temporary, metadata={"features": probe.features})


def load_probe(path: Path) -> LinearProbe:
    """Read a probe back; it gives the very scores it gave when it was fitted.

    Args:
        path: Its folder, or its `model.safetensors`.

    Raises:
        MissingUpstreamError: There is no such file.
        CheckpointError: The file is no probe's, or damaged.
    """
    metadata, tensors = read_arrays(path, "probe")
    features = metadata.get("features")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    fitting = dict.fromkeys(_TENSORS[:3], shapes.get("mean")) | {"bias": (1,)}
    if features not in get_args(Features) or shapes != fitting:
        raise CheckpointError(
            f"{path} is no probe: features {features!r}, tensors {shapes}",
            expected=f"{', '.join(_TENSORS)} and what they are a function of",
        )
    mean, scale, weight, bias = (tensors[name] for name in _TENSORS)
    return LinearProbe(cast("Features", features), mean, scale, weight, float(bias[0]))
