"""Which of a user's alleles can be scored, why the others cannot, and the windows of those that can.

What ClinVar's filter chain calls unusable is unusable here too, but for several substitutions at once: a window can
hold them, only the training leaves them out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.genome.contigs import chromosome_key
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.windows import WindowRecipe, Windows, WindowStatus, cut_reverse_windows, cut_windows
from glm_assets.variants.alleles import EQUAL_LENGTH, explode_alts, filter_alleles
from glm_assets.variants.windows import DROP_REASONS, as_strings, digests

SYMBOLIC_ALT: Final = "symbolic_alt"
UNKNOWN_CONTIG: Final = "unknown_contig"
NOT_IN_REFERENCE: Final = "not_in_reference"
WINDOW_WITH_N: Final = "window_with_n"
REVERSE_WINDOW_WITH_N: Final = "reverse_window_with_n"
NOT_FINITE: Final = "not_finite"

REASONS: Final = {
    "no_alt": "the record has no ALT",
    SYMBOLIC_ALT: "<DEL> and other symbols, *, breakends",
    "not_acgt_ref": "REF has other letters than A, C, G and T",
    "not_acgt_alt": "ALT has other letters than A, C, G and T",
    "same_allele": "ALT is REF",
    "over_indel_max": "the insertion or deletion is longer than the profile's labels.indel_max",
    UNKNOWN_CONTIG: "the contig is no chromosome of ours, and not in the reference",
    NOT_IN_REFERENCE: "the reference does not hold the chromosome",
    "window_outside_contig": "the window would run past the contig's end, or the position lies beyond it",
    "ref_longer_than_window": "REF runs past its window's end",
    "ref_mismatch": "REF is not what the reference has there: perhaps it is of another build",
    WINDOW_WITH_N: "the window holds unknown sequence",
    REVERSE_WINDOW_WITH_N: "the other strand's window, which a deletion extends to the left, holds unknown sequence",
    NOT_FINITE: "the encoder's vector has no distance",
}
"""Every reason why an allele has no score, for people."""

# Symbols, overlapping deletions, and breakends: with brackets, or a single one with a dot.
_SYMBOLIC: Final = r"[<>\[\]*]|^\..|.\.$"
_WINDOW_BASES: Final = 1 << 26


def user_alleles(records: pl.DataFrame, genome: ReferenceGenome, indel_max: int) -> pl.DataFrame:
    """One row per ALT with the reason why its alleles cannot be used, if so.

    Args:
        records: As in `user_vcf.UserVcf`.
        genome: Tells which chromosomes there are.
        indel_max: Longest insertion or deletion in bases.

    Returns:
        `record`, `alt_index`, `chrom` (our key, or the contig's own name where it has none), `pos`, `ref` and `alt`
        in upper case, and `reason`, null where there is none so far.
    """
    rows = filter_alleles(explode_alts(records), indel_max)
    names = {contig: chromosome_key(contig) or contig for contig in rows["contig"].unique().to_list()}
    held = {contig: _contig_reason(contig, genome) for contig in names}
    reason = (
        pl.when(pl.col("alt").str.contains(_SYMBOLIC)).then(pl.lit(SYMBOLIC_ALT))
        .when(pl.col("drop_reason") != EQUAL_LENGTH).then("drop_reason")
        .otherwise(pl.col("contig").replace_strict(held, return_dtype=pl.String))
    )  # fmt: skip
    return rows.select(
        "record",
        "alt_index",
        pl.col("contig").replace_strict(names, return_dtype=pl.String).alias("chrom"),
        "pos",
        "ref",
        "alt",
        reason.alias("reason"),
    )


def _contig_reason(contig: str, genome: ReferenceGenome) -> str | None:
    key = chromosome_key(contig)
    if genome.has(key or contig):
        return None
    return NOT_IN_REFERENCE if key else UNKNOWN_CONTIG


def blocks(rows: pl.DataFrame, recipe: WindowRecipe) -> Iterator[pl.DataFrame]:
    """The rows without a reason, chromosome by chromosome and by position, in pieces whose windows fit in memory.

    Args:
        rows: As `user_alleles` gives them, with `row`, their number.
        recipe: Says how long a window is.
    """
    step = max(1, _WINDOW_BASES // recipe.length)
    usable = rows.filter(pl.col("reason").is_null())
    for _, own in usable.group_by("chrom", maintain_order=True):
        yield from own.sort("pos", maintain_order=True).iter_slices(step)


def screen(
    block: pl.DataFrame, contig: NDArray[np.uint8], recipe: WindowRecipe, *, both_strands: bool
) -> tuple[pl.Series, NDArray[np.bool_]]:
    """Why rows have no window that can be embedded.

    Args:
        block: n rows of one chromosome.
        contig: (length of the contig,) ASCII, upper case.
        recipe: How windows are cut.
        both_strands: Whether windows of the other strand are going to be embedded too.

    Returns:
        The reasons, null for rows that have a window; and whether REF could be compared with known sequence (n,).
    """
    windows = cut_windows(contig, block["pos"].to_numpy(), block["ref"], block["alt"], recipe)
    names = {int(status): name for status, name in DROP_REASONS.items()}
    reasons = pl.Series("reason", windows.status).replace_strict(names, default=None, return_dtype=pl.String)
    whole = windows.known.copy()
    # A deletion at the contig's end draws N into its window.
    whole[windows.kept] &= ~_holds_n(windows.var_windows)
    reasons = reasons.set(pl.Series(windows.kept & ~whole), WINDOW_WITH_N)
    if both_strands:
        reasons = reasons.set(pl.Series(whole & _reverse_holds_n(block, contig, windows)), REVERSE_WINDOW_WITH_N)
    return reasons, windows.known & (windows.kept | (windows.status == WindowStatus.MISMATCH))


def _reverse_holds_n(block: pl.DataFrame, contig: NDArray[np.uint8], windows: Windows) -> NDArray[np.bool_]:
    """Whether rows (n,) have N in the variant's window of the other strand; False for those without windows."""
    rows = block.filter(pl.Series(windows.kept))
    start, offset = windows.start[windows.kept], windows.offset[windows.kept]
    length = windows.ref_windows.shape[1]
    found = np.zeros(block.height, dtype=bool)
    found[windows.kept] = _holds_n(cut_reverse_windows(contig, start, offset, rows["ref"], rows["alt"], length))
    return found


def _holds_n(windows: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return as_strings(windows).str.contains("N", literal=True).to_numpy()


def scorable_windows(block: pl.DataFrame, contig: NDArray[np.uint8], recipe: WindowRecipe) -> pl.DataFrame:
    """The windows of rows that `screen` has passed.

    Args:
        block: n rows of one chromosome.
        contig: (length of the contig,) ASCII, upper case.
        recipe: How windows are cut.

    Returns:
        The rows with `window_start` (0-based), `variant_offset`, `ref_seq`, `var_seq`, `ref_digest` and `var_digest`,
        as `encoders.embed.embed_windows` takes them.
    """
    windows = cut_windows(contig, block["pos"].to_numpy(), block["ref"], block["alt"], recipe)
    return block.with_columns(
        pl.Series("window_start", windows.start, dtype=pl.Int64),
        pl.Series("variant_offset", windows.offset).cast(pl.Int16),
        as_strings(windows.ref_windows).alias("ref_seq"),
        as_strings(windows.var_windows).alias("var_seq"),
        digests(windows.ref_windows).alias("ref_digest"),
        digests(windows.var_windows).alias("var_digest"),
    )
