"""Reference and variant windows per second: ours against a plain pysam loop, both ending in the same arrays.

Run `python benchmarks/windows.py`; the last line is JSON. Both sides cut from the same synthetic contig: ours from
its bytes in memory, the loop from an indexed FASTA with one or two reads per variant. The loop takes a sample of
the rows, and its windows must equal ours. `ratio_with_load` charges ours with reading the whole contig first.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pysam
from numpy.typing import NDArray

from glm_assets.genome.alphabet import upper
from glm_assets.genome.windows import WindowRecipe, cut_windows

CONTIG = "NC_000000.1"
CONTIG_LENGTH = 60_000_000
VARIANTS = 100_000
SAMPLE = 20_000
REPEATS = 3
RECIPE = WindowRecipe()


def make_contig() -> NDArray[np.uint8]:
    """Random bases, a tenth of them in lower case as in NCBI's soft-masked FASTA."""
    generator = np.random.default_rng(1)
    bases = np.frombuffer(b"ACGT", np.uint8)[generator.integers(0, 4, CONTIG_LENGTH, dtype=np.uint8)]
    masked = bases.reshape(-1, 1000)
    masked[generator.random(masked.shape[0]) < 0.1] |= 0x20
    return bases


def make_variants(contig: NDArray[np.uint8]) -> pl.DataFrame:
    """80 % SNVs, 12 % deletions and 8 % insertions of up to 50 bases, at sorted positions."""
    generator = np.random.default_rng(2)
    text = upper(contig).tobytes().decode()
    rows = []
    for pos in np.sort(generator.integers(1, CONTIG_LENGTH - RECIPE.length, VARIANTS)).tolist():
        draw, length = generator.random(), int(generator.integers(1, 51))
        ref = text[pos - 1 : pos + length] if 0.8 <= draw < 0.92 else text[pos - 1]
        inserted = "".join(generator.choice(list("ACGT"), length)) if draw >= 0.92 else ""
        first = ref[0] if draw >= 0.8 else "ACGTA"["ACGT".index(ref) + 1]
        rows.append((pos, ref, first + inserted))
    return pl.DataFrame(rows, schema=["pos", "ref", "alt"], orient="row")


def write_fasta(contig: NDArray[np.uint8], path: Path) -> None:
    """Write the contig in lines of 80 bases, and its index."""
    lines = np.full((CONTIG_LENGTH // 80, 81), ord("\n"), np.uint8)
    lines[:, :80] = contig.reshape(-1, 80)
    path.write_bytes(f">{CONTIG}\n".encode() + lines.tobytes())
    pysam.faidx(str(path))


def plain_loop(fasta: pysam.FastaFile, variants: pl.DataFrame) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Cut one variant at a time with two small reads at most, as a script would."""
    length = RECIPE.length
    ref_windows = np.empty((variants.height, length), np.uint8)
    var_windows = np.empty_like(ref_windows)
    for row, (pos, ref, alt) in enumerate(variants.iter_rows()):
        start = max(0, pos - 1 - RECIPE.anchor)
        window = fasta.fetch(CONTIG, start, start + length).upper()
        offset = pos - 1 - start
        if window[offset : offset + len(ref)] != ref:
            raise ValueError(f"REF {ref} at {pos} is not in the FASTA")
        changed = (window[:offset] + alt + window[offset + len(ref) :])[:length]
        if len(changed) < length:
            changed += fasta.fetch(CONTIG, start + length, start + 2 * length - len(changed)).upper()
        ref_windows[row] = np.frombuffer(window.encode(), np.uint8)
        var_windows[row] = np.frombuffer(changed.encode(), np.uint8)
    return ref_windows, var_windows


def main() -> None:
    """Time both sides, the best of three runs each, and compare what they cut."""
    contig = make_contig()
    variants = make_variants(contig)
    sample = variants.gather_every(VARIANTS // SAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "contig.fna"
        write_fasta(contig, path)
        fasta = pysam.FastaFile(str(path))

        began = time.perf_counter()
        loaded = upper(np.frombuffer(fasta.fetch(CONTIG).encode(), np.uint8))
        load_seconds = time.perf_counter() - began

        ours_seconds, loop_seconds = [], []
        for _ in range(REPEATS):
            began = time.perf_counter()
            windows = cut_windows(loaded, variants["pos"].to_numpy(), variants["ref"], variants["alt"], RECIPE)
            ours_seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
            ref_windows, var_windows = plain_loop(fasta, sample)
            loop_seconds.append(time.perf_counter() - began)
    if not windows.kept.all():
        raise AssertionError("every variant of the benchmark has a window")
    np.testing.assert_array_equal(windows.ref_windows[:: VARIANTS // SAMPLE], ref_windows)
    np.testing.assert_array_equal(windows.var_windows[:: VARIANTS // SAMPLE], var_windows)

    ours = VARIANTS / min(ours_seconds)
    loop = SAMPLE / min(loop_seconds)
    figures = {
        "name": "windows",
        "ratio": round(ours / loop, 1),
        "ratio_with_load": round(VARIANTS / (min(ours_seconds) + load_seconds) / loop, 1),
        "pairs_per_second": round(ours),
        "loop_pairs_per_second": round(loop),
        "load_seconds": round(load_seconds, 2),
        "variants": VARIANTS,
        "loop_variants": SAMPLE,
    }
    print(
        f"{VARIANTS:,} variants in {min(ours_seconds):.2f} s; the loop takes {SAMPLE / loop:.2f} s for {SAMPLE:,}"
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
