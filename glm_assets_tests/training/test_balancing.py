from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import TrainingError
from glm_assets.training.balancing import balance

BOOSTS = {0.1: 100, 0.2: 200, 0.5: 200, 1.0: 750}
# The original's sample of 5,000, which has 5,002 rows through rounding.
COUNTS = {0.0: 4920, 0.1: 63, 0.2: 8, 0.5: 10, 1.0: 1}


def original_sample() -> np.ndarray:
    rows = np.repeat(list(COUNTS), list(COUNTS.values()))
    return np.random.default_rng(3).permutation(rows)


def copies_by_label(copies, targets) -> dict[float, int]:
    return {label: int(copies[targets == label].sum()) for label in COUNTS}


def test_the_originals_boosts_give_its_counts():
    targets = original_sample()
    found = balance("original", targets, seed=1, boosts=BOOSTS)
    assert copies_by_label(found.copies, targets) == {0.0: 4920, 0.1: 6363, 0.2: 1608, 0.5: 2010, 1.0: 751}
    assert found.copies.sum() == 15_652
    assert found.copies.min() == 1
    assert (found.copies[targets == 0] == 1).all()
    # Copies are drawn with replacement, so they are not shared evenly.
    assert len(set(found.copies[targets == 0.1])) > 10
    assert (found.unmatched_boosts, found.unboosted) == ((), ())


def test_uniform_gives_each_label_as_many_rows_and_keeps_the_originals():
    targets = original_sample()
    found = balance("uniform", targets, seed=1, boosts=BOOSTS)
    assert set(copies_by_label(found.copies, targets).values()) == {4920}
    assert found.copies.min() == 1
    spread = [np.ptp(found.copies[targets == label]) for label in COUNTS]
    assert max(spread) <= 1


def test_the_sampler_draws_each_label_as_often():
    targets = original_sample()
    found = balance("sampler", targets, seed=1, boosts=BOOSTS)
    assert (found.copies == 1).all()
    assert found.weights.sum() == pytest.approx(1)
    drawn = np.random.default_rng(0).choice(targets, 50_000, p=found.weights)
    shares = [float((drawn == label).mean()) for label in COUNTS]
    assert shares == pytest.approx([0.2] * 5, abs=0.01)


def test_none_changes_nothing():
    found = balance("none", original_sample(), seed=1, boosts=BOOSTS)
    assert (found.copies == 1).all()
    assert (found.weights == 1).all()


def test_a_missing_class_does_not_shift_the_boosts():
    """The original scales by the labels present: without `high`, 0.5 becomes 1.0 and 0.1 becomes 0.2."""
    targets = original_sample()
    targets = targets[targets < 1]
    found = balance("original", targets, seed=1, boosts=BOOSTS)
    assert copies_by_label(found.copies, targets) == {0.0: 4920, 0.1: 6363, 0.2: 1608, 0.5: 2010, 1.0: 0}
    assert found.unmatched_boosts == (1.0,)


def test_labels_and_boosts_that_do_not_meet_are_reported():
    found = balance("original", np.asarray([0.0, 0.3, 0.1]), seed=1, boosts=BOOSTS)
    assert found.unmatched_boosts == (0.2, 0.5, 1.0)
    assert found.unboosted == (0.3,)


def test_scores_divided_by_ten_meet_their_boost():
    """1 / 10 and 0.1 need not be the same float in every way it is computed."""
    found = balance("original", np.asarray([0.3 - 0.2, 0.1 + 0.1]), seed=1, boosts=BOOSTS)
    assert found.copies.tolist() == [101, 201]


@pytest.mark.parametrize("mode", ["original", "uniform"])
def test_the_seed_decides(mode):
    targets = original_sample()
    first, again, other = (balance(mode, targets, seed=seed, boosts=BOOSTS).copies for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("mode", ["none", "original", "uniform", "sampler"])
def test_no_rows(mode):
    found = balance(mode, np.empty(0), seed=1, boosts={})
    assert found.copies.size == found.weights.size == 0


def test_refuses_what_is_no_number():
    with pytest.raises(TrainingError, match="no number"):
        balance("none", np.asarray([0.0, np.nan]), seed=1, boosts={})
    with pytest.raises(TrainingError, match=r"boost of label 0\.1 is negative"):
        balance("original", np.asarray([0.1]), seed=1, boosts={0.1: -1})
