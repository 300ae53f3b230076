"""Sequences of any length through a model of limited context: overlapping tiles, in batches of bounded size.

A tile's tokens condition on what the tile holds of those before them. Each token of a sequence is predicted by exactly
one tile, and has there at least `overlap` tokens before it, or all there are. So a sequence that fits one tile is read
as if there were no tiles. The model never reads a tile's last token, which it would predict nothing from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glm_assets.errors import SettingsError
from glm_assets.language.model import LanguageModel


@dataclass(frozen=True)
class Tiling:
    """How sequences are read.

    Attributes:
        start_token: Whether the model's token of a beginning stands before a sequence's first token; without it that
            one is not predicted.
        tile: Tokens of a tile, at most.
        overlap: Tokens that a tile reads of the one before it; never less than 1, since without one before it a
            tile's first token would not be predicted.
        batch_tokens: Tokens of a forward pass, padding included; a single tile may be longer.
    """

    start_token: bool
    tile: int
    overlap: int
    batch_tokens: int

    def check(self, model: LanguageModel) -> None:
        """Refuse what a model cannot do.

        Raises:
            SettingsError: It has no token of a beginning, reads fewer tokens, or tiles would not advance.
        """
        if self.start_token and model.start_id is None:
            raise SettingsError(
                f"{model.name} has no token of a beginning",
                fix="set start_token to false; first tokens get no score",
            )
        if self.tile > model.context:
            raise SettingsError(
                f"a tile of {self.tile:,} tokens is longer than the context of {model.name}",
                expected=f"at most {model.context:,} tokens",
                fix="lower tile: what is longer is read in overlapping tiles",
            )
        if not 0 <= self.overlap < self.tile or self.tile < 2 or self.batch_tokens < 1:
            raise SettingsError(
                f"tiles of {self.tile:,} tokens with an overlap of {self.overlap:,} leave nothing new to read",
                expected="2 tokens or more, an overlap that is shorter, and batches of 1 token or more",
            )


@dataclass(frozen=True)
class Tile:
    """A stretch of a sequence.

    Attributes:
        begin: First token of the sequence that the model reads.
        first: First token that this tile predicts.
        end: Token after the last that it predicts.
    """

    begin: int
    first: int
    end: int


def cut_tiles(length: int, tiling: Tiling) -> list[Tile]:
    """Tiles of a sequence of `length` tokens; none where nothing is predicted."""
    first = 0 if tiling.start_token else 1
    if length <= first:
        return []
    overlap = max(1, tiling.overlap)
    tiles = [Tile(0, first, min(length, tiling.tile))]
    while tiles[-1].end < length:
        begin = tiles[-1].end - overlap
        tiles.append(Tile(begin, tiles[-1].end, min(length, begin + tiling.tile)))
    return tiles


@dataclass(frozen=True)
class Row:
    """A tile of one of several sequences.

    Attributes:
        sequence: 0-based number of the sequence.
        tile: The tile.
        inputs: (m,) ids that the model reads.
        skipped: Of the predictions of these inputs, how many come before `tile.first`.
    """

    sequence: int
    tile: Tile
    inputs: NDArray[np.int64]
    skipped: int


@dataclass(frozen=True)
class Predictions:
    """What a model says in a forward pass.

    Attributes:
        rows: The tiles.
        logits: (b, m, V) float32; row i's predictions of tokens `tile.first` to `tile.end` are those from `skipped` to
            the length of its inputs.
    """

    rows: list[Row]
    logits: Tensor


def predict(model: LanguageModel, sequences: Sequence[NDArray[np.int64]], tiling: Tiling) -> Iterator[Predictions]:
    """Logits of every token of sequences, batch by batch, without gradients.

    Args:
        model: The language model.
        sequences: (L,) ids each.
        tiling: How they are read.

    Yields:
        Batches of tiles of about equal lengths, longest first; tiles come in any order.

    Raises:
        SettingsError: The model cannot read in this way.
    """
    tiling.check(model)
    rows = [
        _row(model, number, ids, tile)
        for number, ids in enumerate(sequences)
        for tile in cut_tiles(len(ids), tiling)
    ]
    for batch in _batches(sorted(rows, key=lambda row: -len(row.inputs)), tiling.batch_tokens):
        # Inference mode would leave tensors in the model's caches that cannot be trained through afterwards.
        with torch.no_grad():
            yield Predictions(batch, model.logits(_padded(model, batch)))


def _row(model: LanguageModel, number: int, ids: NDArray[np.int64], tile: Tile) -> Row:
    inputs = ids[tile.begin : tile.end - 1]
    if tile.first == 0:
        return Row(number, tile, np.concatenate([[np.int64(model.start_id or 0)], inputs]), 0)
    return Row(number, tile, inputs, tile.first - tile.begin - 1)


def _batches(rows: list[Row], tokens: int) -> Iterator[list[Row]]:
    """Cut rows, longest first, into batches whose padded size keeps within a number of tokens."""
    begin = 0
    while begin < len(rows):
        many = max(1, tokens // len(rows[begin].inputs))
        yield rows[begin : begin + many]
        begin += many


def _padded(model: LanguageModel, rows: list[Row]) -> Tensor:
    """Inputs (b, m), on the right filled up with a token that is one of the model's own."""
    inputs = np.full((len(rows), len(rows[0].inputs)), model.sequence_ids[0], np.int64)
    for row, ids in zip(inputs, (row.inputs for row in rows), strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(inputs).to(model.device)
