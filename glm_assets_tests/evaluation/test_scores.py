"""Numbers that do not fit the rows they judge are refused, with the culprit named."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.scores import Scored, SealedTest
from glm_assets_tests.evaluation.sealed import head, ladders, plain, sealed_test, sealed_variants

ONES = np.ones(3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, "scorer ''"),
        ({"kind": "oracle"}, "of kind 'oracle'"),
        ({"score": np.array([1.0, np.nan, 2.0])}, "score of s is nan in row 1 \\(1 such rows\\)"),
        ({"score": np.array([1.0, 2.0, np.inf])}, "score of s is inf in row 2"),
        ({"score": np.ones((3, 1))}, "score of s is float64 of shape \\(3, 1\\)"),
        ({"score": np.ones(3, int)}, "score of s is int64"),
        ({"distance": np.array([0.0, 2.1, 1.0])}, "distance of s is 2.1 in row 1.*numbers from 0 to 2"),
        ({"distance": np.ones(2)}, "distance of s has 2 rows. Expected: 3"),
        ({"probability": np.array([0.0, 1.0, 1.01])}, "probability of s is 1.01 in row 2.*from 0 to 1"),
        ({"probability": np.ones(4)}, "probability of s has 4 rows"),
        ({"ladder_distance": np.array([-0.5])}, "ladder_distance of s is -0.5"),
    ],
)
def test_a_scorers_numbers_are_checked(changed, message):
    fields = {"name": "s", "kind": "head", "score": ONES, "distance": ONES, "probability": ONES}
    with pytest.raises(EvaluationError, match=message):
        Scored(**(fields | changed))


def test_predictors_alone_may_lack_scores():
    score = np.array([0.5, np.nan])
    assert plain("cadd", "predictor", score).has_score.tolist() == [True, False]
    with pytest.raises(EvaluationError, match="NaN is for predictors alone"):
        plain("gene_rate", "baseline", score)


def test_distances_may_be_off_by_rounding():
    Scored("s", "head", ONES, np.array([-1e-9, 2.0000001, 1.0]), None)


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (lambda rows: rows.drop("locus", "gene"), "variants of the sealed test lack the columns gene, locus"),
        (lambda rows: rows.with_columns(label=pl.lit(1)), r"labels of the sealed test are \[1\].*both 0"),
        (lambda rows: rows.clear(), "labels of the sealed test are none"),
        (lambda rows: rows.with_columns(locus=pl.lit(None, pl.Int64)), "column locus .* is null in 400 rows"),
    ],
)
def test_the_rows_are_checked(variants, message):
    with pytest.raises(EvaluationError, match=message):
        SealedTest(variants(sealed_variants()), ladders(), ())


def test_every_scorer_fits_the_rows_and_has_its_own_name():
    rows = sealed_variants()
    with pytest.raises(EvaluationError, match="several scorers are named a"):
        sealed_test(head("a", rows), head("b", rows), head("a", rows))
    with pytest.raises(
        EvaluationError, match=r"score of short has 399 rows\. Expected: 400, one for each of the test's"
    ):
        sealed_test(plain("short", "probe", np.ones(399)))
    with pytest.raises(EvaluationError, match=r"ladder_distance of h has 7 rows\. Expected: 120"):
        sealed_test(head("h", rows, rungs=7))


def test_clusters_are_loci_within_chromosomes():
    test = sealed_test()
    keys = list(zip(test.variants["chrom"], test.variants["locus"], strict=True))
    numbers = dict(zip(keys, test.cluster.tolist(), strict=True))
    assert [numbers[key] for key in keys] == test.cluster.tolist()
    assert sorted(numbers.values()) == list(range(len(set(keys))))
