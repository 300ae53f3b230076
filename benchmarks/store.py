"""The embedding store at 20,000 pairs of 4,096 numbers in float16, against a plain write of the same bytes.

Run `python benchmarks/store.py [--folder DIR] [--lance]`; the last line is JSON. The store and the plain file take
turns; a pair of neighbouring runs gives a ratio, and the median of some pairs counts. Opening and the random batches
start from a page cache that was asked to forget the shards; `cached_share` says how much of them it kept all the same.
A virtual machine's host may still have them in memory. `--lance` gives the same work to Lance too (`pip install
pylance`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.storage.embeddings import EmbeddingStore, Vectors

VARIANTS = 20_000
DIMENSION = 4_096
SHARD_ROWS = 4_096
BATCH_ROWS = 4_096
WRITERS = 4
REPEATS = 7
OPENINGS = 3
READY = "ready\n"
BATCHES = 5
DTYPE = "float16"
RAW_BYTES = VARIANTS * 2 * DIMENSION * np.dtype(DTYPE).itemsize


class Contender(Protocol):
    """A store in a folder, which several processes may open at once."""

    def append(self, keys: pl.Series, ref: Vectors, delta: Vectors, /) -> None:
        """Narrow and write a shard; it is on the disk when this returns."""
        ...

    def missing(self, keys: pl.Series, /) -> NDArray[np.bool_]:
        """Which keys are not there."""
        ...

    def read(self, keys: pl.Series, rows: NDArray[np.integer], /) -> tuple[Vectors, Vectors]:
        """Vectors in float32 of keys that were written as these rows."""
        ...


class Shards:
    """The project's store."""

    def __init__(self, folder: Path) -> None:
        self._store = EmbeddingStore(folder, DTYPE)
        self.append = self._store.append
        self.missing = self._store.missing

    def read(self, keys: pl.Series, _rows: NDArray[np.integer]) -> tuple[Vectors, Vectors]:
        """By key."""
        return self._store.read(keys)


def contender(name: str) -> Callable[[Path], Contender]:
    """What opens a store of a kind."""
    if name == "shards":
        return Shards
    from store_lance import LanceDataset

    return LanceDataset


def make_keys() -> pl.Series:
    """A digest for each variant."""
    return pl.Series([hashlib.sha256(str(number).encode()).hexdigest() for number in range(VARIANTS)])


def make_vectors(first: int, last: int) -> tuple[Vectors, Vectors]:
    """Reference vectors and differences of some variants, as an encoder would hand them over."""
    generator = np.random.default_rng(first)
    ref = generator.standard_normal((last - first, DIMENSION), np.float32)
    return ref, ref[::-1] * np.float32(1e-3)


def write_store(
    kind: str, folder: Path, first: int = 0, last: int = VARIANTS, wait: Callable[[], object] = lambda: None
) -> float:
    """Append some of the variants shard by shard; the seconds of it, without making the vectors and the wait."""
    import torch  # as an encoder would have done by then

    torch.set_num_threads(1)
    store, keys = contender(kind)(folder), make_keys()
    starts = range(first, last, SHARD_ROWS)
    shards = [make_vectors(start, min(start + SHARD_ROWS, last)) for start in starts]
    wait()
    began = time.perf_counter()
    for start, (ref, delta) in zip(starts, shards, strict=True):
        store.append(keys[start : start + len(ref)], ref, delta)
    return time.perf_counter() - began


def write_plain(path: Path) -> float:
    """Write as many bytes to one file and wait for the disk; the seconds of it."""
    content = np.stack(make_vectors(0, VARIANTS), axis=1).astype(DTYPE).data
    began = time.perf_counter()
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return time.perf_counter() - began


