"""Drawing: distributions worked out by hand, greedy paths by a plain loop, and sequences that depend on no other."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from glm_assets.errors import EncoderError, SettingsError  # noqa: E402
from glm_assets.language.generation import generate  # noqa: E402
from glm_assets.language.sampling import Sampling, draw, next_probabilities  # noqa: E402
from glm_assets_tests.language.markov_model import START, MarkovModel, PairModel  # noqa: E402

FOUR = np.log([[0.5, 0.3, 0.15, 0.05]])
BASES = tuple(b"ACGT")


def drawn(model, prompts, *, tokens=60, samples=1, batch=32, **choices):
    return generate(model, prompts, tokens=tokens, samples=samples, sampling=Sampling(**choices), batch=batch)


def chi_square(counts, expected):
    return ((np.asarray(counts) - expected) ** 2 / expected).sum()


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, [0.5, 0.3, 0.15, 0.05]),
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"top_k": 1}, [1, 0, 0, 0]),
        ({"top_k": 2}, [0.625, 0.375, 0, 0]),
        ({"top_k": 9}, [0.5, 0.3, 0.15, 0.05]),
        ({"top_p": 0.4}, [1, 0, 0, 0]),
        ({"top_p": 0.5}, [1, 0, 0, 0]),
        ({"top_p": 0.6}, [0.625, 0.375, 0, 0]),
        ({"top_p": 0.8}, [0.625, 0.375, 0, 0]),
        ({"top_p": 0.81}, [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
        # Of the two likeliest, 0.625 and 0.375, the first holds 0.6.
        ({"top_k": 2, "top_p": 0.6}, [1, 0, 0, 0]),
        # Square roots, for a temperature of 2.
        ({"temperature": 2}, np.sqrt([0.5, 0.3, 0.15, 0.05]) / np.sqrt([0.5, 0.3, 0.15, 0.05]).sum()),
        # Squares 0.25, 0.09, 0.0225, 0.0025 of 0.365: the first holds 0.685, the first two 0.93.
        ({"temperature": 0.5, "top_p": 0.9}, [0.25 / 0.34, 0.09 / 0.34, 0, 0]),
    ],
)
def test_distributions_worked_out_by_hand(choices, expected):
    order = [2, 0, 3, 1]
    found = next_probabilities(FOUR[:, order], Sampling(**choices))
    np.testing.assert_allclose(found, np.array([expected])[:, order], atol=1e-12)


def test_of_equal_logits_the_smallest_ids_are_taken():
    assert next_probabilities(np.zeros((1, 4)), Sampling(temperature=0)).tolist() == [[1, 0, 0, 0]]
    assert next_probabilities(np.zeros((1, 4)), Sampling(top_k=3)).tolist() == [[1 / 3, 1 / 3, 1 / 3, 0]]


def test_draws_are_as_frequent_as_likely():
    probabilities = np.repeat([[0.5, 0.0, 0.35, 0.15]], 20_000, axis=0)
    generator = np.random.default_rng(1)
    counts = np.bincount(draw(probabilities, [generator] * len(probabilities)), minlength=4)
    assert counts[1] == 0
    assert (
        chi_square(counts[[0, 2, 3]], 20_000 * np.array([0.5, 0.35, 0.15])) < 9.21
    )  # 1 % of 2 degrees of freedom


def test_sequences_follow_the_model():
    model = MarkovModel()
    found = drawn(model, ["AC"], tokens=1, samples=3_000, allowed=BASES, seed=3)
    row = np.exp(model.table[ord("A"), ord("C")].double().numpy()[list(BASES)])
    counts = [sum(each.sequence == base for each in found) for base in "ACGT"]
    assert chi_square(counts, 3_000 * row / row.sum()) < 11.34  # 1 % of 3 degrees of freedom


@pytest.mark.parametrize("choices", [{"temperature": 0}, {"top_k": 1}, {"top_p": 1e-9}])
def test_the_likeliest_path_is_that_of_a_plain_loop(choices):
    model = MarkovModel()
    (found,) = drawn(model, ["ggAC"], allowed=BASES, seed=9, **choices)
    ids, logprobs = list(b"AC"), []
    for _ in range(60):
        row = model.table[ids[-2], ids[-1]].double().numpy()
        ids.append(max(BASES, key=lambda base: row[base]))
        logprobs.append(row[ids[-1]] - np.log(np.exp(row).sum()))
    assert found.sequence == bytes(ids[2:]).decode()
    assert found.logprob_mean == pytest.approx(np.mean(logprobs), abs=1e-9)


def test_log_probabilities_are_the_model_s_own_whatever_is_drawn_from():
    model = MarkovModel()
    (found,) = drawn(model, ["GT"], temperature=3.0, top_k=3, top_p=0.9, allowed=BASES)
    terms = model.expected("GT" + found.sequence, start_token=False)[2:]
    assert found.logprob_mean == pytest.approx(terms.mean(), rel=1e-6)


def test_equal_seeds_draw_equal_sequences_and_other_ones_others():
    model = MarkovModel()
    first, again, other = (drawn(model, ["ACG"], samples=3, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert len({each.sequence for each in first + other}) == 6


def test_a_sequence_depends_on_no_other():
    model, prompts = MarkovModel(), ["ACGT", "GG", "TTTT", "C"]
    together = drawn(model, prompts, samples=3, seed=1)
    assert [(each.prompt, each.sample) for each in together] == [(p, s) for p in range(4) for s in range(3)]
    assert drawn(model, prompts, samples=3, seed=1, batch=1) == together
    assert drawn(model, prompts, samples=3, seed=1, batch=5) == together
    assert drawn(model, prompts[:1], samples=2, seed=1) == together[:2]


def test_equal_prompts_have_sequences_of_their_own():
    first, second = drawn(MarkovModel(), ["ACGT", "ACGT"])
    assert first.sequence != second.sequence


def test_only_allowed_tokens_are_drawn():
    model = MarkovModel()
    free = "".join(each.sequence for each in drawn(model, ["AC"], samples=5))
    bound = "".join(each.sequence for each in drawn(model, ["AC"], samples=5, allowed=BASES))
    assert not set(free) <= set("ACGT")
    assert set(bound) == set("ACGT")


def test_an_empty_prompt_is_the_token_of_a_beginning():
    model = MarkovModel()
    (found,) = drawn(model, [""], tokens=1, temperature=0, allowed=BASES)
    assert found.sequence == max("ACGT", key=lambda base: model.table[0, START, ord(base)].item())
    with pytest.raises(SettingsError, match="no token of a beginning"):
        drawn(MarkovModel(start_id=None), [""])


def test_a_model_of_pairs_goes_on_where_its_prompt_ends():
    model = PairModel()
    odd, even = (drawn(model, [prompt], tokens=10, allowed=range(16))[0] for prompt in ("TACGG", "ACGG"))
    assert odd == even
    assert len(odd.sequence) == 20


def test_what_would_leave_the_context_is_refused():
    assert drawn(MarkovModel(context=64), ["ACGT"], tokens=60)
    with pytest.raises(SettingsError, match="longer than the context of markov"):
        drawn(MarkovModel(context=64), ["AC", "ACGTA"], tokens=60)


@pytest.mark.parametrize("choices", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"allowed": ()}])
def test_what_cannot_be_drawn_from_is_refused(choices):
    with pytest.raises(SettingsError, match="nothing can be drawn"):
        Sampling(**choices)


def test_nothing_is_drawn_from_logits_that_are_not_numbers():
    with pytest.raises(EncoderError, match="not numbers"):
        next_probabilities(np.array([[0.0, np.nan]]), Sampling())
