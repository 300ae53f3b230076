"""Parts of the test by hand, small ones marked and kept, and the mean over classes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from glm_assets.evaluation.bootstrap import Resamples
from glm_assets.evaluation.ranked_rows import Ranking
from glm_assets.evaluation.slices import parts_of, slice_scorer
from glm_assets_tests.evaluation.sealed import head, plain, sealed_test, sealed_variants


def sliced(test, scored, small_class: int = 10, resamples: int = 20):
    ranking = Ranking.of(scored.score, test.label, test.cluster)
    loci = Resamples.draw(test.cluster, resamples, seed=0)
    rows, macro, classes = slice_scorer(scored, ranking, parts_of(test.variants), loci, small_class)
    return pl.DataFrame(rows, infer_schema_length=None), macro, classes


def test_rows_fall_into_the_parts_that_a_person_would_put_them_in():
    variants = pl.DataFrame(
        {
            "kind": ["snv", "ins", "del", "del", "ins", "del"],
            "var_len": [1, 1, 2, 6, 20, 21],
            "consequence": ["b", None, "a", "a", "a", "a"],
            "train_rows_of_gene": [0, 1, 9, 10, 99, 100],
            "review_stars": [0, 0, 1, 2, None, 4],
            "chrom": ["10", "2", "X", "MT", "2", "2"],
        }
    )
    found = {(part.by, part.value): np.flatnonzero(part.rows).tolist() for part in parts_of(variants)}
    assert found == {
        ("kind", "del"): [2, 3, 5],
        ("kind", "ins"): [1, 4],
        ("kind", "snv"): [0],
        ("length", "1"): [1],
        ("length", "2-5"): [2],
        ("length", "6-20"): [3, 4],
        ("length", ">20"): [5],
        ("consequence", "a"): [2, 3, 4, 5],
        ("consequence", "b"): [0],
        ("consequence", "none given"): [1],
        ("gene_rows", "none"): [0],
        ("gene_rows", "1-9"): [1, 2],
        ("gene_rows", "10-99"): [3, 4],
        ("gene_rows", "100+"): [5],
        ("stars", "0"): [0, 1],
        ("stars", "1"): [2],
        ("stars", "2"): [3],
        ("stars", "4"): [5],
        ("stars", "none given"): [4],
        ("chromosome", "2"): [1, 4, 5],
        ("chromosome", "10"): [0],
        ("chromosome", "MT"): [3],
        ("chromosome", "X"): [2],
    }
    assert list(found) == [(part.by, part.value) for part in parts_of(variants)], "and in a reader's order"


def test_every_figure_is_that_of_the_parts_rows():
    test = sealed_test(head("h", sealed_variants()))
    rows, _, _ = sliced(test, test.scored[0])
    score, label = test.scored[0].score, test.label
    for (by, value), column in [(("kind", "snv"), "kind"), (("chromosome", "13"), "chrom")]:
        own = (test.variants[column] == value).to_numpy()
        row = rows.filter((pl.col("by") == by) & (pl.col("value") == value)).row(0, named=True)
        assert (row["rows"], row["pathogenic"]) == (own.sum(), label[own].sum())
        assert row["loci"] == test.variants.filter(pl.Series(own))["chrom", "locus"].n_unique()
        assert row["prevalence"] == pytest.approx(label[own].mean())
        assert row["auroc"] == pytest.approx(roc_auc_score(label[own], score[own]))
        assert row["auprc"] == pytest.approx(average_precision_score(label[own], score[own]))
        assert row["auroc_low"] < row["auroc"] < row["auroc_high"]
    for part in rows.partition_by("by"):
        complete = part["by"][0] != "length"
        assert part["rows"].sum() == (400 if complete else (test.variants["kind"] != "snv").sum())


def test_small_classes_are_marked_and_kept_but_not_averaged():
    test = sealed_test(head("h", sealed_variants()))
    intron = (test.variants["consequence"] == "intron_variant").fill_null(value=False).to_numpy()
    limit = int(test.label[intron].sum()) + 1
    assert limit < intron.sum() / 2, "many rows, but one pathogenic too few"
    rows, macro, classes = sliced(test, test.scored[0], small_class=limit)
    by_consequence = rows.filter(pl.col("by") == "consequence")
    rarer = by_consequence.select(pl.min_horizontal("pathogenic", "benign")).to_series()
    assert by_consequence["small"].to_list() == (rarer < limit).to_list()
    large = by_consequence.filter(~pl.col("small"))
    assert "missense_variant" in large["value"]
    assert "intron_variant" not in large["value"]
    assert classes == large.height
    assert macro.value == pytest.approx(large["auroc"].mean())
    low, high = macro.interval()
    assert low < macro.value < high


def test_parts_that_a_scorer_does_not_cover_are_stated_as_empty():
    test = sealed_test()
    missense = (test.variants["consequence"] == "missense_variant").fill_null(value=False).to_numpy()
    rows, macro, classes = sliced(test, plain("am", "predictor", np.where(missense, 0.5, np.nan)))
    empty = rows.filter(pl.col("value") == "synonymous_variant").row(0, named=True)
    assert (empty["rows"], empty["small"]) == (0, True)
    assert np.isnan(empty["auroc"])
    assert (classes, macro.value) == (1, 0.5)


def test_no_class_is_large_enough():
    test = sealed_test(head("h", sealed_variants()))
    _, macro, classes = sliced(test, test.scored[0], small_class=10_000)
    assert classes == 0
    assert np.isnan(macro.value)
