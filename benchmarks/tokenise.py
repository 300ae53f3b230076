"""Bases per second from a FASTA to 6-mers on disk: ours against slicing strings, as the original does.

Run `python benchmarks/tokenise.py`; the last line is JSON. Both sides read one gzipped synthetic genome, delete N, cut
whole chunks of 1,200,000 bases into 6-mers and write them as 16-bit numbers; the bytes must be equal. The slicing side
keeps what is buffered as one string and looks each slice up in a dictionary. Ours reads the indexed file that the
asset `plant/genome` has made, twice, for it must know how many chunks there are before it deals them to splits;
`ratio_with_index` charges it with checking and indexing the FASTA too. `ratio_strict` is that of six phases of both
strands, which the slicing side has not, by tokens; `ratio_in_memory` that of the cutting alone.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np

from glm_assets.encoders.tokenizers.kmer import encode_kmers
from glm_assets.genome.block_splits import block_splits
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.language.token_store import write_store
from glm_assets.sources.genome_files import FASTA, index_genome
from glm_assets.studies.plant.configuration import SplitSettings, TokenSettings
from glm_assets.studies.plant.cutting import CutCounts, strict_segments
from glm_assets.studies.plant.faithful_cutting import CHUNK, chunk_splits, faithful_segments

RECORDS = 6
RECORD_LENGTH = 4_000_000
UNKNOWN = 5_000
LINE = 80
REPEATS = 3
K = 6
SPLIT = SplitSettings(val=10, test=10, block_bases=CHUNK, gap_bases=12_000)
FAITHFUL = TokenSettings(cut="faithful", k=K, reverse_complement=False)
ALL_READINGS = TokenSettings(cut="strict", k=K, phases=tuple(range(K)), reverse_complement=True)


def write_genome(path: Path) -> None:
    """Random bases in records, a tenth of them in lower case, with a run of N in each."""
    generator = np.random.default_rng(1)
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for number in range(RECORDS):
            bases = np.frombuffer(b"ACGT", np.uint8)[generator.integers(0, 4, RECORD_LENGTH, dtype=np.uint8)]
            bases[: RECORD_LENGTH // 10] |= 0x20
            bases[RECORD_LENGTH // 2 :][:UNKNOWN] = ord("N")
            lines = np.full((RECORD_LENGTH // LINE, LINE + 1), ord("\n"), np.uint8)
            lines[:, :LINE] = bases.reshape(-1, LINE)
            stream.write(f">chr{number}\n".encode() + lines.tobytes())


def kmer_ids() -> dict[str, int]:
    """The id of each 6-mer."""
    return {"".join(letters): index for index, letters in enumerate(product("ACGT", repeat=K))}


def slice_chunk(chunk: str, ids: dict[str, int]) -> list[int]:
    """The ids of a chunk's 6-mers."""
    slices = [chunk[start : start + K] for start in range(0, len(chunk) - K + 1, K)]
    return [ids[kmer] for kmer in slices if kmer in ids]


def in_memory() -> float:
    """Seconds that slicing a chunk takes, by those that ours takes."""
    bases = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(2).integers(0, 4, CHUNK)]
    text, ids = bases.tobytes().decode(), kmer_ids()
    ours, sliced = [], []
    for _ in range(REPEATS * 3):
        began = time.perf_counter()
        codes, known = encode_kmers(bases, K)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        found = slice_chunk(text, ids)
        sliced.append(time.perf_counter() - began)
        if not known.all() or codes.tolist() != found:
            raise AssertionError("both sides cut the same tokens")
    return min(sliced) / min(ours)


def slice_strings(fasta: Path, path: Path) -> int:
    """Cut one slice at a time; the number of tokens."""
    ids, buffered, tokens = kmer_ids(), "", 0
    with gzip.open(fasta, "rt") as stream, path.open("wb") as out:
        for line in stream:
            if line.startswith(">"):
                continue
            buffered += line.rstrip().upper().replace("N", "")
            while len(buffered) >= CHUNK:
                chunk, buffered = buffered[:CHUNK], buffered[CHUNK:]
                found = slice_chunk(chunk, ids)
                out.write(np.array(found, np.uint16).tobytes())
                tokens += len(found)
    return tokens


def cut(folder: Path, store: Path, settings: TokenSettings) -> int:
    """Tokens of an indexed genome; how many."""
    fasta = IndexedFasta(folder / FASTA)
    if settings.cut == "faithful":
        segments = faithful_segments(fasta, chunk_splits(fasta, SPLIT, 1), settings, CutCounts())
    else:
        blocks = block_splits(
            fasta.lengths, block=SPLIT.block_bases, gap=SPLIT.gap_bases, val=SPLIT.val, test=SPLIT.test, seed=1
        )
        segments = strict_segments(fasta, blocks, settings, CutCounts())
    made = write_store(segments, store, dtype=np.uint16, vocabulary_size=4**K, bases_per_token=K)
    return made.card.tokens


def main() -> None:
    """Time both sides, the best of three runs each, and compare what they wrote."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, sliced, store, strict = (
            folder / part for part in ("genome.fna.gz", "sliced.bin", "store", "strict")
        )
        for each in (folder / "indexed", store, strict):
            each.mkdir()
        write_genome(source)
        began = time.perf_counter()
        index_genome([source], folder / "indexed")
        index_seconds = time.perf_counter() - began

        ours_seconds, sliced_seconds, strict_seconds = [], [], []
        tokens = strict_tokens = 0
        for _ in range(REPEATS):
            began = time.perf_counter()
            tokens = cut(folder / "indexed", store, FAITHFUL)
            ours_seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
            strict_tokens = cut(folder / "indexed", strict, ALL_READINGS)
            strict_seconds.append(time.perf_counter() - began)
            began = time.perf_counter()
            slice_strings(source, sliced)
            sliced_seconds.append(time.perf_counter() - began)
        if (store / "tokens.bin").read_bytes() != sliced.read_bytes():
            raise AssertionError("both sides cut the same tokens")

    ours, theirs = min(ours_seconds), min(sliced_seconds)
    bases = RECORDS * RECORD_LENGTH
    figures = {
        "name": "tokenise",
        "ratio": round(theirs / ours, 1),
        "ratio_with_index": round(theirs / (ours + index_seconds), 1),
        "ratio_in_memory": round(in_memory(), 1),
        "ratio_strict": round((strict_tokens / min(strict_seconds)) / (tokens / theirs), 1),
        "bases_per_second": round(bases / ours),
        "sliced_bases_per_second": round(bases / theirs),
        "strict_tokens_per_second": round(strict_tokens / min(strict_seconds)),
        "index_seconds": round(index_seconds, 2),
        "bases": bases,
        "tokens": tokens,
        "strict_tokens": strict_tokens,
    }
    print(f"{bases:,} bases in {ours:.2f} s; slicing takes {theirs:.2f} s")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
