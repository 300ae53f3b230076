"""Which species the windows of a training are of, against the rule walked draw by draw."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.errors import SettingsError
from glm_assets.language.window_order import WindowOrder
from glm_assets.studies.plant.configuration import TrainingSettings
from glm_assets.studies.plant.sampling import SpeciesPlan, draw_with_decay

WEIGHTS = {"glycine": 1.0, "arabidopsis": 0.8, "oryza": 0.7, "zea": 0.6, "vitis": 0.5}


def settings(**changes) -> TrainingSettings:
    values = {
        "steps": 1,
        "validate_steps": 1,
        "validation_windows": 1,
        "batch_size": 1,
        "accumulation": 1,
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "warmup_steps": 0,
        "clip_norm": 1.0,
        "overlap": 0.5,
    }
    return TrainingSettings.model_validate(values | changes)


def plan(sampling="decay", weights=WEIGHTS, windows=(50_000,) * 5, per_epoch=10_000, seed=7) -> SpeciesPlan:
    return SpeciesPlan(weights, list(windows), settings(sampling=sampling), per_epoch=per_epoch, seed=seed)


def walked(weights: list[float], draws: int, seed: int) -> np.ndarray:
    """The original's rule, with numpy's own choice: shares of draws, and the reset when any weight is below 0.1."""
    generator, now, counts = np.random.default_rng(seed), list(weights), np.zeros(len(weights))
    for _ in range(draws):
        chosen = generator.choice(len(weights), p=np.array(now) / sum(now))
        counts[chosen] += 1
        now[chosen] *= 0.8
        if min(now) < 0.1:
            now = list(weights)
    return counts / draws


def shares(numbers: np.ndarray) -> np.ndarray:
    return np.bincount(numbers, minlength=len(WEIGHTS)) / len(numbers)


def test_decaying_weights_draw_as_the_original_rule_does():
    expected = walked(list(WEIGHTS.values()), 40_000, seed=1)
    found = shares(plan().epoch(1).species)
    assert np.abs(found - expected).max() < 0.02
    # The rule evens the species out: it is no draw in proportion to the weights.
    proportion = np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values())
    assert np.ptp(found) < 0.6 * np.ptp(proportion)


def test_weights_are_reset_as_soon_as_one_is_below_the_limit():
    """Of a weight of 0.5 and one that is never drawn: 0.5 * 0.8^8 is below 0.1, so every eighth draw resets."""
    one = plan(weights={"a": 0.5, "b": 1e9}, windows=(10, 10), per_epoch=8)
    assert one.epoch(1).species.tolist() == [1] * 8
    assert one._current[1] == pytest.approx(1e9 * 0.8**8)
    alone = plan(weights={"a": 0.5}, windows=(10,), per_epoch=7)
    alone.epoch(1)
    assert alone._current[0] == pytest.approx(0.5 * 0.8**7)
    alone = plan(weights={"a": 0.5}, windows=(10,), per_epoch=8)
    alone.epoch(1)
    assert alone._current[0] == 0.5


def test_a_reset_is_of_all_weights_and_not_of_the_one_that_fell_below():
    """Once the second, then the first eleven times: 0.8^11 is below 0.1."""
    first = np.array([1.0, 0.5])
    for draws, weights in ((11, [0.8**10, 0.4]), (12, [1.0, 0.5])):
        points = np.array([0.99, *[0.0] * 11])[:draws]
        chosen, left = draw_with_decay(first, first, points, decay=0.8, reset_below=0.1)
        assert chosen.tolist() == [1, *[0] * 11][:draws]
        assert left.tolist() == pytest.approx(weights)


def test_exact_sampling_is_in_proportion_in_every_epoch():
    made = plan("exact", per_epoch=999)
    expected = 999 * np.array(list(WEIGHTS.values())) / sum(WEIGHTS.values())
    for epoch in (1, 2, 3):
        species = made.epoch(epoch).species
        assert np.abs(np.bincount(species) - expected).max() < 1
        assert not np.array_equal(species, np.sort(species))
    assert not np.array_equal(made.epoch(1).species, made.epoch(2).species)


@pytest.mark.parametrize("sampling", ["decay", "exact"])
def test_no_window_comes_again_before_all_have_been_drawn(sampling):
    windows = (700, 40, 300, 200, 200)
    made = plan(sampling, windows=windows, per_epoch=250)
    epochs = [made.epoch(number) for number in range(1, 7)]
    species, drawn = (np.concatenate([getattr(each, name) for each in epochs]) for name in ("species", "windows"))
    for number, count in enumerate(windows):
        of = drawn[species == number]
        assert len(of) > 40
        for start in range(0, len(of), count):
            part = of[start : start + count]
            assert len(set(part.tolist())) == len(part)
            assert part.max() < count
            assert len(part) < count or set(part.tolist()) == set(range(count))


@pytest.mark.parametrize("sampling", ["decay", "exact"])
def test_the_plan_is_the_same_wherever_it_is_taken_up(sampling):
    """A process that resumes asks for a later epoch first, and one that goes back for an earlier one."""
    through, later = plan(sampling, per_epoch=100), plan(sampling, per_epoch=100)
    epochs = {number: through.epoch(number) for number in (1, 2, 3)}
    for number in (3, 1, 2):
        found = later.epoch(number)
        assert np.array_equal(found.species, epochs[number].species)
        assert np.array_equal(found.windows, epochs[number].windows)
    other = plan(sampling, per_epoch=100, seed=8).epoch(1)
    assert not np.array_equal(other.species, epochs[1].species)


@pytest.mark.parametrize("sampling", ["decay", "exact"])
def test_each_of_several_processes_sees_all_species_and_windows_of_its_own(sampling):
    """Processes take the micro-batches of a round in turn."""
    draws = plan(sampling, per_epoch=4 * 8 * 10).epoch(1)
    pairs = list(zip(draws.species.tolist(), draws.windows.tolist(), strict=True))
    batches = [pairs[start : start + 8] for start in range(0, len(pairs), 8)]
    ranks = [{pair for batch in batches[rank::4] for pair in batch} for rank in range(4)]
    assert all({species for species, _ in rank} == set(range(5)) for rank in ranks)
    assert sum(map(len, ranks)) == len(set().union(*ranks)) == len(pairs)


def test_a_weight_below_the_limit_is_refused():
    with pytest.raises(SettingsError, match=r"the weight of zea is 0\.05, and training\.reset_below 0\.1"):
        plan(weights=WEIGHTS | {"zea": 0.05})
    assert len(plan("exact", weights=WEIGHTS | {"zea": 0.05}).epoch(1).species) == 10_000


def test_an_order_of_windows_has_all_of_them_in_each_round():
    order = WindowOrder(10, 3)
    taken = order.rows(0, 25)
    assert sorted(taken[:10].tolist()) == sorted(taken[10:20].tolist()) == list(range(10))
    assert not np.array_equal(taken[:10], taken[10:20])
    assert np.array_equal(np.concatenate([order.rows(0, 7), order.rows(7, 18)]), taken)
    assert not np.array_equal(WindowOrder(10, 4).rows(0, 10), taken[:10])
    assert len(order.rows(3, 0)) == 0
