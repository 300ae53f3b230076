"""Bringing the training set up to date: the examples of all chromosomes, balanced after their split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import save_figure
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_impact import TRAINING_SET
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.impact.facts import by_value
from glm_assets.studies.impact.figures import plot_targets
from glm_assets.studies.impact.splitting import leaks, without_shared
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets.training.balancing import balance

_EXAMPLE_COLUMNS = [
    *("individual", "chrom", "pos", "ref", "alt", "mc", "impact", "read_name", "sequence", "variant_offset"),
    *("target", "group", "split"),
]


def read_all_examples(study: ImpactStudy) -> pl.DataFrame:
    """Examples of the expected chromosomes in order, with `row` within the chromosome and the `key` of their vector."""
    parts = []
    for chrom in study.chromosomes:
        examples = read_part(study.read_examples(chrom).files(), _EXAMPLE_COLUMNS)
        keys = read_part(study.read_embeddings(chrom).files(), ["key"])["key"]
        parts.append(examples.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64), keys))
    return pl.concat(parts)


def make_training_set(study: ImpactStudy) -> Manifest:
    """Put the examples of all chromosomes together, and balance those of the train split.

    Held-out ones that share a read or sequence with another split of another chromosome are left out, and counted.

    Raises:
        MissingUpstreamError: Listing the chromosomes whose examples or vectors are absent or stale.
    """
    product = study.training_set()

    def build(work: Path) -> Facts:
        all_examples = read_all_examples(study)
        examples = without_shared(all_examples)
        balancing, trains = study.values.balancing, (examples["split"] == "train").to_numpy()
        found = balance(
            balancing.mode,
            examples["target"].to_numpy()[trains],
            seed=study.values.seed,
            boosts=balancing.boosts,
        )
        copies, weight = np.ones(len(trains), np.int32), np.ones(len(trains))
        copies[trains], weight[trains] = found.copies, found.weights
        table = examples.with_columns(pl.Series("copies_in_training", copies), pl.Series("weight", weight)).select(
            TRAINING_SET.schema.names()
        )
        TRAINING_SET.write(table, work / PART)
        save_figure(plot_targets(examples, f"{study.individual}: examples"), work / "examples.png")
        train = examples.filter(pl.Series(trains))
        return {
            "rows": table.height,
            "splits": by_value(table["split"]),
            "dropped_shared_between_chromosomes": all_examples.height - examples.height,
            "groups": {split: rows["group"].n_unique() for (split,), rows in table.group_by("split")},
            "targets_in_train": by_value(train["target"]),
            "rows_of_an_epoch": int(found.copies.sum()),
            "epoch_by_target": _epoch_shares(train["target"], found.copies * found.weights),
            "unmatched_boosts": [f"{boost:g}" for boost in found.unmatched_boosts] or None,
            "unboosted": [f"{label:g}" for label in found.unboosted] or None,
            "in_several_splits": leaks(examples),
            "variant_offset": _usual_offset(train),
        }

    return product.make(build)


def _epoch_shares(target: pl.Series, importance: np.ndarray) -> dict[str, float]:
    """Share of an epoch that each target has."""
    rows = pl.DataFrame({"target": target, "importance": importance}).group_by("target").agg(pl.sum("importance"))
    total = rows["importance"].sum() or 1.0
    return {f"{label:g}": round(float(own / total), 4) for label, own in rows.sort("target").iter_rows()}


def _usual_offset(train: pl.DataFrame) -> int | None:
    """Where in training reads the variant lies most often, the first such place; None where that is not known."""
    placed = train.filter(pl.col("variant_offset") >= 0)["variant_offset"]
    return int(placed.mode().sort()[0]) if len(placed) else None
