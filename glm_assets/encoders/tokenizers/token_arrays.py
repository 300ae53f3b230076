"""Tokens of many sequences on disk, memory-mapped: sequences are tokenised once, however often they are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.encoders.tokenizers.base import Ids, Tokenizer, UnknownRate, unknown_rate
from glm_assets.errors import FormatError
from glm_assets.storage.atomic import write_json

_IDS, _ENDS, _CARD = "ids.bin", "ends.npy", "tokens.json"


@dataclass(frozen=True)
class TokenCounts:
    """What tokenising found.

    Attributes:
        sequences: How many.
        tokens: All tokens that are kept.
        truncated: Sequences that lost tokens at their end.
        unknown: Those of them that the tokenizer does not know.
    """

    sequences: int
    tokens: int
    truncated: int
    unknown: int

    @property
    def unknown_share(self) -> float:
        """Unknown tokens among those that are kept."""
        return self.unknown / self.tokens if self.tokens else 0.0


class TokenArrays:
    """The tokens of n sequences, in their order.

    Args:
        folder: From `write_tokens`.

    Raises:
        FormatError: The folder is not whole.
    """

    def __init__(self, folder: Path) -> None:
        try:
            card = _card(folder)
            self.counts = TokenCounts(**card["counts"])
            self._ends: NDArray[np.int64] = np.load(folder / _ENDS, mmap_mode="r")
            tokens = self.counts.tokens
            self._ids = np.memmap(folder / _IDS, card["dtype"], "r", shape=(tokens,)) if tokens else np.empty(0)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{folder} holds no tokens: {error}", fix="delete it") from error

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sequence (n,)."""
        return np.diff(self._ends, prepend=0)

    def rows(self, rows: Sequence[int] | NDArray[np.integer]) -> list[Ids]:
        """Ids of some sequences, in the order asked for."""
        starts = [int(self._ends[row - 1]) if row else 0 for row in rows]
        return [
            np.asarray(self._ids[start : int(self._ends[row])], np.int32)
            for start, row in zip(starts, rows, strict=True)
        ]


def write_tokens(
    batches: Iterable[Sequence[str]], tokenizer: Tokenizer, folder: Path, *, max_length: int
) -> TokenArrays:
    """Tokenise sequences, or find that done: a folder is whole once its card is there.

    Args:
        batches: The sequences, some at a time.
        tokenizer: Cuts them.
        folder: Of these sequences under this tokenizer alone.
        max_length: Tokens that are kept of a sequence.
    """
    key = {"tokenizer": tokenizer.digest, "max_length": max_length}
    if (folder / _CARD).is_file() and _card(folder)["key"] == key:
        return TokenArrays(folder)
    folder.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype(np.uint16 if tokenizer.vocabulary_size <= 1 << 16 else np.int32)
    ends: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    total, truncated, unknown = 0, 0, UnknownRate()
    with (folder / _IDS).open("wb") as stream:
        for batch in batches:
            whole = tokenizer.encode(batch)
            cut = [ids[:max_length] for ids in whole]
            unknown += unknown_rate(tokenizer, cut)
            lengths = np.array([len(ids) for ids in cut], np.int64)
            truncated += sum(len(ids) > max_length for ids in whole)
            ends.append(total + np.cumsum(lengths))
            total += int(lengths.sum())
            stream.write(np.concatenate(cut).astype(dtype).tobytes() if cut else b"")
    every_end = np.concatenate(ends)
    np.save(folder / _ENDS, every_end)
    counts = TokenCounts(len(every_end), total, truncated, unknown.unknown)
    write_json(folder / _CARD, {"key": key, "dtype": dtype.str, "counts": counts.__dict__})
    return TokenArrays(folder)


def _card(folder: Path) -> dict[str, Any]:
    return json.loads((folder / _CARD).read_text(encoding="utf-8"))
