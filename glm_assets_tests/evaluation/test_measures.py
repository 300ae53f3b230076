"""CD, CDD and the PCCs on really drawn rows, and the two scores written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glm_assets.evaluation.bootstrap import Resamples
from glm_assets.evaluation.measures import distance_figures, ladder_clusters
from glm_assets.evaluation.scores import Scored, SealedTest
from glm_assets.heads.metrics import contrast
from glm_assets_tests.evaluation.sealed import head, plain, sealed_test, sealed_variants


def figures_of(scored: Scored, test: SealedTest, count: int = 15):
    loci = Resamples.draw(test.cluster, count, seed=0)
    ladders = Resamples.draw(ladder_clusters(test), count, seed=0)
    return distance_figures(scored, test, loci, ladders), loci, ladders


def test_figures_are_those_of_the_drawn_rows():
    test = sealed_test(head("h", sealed_variants()))
    figures, loci, _ = figures_of(test.scored[0], test)
    distance, label = test.scored[0].distance, test.label
    length, group = (test.variants[name].to_numpy() for name in ("var_len", "group"))
    plain_figures = contrast(distance, label, length, group)
    assert (figures.cd.value, figures.cdd.value) == pytest.approx((plain_figures.cd, plain_figures.cdd))
    assert (figures.pcc_length.value, figures.groups) == (pytest.approx(plain_figures.pcc), plain_figures.groups)
    for index in range(15):
        drawn = np.repeat(np.arange(len(label)), loci.counts[index][loci.cluster])
        expected = contrast(distance[drawn], label[drawn], length[drawn], group[drawn])
        assert figures.cd.draws[index] == pytest.approx(expected.cd)
        assert figures.cdd.draws[index] == pytest.approx(expected.cdd)


def test_ladders_are_resampled_whole():
    test = sealed_test(head("h", sealed_variants()))
    figures, _, ladders = figures_of(test.scored[0], test)
    by_ladder = test.scored[0].ladder_distance.reshape(12, 10)
    correlations = np.array([np.corrcoef(2.0 ** np.arange(10), own)[0, 1] for own in by_ladder])
    assert figures.ladders == 12
    assert figures.pcc_ladder.value == pytest.approx(correlations.mean())
    expected = ladders.counts @ correlations / 12
    np.testing.assert_allclose(figures.pcc_ladder.draws, expected, atol=1e-9)


def test_the_scores_take_the_pcc_of_ladders_where_there_are_any():
    test = sealed_test(head("h", sealed_variants()))
    figures, *_ = figures_of(test.scored[0], test)
    cd, cdd, pcc = figures.cd.value, figures.cdd.value, figures.pcc_ladder.value
    assert figures.pcc_source == "ladder"
    assert figures.raw_sum.value == pytest.approx(cd + cdd + pcc)
    assert figures.normalised.value == pytest.approx(np.mean([cd / 2, (cdd / 2 + 1) / 2, (pcc + 1) / 2]))
    without, *_ = figures_of(replace(test.scored[0], ladder_distance=None), test)
    assert (without.pcc_source, without.ladders) == ("length", 0)
    assert without.raw_sum.value == pytest.approx(cd + cdd + without.pcc_length.value)


def test_a_collapsed_head_has_no_pcc_which_counts_as_nought():
    test = sealed_test()
    collapsed = Scored("c", "head", np.ones(400), np.ones(400), None, None, np.ones(120))
    figures, *_ = figures_of(collapsed, test)
    assert (figures.pcc_source, figures.ladders, figures.groups) == ("none", 0, 0)
    assert figures.raw_sum.value == 1
    assert figures.raw_sum.interval() == (1, 1)
    assert np.isnan(figures.pcc_length.value)


def test_scorers_without_distances_have_no_figures():
    test = sealed_test()
    assert figures_of(plain("p", "probe", np.zeros(400)), test)[0] is None
