"""A pinned pair of windows that an encoder must embed as it did when the store first saw it.

A fingerprint says what an encoder should compute; drivers, kernels and libraries decide what it does. The probe's
vectors lie in the store beside the others, so that what is appended later stays comparable with what is there.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder, EncoderSpec
from glm_assets.errors import EncoderError
from glm_assets.genome.alphabet import N
from glm_assets.storage.embeddings import EmbeddingStore

LENGTH: Final = 256
_BASES = np.frombuffer(b"ACGT", np.uint8)

# Relative to the reference vector's norm. Float16 storage rounds by up to 5e-4; two GPUs' bfloat16 sums may differ by
# some of its steps of 4e-3.
TOLERANCE: Final = {"float32": 1e-3}
_COARSE_TOLERANCE = 2e-2
_REFUSED = 10


def probe_tolerance(spec: EncoderSpec) -> float:
    """Largest error that rounding explains, as a share of the reference vector's norm."""
    return TOLERANCE.get(spec.dtype, _COARSE_TOLERANCE)


def check_probe(encoder: Encoder, store: EmbeddingStore) -> float:
    """Compare the probe's vectors with those in the store, or leave them there.

    Call it before an encoder's vectors are stored.

    Args:
        encoder: A loaded one.
        store: Where its vectors are going to.

    Returns:
        The larger error of reference vector and difference, as a share of the reference vector's norm; 0.0 the
        first time. The encoder's `probe_error` says it too.

    Raises:
        EncoderError: The error is ten times beyond what rounding explains: nothing more should be stored.
    """
    spec = encoder.spec
    ref, var, offset = probe_pair(min(LENGTH, spec.context))
    found = [vectors[0] for vectors in encoder.embed_pairs(ref, var, offset)]
    encoder.forget_work()
    key = pl.Series([hashlib.sha256(f"probe|{spec.fingerprint}".encode("ascii")).hexdigest()])
    if store.missing(key).any():
        store.append(key, found[0][None], found[1][None])
        encoder.probe_error = 0.0
        return 0.0
    kept = [vectors[0] for vectors in store.read(key)]
    scale = np.linalg.norm(kept[0])
    error = max(float(np.linalg.norm(mine - theirs) / scale) for mine, theirs in zip(found, kept, strict=True))
    if not error <= _REFUSED * probe_tolerance(spec):
        raise EncoderError(
            f"encoder {spec.name} on {encoder.device_name} no longer gives the vectors it gave: the probe's differ by "
            f"{error:.2g} of their norm",
            expected=f"at most {probe_tolerance(spec):.2g}, what rounding explains",
            fix="go back to the driver and library versions of the stored vectors' manifests, or keep new ones in "
            "another store",
        )
    encoder.probe_error = error
    return error


def probe_pair(length: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]:
    """The probe: one reference window, one single-base variant in its middle, and where that is.

    Args:
        length: Bases.
    """
    drawn = np.frombuffer(hashlib.shake_256(b"glm_assets probe").digest(length), np.uint8)
    ref = _BASES[drawn % 4]
    ref[length // 4] = N  # unknown bases are part of real windows
    var = ref.copy()
    middle = length // 2
    var[middle] = _BASES[(int(drawn[middle]) + 1) % 4]
    return ref[None], var[None], np.array([middle])
