"""Markov models against a slow count by dictionaries, and against chains whose entropy is known."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from glm_assets.errors import FormatError, SettingsError
from glm_assets.genome.markov import MarkovCounts, MarkovModel


def _array(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("ascii"), np.uint8)


def _context(block: str, place: int, longest: int) -> str:
    context = ""
    while len(context) < longest and place - len(context) > 0 and block[place - len(context) - 1] in "ACGT":
        context = block[place - len(context) - 1] + context
    return context


def _slow_counts(blocks: list[str], order: int) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for block in blocks:
        for place, base in enumerate(block):
            if base in "ACGT":
                context = _context(block, place, order)
                found.update((context[len(context) - length :], base) for length in range(len(context) + 1))
    return found


def _slow_probability(
    found: Counter[tuple[str, str]], weights: tuple[float, ...], context: str, base: str
) -> float:
    shorter = _slow_probability(found, weights, context[1:], base) if context else 0.25
    weight = weights[len(context)]
    total = sum(found[context, other] for other in "ACGT")
    return (found[context, base] + weight * shorter) / (total + weight)


@pytest.mark.parametrize("order", [0, 1, 3, 4])
def test_is_the_model_that_dictionaries_give(order: int) -> None:
    rng = np.random.default_rng(order)
    blocks = ["".join(rng.choice(list("ACGTN"), 300, p=[0.35, 0.2, 0.2, 0.2, 0.05])) for _ in range(3)]
    blocks += ["", "N", "A", "NNAC"]
    counts = MarkovCounts(order)
    for block in blocks:
        counts.add(_array(block))
    found = _slow_counts(blocks, order)
    model = counts.model()
    assert sum(int(table.sum()) for table in counts.counts) == sum(found.values())
    for block in [*blocks, "GATTNACCAGATTACA"]:
        expected = [
            math.log(_slow_probability(found, model.weights, _context(block, place, order), base))
            if base in "ACGT"
            else math.nan
            for place, base in enumerate(block)
        ]
        np.testing.assert_allclose(model.log_probabilities(_array(block)), expected, rtol=1e-12)


def test_weights_are_those_that_a_left_out_base_is_likeliest_under() -> None:
    rng = np.random.default_rng(5)
    block = "".join(rng.choice(list("ACGT"), 120, p=[0.5, 0.3, 0.1, 0.1]))
    counts = MarkovCounts(1)
    counts.add(_array(block))
    weights = counts.model().weights
    found = _slow_counts([block], 1)

    def left_out(weight: float) -> float:
        total = 0.0
        for place, base in enumerate(block):
            context = _context(block, place, 1)
            less = found.copy()
            less.subtract([("", base), *([(context, base)] if context else [])])
            if context:
                total += math.log(_slow_probability(less, (weights[0], weight), context, base))
        return total

    assert weights[1] == max((2.0**power for power in range(-2, 13)), key=left_out)


def _chain(rng: np.random.Generator, length: int, table: np.ndarray) -> np.ndarray:
    ids = np.zeros(length, dtype=np.int64)
    for place, drawn in enumerate(rng.random(length - 2), 2):
        ids[place] = (drawn > table[ids[place - 2], ids[place - 1]].cumsum()[:3]).sum()
    return np.frombuffer(b"ACGT", np.uint8)[ids]


def test_reaches_the_entropy_of_a_chain_and_no_order_below_it_does() -> None:
    """Every context of two bases has a base of 1/2, two of 1/4 and one that never comes: 1.5 bits."""
    rng = np.random.default_rng(0)
    table = np.stack([rng.permutation([0.5, 0.25, 0.25, 0.0]) for _ in range(16)]).reshape(4, 4, 4)
    train, test = _chain(rng, 60_000, table), _chain(rng, 20_000, table)
    counts = MarkovCounts(8)
    for start in range(0, len(train), 7_000):
        counts.add(train[start : start + 7_000])
    bits = [counts.model(order).bits_per_base([test]) for order in range(9)]
    assert bits[2] == pytest.approx(1.5, abs=0.01)
    assert min(bits[0], bits[1]) > 1.55
    # Contexts of eight bases occur about once each: they must not cost what they cannot tell.
    assert bits[8] == pytest.approx(1.5, abs=0.03)


def test_an_order_too_long_for_its_data_is_not_much_worse_than_uniform() -> None:
    rng = np.random.default_rng(1)
    train, test = (rng.choice(np.frombuffer(b"ACGT", np.uint8), 20_000) for _ in range(2))
    counts = MarkovCounts(10)
    counts.add(train)
    assert 2.0 < counts.model().bits_per_base([test]) < 2.01


def test_case_means_nothing_and_unknown_bases_are_left_out() -> None:
    upper, mixed = MarkovCounts(2), MarkovCounts(2)
    upper.add(_array("ACGTTGCANNACGT"))
    mixed.add(_array("acGTTGcaNNACgt"))
    model = upper.model()
    assert [table.tolist() for table in upper.counts] == [table.tolist() for table in mixed.counts]
    np.testing.assert_array_equal(
        model.log_probabilities(_array("acnRg")), model.log_probabilities(_array("ACNNG"))
    )
    alone = model.log_probabilities(_array("ACGT"))
    np.testing.assert_array_equal(model.log_probabilities(_array("ACGTNNACGT"))[6:], alone)
    assert model.bits_per_base([_array("ACGTNNNN")]) == pytest.approx(-alone.mean() / math.log(2))


def test_probabilities_of_a_context_sum_to_one() -> None:
    counts = MarkovCounts(3)
    counts.add(np.random.default_rng(2).choice(np.frombuffer(b"ACGT", np.uint8), 500))
    for table in counts.model().tables:
        np.testing.assert_allclose(np.exp(table).sum(axis=1), 1)


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(SettingsError, match=r"order 11.*0 to 10"):
        MarkovCounts(11)
    with pytest.raises(SettingsError, match="order 3 of counts of order 2"):
        MarkovCounts(2).model(3)
    with pytest.raises(FormatError, match="no base"):
        MarkovCounts(1).model().bits_per_base([_array("NN")])
    uniform = MarkovCounts(1).model()
    assert isinstance(uniform, MarkovModel)
    assert uniform.bits_per_base([_array("ACGT")]) == pytest.approx(2)
