"""Scorers against plain Python: what each takes, what a larger score means, and that all fit one interface."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glm_assets.errors import CheckpointError, EncoderError
from glm_assets.heads.probes import LinearProbe
from glm_assets.heads.scorers import CosineDistance, HeadScorer, LikelihoodRatio, ProbeScorer, Scorer

DIM = 24


def pairs(n: int = 9, width: int = DIM, scale: float = 1.0):
    rng = np.random.default_rng(4)
    return rng.normal(size=(n, width)).astype(np.float32), (scale * rng.normal(size=(n, width))).astype(np.float32)


def cosine_distance(u, v) -> float:
    dot = sum(float(a) * float(b) for a, b in zip(u, v, strict=True))
    return 1 - dot / math.sqrt(sum(float(a) ** 2 for a in u)) / math.sqrt(sum(float(b) ** 2 for b in v))


def some_probe(width: int = DIM) -> LinearProbe:
    rng = np.random.default_rng(1)
    return LinearProbe("delta", rng.normal(size=width), rng.uniform(0.5, 2, width), rng.normal(size=width), 0.3)


def some_head():
    import torch

    from glm_assets.heads.networks import Head
    from glm_assets.heads.recipes import ORIGINAL_RECIPES

    torch.manual_seed(0)
    recipe = ORIGINAL_RECIPES["v1"].scaled(in_dim=DIM, widths=(16, 12), epochs=1, batch_size=8, seed=0)
    return Head(recipe.shape).eval().requires_grad_(False)


def test_a_head_scores_by_the_cosine_distance_of_its_vectors():
    import torch

    head, (ref, delta) = some_head(), pairs()
    scorer = HeadScorer("head_v1", head)
    first, second = head(torch.tensor(ref)).numpy(), head(torch.tensor(ref + delta)).numpy()
    expected = [cosine_distance(u, v) for u, v in zip(first, second, strict=True)]
    assert scorer.score(ref, delta) == pytest.approx(expected, rel=1e-4)
    assert np.array_equal(scorer.score(ref, delta), scorer.distance(ref, delta))
    assert scorer.score(ref, delta).dtype == np.float64


def test_a_head_sees_changes_that_a_cosine_in_float32_would_round_away():
    ref, delta = pairs(scale=1e-4)
    distance = HeadScorer("head_v1", some_head()).distance(ref, delta)
    assert (distance > 0).all()
    assert distance.max() < 1e-6


def test_the_raw_distance_is_the_cosine_distance():
    ref, delta = pairs()
    expected = [cosine_distance(u, u + d) for u, d in zip(ref.astype(float), delta.astype(float), strict=True)]
    assert CosineDistance().score(ref, delta) == pytest.approx(expected, rel=1e-4)


def test_a_probe_scores_by_its_probability_and_has_no_distance():
    probe, (ref, delta) = some_probe(), pairs()
    scorer = ProbeScorer("linear_probe", probe)
    logits = [
        sum((float(d) - m) / s * w for d, m, s, w in zip(row, probe.mean, probe.scale, probe.weight, strict=True))
        + 0.3
        for row in delta
    ]
    assert scorer.score(ref, delta) == pytest.approx([1 / (1 + math.exp(-logit)) for logit in logits])
    assert scorer.distance(ref, delta) is None


def test_a_probability_of_an_extreme_variant_neither_overflows_nor_warns():
    probe = some_probe()
    far = (1e5 * np.sign(probe.weight)).astype(np.float32)
    with np.errstate(all="raise", under="ignore"):
        found = ProbeScorer("linear_probe", probe).score(np.zeros((2, DIM), np.float32), np.stack([far, -far]))
    assert found.tolist() == [1.0, 0.0]


def test_a_variant_that_the_model_finds_less_likely_scores_higher():
    log_p_ref, log_p_var = np.array([[-90.0], [-80.0], [-70.0]]), np.array([[-95.0], [-80.0], [-69.0]])
    score = LikelihoodRatio().score(log_p_ref.astype(np.float32), (log_p_var - log_p_ref).astype(np.float32))
    assert score.tolist() == [5.0, 0.0, -1.0]


def test_likelihoods_are_not_taken_for_vectors_nor_the_other_way_round():
    with pytest.raises(EncoderError, match="no log-likelihoods"):
        LikelihoodRatio().score(*pairs())
    with pytest.raises(CheckpointError, match="do not fit a probe of width 24"):
        ProbeScorer("linear_probe", some_probe()).score(*pairs(width=1))


def test_all_have_the_one_interface():
    scorers: list[Scorer] = [
        HeadScorer("head_v1", some_head()),
        ProbeScorer("covariance_probe", some_probe(), "covariance"),
        CosineDistance(),
        LikelihoodRatio(),
    ]
    assert [(scorer.name, scorer.kind, scorer.vectors) for scorer in scorers] == [
        ("head_v1", "head", "pooled"),
        ("covariance_probe", "probe", "covariance"),
        ("distance", "zero_shot", "pooled"),
        ("log_likelihood_ratio", "zero_shot", "likelihood"),
    ]
