"""Windows of a token store: what a causal language model reads, and the tokens that it is to predict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.language.token_store import TokenStore

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class WindowBatch:
    """b windows of L tokens.

    Attributes:
        inputs: (b, L) int64 ids.
        targets: (b, L) int64 ids of the tokens that follow.
        weights: (b, L) float32: 1 where a target counts, 0 where it does not.
        positions: (b, L) int64 place of each input in its segment, from 0.
        block: (b,) int64 number of the segment that a window begins in.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]
    positions: NDArray[np.int64]
    block: NDArray[np.int64]


def overlap_step(context: int, overlap: float) -> int:
    """Tokens between windows of which each shares a part with the next: int(C (1 - overlap)), and 1 at least."""
    return max(1, int(context * (1 - overlap)))


def packed_windows(tokens: int, context: int) -> int:
    """Windows of segments that are laid end to end: floor((T - 1) / C), the last token being a target alone."""
    return max(0, tokens - 1) // context


def stepped_windows(tokens: Rows, context: int, step: int, *, cover_ends: bool) -> Rows:
    """Windows within segments.

    A window needs C tokens and the one after; so ceil((T - C) / step) fit in T tokens, and one more that ends with
    the segment where the last of them does not.

    Args:
        tokens: (s,) tokens of each segment.
        context: Inputs of a window, C.
        step: Tokens between starts.
        cover_ends: Whether there is that one more.

    Returns:
        (s,) windows of each.
    """
    last = tokens - context - 1
    count = last // step + 1 + (cover_ends & (last % step != 0))
    return np.where(last < 0, 0, count)


class TokenWindows:
    """The windows of one split: packed, or within segments.

    Packed, the segments are laid end to end and cut every `context` tokens: every token is an input once and a target
    once, but for the first and for the `tail` that fills no window. The first token of a segment is a target where an
    end token comes before it, as it does in front of a sequence that is scored, and none where the last token of
    another segment does.

    With a step, no window has tokens of two segments. Where the store's ends are covered, a last window ends with its
    segment, fewer tokens after the one before it. Segments of `context` tokens or fewer have no window; `tail` counts
    theirs, and those after the last window where the ends are not covered.

    Args:
        store: The tokens.
        split: `train`, `val` or `test`.
        context: Inputs of a window; there are as many targets.
        step: Tokens between the starts of windows within a segment, `context` at most; None packs them.
        once: With a step: whether a target counts only in the first window that has it, as for a measurement.

    Attributes:
        tokens: Of the split.
        tail: Those that are in no window.

    Raises:
        SettingsError: The context is below 2, the step leaves tokens out, or the split has no window.
    """

    def __init__(
        self,
        store: TokenStore,
        split: str,
        context: int,
        *,
        step: int | None = None,
        once: bool = False,
    ) -> None:
        _check(context, step)
        self.store, self.split, self.context, self.step = store, split, context, step
        segments = store.segments.filter(pl.col("split") == split)
        self._numbers, self._firsts, counts = (
            segments[name].to_numpy() for name in ("segment", "first_token", "tokens")
        )
        self.tokens = int(counts.sum())
        self._layout: _Layout
        if step is None:
            self._layout = _Packed(counts, context)
        else:
            self._layout = _Stepped(counts, context, step, cover_ends=store.card.covers_ends, once=once)
        if not len(self):
            raise SettingsError(
                f"the split {split} has no window of {context:,} tokens and one after:"
                f" it has {self.tokens:,} tokens in {len(counts):,} segments",
                expected="at least one window",
                fix="take a shorter context, or more sequence for the split",
            )
        self.tail = self.tokens - self._layout.covered

    def __len__(self) -> int:
        return self._layout.windows

    def take(self, rows: NDArray[np.integer]) -> WindowBatch:
        """Some windows, by number.

        Args:
            rows: (b,) from 0 to `len(self)` - 1, in any order.

        Raises:
            IndexError: There is no such window.
        """
        rows = np.asarray(rows, np.int64)
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"windows {rows.min()} to {rows.max()} of {len(self)}")
        segments, offsets, fresh = self._layout.locate(rows)
        places = self._firsts[segments] + offsets
        ids = self.store.tokens(places)
        counted = fresh & self.store.counts(places[:, 1:], ids[:, 1:])
        if self.store.card.end_id is None:
            counted &= offsets[:, 1:] > 0
        return WindowBatch(
            ids[:, :-1], ids[:, 1:], counted.astype(np.float32), offsets[:, :-1], self._numbers[segments[:, 0]]
        )


class _Layout(Protocol):
    windows: int
    covered: int

    def locate(self, rows: Rows) -> tuple[Rows, Rows, NDArray[np.bool_]]:
        """(b, 1 or C + 1) segment and (b, C + 1) place in it of each token, and (b, 1 or C) which targets are new."""
        ...


class _Packed:
    """Segments laid end to end."""

    def __init__(self, tokens: Rows, context: int) -> None:
        self._ends, self._starts = np.cumsum(tokens), np.cumsum(tokens) - tokens
        self._context = context
        self.windows = packed_windows(int(tokens.sum()), context)
        self.covered = self.windows * context + 1

    def locate(self, rows: Rows) -> tuple[Rows, Rows, NDArray[np.bool_]]:
        places = rows[:, None] * self._context + np.arange(self._context + 1)
        segments = np.searchsorted(self._ends, places, side="right")
        return segments, places - self._starts[segments], np.ones((len(rows), 1), bool)


class _Stepped:
    """Windows within segments."""

    def __init__(self, tokens: Rows, context: int, step: int, *, cover_ends: bool, once: bool) -> None:
        self._context, self._step, self._once = context, step, once
        counts = stepped_windows(tokens, context, step, cover_ends=cover_ends)
        self._until, self._last = np.cumsum(counts), tokens - context - 1
        self._before = self._until - counts
        self.windows = int(counts.sum())
        ends = np.minimum((counts - 1) * step, self._last) + context + 1
        self.covered = int(ends[counts > 0].sum())

    def locate(self, rows: Rows) -> tuple[Rows, Rows, NDArray[np.bool_]]:
        segments = np.searchsorted(self._until, rows, side="right")
        numbers = rows - self._before[segments]
        starts = np.minimum(numbers * self._step, self._last[segments])
        seen = np.where(numbers > 0, (numbers - 1) * self._step + self._context - starts, 0)
        fresh = np.arange(self._context) >= (seen if self._once else np.zeros_like(seen))[:, None]
        return segments[:, None], starts[:, None] + np.arange(self._context + 1), fresh


def _check(context: int, step: int | None) -> None:
    if context < 2:
        raise SettingsError(
            f"windows of {context} token{'s' * (context != 1)}: a model sees nothing before the one that predicts"
            " the next, and learns no more than how often each token follows each",
            expected="2 or more",
            fix="take a longer context, such as 8192",
        )
    if step is not None and not 1 <= step <= context:
        raise SettingsError(
            f"windows of {context:,} tokens that begin {step:,} tokens apart", expected=f"1 to {context:,} tokens"
        )
