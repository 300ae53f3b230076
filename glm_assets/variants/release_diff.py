"""What one ClinVar release says otherwise than an earlier one, allele by allele."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.storage.schemas_release import CLINVAR_RELEASE_DIFF
from glm_assets.variants.labels import LabelPolicy
from glm_assets.variants.variants import chromosomes_of, label_records

ADDED, REMOVED, MOVED, CHANGED = "added", "removed", "moved", "changed"

FLAGS: Final = {
    "clnsig_changed": "clnsig",
    "review_changed": "clnrevstat",
    "stars_changed": "stars",
    "label_changed": "label",
}
"""What can differ in an allele that both releases have: column of the table to what is compared."""

LABEL_NAMES: Final = {1: "pathogenic", 0: "benign", None: "no label"}

_ALLELE: Final = ["variation_id", "chrom", "pos", "ref", "alt"]
# Short name to column of `clinvar_variants`.
_SAID: Final = {
    "gene": "gene",
    "clnsig": "clnsig",
    "clnrevstat": "clnrevstat",
    "stars": "review_stars",
    "label": "label",
    "drop_reason": "drop_reason",
}
_MARKDOWN_BYTES: Final = 3500
_LONGEST_CELL: Final = 40


def compare_releases(old: Path, new: Path, *, policy: LabelPolicy, indel_max: int) -> pl.DataFrame:
    """List every allele that was added, removed, moved or judged anew.

    Alleles belong together by Variation ID, chromosome, position, REF and ALT. What is then left on both sides under
    one Variation ID has moved. One chromosome at a time is in memory.

    Args:
        old: `records.parquet` of the earlier release.
        new: That of the later one.
        policy: The label policy of the profile.
        indel_max: Longest insertion or deletion in bases that gets a label.

    Returns:
        Columns of `CLINVAR_RELEASE_DIFF`, by chromosome in the order of the files, position and alleles.
    """
    chromosomes = list(dict.fromkeys([*chromosomes_of(new), *chromosomes_of(old)]))
    parts = []
    for chrom in chromosomes:
        before, after = (
            label_records(_records(path, chrom), policy=policy, indel_max=indel_max) for path in (old, new)
        )
        parts.append(_differences(_side(before, "old"), _side(after, "new")))
    order = pl.col("chrom").replace_strict(chromosomes, list(range(len(chromosomes))))
    found = _join_moved(pl.concat(parts)).sort(order, "pos", "ref", "alt", "variation_id")
    return found.select(CLINVAR_RELEASE_DIFF.schema.names())


def _records(path: Path, chrom: str) -> pl.DataFrame:
    """A chromosome's records; other row groups are not read."""
    return pl.scan_parquet(path, glob=False).filter(pl.col("chrom") == chrom).collect()


def _side(alleles: pl.DataFrame, name: str) -> pl.DataFrame:
    """An allele's key and what one release says of it, the latter under the release's name."""
    said = [pl.col(column).alias(f"{name}_{short}") for short, column in _SAID.items()]
    rank = pl.int_range(pl.len()).over(_ALLELE).alias("rank")
    return alleles.select(*_ALLELE, rank, *said, pl.lit(True).alias(f"in_{name}"))