def write_together(kind: str, folder: Path) -> float:
    """Let processes append a part of the variants each, all from one moment on; the seconds of the slowest."""
    contender(kind)(folder)
    part = VARIANTS // WRITERS
    command = [sys.executable, __file__, "--folder", str(folder), "--writer", kind]
    writers = [
        subprocess.Popen(
            [*command, str(number * part), str((number + 1) * part)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    for writer in writers:
        if not writer.stdout or writer.stdout.readline() != READY:
            raise RuntimeError("a writer failed")
    for writer in writers:
        if writer.stdin:
            writer.stdin.write("go\n")
            writer.stdin.flush()
    seconds = max(float(writer.communicate()[0]) for writer in writers)
    if contender(kind)(folder).missing(make_keys()).any():
        raise AssertionError("what a writer wrote is missing")
    return seconds


def wait_for_others() -> None:
    """Tell the parent that this writer is ready, and wait until all are."""
    print(READY, end="", flush=True)
    sys.stdin.readline()


def forget(folder: Path) -> float:
    """Ask the page cache to drop the files of a folder; the share of their pages that it kept."""
    kept, total = 0, 0
    for path in files_of(folder):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        places = range(0, path.stat().st_size, 1 << 16)  # few enough that looking does not read ahead
        kept += sum(_is_cached(descriptor, place) for place in places)
        total += len(places)
        os.close(descriptor)
    return kept / total


def files_of(folder: Path) -> list[Path]:
    """Every file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def _is_cached(descriptor: int, place: int) -> bool:
    try:
        return os.preadv(descriptor, [bytearray(1)], place, os.RWF_NOWAIT) == 1
    except BlockingIOError:
        return False


def read_batches(kind: str, folder: Path, *, cold: bool) -> tuple[float, float]:
    """Rows per second of random batches from an open store, and the share of the shards that was in memory."""
    keys, store = make_keys(), contender(kind)(folder)
    if store.missing(keys).any():
        raise AssertionError("a key is missing")
    generator, seconds, shares = np.random.default_rng(0), [], []
    for _ in range(BATCHES):
        rows = generator.permutation(VARIANTS)[:BATCH_ROWS]
        shares.append(forget(folder) if cold else 1.0)
        began = time.perf_counter()
        ref, delta = store.read(keys[rows], rows)
        seconds.append(time.perf_counter() - began)
        _check(rows, ref, delta)
    return BATCH_ROWS / statistics.median(seconds), statistics.mean(shares)


def _check(rows: NDArray[np.integer], ref: Vectors, delta: Vectors) -> None:
    """Compare what was read of one shard with what was written."""
    here = np.flatnonzero(rows < SHARD_ROWS)
    for found, written in zip((ref, delta), make_vectors(0, SHARD_ROWS), strict=True):
        np.testing.assert_array_equal(found[here], written[rows[here]].astype(DTYPE).astype(np.float32))


def open_cold(kind: str, folder: Path) -> float:
    """Seconds until a new store knows which of all the keys it has."""
    keys = make_keys()
    forget(folder)
    began = time.perf_counter()
    contender(kind)(folder).missing(keys)
    return time.perf_counter() - began


def measure_writing(kind: str, folder: Path) -> dict[str, float]:
    """Write the store and a plain file in turn; leaves the last store at `folder/<kind>`."""
    stored, plain = [], []
    for _ in range(REPEATS):
        plain.append(write_plain(folder / "plain"))
        (folder / "plain").unlink()
        shutil.rmtree(folder / kind, ignore_errors=True)
        stored.append(write_store(kind, folder / kind))
    ratios = [ours / theirs for ours, theirs in zip(stored, plain, strict=True)]
    return {
        "write_ratio": round(statistics.median(ratios), 2),
        "write_ratio_min": round(min(ratios), 2),
        "write_ratio_max": round(max(ratios), 2),
        "write_seconds": round(statistics.median(stored), 2),
        "plain_write_seconds": round(statistics.median(plain), 2),
    }


def measure(kind: str, folder: Path) -> dict[str, object]:
    """Write, read and weigh a store."""
    writing = measure_writing(kind, folder)
    cold, share = read_batches(kind, folder / kind, cold=True)
    warm, _ = read_batches(kind, folder / kind, cold=False)
    size = sum(path.stat().st_size for path in files_of(folder / kind))
    return {
        "random_rows_per_second": round(cold),
        "page_cache": "cold",
        "cached_share": round(share, 3),
        "warm_rows_per_second": round(warm),
        **writing,
        "size_ratio": round(size / RAW_BYTES, 4),
        "bytes_per_variant": round(size / VARIANTS, 1),
        "open_seconds": round(statistics.median(open_cold(kind, folder / kind) for _ in range(OPENINGS)), 4),
        f"writers_{WRITERS}_seconds": round(write_together(kind, folder / "together"), 2),
        "variants": VARIANTS,
    }


def main() -> None:
    """Measure, or be one of the writers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="work in a temporary folder below this one")
    parser.add_argument("--lance", action="store_true", help="measure Lance too")
    parser.add_argument("--writer", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.writer:
        kind, first, last = options.writer
        print(write_store(kind, options.folder, int(first), int(last), wait=wait_for_others))
        return
    figures: dict[str, object] = {"name": "store"}
    for kind in ("shards", "lance")[: 1 + options.lance]:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            found = measure(kind, Path(folder))
        print(
            f"{kind}: {VARIANTS:,} pairs of {DIMENSION:,} numbers, {RAW_BYTES / 1e6:,.0f} MB: written in "
            f"{found['write_seconds']} s, a plain file in {found['plain_write_seconds']} s"
        )
        figures |= found if kind == "shards" else {kind: found}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
