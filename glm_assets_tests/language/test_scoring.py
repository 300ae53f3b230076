"""Scores against plain loops over bases: strands, tiles, padding, and letters that do not count."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from glm_assets.errors import SettingsError  # noqa: E402
from glm_assets.language.scoring import score_sequences, token_logprobs  # noqa: E402
from glm_assets_tests.language.markov_model import CountingModel, MarkovModel, PairModel  # noqa: E402

WHOLE = {"tile": 10_000, "overlap": 100, "batch_tokens": 100_000}
PAIRS = str.maketrans("ACGT", "TGCA")
CLOSE = {"rtol": 0, "atol": 2e-6}  # logits of about 10, in float32


def sequences(*lengths: int, seed: int = 0) -> list[str]:
    draws = np.random.default_rng(seed)
    return ["".join(draws.choice(list("ACGT"), length)) for length in lengths]


def turned(sequence: str) -> str:
    return sequence.translate(PAIRS)[::-1]


@pytest.mark.parametrize("start_token", [True, False])
def test_scores_are_those_of_a_plain_loop(start_token):
    model, texts = MarkovModel(), sequences(1, 2, 57, 300)
    scores = score_sequences(model, texts, start_token=start_token, reverse_complement=False, **WHOLE)
    loops = [model.expected(text, start_token=start_token) for text in texts]
    counts = [np.isfinite(loop).sum() for loop in loops]
    np.testing.assert_allclose(scores.logprob_sum, [np.nansum(loop) for loop in loops], rtol=1e-6)
    means = [np.nansum(loop) / many if many else np.nan for loop, many in zip(loops, counts, strict=True)]
    np.testing.assert_allclose(scores.logprob_mean, means, rtol=1e-6)
    assert scores.n_tokens.tolist() == counts == ([1, 2, 57, 300] if start_token else [0, 1, 56, 299])
    assert scores.tiles.tolist() == [int(start_token), 1, 1, 1]


@pytest.mark.parametrize("start_token", [True, False])
def test_the_other_strand_is_scored_as_a_sequence_of_its_own_and_told_at_the_bases_it_pairs_with(start_token):
    model, texts = MarkovModel(), sequences(40, 91)
    options = {"start_token": start_token, "reverse_complement": True, **WHOLE}
    both = token_logprobs(model, texts, **options)
    scores = score_sequences(model, texts, **options)
    for number, text in enumerate(texts):
        forward = model.expected(text, start_token=start_token)
        other = model.expected(turned(text), start_token=start_token)
        np.testing.assert_allclose(both[number], [forward, other[::-1]], **CLOSE)
        assert scores.logprob_sum[number] == pytest.approx((np.nansum(forward) + np.nansum(other)) / 2, rel=1e-6)
        assert scores.logprob_mean[number] == pytest.approx(
            (np.nanmean(forward) + np.nanmean(other)) / 2, rel=1e-6
        )


@pytest.mark.parametrize(("tile", "overlap"), [(20, 5), (7, 6), (64, 2), (300, 0), (301, 100), (299, 2)])
@pytest.mark.parametrize("start_token", [True, False])
def test_tiles_change_nothing_where_their_overlap_holds_all_that_a_model_looks_at(tile, overlap, start_token):
    model, (text,) = MarkovModel(), sequences(300)
    options = {"start_token": start_token, "reverse_complement": False}
    (terms,) = token_logprobs(model, [text], **options, tile=tile, overlap=overlap, batch_tokens=50)
    np.testing.assert_allclose(terms[0], model.expected(text, start_token=start_token), **CLOSE)
    scores = score_sequences(model, [text], **options, tile=tile, overlap=overlap, batch_tokens=50)
    assert scores.n_tokens.tolist() == [300 - (not start_token)]
    new = tile - max(1, overlap)
    assert scores.tiles.tolist() == [1 + max(0, -(-(300 - tile) // new))]


@pytest.mark.parametrize(("tile", "overlap"), [(20, 5), (7, 6), (9, 0), (64, 63)])
@pytest.mark.parametrize("start_token", [True, False])
def test_every_token_has_the_overlap_before_it_or_all_there_is(tile, overlap, start_token):
    options = {"start_token": start_token, "reverse_complement": False, "tile": tile, "overlap": overlap}
    (terms,) = token_logprobs(CountingModel(), ["A" * 100], **options, batch_tokens=1)
    # The logit x of A beside 95 zeros has the log-probability x - ln(e^x + 95): solved for x, that is what was read.
    probabilities = np.exp(terms[0][not start_token :])
    read = (20 * np.log(95 * probabilities / (1 - probabilities))).round()
    there = np.arange(100)[not start_token :] + start_token
    assert (read >= np.minimum(there, max(1, overlap))).all()
    assert (read <= np.minimum(there, tile)).all()


def test_no_forward_pass_is_larger_than_asked_or_longer_than_a_tile():
    model, texts = MarkovModel(), sequences(3, 17, 18, 64, 200)
    options = {"start_token": True, "reverse_complement": True, "tile": 32, "overlap": 8}
    score_sequences(model, texts, **options, batch_tokens=100)
    assert max(length for _, length in model.shapes) == 32
    assert max(rows * length for rows, length in model.shapes) <= 100
    assert max(rows for rows, _ in model.shapes) > 1


def test_padding_and_company_change_no_number():
    model, texts = MarkovModel(), sequences(5, 80, 33, 200)
    options = {"start_token": False, "reverse_complement": True, "tile": 64, "overlap": 16}
    together = token_logprobs(model, texts, **options, batch_tokens=10_000)
    for text, terms in zip(texts, together, strict=True):
        (alone,) = token_logprobs(model, [text], **options, batch_tokens=1)
        np.testing.assert_array_equal(alone, terms)


def test_lower_case_is_read_as_upper_case_and_other_letters_are_read_but_not_counted():
    model = MarkovModel()
    texts = ["ACGTTNNACRGT", "acgttnnacrgt", "NNNN", "N", ""]
    options = {"start_token": True, "reverse_complement": False, **WHOLE}
    scores = score_sequences(model, texts, **options)
    terms = model.expected(texts[0], start_token=True)
    counted = [letter in "ACGT" for letter in texts[0]]
    assert scores.logprob_sum[0] == pytest.approx(terms[counted].sum(), rel=1e-6)
    assert scores.logprob_sum[1] == scores.logprob_sum[0]
    assert scores.n_tokens.tolist() == [9, 9, 0, 0, 0]
    assert np.isnan(scores.logprob_mean[2:]).all()
    assert scores.logprob_sum[2:].tolist() == [0, 0, 0]
    assert np.isnan(token_logprobs(model, texts, **options)[0][0]).tolist() == [not each for each in counted]


def test_a_model_of_pairs_is_scored_on_both_strands_over_the_same_bases():
    model, (text,) = PairModel(), sequences(41)
    options = {"start_token": False, "reverse_complement": True, **WHOLE}
    (terms,) = token_logprobs(model, [text], **options)
    assert terms.shape == (2, 20)
    (other,) = token_logprobs(model, [turned(text[:40])], **options | {"reverse_complement": False})
    np.testing.assert_array_equal(terms[1], other[0][::-1])
    assert score_sequences(model, [text], **options).n_tokens.tolist() == [19]


@pytest.mark.parametrize(
    ("change", "model", "reason"),
    [
        ({"tile": 101}, MarkovModel(context=100), "context of markov"),
        ({"start_token": True}, MarkovModel(start_id=None), "no token of a beginning"),
        ({"overlap": 50}, MarkovModel(), "nothing new to read"),
        ({"tile": 1, "overlap": 0}, MarkovModel(), "nothing new to read"),
    ],
)
def test_what_a_model_cannot_read_is_refused(change, model, reason):
    options = {"start_token": False, "reverse_complement": False, "tile": 50, "overlap": 10, "batch_tokens": 100}
    with pytest.raises(SettingsError, match=reason):
        score_sequences(model, ["ACGT"], **options | change)
