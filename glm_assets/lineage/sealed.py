"""The rows that judge, and what scorers say of them: the only reader of the vectors of a sealed test split.

What trains, chooses checkpoints, soups or searches never imports this (a test of the architecture holds it to that).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.evaluation.scores import LADDER_COLUMNS
from glm_assets.heads.grouping import variant_groups
from glm_assets.heads.scorers import Scorer, VectorKind
from glm_assets.lineage.embeddings import vector_index
from glm_assets.lineage.ladders import read_ladders
from glm_assets.lineage.study import Study
from glm_assets.storage.tables import read_part

TEST: Final = "test"
VAL: Final = "val"

_COLUMNS: Final = [
    *("chrom", "pos", "ref", "alt", "kind", "var_len", "label", "review_stars", "gene", "consequence"),
    *("window_start", "locus", "split", "genes"),
]
_BLOCK: Final = 8192


@dataclass(frozen=True)
class Numbers:
    """What a scorer says of some pairs: scores (n,), and distances (n,) where it has any."""

    score: NDArray[np.float64]
    distance: NDArray[np.float64] | None


def labelled_rows(study: Study, kinds: Sequence[VectorKind]) -> pl.DataFrame:
    """All labelled variants of the expected chromosomes, in file order.

    A study that merges the test rows into train has no sealed test: there val judges, under the name `test`, and
    the merged rows are `train`.

    Args:
        study: Whose rows.
        kinds: Vectors whose keys are wanted.

    Returns:
        Columns of `variant_windows` without its sequences, `group` as the heads' PCC has it, `train_rows_of_gene`,
        and `key_<kind>` for each kind.
    """
    rows = pl.concat([_rows(study, chrom, kinds) for chrom in study.profile.chromosomes])
    if not is_sealed(study):
        rows = rows.with_columns(pl.col("split").replace({TEST: "train", VAL: TEST}))
    groups = study.profile.groups
    group = variant_groups(
        groups.by,
        groups.size,
        contig=rows["chrom"].to_numpy(),
        window_start=rows["window_start"].to_numpy(),
        gene=rows["gene"].to_numpy(),
    )
    in_train = (pl.col("split") == "train").sum().over("gene").cast(pl.Int64)
    return rows.with_columns(
        pl.Series("group", group),
        pl.when(pl.col("gene").is_null()).then(0).otherwise(in_train).alias("train_rows_of_gene"),
    )


def is_sealed(study: Study) -> bool:
    """Whether the study has rows that nothing was trained or chosen on."""
    return not study.profile.split.merge_test_into_train


def sealed_ladders(study: Study) -> pl.DataFrame:
    """Rungs of the ladders that nobody has trained on: `ladder`, `substitutions` and the `key` of their vectors."""
    split = TEST if is_sealed(study) else VAL
    return read_ladders(study, (split,)).select(*(pl.col(name).cast(pl.Int64) for name in LADDER_COLUMNS), "key")


def score_pairs(
    study: Study, keys: Mapping[VectorKind, pl.Series], scorers: Sequence[Scorer]
) -> dict[str, Numbers]:
    """Score pairs whose vectors are in the store; each vector is read once for all scorers that take it.

    Args:
        study: Whose store.
        keys: Kind of vectors to the keys (n,) of the same pairs.
        scorers: Who scores; those whose kind has no keys are left out.

    Returns:
        Name of the scorer to its numbers.
    """
    found: dict[str, Numbers] = {}
    for kind, column in keys.items():
        takers = [scorer for scorer in scorers if scorer.vectors == kind]
        if takers:
            found |= _score_kind(study, kind, column, takers)
    return found


def _score_kind(study: Study, kind: VectorKind, keys: pl.Series, scorers: Sequence[Scorer]) -> dict[str, Numbers]:
    store = study.store("float32" if kind == "likelihood" else None)
    scores: dict[str, list[NDArray[np.float64]]] = {scorer.name: [] for scorer in scorers}
    distances: dict[str, list[NDArray[np.float64]]] = {scorer.name: [] for scorer in scorers}
    for start in range(0, len(keys), _BLOCK):
        ref, delta = store.read(keys.slice(start, _BLOCK))
        for scorer in scorers:
            scores[scorer.name].append(scorer.score(ref, delta))
            if (distance := scorer.distance(ref, delta)) is not None:
                distances[scorer.name].append(distance)
    return {
        name: Numbers(
            np.concatenate(parts) if parts else np.empty(0),
            np.concatenate(distances[name]) if distances[name] else None,
        )
        for name, parts in scores.items()
    }


def _rows(study: Study, chrom: str, kinds: Sequence[VectorKind]) -> pl.DataFrame:
    """A chromosome's rows; its tables of vectors have the same rows as its windows."""
    keys = [
        read_part(vector_index(study, kind)(chrom).files(), ["key"])["key"].alias(f"key_{kind}") for kind in kinds
    ]
    return read_part(study.variant_windows(chrom).files(), _COLUMNS).with_columns(keys)
