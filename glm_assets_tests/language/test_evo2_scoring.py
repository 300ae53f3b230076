"""Scores, profiles and draws of the demo's Evo2, against evo2's own scorer and forward passes of one sequence.

Tolerance: in float32 the convolutions by FFT round apart for inputs of other lengths, by some 1e-5 of a logit.
"""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vortex")

from glm_assets.language.evo2 import Evo2LanguageModel  # noqa: E402
from glm_assets.language.generation import generate  # noqa: E402
from glm_assets.language.profiles import profile_sequence  # noqa: E402
from glm_assets.language.sampling import Sampling  # noqa: E402
from glm_assets.language.scoring import score_sequences, token_logprobs  # noqa: E402
from glm_assets.language.tiling import Tiling  # noqa: E402
from glm_assets_tests.language.test_scoring import sequences, turned  # noqa: E402

ROUNDING = 2e-4
OPTIONS = {"tile": 256, "overlap": 64, "batch_tokens": 1024}
BASES = tuple(b"ACGT")


@pytest.fixture(scope="module")
def model(demo_weights):
    return Evo2LanguageModel.load("demo", demo_weights, device="cpu")


def by_evo2(model, text, **choices):
    """evo2's own score of one sequence; of several of different lengths it would count padding."""
    from evo2.models import CharLevelTokenizer
    from evo2.scoring import score_sequences as evo2_scores

    return float(evo2_scores([text], model.network.striped, CharLevelTokenizer(512), device="cpu", **choices)[0])


@pytest.mark.parametrize("start_token", [True, False])
def test_sums_and_means_are_those_of_evo2(model, start_token):
    texts = sequences(150, 97, 33)
    scores = score_sequences(model, texts, start_token=start_token, reverse_complement=False, **OPTIONS)
    for text, total, mean in zip(texts, scores.logprob_sum, scores.logprob_mean, strict=True):
        assert total == pytest.approx(by_evo2(model, text, prepend_bos=start_token, reduce_method="sum"), rel=1e-6)
        assert mean == pytest.approx(by_evo2(model, text, prepend_bos=start_token, reduce_method="mean"), rel=1e-6)


def test_both_strands_are_the_mean_of_evo2_s_scores_of_each(model):
    (text,) = sequences(120)
    scores = score_sequences(model, [text], start_token=True, reverse_complement=True, **OPTIONS)
    own = [by_evo2(model, strand, prepend_bos=True) for strand in (text, turned(text))]
    assert scores.logprob_mean[0] == pytest.approx(np.mean(own), rel=1e-6)


def test_padding_changes_no_number(model):
    texts = sequences(200, 60, 7, 131)
    options = {"start_token": True, "reverse_complement": True, "tile": 256, "overlap": 64}
    together = token_logprobs(model, texts, **options, batch_tokens=4096)
    alone = token_logprobs(model, texts, **options, batch_tokens=1)
    for padded, single in zip(together, alone, strict=True):
        np.testing.assert_allclose(padded, single, atol=ROUNDING)


def test_the_logits_of_a_profile_are_those_of_one_forward_pass(model):
    (text,) = sequences(90)
    logits, _ = profile_sequence(model, text, Tiling(True, 256, 64, 1024))
    with torch.no_grad():
        whole = model.logits(torch.tensor([[0, *text.encode()]]))[0, :-1]
    np.testing.assert_allclose(logits, whole[:, list(BASES)].numpy(), atol=ROUNDING)


def test_a_greedy_path_is_that_of_forward_passes_without_a_cache(model):
    (prompt,) = sequences(40)
    (found,) = generate(model, [prompt], tokens=6, samples=1, sampling=Sampling(temperature=0, allowed=BASES))
    ids, logprobs = list(prompt.encode()), []
    for _ in range(6):
        with torch.no_grad():
            last = model.logits(torch.tensor([ids]))[0, -1].double()
        ids.append(max(BASES, key=lambda base: last[base].item()))
        logprobs.append(last.log_softmax(dim=0)[ids[-1]].item())
    assert found.sequence == bytes(ids[40:]).decode()
    assert found.logprob_mean == pytest.approx(np.mean(logprobs), abs=ROUNDING)


def test_draws_are_the_same_in_any_company(model):
    prompts = sequences(30, 17)
    options = {"tokens": 6, "samples": 2, "sampling": Sampling(seed=4, allowed=BASES)}
    together = generate(model, prompts, **options)
    alone = generate(model, prompts, batch=1, **options)
    assert [each.sequence for each in together] == [each.sequence for each in alone]
    assert {letter for each in together for letter in each.sequence} <= set("ACGT")
