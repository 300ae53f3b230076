"""The split of a chromosome's windows by any rule of `genome.splits`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import MissingUpstreamError
from glm_assets.genome.joined_windows import ChromosomeWindows, join_windows
from glm_assets.genome.pseudoautosomal import SEX_PARTNER
from glm_assets.genome.splits import JOINING_RULES, SplitRule, md5_split, split_by_window
from glm_assets.variants.alleles import explode_alts
from glm_assets.variants.genes import gene_lists

_ALLELE: Final = ["pos", "ref", "alt"]


@dataclass(frozen=True)
class WindowSplit:
    """Splits of n windows.

    Attributes:
        splits: (n,) `train`, `val` or `test`.
        groups: (n,) names of the groups that the rule keeps together; None where it knows none.
    """

    splits: NDArray[np.str_]
    groups: NDArray[np.str_] | None = None

    def largest_group(self) -> tuple[str, float]:
        """Name of the group with most windows and its share of all, 0.0 to 1.0; empty without groups."""
        if self.groups is None or not self.groups.size:
            return "", 0.0
        names, counts = np.unique(self.groups, return_counts=True)
        return str(names[counts.argmax()]), float(counts.max() / self.groups.size)


def split_windows(
    windows: pl.DataFrame,
    contig_name: str,
    rule: SplitRule,
    *,
    partner: pl.DataFrame | None = None,
    earlier: pl.DataFrame | None = None,
) -> WindowSplit:
    """Split the windows of one chromosome.

    Args:
        windows: Rows with `chrom`, `pos`, `ref`, `alt`, `variation_id`, `genes`, `window_start`, `window_end` and
            `ref_digest`.
        contig_name: The contig's name in the FASTA; the rule `faithful` hashes it.
        rule: The split rule.
        partner: For X the windows of Y and the other way round, where the study has both: they are split as one.
        earlier: Rule `temporal`: `read_earlier` of the release to train on.
    """
    chrom = windows["chrom"][0] if windows.height else ""
    if rule.name == "faithful":
        return WindowSplit(
            split_by_window(contig_name, windows["window_start"].to_numpy(), train=rule.train, val=rule.val)
        )
    if rule.name == "chromosome":
        return WindowSplit(np.full(windows.height, rule.side(chrom), dtype="<U5"))
    parts = [windows] if partner is None or partner.is_empty() else [windows, partner]
    # X before Y whichever is asked for, so that both give a group the same name.
    order = sorted(range(len(parts)), key=lambda index: parts[index]["chrom"][0] if parts[index].height else "")
    joined = join_windows([_as_part(parts[index]) for index in order], by_gene=rule.name == "gene")
    groups = joined[order.index(0)]
    splits = md5_split(groups.tolist(), train=rule.train, val=rule.val)
    if earlier is not None:
        known = is_known(windows, earlier).to_numpy()
        splits = np.where(known, np.where(splits == "test", "train", splits), "test")
    return WindowSplit(splits, groups)


def read_earlier(records: Path, chrom: str) -> pl.DataFrame:
    """Read the alleles of one chromosome of an earlier release, whatever their classification.

    Args:
        records: The earlier release's `records.parquet`.
        chrom: Chromosome key.

    Returns:
        One row per ALT: `pos` (1-based), `ref` and `alt` in upper case, `variation_id`.

    Raises:
        MissingUpstreamError: The release has no record on the chromosome: every variant would count as new.
    """
    found = pl.scan_parquet(records, glob=False).filter(pl.col("chrom") == chrom)
    alleles = explode_alts(found.select(*_ALLELE, "variation_id").collect()).select(*_ALLELE, "variation_id")
    if alleles.is_empty():
        raise MissingUpstreamError(
            f"the release {records} to train on has no record on chromosome {chrom}",
            expected="an earlier release with the study's chromosomes: else all of this one would count as new",
            fix="narrow GLM_CHROMOSOMES, or choose another split.train_release",
        )
    return alleles


def is_known(windows: pl.DataFrame, earlier: pl.DataFrame) -> pl.Series:
    """Whether a variant was in an earlier release: the same alleles at the same place, or the same Variation ID.

    The ID finds what has been respelled since.

    Args:
        windows: Rows with `pos`, `ref`, `alt` and `variation_id`.
        earlier: As `read_earlier` returns it, of the same chromosome.
    """
    alleles = earlier.select(_ALLELE).unique().with_columns(pl.lit(value=True).alias("known"))
    by_allele = windows.select(_ALLELE).join(alleles, on=_ALLELE, how="left", maintain_order="left")["known"]
    by_id = windows["variation_id"].is_in(earlier["variation_id"].drop_nulls().unique().implode())
    return by_allele.fill_null(value=False) | by_id.fill_null(value=False)


def count_labelled_since(windows: pl.DataFrame, earlier: pl.DataFrame, earlier_labelled: pl.DataFrame) -> int:
    """Count the rows that an earlier release knows but had no label of: they train on what was learned later.

    Args:
        windows: Labelled rows with `pos`, `ref`, `alt` and `variation_id`.
        earlier: As `read_earlier` returns it, of the same chromosome.
        earlier_labelled: The rows of the earlier release that the same label policy keeps, with the same columns.
    """
    return int((is_known(windows, earlier) & ~is_known(windows, earlier_labelled)).sum())


def _as_part(windows: pl.DataFrame) -> ChromosomeWindows:
    return ChromosomeWindows(
        chrom=windows["chrom"][0] if windows.height else "",
        starts=windows["window_start"].to_numpy(),
        ends=windows["window_end"].to_numpy(),
        digests=windows["ref_digest"].to_list(),
        genes=gene_lists(windows["genes"]),
    )


def partner_of(chrom: str, rule: SplitRule) -> str | None:
    """The chromosome that must be split together with this one, or None."""
    return SEX_PARTNER.get(chrom) if rule.name in JOINING_RULES else None
