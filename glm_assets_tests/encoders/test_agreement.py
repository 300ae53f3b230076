"""The figures that judge foreign vectors, against NumPy's own, and where the limits lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glm_assets.encoders.agreement import Agreement, check_agreement, measure_agreement, require_importable
from glm_assets.encoders.base import EncoderSpec
from glm_assets.errors import EncoderError

SPEC = EncoderSpec(
    name="demo", revision="abc", layer="blocks.25", pooling="mean", dimension=64, context=1024, dtype="float32"
)
ROUNDED = replace(SPEC, pooling="mean_bf16")
FINE = Agreement(64, 0.01, 0.02, 0.1, 0.3, 0.99, 0.9)


def pairs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(20, 64)).astype(np.float32), rng.normal(size=(20, 64)).astype(np.float32) * 0.1


def test_equal_pairs_agree_wholly():
    agreement = measure_agreement(pairs(), pairs())
    assert agreement == Agreement(20, 0, 0, 0, 0, pytest.approx(1), pytest.approx(1))


def test_the_figures_are_row_by_row():
    (ref, delta), (other_ref, other_delta) = pairs(), pairs(1)
    found = ref + 0.1 * other_ref, delta + 0.05 * other_delta
    agreement = measure_agreement(found, (ref, delta))
    errors = [
        [np.linalg.norm(mine - true) / np.linalg.norm(true) for mine, true in zip(*both, strict=True)]
        for both in ((found[0], ref), (found[1], delta))
    ]
    correlations = [np.corrcoef(mine, true)[0, 1] for mine, true in zip(found[1], delta, strict=True)]
    assert agreement.reference_error_median == pytest.approx(np.median(errors[0]), rel=1e-5)
    assert agreement.reference_error_max == pytest.approx(np.max(errors[0]), rel=1e-5)
    assert agreement.delta_error_median == pytest.approx(np.median(errors[1]), rel=1e-5)
    assert agreement.delta_error_max == pytest.approx(np.max(errors[1]), rel=1e-5)
    assert agreement.delta_correlation_mean == pytest.approx(np.mean(correlations), abs=1e-6)
    assert agreement.delta_correlation_min == pytest.approx(np.min(correlations), abs=1e-6)


def test_a_lost_difference_counts_as_no_correlation():
    ref, delta = pairs()
    found = delta.copy()
    found[:5] = 0
    agreement = measure_agreement((ref, found), (ref, delta))
    assert agreement.delta_correlation_min == 0
    assert agreement.delta_correlation_mean == pytest.approx(0.75)


def test_a_difference_where_there_is_none_is_an_infinite_error():
    ref, delta = pairs()
    assert measure_agreement((ref, delta), (ref, 0 * delta)).delta_error_median == np.inf
    assert measure_agreement((ref, 0 * delta), (ref, 0 * delta)).delta_error_max == 0


@pytest.mark.parametrize(
    "change",
    [
        {"reference_error_median": 0.11},
        {"reference_error_max": 0.51},
        {"delta_correlation_mean": 0.89},
        {"delta_correlation_mean": float("nan")},
    ],
)
def test_one_figure_beyond_its_limit_is_enough(change):
    check_agreement(FINE, SPEC)
    with pytest.raises(
        EncoderError, match=r"(?s)not those that this study's encoder makes.*layer blocks\.25, pooling"
    ):
        check_agreement(replace(FINE, **change), SPEC)


def test_a_mean_in_bfloat16_may_lose_more_of_the_differences_than_one_in_float32():
    noisy = replace(FINE, delta_correlation_mean=0.6)
    check_agreement(noisy, ROUNDED)
    with pytest.raises(EncoderError, match=r"correlate with 0\.600 .*limit 0\.9"):
        check_agreement(noisy, SPEC)
    with pytest.raises(EncoderError, match=r"correlate with 0\.200 .*limit 0\.3"):
        check_agreement(replace(FINE, delta_correlation_mean=0.2), ROUNDED)


def test_only_the_original_s_kind_of_vectors_can_be_imported():
    require_importable(SPEC, "centred")
    require_importable(ROUNDED, "centred")
    for spec, layout, culprit in [
        (replace(SPEC, pooling="centre:5"), "centred", "pooling centre:5"),
        (replace(SPEC, reverse_complement=True), "centred", "both strands"),
        (SPEC, "grid", "layout grid"),
    ]:
        with pytest.raises(EncoderError, match=rf"{culprit}.*Fix: set "):
            require_importable(spec, layout)
