"""What several tests of the embedding store share: keys, their vectors, and processes that append."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.storage.embeddings import EmbeddingStore

REPOSITORY = Path(__file__).resolve().parents[2]


def keys_of(*names: object) -> pl.Series:
    return pl.Series([hashlib.sha256(str(name).encode()).hexdigest() for name in names], dtype=pl.String)


def vectors_of(keys: pl.Series, dimension: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Vectors that depend on the key only, so that any reader can tell what is right."""
    ref = np.array([np.random.default_rng(list(bytes.fromhex(key))).normal(size=dimension) for key in keys])
    ref = ref.reshape(len(keys), dimension).astype(np.float32)
    return ref, ref[:, ::-1] * np.float32(1e-3)


def add(store: EmbeddingStore, *names: object) -> pl.Series:
    keys = keys_of(*names)
    store.append(keys, *vectors_of(keys))
    return keys


def assert_right(store: EmbeddingStore, keys: pl.Series) -> None:
    ref, delta = store.read(keys)
    expected_ref, expected_delta = vectors_of(keys)
    assert np.array_equal(ref, expected_ref)
    assert np.array_equal(delta, expected_delta)
    assert ref.dtype == delta.dtype == np.float32


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)
    os.utime(path, (0, 0))


# Appends shards of five keys each and says the first number of each when it is there.
WRITER = """
import sys
from pathlib import Path
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.storage.stores import add
place, cache, start, stop = sys.argv[1:]
store = EmbeddingStore(place, cache=Path(cache))
for number in range(int(start), int(stop), 5):
    add(store, *range(number, number + 5))
    print(number, flush=True)
"""


def start_writer(place: Path | str, start: int, stop: int, cache: Path | str = ".") -> subprocess.Popen[str]:
    """A process that appends the keys of some numbers."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place), str(cache), str(start), str(stop)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
