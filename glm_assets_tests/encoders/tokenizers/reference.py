"""The textbook's byte-pair merges, one text at a time, as an oracle; and models to hold against it."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from glm_assets.encoders.tokenizers.minbpe_file import MinbpeModel

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def merge_once(tokens: Sequence[Hashable], pair: tuple[Hashable, Hashable], made: Hashable) -> list[Any]:
    """Put `made` for each occurrence of a pair, from the left."""
    merged, place = [], 0
    while place < len(tokens):
        if tuple(tokens[place : place + 2]) == pair:
            merged.append(made)
            place += 2
        else:
            merged.append(tokens[place])
            place += 1
    return merged


def merge_all(tokens: Sequence[Hashable], made: Mapping[Any, Hashable]) -> list[Any]:
    """Merge the pair of lowest rank, the place in `made`, until none is left."""
    ranks = {pair: rank for rank, pair in enumerate(made)}
    merged = list(tokens)
    while found := [pair for pair in itertools.pairwise(merged) if pair in ranks]:
        pair = min(found, key=ranks.__getitem__)
        merged = merge_once(merged, pair, made[pair])
    return merged


def minbpe_ids(model: MinbpeModel, text: str) -> list[int]:
    """Ids of a text of one chunk."""
    return merge_all(list(text.encode()), {pair: 256 + rank for rank, pair in enumerate(model.merges)})


def train_minbpe(texts: Sequence[str], merges: int, special_tokens: dict[str, int] | None = None) -> MinbpeModel:
    """Merge the most frequent pair again and again."""
    rows: list[list[int]] = [list(text.encode()) for text in texts]
    pairs: list[tuple[int, int]] = []
    for rank in range(merges):
        counts = Counter(pair for row in rows for pair in itertools.pairwise(row))
        pairs.append(max(counts, key=lambda pair: (counts[pair], pair)))
        rows = [merge_once(row, pairs[-1], 256 + rank) for row in rows]
    return MinbpeModel(GPT2, special_tokens or {}, tuple(pairs))


def random_reads(count: int, length: int = 150, seed: int = 0, letters: str = "ACGT") -> list[str]:
    """Reads of random lengths up to `length`, half of them with long runs of one base."""
    source = random.Random(seed)
    return [
        "".join(source.choice(letters) * source.choice([1, 1, 1, 9] if row % 2 else [1]) for _ in range(length))[
            : source.randint(1, length)
        ]
        for row in range(count)
    ]