def _differences(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Alleles of one chromosome that are on one side only, or on both and not the same."""
    both = old.join(new, on=[*_ALLELE, "rank"], how="full", coalesce=True, nulls_equal=True)
    change = (
        pl.when(pl.col("in_old").is_null()).then(pl.lit(ADDED))
        .when(pl.col("in_new").is_null()).then(pl.lit(REMOVED))
        .otherwise(pl.lit(CHANGED))
    )  # fmt: skip
    rows = _judge(both.with_columns(change.alias("change"), pl.lit(None, pl.String).alias("moved_from")))
    return rows.filter((pl.col("change") != CHANGED) | pl.any_horizontal(*FLAGS))


def _judge(rows: pl.DataFrame) -> pl.DataFrame:
    """Say what differs in rows that both releases have; what was added or removed differs in nothing."""
    shared = pl.col("change").is_in([CHANGED, MOVED])
    differs = {
        flag: shared & pl.col(f"old_{name}").ne_missing(pl.col(f"new_{name}")) for flag, name in FLAGS.items()
    }
    return rows.with_columns(**differs, gene=pl.coalesce("new_gene", "old_gene"))


def _join_moved(rows: pl.DataFrame) -> pl.DataFrame:
    """Make one row of a removal and an addition under the same Variation ID, pair by pair in their order."""
    pair = ["variation_id", "pair"]
    rows = rows.with_columns(pl.int_range(pl.len()).over("variation_id", "change").alias("pair"))
    is_half = pl.col("change").is_in([ADDED, REMOVED]) & pl.col("variation_id").is_not_null()
    halves = rows.filter(is_half)
    place = pl.format("{}:{}:{}>{}", "chrom", "pos", "ref", "alt").alias("moved_from")
    gone = halves.filter(change=REMOVED).select(*pair, place, "^old_.*$")
    moved = halves.filter(change=ADDED).drop("moved_from", "^old_.*$").join(gone, on=pair)
    moved = _judge(moved.with_columns(pl.lit(MOVED).alias("change"))).select(rows.columns)
    return pl.concat([rows.filter(~is_half), halves.join(moved, on=pair, how="anti"), moved])


def count_changes(diff: pl.DataFrame) -> dict[str, int]:
    """Number of rows by kind of change, and of those that both releases have by what differs."""
    kinds = {kind: diff.filter(change=kind).height for kind in (ADDED, REMOVED, MOVED, CHANGED)}
    return kinds | {flag: int(diff[flag].sum()) for flag in FLAGS}


def label_transitions(diff: pl.DataFrame) -> dict[str, int]:
    """How many alleles went from one label to another (`benign to no label`), most frequent first."""
    pairs = diff.filter("label_changed").group_by("old_label", "new_label").len()
    named = {f"{LABEL_NAMES[old]} to {LABEL_NAMES[new]}": number for old, new, number in pairs.iter_rows()}
    return dict(sorted(named.items(), key=lambda item: (-item[1], item[0])))


def summarise(diff: pl.DataFrame) -> pl.DataFrame:
    """Count the changes by gene and label.

    Args:
        diff: As `compare_releases` gives it.

    Returns:
        `gene` (`-` where there is none), `label` in words (that of the newest release; of what was removed, the
        last one), `rows`, a count for each kind of change and each flag; genes with most rows first.
    """
    label = pl.when(pl.col("change") == REMOVED).then("old_label").otherwise("new_label")
    named = diff.select(
        pl.col("gene").fill_null("-"),
        label.replace_strict(LABEL_NAMES, return_dtype=pl.String).alias("label"),
        *(pl.col("change").eq(kind).alias(kind) for kind in (ADDED, REMOVED, MOVED, CHANGED)),
        *FLAGS,
    )
    counts = named.group_by("gene", "label").agg(pl.len().alias("rows"), pl.all().sum())
    return counts.sort(pl.col("rows").sum().over("gene"), "gene", "label", descending=[True, False, False])


def as_markdown(summary: pl.DataFrame) -> str:
    """Show a summary as a Markdown table of less than 4 kB; what does not fit is counted below it.

    Gene symbols come from the file, so what would be markup in them is made harmless.
    """
    shown = ["gene", "label", ADDED, REMOVED, MOVED, *FLAGS]
    heads = [name.removesuffix("_changed") + (" changed" if name in FLAGS else "") for name in shown]
    lines = [f"| {' | '.join(heads)} |", f"|---|---|{'---:|' * (len(heads) - 2)}"]
    size = sum(map(len, lines))
    for number, row in enumerate(summary.select(shown).iter_rows()):
        line = f"| {' | '.join(_cell(value) for value in row)} |"
        size += len(line.encode()) + 1
        if size > _MARKDOWN_BYTES:
            return "\n".join([*lines, "", f"and {summary.height - number:,} more rows by gene and label"])
        lines.append(line)
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = html.escape(str(value))[:_LONGEST_CELL]
    return "".join(f"&#{ord(sign)};" if sign in "|[]`*_\n\\" else sign for sign in text)
