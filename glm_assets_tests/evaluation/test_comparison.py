"""Comparisons of made-up scorers whose order is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from glm_assets.evaluation.bootstrap import Resamples
from glm_assets.evaluation.comparison import Comparison, compare
from glm_assets.evaluation.recommendation import recommend
from glm_assets.evaluation.scores import SealedTest
from glm_assets.storage.schemas import HEAD_COMPARISON, HEAD_DIFFERENCES, HEAD_RELIABILITY, HEAD_SLICES
from glm_assets_tests.evaluation.sealed import head, ladders, plain, sealed_test, sealed_variants

ROWS = sealed_variants()
LABEL = ROWS["label"].to_numpy()


def judged(*scored, resamples: int = 200, small_class: int = 10) -> Comparison:
    return compare(sealed_test(*scored), resamples=resamples, seed=0, small_class=small_class)


def difference(comparison: Comparison, first: str, second: str, metric: str = "auroc") -> dict:
    wanted = (pl.col("first") == first) & (pl.col("second") == second) & (pl.col("metric") == metric)
    return comparison.differences.row(by_predicate=wanted, named=True)


def scorer(comparison: Comparison, name: str) -> dict:
    return comparison.scorers.row(by_predicate=pl.col("name") == name, named=True)


def noise(name: str, kind, signal: float, seed: int):
    return plain(name, kind, np.random.default_rng(seed).normal(size=400) + signal * LABEL)


def partial(name: str, share: float = 0.5):
    one = noise(name, "predictor", 1.0, seed=9)
    return replace(one, score=np.where(np.random.default_rng(8).random(400) < share, one.score, np.nan))


@pytest.fixture(scope="module")
def whole() -> Comparison:
    return judged(
        head("strong", ROWS, 2.0),
        head("weak", ROWS, 0.8, seed=1),
        head("blind", ROWS, 0.0, seed=2),
        noise("linear_probe", "probe", 1.9, seed=3),
        noise("gene_consequence_rate", "baseline", 1.0, seed=4),
        partial("cadd"),
    )


def test_the_tables_are_as_declared(whole):
    HEAD_COMPARISON.check(whole.scorers)
    HEAD_SLICES.check(whole.slices)
    HEAD_DIFFERENCES.check(whole.differences)
    HEAD_RELIABILITY.check(whole.reliability)
    assert whole.scorers["name"].to_list() == [
        *("strong", "weak", "blind", "linear_probe", "gene_consequence_rate", "cadd")
    ]
    assert (whole.resamples, whole.seed, whole.small_class) == (200, 0, 10)
    assert whole.loci == ROWS.select("chrom", "locus").n_unique()
    for frame in (whole.scorers, whole.slices, whole.differences, whole.reliability):
        assert not any(frame[name].is_nan().any() for name, kind in frame.schema.items() if kind == pl.Float64)


def test_planted_signal_is_found_and_its_absence_too(whole):
    strong, blind = scorer(whole, "strong"), scorer(whole, "blind")
    assert strong["auroc_low"] > 0.85
    assert blind["auroc_low"] < 0.5 < blind["auroc_high"]
    assert blind["cdd_low"] < 0 < blind["cdd_high"]
    assert strong["cdd_low"] > 0
    assert difference(whole, "strong", "blind")["verdict"] == "first"
    assert difference(whole, "strong", "weak", "cdd")["verdict"] == "first"
    assert difference(whole, "strong", "linear_probe")["verdict"] == "undecided"


def test_figures_are_those_of_the_covered_rows(whole):
    score = partial("cadd").score
    own = ~np.isnan(score)
    row = scorer(whole, "cadd")
    assert (row["rows"], row["pathogenic"]) == (own.sum(), LABEL[own].sum())
    assert row["coverage"] == pytest.approx(own.mean())
    assert row["coverage_pathogenic"] == pytest.approx(own[LABEL == 1].mean())
    assert row["coverage_benign"] == pytest.approx(own[LABEL == 0].mean())
    assert row["auroc"] == pytest.approx(roc_auc_score(LABEL[own], score[own]))
    assert row["auprc"] == pytest.approx(average_precision_score(LABEL[own], score[own]))
    assert row["cd"] is row["brier"] is row["pcc_source"] is None
    slices = whole.slices.filter((pl.col("name") == "cadd") & (pl.col("by") == "kind"))
    assert slices["rows"].sum() == own.sum()


def test_intervals_and_differences_are_those_of_really_drawn_rows(whole):
    test = sealed_test(head("strong", ROWS, 2.0), partial("cadd"))
    resamples = Resamples.draw(test.cluster, 200, seed=0)
    strong, cadd = (one.score for one in test.scored)
    both = ~np.isnan(cadd)
    alone, paired = [], []
    for counts in resamples.counts:
        drawn = np.repeat(np.arange(400), counts[resamples.cluster])
        alone.append(roc_auc_score(LABEL[drawn], strong[drawn]))
        drawn = drawn[both[drawn]]
        areas = [roc_auc_score(LABEL[drawn], score[drawn]) for score in (strong, cadd)]
        paired.append(areas[0] - areas[1])
    row = scorer(whole, "strong")
    assert (row["auroc_low"], row["auroc_high"]) == pytest.approx(tuple(np.percentile(alone, [2.5, 97.5])))
    row = difference(whole, "strong", "cadd")
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.percentile(paired, [2.5, 97.5])))
    assert row["first_value"] == pytest.approx(roc_auc_score(LABEL[both], strong[both]))
    assert row["second_value"] == pytest.approx(roc_auc_score(LABEL[both], cadd[both]))
    assert row["difference"] == pytest.approx(row["first_value"] - row["second_value"])
    assert (row["rows"], row["pathogenic"], row["coverage"]) == (both.sum(), LABEL[both].sum(), both.mean())
    assert (row["resamples"], row["verdict"]) == (200, "first")


def test_own_scorers_meet_each_other_once_and_every_baseline_and_predictor(whole):
    pairs = whole.differences.filter(pl.col("metric") == "auroc").select("first", "second").rows()
    own = ["strong", "weak", "blind", "linear_probe"]
    assert pairs == [
        *((one, other) for place, one in enumerate(own) for other in own[place + 1 :]),
        *((one, other) for one in own for other in ("gene_consequence_rate", "cadd")),
    ]
    distances = whole.differences.filter(pl.col("metric") != "auroc").select("first", "second", "metric").rows()
    heads = [("strong", "weak"), ("strong", "blind"), ("weak", "blind")]
    assert distances == [(*pair, metric) for pair in heads for metric in ("cdd", "pcc_ladder")]


def test_a_scorer_does_not_differ_from_itself():
    one = head("one", ROWS)
    comparison = judged(one, replace(one, name="two"))
    for metric in ("auroc", "cdd", "pcc_ladder"):
        row = difference(comparison, "one", "two", metric)
        assert (row["difference"], row["low"], row["high"], row["verdict"]) == (0, 0, 0, "undecided")


def test_the_same_seed_gives_the_same_tables_and_another_does_not():
    scored = (head("h", ROWS), noise("p", "probe", 1, seed=1))
    first, again = judged(*scored), judged(*scored)
    assert first.scorers.equals(again.scorers)
    assert first.differences.equals(again.differences)
    other = compare(sealed_test(*scored), resamples=200, seed=1, small_class=10)
    assert not first.scorers.equals(other.scorers)


def test_resamples_with_one_class_are_left_out_and_counted():
    variants = ROWS.with_columns(label=(pl.int_range(pl.len()) == 5).cast(pl.Int8))
    comparison = compare(sealed_test(head("h", variants), variants=variants), resamples=100, seed=0, small_class=1)
    row = comparison.scorers.row(0, named=True)
    cluster = sealed_test(variants=variants).cluster
    with_it = Resamples.draw(cluster, 100, seed=0).counts[:, cluster[5]] > 0
    assert row["resamples"] == with_it.sum() < 100


def test_a_predictor_without_a_common_row_is_undecided():
    nothing = plain("none", "predictor", np.full(400, np.nan))
    comparison = judged(head("h", ROWS), nothing)
    row = difference(comparison, "h", "none")
    assert (row["rows"], row["difference"], row["low"], row["verdict"]) == (0, None, None, "undecided")
    assert scorer(comparison, "none")["auroc"] is None


def test_without_ladders_the_length_proxy_counts():
    empty = SealedTest(ROWS, ladders().clear(), (replace(head("h", ROWS), ladder_distance=None),))
    comparison = compare(empty, resamples=50, seed=0, small_class=10)
    row = comparison.scorers.row(0, named=True)
    assert (row["ladders"], row["pcc_source"], row["pcc_ladder"]) == (0, "length", None)
    assert row["raw_sum"] == pytest.approx(row["cd"] + row["cdd"] + row["pcc_length"])


def test_the_best_that_beats_the_baseline_is_recommended_with_its_ties(whole):
    recommendation = recommend(whole)
    best, other = sorted(("strong", "linear_probe"), key=lambda name: -scorer(whole, name)["auroc"])
    assert (recommendation.scorer, recommendation.tied) == (best, (other,))
    assert recommendation.text.startswith(f"Use {best}: AUROC 0.9")
    assert f"do not tell it apart from {other}" in recommendation.text
    assert "on 400 variants" in recommendation.text


def test_nothing_is_recommended_where_nothing_beats_the_baseline():
    comparison = judged(head("h", ROWS, 1.0), noise("gene_consequence_rate", "baseline", 1.2, seed=1))
    recommendation = recommend(comparison)
    assert (recommendation.scorer, recommendation.best, recommendation.tied) == (None, "h", ())
    assert "Nothing is shown to beat the sequence-blind baseline gene_consequence_rate" in recommendation.text


def test_predictors_and_baselines_are_never_recommended():
    comparison = judged(noise("cadd", "predictor", 3, seed=1), noise("gene_rate", "baseline", 3, seed=1))
    assert recommend(comparison).scorer is None
    comparison = judged(head("h", ROWS, 1.0), noise("cadd", "predictor", 3, seed=1))
    recommendation = recommend(comparison)
    assert (recommendation.scorer, recommendation.baseline) == ("h", None)
    assert "No sequence-blind baseline was compared" in recommendation.text


def test_ties_are_found_whichever_way_round_the_table_has_them():
    weak, strong = head("weak", ROWS, 2.0), head("strong", ROWS, 2.2, seed=3)
    baseline = noise("gene_consequence_rate", "baseline", 0.0, seed=1)
    recommendation = recommend(judged(weak, strong, head("far", ROWS, 0.9, seed=5), baseline))
    assert {recommendation.scorer, *recommendation.tied} == {"weak", "strong"}
    turned = recommend(judged(strong, weak, baseline))
    assert (turned.scorer, turned.tied) == (recommendation.scorer, recommendation.tied)


def test_scores_that_were_brought_are_in_the_answer_whether_better_or_not():
    best = head("ours", ROWS, 1.0)
    better, equal = (
        noise("cadd", "predictor", 4.0, seed=5),
        replace(best, name="twin", kind="predictor", distance=None),
    )
    text = recommend(judged(best, better, equal, noise("worse", "predictor", 0.0, seed=6))).text
    assert "cadd, which you brought, is better on the 400 variants" in text
    assert "cannot be told apart from twin" in text
    assert "better than worse" in text
    assert "No other head, probe or zero-shot score was compared" in text


def test_an_undecided_difference_from_the_baseline_is_no_recommendation():
    same = noise("gene_consequence_rate", "baseline", 1.0, seed=4)
    comparison = judged(replace(same, name="ours", kind="head"), same)
    assert difference(comparison, "ours", "gene_consequence_rate")["verdict"] == "undecided"
    assert recommend(comparison).scorer is None


@pytest.mark.parametrize(("loci", "known"), [(4, False), (5, True)])
def test_few_loci_give_figures_without_intervals_and_no_verdict(loci, known):
    variants = ROWS.with_columns(locus=pl.int_range(ROWS.height) % loci, chrom=pl.lit("13"))
    scored = (head("strong", variants, 3.0), noise("gene_consequence_rate", "baseline", 0.0, seed=4))
    comparison = compare(SealedTest(variants, ladders(), scored), resamples=200, seed=0, small_class=5)
    row = scorer(comparison, "strong")
    assert row["auroc"] > 0.9
    for name in ("auroc", "auprc", "cd", "cdd", "pcc_length", "raw_sum"):
        assert (row[f"{name}_low"] is not None) == known, name
    verdict = difference(comparison, "strong", "gene_consequence_rate")["verdict"]
    assert verdict == ("first" if known else "undecided")
    assert (recommend(comparison).scorer == "strong") == known
    parts = comparison.slices.filter(pl.col("name") == "strong", pl.col("by") == "chromosome")
    assert (parts["auroc_low"][0] is not None) == known


def test_one_locus_with_nearly_all_rows_counts_as_one():
    variants = ROWS.with_columns(locus=(pl.int_range(ROWS.height) - 380).clip(0), chrom=pl.lit("13"))
    comparison = compare(
        SealedTest(variants, ladders(), (head("strong", variants, 3.0),)), resamples=200, seed=0, small_class=5
    )
    row = scorer(comparison, "strong")
    assert row["loci"] == 20
    assert row["auroc_low"] is row["cd_low"] is None
