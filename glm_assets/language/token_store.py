"""Tokens of a genome on disk, memory-mapped, in segments: stretches of one contig, strand, phase and split.

`encoders.tokenizers.token_arrays` holds texts in their order, as a tokenizer cuts them, and gives whole ones back.
Here a segment may be longer than memory and knows where it lies in a genome, tokens may count for nothing, and any
stretch of any segments is read in one go: what is on disk has little in common.

Files: `tokens.bin` (every segment's tokens, one after the other), `ignored.bin` (a byte for each token, 1 where it is
no target; only where there is one), `segments.parquet` and, written last, `store.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import FormatError
from glm_assets.storage.atomic import write_json

_TOKENS, _IGNORED, _SEGMENTS, _CARD = "tokens.bin", "ignored.bin", "segments.parquet", "store.json"

_COUNTED = 1 << 24  # tokens at a time

SEGMENT_SCHEMA: Final = {
    "segment": pl.Int64,
    "contig": pl.String,
    "start": pl.Int64,
    "strand": pl.String,
    "phase": pl.Int32,
    "split": pl.String,
    "first_token": pl.Int64,
    "tokens": pl.Int64,
}
"""`start` is the 0-based first base of the stretch on the forward strand, whatever the segment's own strand is."""

Ids = NDArray[np.integer]
Chunk = tuple[Ids, NDArray[np.bool_] | None]
"""(n,) ids, and whether each counts as a target of the loss; None where all do."""


@dataclass(frozen=True)
class Segment:
    """A stretch of sequence that is read in one go.

    Attributes:
        contig: It lies on.
        start: 0-based first base on the forward strand.
        strand: `+`, or `-` where the tokens are of the reverse complement.
        split: `train`, `val` or `test`.
        chunks: Its tokens in the order they are read, some at a time.
        phase: Bases that were passed over before the first token.
    """

    contig: str
    start: int
    strand: str
    split: str
    chunks: Iterable[Chunk]
    phase: int = 0


@dataclass(frozen=True)
class StoreCard:
    """What a store is.

    Attributes:
        dtype: Of the tokens on disk: `uint8` or `uint16`.
        tokens: How many.
        ignored: Those that count as no target, the end tokens aside.
        vocabulary_size: Rows an embedding of them needs.
        bases_per_token: 1 of bytes, k of k-mers.
        end_id: Token at the end of every segment; None where there is none.
        covers_ends: Whether windows that begin a step apart have a last one that ends with its segment.
    """

    dtype: str
    tokens: int
    ignored: int
    vocabulary_size: int
    bases_per_token: int
    end_id: int | None
    covers_ends: bool


