"""Which stretches of a genome train, choose and test: whole homology groups, or blocks of contigs.

The copies of a chromosome in a polyploid are alike: a model that was trained on one has seen the others. So all
copies, which share a number in their names, go to one side.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

import polars as pl

from glm_assets.errors import SettingsError
from glm_assets.genome.block_splits import block_splits
from glm_assets.genome.splits import SPLITS
from glm_assets.studies.sugarcane.configuration import SplitSettings
from glm_assets.studies.sugarcane.study import VARIABLE

_SHOWN: Final = 5
_ORDERS: Final = 16
_SCHEMA: Final = {
    "contig": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "group": pl.String,
    "split": pl.String,
}


def split_regions(lengths: Mapping[str, int], settings: SplitSettings, seed: int) -> pl.DataFrame:
    """Divide a genome.

    Args:
        lengths: Bases of each contig.
        settings: How.
        seed: Decides which groups or blocks; the order of the contigs does not.

    Returns:
        `contig`, `start`, `end` (0-based, half-open), `group` and `split` of stretches of one split, as long as they
        can be, by contig in the order of `lengths`, and by start.

    Raises:
        SettingsError: There are fewer groups than splits, or too few blocks; a named contig does not exist.
    """
    groups = homology_groups(lengths, settings)
    if settings.by == "homology_group":
        sizes: dict[str, int] = {}
        for contig, group in groups.items():
            sizes[group] = sizes.get(group, 0) + lengths[contig]
        sides = _deal(sizes, settings, seed)
        rows = [(name, 0, length, groups[name], sides[groups[name]]) for name, length in lengths.items()]
        return pl.DataFrame(rows, _SCHEMA, orient="row")
    blocks = block_splits(
        lengths,
        block=settings.block_bases,
        gap=settings.gap_bases,
        val=settings.val,
        test=settings.test,
        seed=seed,
    )
    order = {name: place for place, name in enumerate(lengths)}
    group = pl.col("contig").replace_strict(groups, return_dtype=pl.String)
    return (
        _joined(blocks)
        .with_columns(group=group)
        .select(list(_SCHEMA))
        .sort(pl.col("contig").replace_strict(order, return_dtype=pl.Int64), "start")
    )


def homology_groups(lengths: Mapping[str, int], settings: SplitSettings) -> dict[str, str]:
    """The homology group of each contig: as named, else by the pattern, else the contig's own.

    Raises:
        SettingsError: A named contig does not exist.
    """
    if absent := sorted(settings.groups.keys() - lengths.keys()):
        raise SettingsError(
            f"split.groups in {VARIABLE} names contig {absent[0]!r}, which the genome lacks",
            expected=f"names such as {', '.join(list(lengths)[:_SHOWN])}",
            fix="correct split.groups",
        )
    pattern = re.compile(settings.group)
    found = {}
    for name in lengths:
        match = pattern.search(name)
        found[name] = settings.groups.get(name) or (match and match[1]) or name
    return found


def split_faults(regions: pl.DataFrame, settings: SplitSettings) -> int:
    """How often a division of `split_regions` breaks its own rule.

    Returns:
        Homology groups that are in two splits; of blocks, neighbours on a contig that are of different splits and less
        than the gap apart.
    """
    if settings.by == "homology_group":
        sides = regions.group_by("group").agg(pl.col("split").n_unique())
        return int((sides["split"] > 1).sum())
    ordered = regions.sort("contig", "start")
    before = ordered.shift(1)
    meets = (ordered["contig"] == before["contig"]) & (ordered["split"] != before["split"])
    return int((meets & (ordered["start"] - before["end"] < settings.gap_bases)).sum())


def _deal(sizes: Mapping[str, int], settings: SplitSettings, seed: int) -> dict[str, str]:
    """The split of each group: of some orders that a hash gives, the one that comes nearest to the shares."""
    if len(sizes) < len(SPLITS):
        shown = ", ".join(list(sizes)[:_SHOWN])
        raise SettingsError(
            f"the genome has {len(sizes)} homology group(s) ({shown}), too few for {', '.join(SPLITS)}",
            expected=f"at least {len(SPLITS)}",
            fix=f"set split.by: block in the YAML file of {VARIABLE}, or split.group or split.groups to tell more",
        )
    total = sum(sizes.values())
    wanted = {"test": total * settings.test / 100, "val": total * settings.val / 100}

    def error(sides: dict[str, str]) -> float:
        held = {split: sum(sizes[group] for group, side in sides.items() if side == split) for split in wanted}
        return sum(abs(held[split] - wanted[split]) for split in wanted)

    return min((_dealt(sizes, wanted, f"{seed}\0{number}") for number in range(_ORDERS)), key=error)


def _dealt(sizes: Mapping[str, int], wanted: Mapping[str, float], salt: str) -> dict[str, str]:
    """Test and then val take, in the order of a hash, the groups that bring them nearer to their share."""
    left = sorted(sizes, key=lambda group: hashlib.sha256(f"{salt}\0{group}".encode()).digest())
    sides: dict[str, str] = {}
    for later, (split, share) in zip((2, 1), wanted.items(), strict=True):
        held = 0
        for group in list(left):
            if len(left) > later and abs(held + sizes[group] - share) < abs(held - share):
                sides[group] = split
                held += sizes[group]
                left.remove(group)
        if not held:
            smallest = min(left, key=sizes.__getitem__)
            sides[smallest] = split
            left.remove(smallest)
    return sides | dict.fromkeys(left, "train")


def _joined(blocks: pl.DataFrame) -> pl.DataFrame:
    """Make one row of blocks that touch and are of one split."""
    touches = (
        (pl.col("contig") == pl.col("contig").shift(1))
        & (pl.col("split") == pl.col("split").shift(1))
        & (pl.col("start") == pl.col("end").shift(1))
    )
    run = (~touches.fill_null(value=False)).cum_sum().alias("run")
    return (
        blocks.sort("contig", "start")
        .group_by(run, maintain_order=True)
        .agg(pl.col("contig", "start", "split").first(), pl.col("end").last())
    )
