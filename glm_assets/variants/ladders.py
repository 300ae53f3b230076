"""Mutation ladders: real windows with 1, 2, 4 .. random substitutions, each rung holding those of the one below.

The contest's hidden test judges by such ladders how an embedding's distance grows with the number of changed bases.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.variants.windows import as_strings, digests

MOST: Final = 512
_BASES: Final = np.frombuffer(b"ACGT", np.uint8)


@dataclass(frozen=True)
class LadderCounts:
    """What ladders could be drawn from, and what became of them.

    Attributes:
        windows: Distinct reference windows that could be drawn.
        ambiguous: Those left out because they hold an N or another letter than A, C, G and T.
        of_several_splits: Those left out because rows of more than one split have them.
        ladders: Ladders drawn.
        rungs: Their rungs.
        shortened: Ladders with fewer rungs than a window of this length could hold, because the positions from their
            variant on do not suffice.
    """

    windows: int
    ambiguous: int
    of_several_splits: int
    ladders: int
    rungs: int
    shortened: int


def build_ladders(
    windows: pl.DataFrame, count: int, *, from_variant: bool, reach: int | None = None
) -> tuple[pl.DataFrame, LadderCounts]:
    """Draw windows and put more and more substitutions into them.

    Windows are drawn in the order of their digests, so that a new release changes few of them; what is done to one
    depends on its own bases only. A window has the split of its row; one that rows of several splits have is left out.

    Args:
        windows: `chrom`, `window_start`, `variant_offset`, `split`, `ref_seq` and `ref_digest` of the table
            `variant_windows`, with windows of one length.
        count: Windows to draw at most.
        from_variant: Put substitutions only at the row's `variant_offset`, always, and after it: for vectors that are
            pooled from the variant on. Else anywhere in the window.
        reach: With `from_variant`, into how many positions from the variant on; None for all up to the window's end.

    Returns:
        A row for each rung: `ladder` (0, 1 .. in the order of drawing), `chrom`, `window_start`, `split`,
        `substitutions` (1, 2, 4 .. up to 512 or half of the window), `variant_offset` (of the first substitution),
        `ref` and `alt` (the bases from the first to the last substitution), `ref_seq`, `var_seq`, `ref_digest` and
        `var_digest`; and the counts.
    """
    distinct, ambiguous, of_several = _distinct_windows(windows)
    drawn = distinct.head(count)
    rungs = _rungs(_window_length(drawn))
    rows = [
        row
        for ladder, window in enumerate(drawn.iter_rows(named=True))
        for row in _climb(ladder, window, rungs, from_variant=from_variant, reach=reach)
    ]
    table = _as_table(rows, drawn)
    per_ladder = table.group_by("ladder").len()["len"]
    counts = LadderCounts(
        windows=distinct.height,
        ambiguous=ambiguous,
        of_several_splits=of_several,
        ladders=drawn.height,
        rungs=table.height,
        shortened=int((per_ladder < len(rungs)).sum()),
    )
    return table, counts


def _distinct_windows(windows: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
    """One row for each reference window that can be drawn, by digest; and how many cannot, and why."""
    distinct = (
        windows.with_columns(splits=pl.col("split").n_unique().over("ref_digest"))
        .sort("ref_digest", "chrom", "window_start", "variant_offset")
        .unique("ref_digest", keep="first", maintain_order=True)
    )
    ambiguous = distinct["ref_seq"].str.contains("[^ACGT]")
    several = (distinct["splits"] > 1) & ~ambiguous
    return distinct.filter(~ambiguous & ~several), int(ambiguous.sum()), int(several.sum())


def _window_length(windows: pl.DataFrame) -> int:
    return len(windows["ref_seq"][0]) if windows.height else 0


def _rungs(length: int) -> list[int]:
    """Numbers of substitutions: powers of two."""
    return [2**power for power in range(MOST.bit_length()) if 2**power <= min(MOST, length // 2)]


@dataclass(frozen=True)
class _Rung:
    ladder: int
    substitutions: int
    first: int
    end: int
    window: NDArray[np.uint8]


def _climb(
    ladder: int, window: dict[str, str | int], rungs: list[int], *, from_variant: bool, reach: int | None
) -> list[_Rung]:
    """The rungs of one window."""
    ref = np.frombuffer(str(window["ref_seq"]).encode("ascii"), np.uint8)
    digest = str(window["ref_digest"])
    first = int(window["variant_offset"]) if from_variant else 0
    end = min(ref.size, first + reach) if from_variant and reach else ref.size
    order = first + _drawn_order(digest, end - first, lead=from_variant)
    substituted = _substituted(ref, digest)
    found = []
    for count in rungs:
        if count > order.size:
            break
        at = order[:count]
        rung = ref.copy()
        rung[at] = substituted[at]
        found.append(_Rung(ladder, count, int(at.min()), int(at.max()) + 1, rung))
    return found


def _drawn_order(digest: str, count: int, *, lead: bool) -> NDArray[np.int64]:
    """The positions 0 .. count - 1 in random order, position 0 first if it leads.

    The randomness is SHAKE-256 of the window's digest: no library's random stream can change it.
    """
    draw = np.frombuffer(_stream(f"positions {digest}", 8 * count), "<u8").copy()
    if lead:
        draw[0] = 0
    return np.argsort(draw, kind="stable")


def _substituted(ref: NDArray[np.uint8], digest: str) -> NDArray[np.uint8]:
    """For each position one of the three other bases."""
    step = 1 + np.frombuffer(_stream(f"bases {digest}", ref.size), np.uint8) % 3
    return _BASES[(np.searchsorted(_BASES, ref) + step) % 4]


def _stream(seed: str, count: int) -> bytes:
    return hashlib.shake_256(f"mutation ladder {seed}".encode("ascii")).digest(count)


def _as_table(rungs: list[_Rung], drawn: pl.DataFrame) -> pl.DataFrame:
    places = pl.Series("place", [rung.ladder for rung in rungs], dtype=pl.UInt32)
    bases = drawn.select(pl.all().gather(places))
    mutated = np.stack([rung.window for rung in rungs]) if rungs else np.empty((0, 0), np.uint8)
    first = pl.Series([rung.first for rung in rungs], dtype=pl.Int16)
    size = pl.Series([rung.end - rung.first for rung in rungs], dtype=pl.Int64)
    return bases.select(
        ladder=places.cast(pl.Int64),
        chrom="chrom",
        window_start="window_start",
        split="split",
        substitutions=pl.Series([rung.substitutions for rung in rungs], dtype=pl.Int16),
        variant_offset=first,
        ref_seq="ref_seq",
        var_seq=as_strings(mutated),
        ref_digest="ref_digest",
        var_digest=digests(mutated),
    ).with_columns(
        ref=pl.col("ref_seq").str.slice(pl.col("variant_offset"), size),
        alt=pl.col("var_seq").str.slice(pl.col("variant_offset"), size),
    )
