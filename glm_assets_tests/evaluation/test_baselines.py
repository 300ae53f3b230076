"""Rates against a plain double loop, and what they can and cannot know."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.baselines import fold_of, rate_baselines
from glm_assets.evaluation.ranking import auroc


def labelled(rows: int = 250, seed: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    genes, terms = ("A", "B", "C", "D", None), ("missense", "synonymous", None)
    return pl.DataFrame(
        {
            "chrom": ["13"] * rows,
            "pos": generator.integers(1, rows, rows),
            "ref": ["A"] * rows,
            "alt": generator.choice(["C", "G"], rows),
            "label": generator.integers(0, 2, rows),
            "gene": [genes[place] for place in generator.choice(5, rows, p=[0.5, 0.3, 0.1, 0.02, 0.08])],
            "consequence": [terms[place] for place in generator.integers(0, 3, rows)],
            "split": generator.choice(["train", "val", "test"], rows),
        }
    )


def plain_fold(row: dict) -> int:
    text = f"{row['chrom']}:{row['pos']}:{row['ref']}:{row['alt']}"
    return int(hashlib.md5(text.encode()).hexdigest()[:8], 16) % 5


def plain_rates(rows: list[dict], row: dict, known) -> dict[str, float]:
    """The three rates of one row, from the other rows that are known to it, by looking at each."""

    def rate(parent: float, *keys: str) -> float:
        pathogenic = number = 0
        for other in rows:
            if known(row, other) and all(other[key] == row[key] for key in keys):
                number += 1
                pathogenic += other["label"] == 1
        return (pathogenic + parent) / (number + 1)

    overall = rate(0.5)
    consequence = rate(overall, "consequence")
    return {
        "gene_rate": rate(overall, "gene"),
        "consequence_rate": consequence,
        "gene_consequence_rate": rate(consequence, "gene", "consequence"),
    }


def test_rates_out_of_fold_are_those_of_a_double_loop():
    frame = labelled()
    rows = frame.to_dicts()
    expected = [
        plain_rates(rows, row, lambda one, other: plain_fold(one) != plain_fold(other))
        for row in rows
        if row["split"] == "test"
    ]
    found = rate_baselines(frame)
    assert [one.name for one in found] == ["gene_rate", "consequence_rate", "gene_consequence_rate"]
    for one in found:
        np.testing.assert_allclose(one.score, [row[one.name] for row in expected], rtol=1e-12)
        np.testing.assert_array_equal(one.probability, one.score)
        assert one.kind == "baseline"


def test_rates_of_train_only_are_those_of_a_double_loop():
    frame = labelled()
    rows = frame.to_dicts()
    expected = [
        plain_rates(rows, row, lambda _, other: other["split"] == "train")
        for row in rows
        if row["split"] == "test"
    ]
    for one in rate_baselines(frame, known="train_only"):
        np.testing.assert_allclose(
            one.score, [row[one.name.removesuffix("_train")] for row in expected], rtol=1e-12
        )
        assert one.name.endswith("_rate_train")


def test_a_row_knows_no_label_of_its_own_fold():
    frame = labelled().with_columns(split=pl.lit("test"))
    first = fold_of(frame) == 0
    flipped = frame.with_columns(label=pl.when(pl.Series(first)).then(1 - pl.col("label")).otherwise("label"))
    for before, after in zip(rate_baselines(frame), rate_baselines(flipped), strict=True):
        np.testing.assert_array_equal(before.score[first], after.score[first])
        assert (before.score[~first] != after.score[~first]).any()


def test_copies_of_a_variant_share_a_fold():
    frame = labelled()
    assert set(fold_of(frame)) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(fold_of(frame.with_columns(label=1 - pl.col("label"))), fold_of(frame))


def test_rows_without_a_label_change_nothing():
    frame = labelled()
    hidden = frame.filter(pl.col("split") != "test").with_columns(label=pl.lit(None, pl.Int64))
    for one, other in zip(rate_baselines(frame), rate_baselines(pl.concat([frame, hidden])), strict=True):
        np.testing.assert_array_equal(one.score, other.score)


def test_a_gene_that_nobody_has_seen_has_the_rate_of_its_consequence():
    frame = labelled().with_columns(
        gene=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("NEW")).otherwise("gene"),
        split=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("test")).otherwise("split"),
    )
    gene, consequence, both = (one.score[0] for one in rate_baselines(frame))
    assert both == consequence
    assert 0 < gene < 1


def test_random_labels_cannot_be_told_out_of_fold_although_genes_are_tiny():
    """Rates that held the row's own label would score far above one half."""
    frame = labelled(4000).with_columns(
        pos=pl.int_range(4000), gene=(pl.int_range(4000) // 3).cast(pl.String), split=pl.lit("test")
    )
    for one in rate_baselines(frame):
        assert 0.44 < auroc(one.score, frame["label"].to_numpy()) < 0.53, one.name


def test_planted_rates_are_found():
    generator = np.random.default_rng(1)
    frame = labelled(4000).with_columns(pos=pl.int_range(4000))
    likely = ((frame["gene"] == "A") & (frame["consequence"] == "missense")).fill_null(value=False).to_numpy()
    frame = frame.with_columns(
        label=pl.Series((generator.random(4000) < np.where(likely, 0.95, 0.05)).astype(int))
    )
    label = frame.filter(pl.col("split") == "test")["label"].to_numpy()
    gene, consequence, both = (auroc(one.score, label) for one in rate_baselines(frame))
    assert both > 0.85
    assert both > max(gene, consequence)


def test_what_is_missing_is_named():
    with pytest.raises(EvaluationError, match="lack gene, split"):
        rate_baselines(labelled().drop("gene", "split"))
    with pytest.raises(EvaluationError, match="1 folds"):
        rate_baselines(labelled(), folds=1)
