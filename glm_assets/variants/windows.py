"""The table `variant_windows`: the kept variants of one chromosome with windows, splits and digests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from glm_assets.genome.splits import SplitRule, split_by_locus
from glm_assets.genome.windows import WindowRecipe, Windows, WindowStatus, cut_windows
from glm_assets.storage.schemas import VARIANT_WINDOWS
from glm_assets.variants.splitting import split_windows

DROP_REASONS: Final = {
    WindowStatus.WINDOW: "window_outside_contig",
    WindowStatus.TOO_LONG: "ref_longer_than_window",
    WindowStatus.MISMATCH: "ref_mismatch",
}

_DIGEST_LENGTH: Final = 32


@dataclass(frozen=True)
class WindowCounts:
    """What became of a chromosome's labelled variants.

    Attributes:
        rows: Labelled variants. `rows == kept + sum(dropped.values())`.
        kept: Rows with windows.
        dropped: Rows by drop reason, each of `DROP_REASONS`.
        distinct_ref_windows: Different reference windows among the kept rows: an encoder embeds each once.
        compared: Rows whose REF was compared with known sequence, that is in a window without N.
        mismatches: Those of them where REF disagrees; many mean that VCF and reference are of different builds.
        largest_group: Name of the largest group of windows that the split rule keeps together; empty without groups.
        largest_group_share: Its share of the kept rows, 0.0 to 1.0.
    """

    rows: int
    kept: int
    dropped: dict[str, int]
    distinct_ref_windows: int
    compared: int
    mismatches: int
    largest_group: str = ""
    largest_group_share: float = 0.0

    @property
    def mismatch_share(self) -> float:
        """Share of the compared rows where REF disagrees, 0.0 to 1.0; 0.0 when none was compared."""
        return self.mismatches / self.compared if self.compared else 0.0


def build_variant_windows(
    variants: pl.DataFrame,
    contig: NDArray[np.uint8],
    contig_name: str,
    recipe: WindowRecipe,
    split: SplitRule,
    *,
    partner: pl.DataFrame | None = None,
    earlier: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, WindowCounts]:
    """Cut the windows of one chromosome's labelled variants and split them.

    Args:
        variants: `clinvar_variants` of the chromosome; rows with `keep` are used.
        contig: (length of contig,) ASCII, upper case.
        contig_name: The contig's name in the FASTA, such as `NC_000013.11`; the faithful split hashes it.
        recipe: Window length and the variant's place in it.
        split: The split rule. The column `locus` is the same under all.
        partner: For X the windows of Y and the other way round, where the study has both.
        earlier: Rule `temporal`: the alleles of the release to train on (`splitting.read_earlier`).

    Returns:
        The rows with windows by position (variants of one position in their order), columns of `VARIANT_WINDOWS`
        with `pos` 1-based and windows 0-based half-open, and the counts.
    """
    labelled = variants.filter("keep").sort("pos", maintain_order=True)
    windows = cut_windows(contig, labelled["pos"].to_numpy(), labelled["ref"], labelled["alt"], recipe)
    kept = windows.kept
    rows = labelled.filter(pl.Series(kept, dtype=pl.Boolean))
    start = windows.start[kept]
    end = start + recipe.length
    locus, _ = split_by_locus(labelled["chrom"][0] if labelled.height else "", start, end)
    cut = rows.with_columns(
        pl.Series("window_start", start, dtype=pl.Int64),
        pl.Series("window_end", end, dtype=pl.Int64),
        pl.Series("variant_offset", windows.offset[kept]).cast(pl.Int16),
        pl.Series("locus", locus, dtype=pl.Int64),
        as_strings(windows.ref_windows).alias("ref_seq"),
        as_strings(windows.var_windows).alias("var_seq"),
        _digests_by_start(windows.ref_windows, start).alias("ref_digest"),
        digests(windows.var_windows).alias("var_digest"),
    )
    found = split_windows(cut, contig_name, split, partner=partner, earlier=earlier)
    splits = pl.Series("split", found.splits, dtype=pl.String)
    table = cut.with_columns(splits).select(VARIANT_WINDOWS.schema.names())
    largest, share = found.largest_group()
    return table, replace(_count(windows, table), largest_group=largest, largest_group_share=share)


def as_strings(windows: NDArray[np.uint8]) -> pl.Series:
    """View (k, length) ASCII windows as k strings, without a copy or a loop over rows."""
    rows, length = windows.shape
    offsets = np.arange(rows + 1, dtype=np.int64) * length
    data = np.ascontiguousarray(windows)
    return pl.Series(pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data)))


def digests(windows: Iterable[NDArray[np.uint8]]) -> pl.Series:
    """Return the `sequence_digest` of each ASCII window."""
    return pl.Series([sequence_digest(window.data) for window in windows], dtype=pl.String)


def sequence_digest(sequence: str | memoryview) -> str:
    """Return what tells a sequence from others in the tables: the first 32 hex digits of its SHA-256.

    Args:
        sequence: ASCII, as text or bytes.
    """
    data = sequence.encode("ascii") if isinstance(sequence, str) else sequence
    return hashlib.sha256(data).hexdigest()[:_DIGEST_LENGTH]


def _digests_by_start(windows: NDArray[np.uint8], start: NDArray[np.int64]) -> pl.Series:
    """Return `digests(windows)`, hashing windows of the same start once."""
    _, first, inverse = np.unique(start, return_index=True, return_inverse=True)
    return digests(windows[row] for row in first.tolist()).gather(inverse)


def _count(windows: Windows, table: pl.DataFrame) -> WindowCounts:
    is_mismatch = windows.known & (windows.status == WindowStatus.MISMATCH)
    return WindowCounts(
        rows=windows.status.size,
        kept=table.height,
        dropped={reason: int((windows.status == status).sum()) for status, reason in DROP_REASONS.items()},
        distinct_ref_windows=table["ref_digest"].n_unique(),
        compared=int((windows.known & windows.kept).sum() + is_mismatch.sum()),
        mismatches=int(is_mismatch.sum()),
    )