class TokenStore:
    """The tokens of a genome.

    Args:
        folder: From `write_store`.

    Raises:
        FormatError: The folder is not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.card = StoreCard(**json.loads((folder / _CARD).read_text(encoding="utf-8")))
            self.segments = pl.read_parquet(folder / _SEGMENTS)
            self._tokens = _mapped(folder / _TOKENS, np.dtype(self.card.dtype), self.card.tokens)
            self._ignored = (
                _mapped(folder / _IGNORED, np.dtype(np.uint8), self.card.tokens) if self.card.ignored else None
            )
        except (OSError, ValueError, TypeError, pl.exceptions.PolarsError) as error:
            raise _damaged(folder, str(error)) from error
        if dict(self.segments.schema) != SEGMENT_SCHEMA:
            raise _damaged(folder, f"{_SEGMENTS} has the columns {', '.join(self.segments.columns)}")
        if not self._is_covered():
            raise _damaged(folder, f"the segments are not the {self.card.tokens:,} tokens of {_TOKENS}")

    def tokens(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ids at any places, 0-based and of any shape."""
        return self._tokens[places].astype(np.int64)

    def counts(self, places: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the tokens at some places, of these ids, count as targets: end tokens never do."""
        counted = np.ones(places.shape, bool) if self._ignored is None else self._ignored[places] == 0
        return counted if self.card.end_id is None else counted & (ids != self.card.end_id)

    def histogram(self) -> NDArray[np.int64]:
        """(vocabulary_size,) how often each id is there; longer where there is one beyond the vocabulary."""
        found = np.zeros(self.card.vocabulary_size, np.int64)
        for start in range(0, len(self._tokens), _COUNTED):
            part = np.bincount(self._tokens[start : start + _COUNTED], minlength=len(found))
            found = np.pad(found, (0, len(part) - len(found))) + part
        return found

    def _is_covered(self) -> bool:
        firsts, counts = self.segments["first_token"].to_numpy(), self.segments["tokens"].to_numpy()
        ends = np.cumsum(counts)
        return bool((firsts == ends - counts).all()) and ends[-1:].sum() == self.card.tokens


def write_store(
    segments: Iterable[Segment],
    folder: Path,
    *,
    dtype: type[np.uint8 | np.uint16],
    vocabulary_size: int,
    bases_per_token: int,
    end_id: int | None = None,
    covers_ends: bool = True,
) -> TokenStore:
    """Write tokens as they come; no more than a chunk of them is held in memory.

    Args:
        segments: In the order they shall lie. One without a token is left out.
        folder: Exists; what a killed writer left in it is overwritten.
        dtype: Holds every id.
        vocabulary_size: Rows an embedding of them needs.
        bases_per_token: 1 of bytes, k of k-mers.
        end_id: Token that is put after every segment; it is no target of the loss.
        covers_ends: See `StoreCard`.
    """
    (folder / _CARD).unlink(missing_ok=True)
    (folder / _IGNORED).unlink(missing_ok=True)
    rows: list[tuple[object, ...]] = []
    first, ignored = 0, 0
    ending = [] if end_id is None else [(np.array([end_id], dtype), None)]
    with (folder / _TOKENS).open("wb") as stream, (folder / _IGNORED).open("wb") as marks:
        for segment in segments:
            count = 0
            for ids, counted in segment.chunks:
                stream.write(_narrow(ids, dtype).tobytes())
                ignored += _mark(marks, first + count, counted)
                count += len(ids)
            if not count:
                continue
            for ids, _ in ending:
                stream.write(ids.tobytes())
                count += 1
            place = (segment.contig, segment.start, segment.strand, segment.phase, segment.split)
            rows.append((len(rows), *place, first, count))
            first += count
        marks.truncate(first if ignored else 0)
    if not ignored:
        (folder / _IGNORED).unlink()
    pl.DataFrame(rows, schema=SEGMENT_SCHEMA, orient="row").write_parquet(folder / _SEGMENTS)
    card = StoreCard(np.dtype(dtype).name, first, ignored, vocabulary_size, bases_per_token, end_id, covers_ends)
    write_json(folder / _CARD, asdict(card))
    return TokenStore(folder)


def _narrow(ids: Ids, dtype: type[np.uint8 | np.uint16]) -> Ids:
    if ids.dtype != dtype and ids.size and not 0 <= ids.min() <= ids.max() <= np.iinfo(dtype).max:
        raise ValueError(f"ids from {ids.min()} to {ids.max()} do not fit {np.dtype(dtype).name}")
    return ids.astype(dtype, copy=False)


def _mark(marks: BinaryIO, place: int, counted: NDArray[np.bool_] | None) -> int:
    """Write which tokens do not count; a hole in the file reads as noughts, which do."""
    if counted is None or counted.all():
        return 0
    marks.seek(place)
    marks.write((~counted).tobytes())
    return int(counted.size - counted.sum())


def _mapped(path: Path, dtype: np.dtype[np.generic], tokens: int) -> NDArray[np.generic]:
    size = path.stat().st_size
    if size != tokens * dtype.itemsize:
        raise ValueError(f"{path.name} has {size:,} bytes, not {tokens * dtype.itemsize:,}")
    return np.memmap(path, dtype, "r") if size else np.empty(0, dtype)


def _damaged(folder: Path, why: str) -> FormatError:
    return FormatError(
        f"{folder} holds no whole tokens: {why}", expected="a folder as it was made", fix="make it again"
    )
