"""Reference and variant windows of equal length, cut from a contig's bytes for many variants at once.

The rules are the original pipeline's (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-): windows of fixed length
with the variant at a fixed index, clamped at the contig's start and dropped at its end; indels are trimmed or
filled on the right. Windows on a grid are ours. Which variants to cut for, labels and splits are decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Literal, cast

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.genome.alphabet import N, reverse_complement


@dataclass(frozen=True)
class WindowRecipe:
    """Where windows lie, and a variant in its window.

    Args:
        length: Bases in a window.
        anchor: Centred: 0-based index of the variant's first base, by default the middle: 512 in the original
            pipeline, 511 in its contest's data.
        layout: `centred`: every variant has a window of its own around it. `grid`: windows start at multiples of
            `stride` whatever the variants, so that near ones share a window.
        stride: Grid: bases between the starts of windows.
        reach: Grid: bases from the variant's first on that must lie in its window. Of the windows that hold them the
            one with the most bases before the variant is taken: at least length - reach - stride + 1.

    Raises:
        SettingsError: A value is out of range, or belongs to the other layout.
    """

    length: int = 1024
    anchor: int | None = None
    layout: Literal["centred", "grid"] = "centred"
    stride: int | None = None
    reach: int | None = None

    def __post_init__(self) -> None:
        if self.layout == "grid":
            self._check_grid()
            return
        if self.layout != "centred":
            raise SettingsError(f"Unknown window layout {self.layout!r}", expected="centred or grid")
        if self.stride is not None or self.reach is not None:
            raise SettingsError(
                "windows.stride and windows.reach belong to windows.layout grid",
                expected="none of them with centred windows",
                fix="remove them, or set windows.layout to grid",
            )
        if self.anchor is None:
            object.__setattr__(self, "anchor", self.length // 2)
        if not 0 <= cast("int", self.anchor) < self.length:
            raise SettingsError(
                f"windows.anchor is {self.anchor} with windows.length {self.length}",
                expected="0 <= anchor < length",
            )

    def _check_grid(self) -> None:
        if self.anchor is not None:
            raise SettingsError(
                "windows.anchor is set, but windows.layout is grid",
                expected="stride and reach",
                fix="remove anchor",
            )
        if not self.stride or not self.reach or self.stride < 1 or self.reach < 1:
            raise SettingsError(
                f"windows.layout grid has stride {self.stride} and reach {self.reach}", expected="both at least 1"
            )
        if self.stride + self.reach > self.length:
            raise SettingsError(
                f"windows.length {self.length} is less than stride {self.stride} and reach {self.reach} together",
                expected="stride + reach <= length: every variant then has a window that holds its reach",
            )

    def as_dict(self) -> dict[str, str | int]:
        """Return the recipe as plain values, for manifests and cache keys."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def least_before(self) -> int:
        """Bases before a variant that its window holds at least, away from the contig's start."""
        if self.layout == "centred":
            return cast("int", self.anchor)
        return self.length - cast("int", self.reach) - cast("int", self.stride) + 1

    @property
    def least_after(self) -> int:
        """Bases from a variant's first on that its window holds at least."""
        return self.length - cast("int", self.anchor) if self.layout == "centred" else cast("int", self.reach)

    def starts(self, first: NDArray[np.int64], contig_length: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Place the windows of variants on a contig.

        Args:
            first: (n,) 0-based position of each variant's first base.
            contig_length: Bases of the contig.

        Returns:
            (n,) 0-based window starts, and (n,) whether the window lies on the contig and holds what it must.
        """
        last = contig_length - self.length  # compared with, not added to: sums overflow at absurd positions
        if self.layout == "centred":
            start = np.maximum(0, first - cast("int", self.anchor))
            return start, (first >= 0) & (start <= last)
        stride, reach = cast("int", self.stride), cast("int", self.reach)
        inside = (first >= 0) & (first <= contig_length - reach) & (last >= 0)
        start = -(-np.maximum(0, np.minimum(first, contig_length) + reach - self.length) // stride) * stride
        # The contig's last window ends with it: the grid would leave up to a stride of bases without one.
        return np.minimum(start, max(0, last)), inside


class WindowStatus(IntEnum):
    """What became of a variant."""

    KEPT = 0
    WINDOW = 1
    """The window runs past the contig's end, or the position is not on the contig."""
    TOO_LONG = 2
    """REF runs past the window's end."""
    MISMATCH = 3
    """REF is not what the contig has at the position."""


@dataclass(frozen=True)
class Windows:
    """Windows of n variants, of which k are kept.

    Attributes:
        status: (n,) int8, a `WindowStatus` each.
        start: (n,) 0-based window start.
        offset: (n,) index of the variant's first base in its window.
        known: (n,) whether the window lies on the contig and holds no N.
        ref_windows: (k, length) ASCII, the kept rows in the order of the input.
        var_windows: (k, length) ASCII, the same windows with REF replaced by ALT.
    """

    status: NDArray[np.int8]
    start: NDArray[np.int64]
    offset: NDArray[np.int32]
    known: NDArray[np.bool_]
    ref_windows: NDArray[np.uint8]
    var_windows: NDArray[np.uint8]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(n,) mask of the rows that have windows."""
        return self.status == WindowStatus.KEPT


@dataclass(frozen=True)
class _Alleles:
    """Alleles of different lengths, laid end to end.

    Attributes:
        lengths: (n,) bases per allele.
        bases: (m,) ASCII of all alleles.
        row: (m,) the allele that each base belongs to.
        index: (m,) place of each base in its allele.
    """

    lengths: NDArray[np.int64]
    bases: NDArray[np.uint8]
    row: NDArray[np.int64]
    index: NDArray[np.int64]

    @classmethod
    def parse(cls, alleles: Sequence[str] | pl.Series) -> _Alleles:
        series = alleles if isinstance(alleles, pl.Series) else pl.Series(alleles, dtype=pl.String)
        lengths = series.str.len_bytes().to_numpy().astype(np.int64)
        bases = np.frombuffer(series.str.join("").item().encode("ascii"), np.uint8)
        first = np.cumsum(lengths) - lengths
        return cls(
            lengths=lengths,
            bases=bases,
            row=np.repeat(np.arange(lengths.size), lengths),
            index=np.arange(bases.size) - np.repeat(first, lengths),
        )


def cut_windows(
    contig: NDArray[np.uint8],
    pos: NDArray[np.int64],
    ref: Sequence[str] | pl.Series,
    alt: Sequence[str] | pl.Series,
    recipe: WindowRecipe,
) -> Windows:
    """Cut the reference and the variant window of every variant.

    A centred window starts at `max(0, pos - 1 - anchor)`, so that near the contig's start the variant lies further
    left; `WindowRecipe` says where those of a grid do. The variant window is the left part, ALT and the rest: with a
    longer ALT its right end is cut off, with a shorter one it is filled with the bases that follow on the contig, and
    with N where the contig has ended.

    Args:
        contig: (length of contig,) ASCII, upper case.
        pos: (n,) 1-based VCF positions, in any order.
        ref: n REF alleles of A, C, G and T, upper case.
        alt: n ALT alleles, likewise.
        recipe: Window length and the variant's place in it.

    Returns:
        The windows of the variants that can be applied and the status of each variant.
    """
    refs, alts = _Alleles.parse(ref), _Alleles.parse(alt)
    start, inside = recipe.starts(pos - 1, contig.size)
    offset = pos - 1 - start
    fits = offset + refs.lengths <= recipe.length
    agrees = _agrees(contig, pos - 1, refs)
    status = np.select(
        [~inside, ~fits, ~agrees],
        [WindowStatus.WINDOW, WindowStatus.TOO_LONG, WindowStatus.MISMATCH],
        default=WindowStatus.KEPT,
    ).astype(np.int8)

    kept = np.flatnonzero(status == WindowStatus.KEPT)
    ref_windows = _gather(contig, start[kept], recipe.length)
    var_windows = ref_windows.copy()
    _shift_right_parts(var_windows, contig, pos[kept] - 1, offset[kept], (refs.lengths - alts.lengths)[kept])
    _write_alleles(var_windows, kept, offset, alts)

    known = np.zeros(pos.size, dtype=bool)
    known[kept] = _has_no_n(ref_windows)
    rejected = np.flatnonzero(inside & (status != WindowStatus.KEPT))
    known[rejected] = _has_no_n(_gather(contig, start[rejected], recipe.length))
    return Windows(status, start, offset.astype(np.int32), known, ref_windows, var_windows)


def cut_reverse_windows(
    contig: NDArray[np.uint8],
    start: NDArray[np.int64],
    offset: NDArray[np.integer],
    ref: Sequence[str] | pl.Series,
    alt: Sequence[str] | pl.Series,
    length: int,
) -> NDArray[np.uint8]:
    """Cut the variant windows of the other strand, whose reference windows are those of this strand turned round.

    A strand's windows begin alike, so an indel is trimmed or filled where the other strand ends: on the left here,
    with the bases that come before the window on the contig, and N before the contig's start.

    Args:
        contig: (length of contig,) ASCII, upper case.
        start: (n,) 0-based window starts.
        offset: (n,) index of each variant's first base in its window.
        ref: n REF alleles, upper case, which the contig has there.
        alt: n ALT alleles.
        length: Bases in a window.

    Returns:
        (n, length) ASCII, complemented and reversed. ALT begins at index length - offset - len(REF).
    """
    refs, alts = _Alleles.parse(ref), _Alleles.parse(alt)
    shift = refs.lengths - alts.lengths
    windows = _gather(contig, start, length)
    own_offset = offset.astype(np.int64) + shift
    for value in np.unique(shift[shift != 0]).tolist():
        rows = np.flatnonzero(shift == value)
        moved = _gather(contig, start[rows] - value, length)
        left = np.arange(length) < own_offset[rows, None]
        windows[rows] = np.where(left, moved, windows[rows])
    _write_alleles(windows, np.arange(start.size), own_offset, alts)
    return reverse_complement(windows)


def _agrees(contig: NDArray[np.uint8], first: NDArray[np.int64], refs: _Alleles) -> NDArray[np.bool_]:
    """Tell which REF alleles the contig has from `first` on; one that runs off the contig does not agree."""
    at = first[refs.row] + refs.index
    on_contig = (at >= 0) & (at < contig.size)
    differs = ~on_contig | (contig[np.where(on_contig, at, 0)] != refs.bases)
    return np.bincount(refs.row[differs], minlength=first.size) == 0


def _gather(contig: NDArray[np.uint8], start: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
    """Return (rows, length) windows from each start; N where a window reaches beyond the contig."""
    if not start.size:
        return np.empty((0, length), dtype=np.uint8)
    inside = (start >= 0) & (start + length <= contig.size)
    if inside.all():
        return sliding_window_view(contig, length)[start]
    windows = np.empty((start.size, length), dtype=np.uint8)
    windows[inside] = _gather(contig, start[inside], length)
    at = start[~inside, None] + np.arange(length)
    on_contig = (at >= 0) & (at < contig.size)
    windows[~inside] = np.where(on_contig, contig[np.where(on_contig, at, 0)], np.uint8(N))
    return windows


def _has_no_n(windows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    # Searching each row as one byte string stops early and makes no array of all bases.
    rows = windows.view(f"S{windows.shape[1]}")[:, 0]
    return np.strings.find(rows, b"N") < 0


def _shift_right_parts(
    windows: NDArray[np.uint8],
    contig: NDArray[np.uint8],
    first: NDArray[np.int64],
    offset: NDArray[np.int64],
    shift: NDArray[np.int64],
) -> None:
    """Move everything from the variants on `shift` bases to the left, drawing from the contig on the right.

    In each window, base j from the variant's offset on becomes the contig's base at `first` + j - offset + shift;
    ALT is written over the first of these bases afterwards. Away from the contig's start all offsets are the same.
    """
    length = windows.shape[1]
    changed = np.flatnonzero(shift)
    for column in np.unique(offset[changed]).tolist():
        rows = changed[offset[changed] == column]
        windows[rows, column:] = _gather(contig, first[rows] + shift[rows], length - column)


def _write_alleles(
    windows: NDArray[np.uint8], kept: NDArray[np.int64], offset: NDArray[np.int64], alleles: _Alleles
) -> None:
    """Write the alleles of the kept rows into their windows at their offsets, cut at the right edge."""
    window_of_row = np.full(offset.size, -1, dtype=np.int64)
    window_of_row[kept] = np.arange(kept.size)
    window = window_of_row[alleles.row]
    column = offset[alleles.row] + alleles.index
    writes = (window >= 0) & (column >= 0) & (column < windows.shape[1])
    windows[window[writes], column[writes]] = alleles.bases[writes]
