"""A pinned pair of windows that an encoder must embed as it did when the store first saw it.

A fingerprint says what an encoder should compute; drivers, kernels and libraries decide what it does. The probe's
vectors lie in the store beside the others, so that what is appended later stays comparable with what is there.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder
from glm_assets.encoders.pooling import Pooling
from glm_assets.errors import EncoderError
from glm_assets.genome.alphabet import N
from glm_assets.storage.embeddings import EmbeddingStore

LENGTH: Final = 256
_BASES = np.frombuffer(b"ACGT", np.uint8)

# What rounding explains, of the reference vector and of the difference, each as a share of its own norm. Storage in
# float16 rounds by up to 5e-4; two GPUs' sums of bfloat16 products may differ by some of its steps of 4e-3, and the
# difference is what is left when most of two sums cancels. A difference of log-likelihoods adds up a rounded term for
# each base and may itself be next to nothing: where it is, the root of the number of bases is its measure.
_FINE: Final = (1e-3, 5e-3)
_COARSE: Final = (2e-2, 2e-1)
_FINE_TYPES = ("float32", "bfloat16x2")
REFUSED: Final = 4.0


def probe_key(fingerprint: str) -> str:
    """Key under which the probe's vectors of an encoder are stored."""
    return hashlib.sha256(f"probe|{fingerprint}".encode("ascii")).hexdigest()


def check_probe(encoder: Encoder, store: EmbeddingStore) -> float:
    """Compare the probe's vectors with those in the store, or leave them there.

    Call it before an encoder's vectors are stored.

    Args:
        encoder: A loaded one.
        store: Where its vectors are going to.

    Returns:
        The drift: how far reference vector or difference are off, 1.0 being what rounding explains; 0.0 the first
        time. The encoder's `probe_drift` says it too.

    Raises:
        EncoderError: The drift is more than `REFUSED`: nothing more should be stored.
    """
    spec = encoder.spec
    # Some tokenizers frame a sequence with tokens that count.
    ref, var, offset = probe_pair(min(LENGTH, max(1, spec.context // 2)))
    found = [vectors[0] for vectors in encoder.embed_pairs(ref, var, offset)]
    encoder.forget_work()
    encoder.probe_drift = 0.0
    key = pl.Series([probe_key(spec.fingerprint)])
    if store.missing(key).any():
        store.append(key, found[0][None], found[1][None])
        return 0.0
    kept = [vectors[0] for vectors in store.read(key)]
    tolerances = _FINE if spec.dtype in _FINE_TYPES else _COARSE
    adds_up = Pooling.parse(spec.pooling).kind == "log_likelihood"
    least = (0.0, math.sqrt(ref.shape[1]) if adds_up else 0.0)
    drift = max(
        _error(mine, theirs, size) / tolerance
        for mine, theirs, size, tolerance in zip(found, kept, least, tolerances, strict=True)
    )
    if not drift <= REFUSED:
        raise EncoderError(
            f"encoder {spec.name} on {encoder.device_name} no longer gives the vectors it gave: the probe's are off by "
            f"{drift:.3g} times what rounding explains",
            expected=f"at most {REFUSED:g} times",
            fix="go back to the driver and library versions of the stored vectors' manifests, or keep new ones in "
            "another store",
        )
    encoder.probe_drift = drift
    return drift


def _error(mine: NDArray[np.float32], theirs: NDArray[np.float32], least: float) -> float:
    """As a share of the norm, or of `least` if that is more; NaN where a number is none."""
    size = max(float(np.linalg.norm(theirs)), least)
    difference = float(np.linalg.norm(mine - theirs))
    return difference / size if size else difference


def probe_pair(length: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """The probe: one reference window, one single-base variant in its middle, and where that is.

    Args:
        length: Bases.
    """
    drawn = np.frombuffer(hashlib.shake_256(b"glm_assets probe").digest(length), np.uint8)
    ref = _BASES[drawn % 4]
    middle = length // 2
    ref[length // 4 : length // 4 + (length > 4)] = N  # unknown bases are part of real windows
    var = ref.copy()
    var[middle] = _BASES[(int(drawn[middle]) + 1) % 4]
    return ref[None], var[None], np.array([middle])
