"""What the study's heads may see: pairs of train and val with their keys, never those of a sealed test split."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.heads.data import SOUP_VAL, TEST, TRAIN, VAL, HeadData, PairRows, split_pairs
from glm_assets.heads.grouping import variant_groups
from glm_assets.heads.pairs import StoredPairs
from glm_assets.heads.recipes import RECIPES, RecipeName
from glm_assets.heads.scorers import VectorKind
from glm_assets.lineage.embeddings import vector_index
from glm_assets.lineage.ladders import read_ladders
from glm_assets.lineage.study import Study
from glm_assets.storage.tables import read_part

_COLUMNS = ["chrom", "window_start", "label", "var_len", "split", "locus", "gene"]


def read_head_data(study: Study, chromosomes: list[str], recipe: RecipeName | None = None) -> HeadData:
    """Pairs of some chromosomes by split, in file order; their vectors stay in the store until they are needed.

    Where the recipe chooses soups on pairs of their own, half of the val split is theirs, by locus and balanced by
    class, and every second ladder.

    Args:
        study: The main study.
        chromosomes: Whose pairs.
        recipe: Another recipe than the profile's.

    Raises:
        TrainingError: A set lacks a class.
        MissingUpstreamError: The store lacks a vector.
    """
    data = read_labelled_pairs(study, chromosomes, recipe)
    return _with_ladders(study, data) if RECIPES[recipe or study.profile.recipe]["v0"].ladders else data


def read_labelled_pairs(
    study: Study, chromosomes: list[str], recipe: RecipeName | None = None, vectors: VectorKind = "pooled"
) -> HeadData:
    """The same without the ladders, of which only heads are made, and of any of the study's vectors."""
    plan, merge = RECIPES[recipe or study.profile.recipe]["v0"], study.profile.split.merge_test_into_train
    rows = pl.concat([_rows(study, chrom, vectors) for chrom in chromosomes])
    rows = rows.with_columns(
        pl.Series("group", _groups(study, rows))
    )  # test windows count where they are numbered
    if not merge:
        rows = rows.filter(pl.col("split") != TEST)
    if plan.separate_soup_val:
        rows = _halve_val(rows)
    store, dtype = study.store(), np.dtype(study.profile.encoder.store_dtype)
    known = PairRows(*(rows[name].to_numpy() for name in ("label", "var_len", "group", "split")))

    def take(at: NDArray[np.int64]) -> StoredPairs:
        keys = rows["key"].gather(at)
        return StoredPairs(
            store.open_pairs(keys), keys, dtype, known.label[at], known.var_len[at], known.group[at]
        )

    return split_pairs(known, take, merge_test_into_train=merge)


def _rows(study: Study, chrom: str, vectors: VectorKind) -> pl.DataFrame:
    """What is known of a chromosome's pairs, and their keys; the two tables have the same rows."""
    windows = read_part(study.variant_windows(chrom).files(), _COLUMNS)
    return windows.hstack(read_part(vector_index(study, vectors)(chrom).files(), ["key"]))


def _groups(study: Study, rows: pl.DataFrame) -> NDArray[np.int64]:
    groups = study.profile.groups
    contig, start, gene = (rows[name].to_numpy() for name in ("chrom", "window_start", "gene"))
    return variant_groups(groups.by, groups.size, contig=contig, window_start=start, gene=gene)


def _halve_val(rows: pl.DataFrame) -> pl.DataFrame:
    """Give the val rows of some loci to the soups, so that both halves have about as many of each class.

    Loci with the most pathogenic rows are dealt first, each to the half that has fewer of what the locus has: one
    dense gene can hold nearly all of them, and halves by chance would then leave one without.
    """
    locus = pl.format("{}:{}", "chrom", "locus").alias("name")
    loci = (
        rows.filter(pl.col("split") == VAL)
        .group_by(locus)
        .agg(pl.col("label").sum().cast(pl.Int64).alias("pathogenic"), pl.len().alias("rows"))
        .sort("pathogenic", "rows", "name", descending=[True, True, False])
    )
    second, dealt = [], [(0, 0), (0, 0)]  # pathogenic and benign rows of each half
    for name, pathogenic, count in loci.iter_rows():
        of_class = 0 if pathogenic else 1
        half = min((0, 1), key=lambda number: (dealt[number][of_class], sum(dealt[number]), number))
        dealt[half] = (dealt[half][0] + pathogenic, dealt[half][1] + count - pathogenic)
        if half:
            second.append(name)
    mine = (pl.col("split") == VAL) & locus.is_in(second)
    return rows.with_columns(pl.when(mine).then(pl.lit(SOUP_VAL)).otherwise("split").alias("split"))


def _with_ladders(study: Study, data: HeadData) -> HeadData:
    rungs, store, dtype = read_ladders(study, (TRAIN, VAL)), study.store(), data.train.dtype

    def take(some: pl.DataFrame) -> StoredPairs | None:
        if some.is_empty():
            return None
        unlabelled = np.zeros(some.height, np.int8)
        substitutions, ladder = some["substitutions"].to_numpy(), some["ladder"].to_numpy()
        return StoredPairs(store.open_pairs(some["key"]), some["key"], dtype, unlabelled, substitutions, ladder)

    held_out = rungs.filter(pl.col("split") == VAL)
    second = pl.col("ladder").is_in(held_out["ladder"].unique().sort()[1::2].to_list())
    return HeadData(
        data.train,
        data.val,
        data.soup_val,
        take(rungs.filter(pl.col("split") == TRAIN)),
        take(held_out.filter(~second)),
        take(held_out.filter(second)),
    )
