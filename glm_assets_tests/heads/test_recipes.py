from __future__ import annotations

import json

import pytest

from glm_assets.heads.groups import GroupRule
from glm_assets.heads.recipes import ORIGINAL_RECIPES, RECIPES, Phase
from glm_assets.heads.shapes import VERSIONS


def weights(version: str, epoch: int) -> tuple[float, float, float, float]:
    phase = ORIGINAL_RECIPES[version].phase(epoch)
    return phase.cdd, phase.pcc, phase.cd_floor, phase.distil


@pytest.mark.parametrize(
    ("version", "epochs", "expected"),
    [
        ("v0", range(1, 11), (1, 0, 0, 0)),
        ("v0", range(11, 21), (1, 0.5, 0, 0)),
        ("v0", range(21, 101), (1, 1, 0, 0)),
        ("v1", range(1, 6), (0, 0, 0, 1)),
        ("v1", range(6, 11), (1, 0.5, 1, 0.5)),
        ("v1", range(11, 101), (1, 1, 1, 0)),
        ("v2", range(1, 6), (0, 0, 0, 1)),
        ("v2", range(6, 11), (1, 0.5, 1, 0.5)),
        ("v2", range(11, 101), (1, 1, 1, 0)),
        ("v3", range(1, 16), (0, 0, 0, 1)),
        ("v3", range(16, 151), (1, 1, 1, 0)),
    ],
)
def test_loss_weights_by_epoch(version, epochs, expected):
    assert {weights(version, epoch) for epoch in epochs} == {expected}


@pytest.mark.parametrize(
    ("version", "epochs", "batch", "rate", "keep", "teacher", "warm"),
    [
        ("v0", 100, 2048, 1e-3, None, None, False),
        ("v1", 100, 4096, 3e-4, 10, "v0", False),
        ("v2", 100, 4096, 3e-4, 10, "v1", True),
        ("v3", 150, 4096, 2e-4, 10, "v2", True),
    ],
)
def test_original_settings(version, epochs, batch, rate, keep, teacher, warm):
    recipe = ORIGINAL_RECIPES[version]
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.keep) == (epochs, batch, rate, keep)
    assert (recipe.teacher, recipe.warm_start) == (teacher, warm)
    common = (recipe.seed, recipe.weight_decay, recipe.dropout, recipe.clip_norm, recipe.min_learning_rate)
    assert common == (2025, 1e-3, 0.1, 1.0, 1e-6)


def test_soups_try_the_known_numbers_of_checkpoints_and_weights():
    rules = {version: ORIGINAL_RECIPES[version].soup for version in VERSIONS}
    kept = {"v0": 100, "v1": 10, "v2": 10, "v3": 10}
    assert {version: rules[version].candidates(kept[version]) for version in VERSIONS} == {
        "v0": 100,
        "v1": 3,
        "v2": 3,
        "v3": 10,
    }
    assert rules["v0"].alphas == rules["v1"].alphas == ()
    assert rules["v2"].alphas == (0.25, 0.5, 0.75, 1.0)
    assert rules["v3"].alphas == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@pytest.mark.parametrize(
    ("version", "epochs", "ends"),
    [
        ("v0", 12, [1, 2, 12]),
        ("v0", 50, [5, 10, 50]),
        ("v0", 100, [10, 20, 100]),
        ("v0", 200, [20, 40, 200]),
        ("v1", 3, [1, 2, 3]),
        ("v1", 2, [1, 2]),
        ("v3", 12, [1, 12]),
        ("v3", 1, [1]),
    ],
)
def test_scaled_phases_keep_their_share(version, epochs, ends):
    scaled = ORIGINAL_RECIPES[version].scaled(epochs=epochs)
    assert [phase.until for phase in scaled.phases] == ends
    assert scaled.epochs == epochs
    assert scaled.phases[-1].cdd == scaled.phases[-1].pcc == 1.0  # the last phase is the one that stays


def test_scaling_changes_widths_and_nothing_else():
    recipe = ORIGINAL_RECIPES["v2"]
    scaled = recipe.scaled(in_dim=64, widths=[48, 32], batch_size=16, seed=7)
    assert (scaled.shape.in_dim, scaled.shape.hidden, scaled.shape.out_dim) == (64, 48, 32)
    assert (scaled.shape.high, scaled.shape.low, scaled.shape.rich) == (4, 8, 4)
    assert (scaled.batch_size, scaled.seed, scaled.phases, scaled.soup) == (16, 7, recipe.phases, recipe.soup)
    assert recipe.scaled() == recipe


def test_a_recipe_is_json():
    stored = json.loads(json.dumps(ORIGINAL_RECIPES["v3"].as_dict()))
    assert stored["shape"]["version"] == "v3"
    assert Phase(**stored["phases"][0]) == ORIGINAL_RECIPES["v3"].phases[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_faithful_has_none_of_what_the_open_recipe_mends(version):
    recipe = RECIPES["faithful"][version]
    assert recipe is ORIGINAL_RECIPES[version]
    assert (recipe.name, recipe.gate, recipe.decay_small, recipe.distillation) == ("faithful", 0.0, True, "mse")
    assert (recipe.cdd_margin, recipe.groups, recipe.members, recipe.ladders) == (
        2.0,
        GroupRule(2, 1, ties=True),
        1,
        0,
    )
    assert (recipe.separate_soup_val, recipe.scoring, recipe.mixed_precision) == (False, "raw_sum", False)


@pytest.mark.parametrize("version", VERSIONS)
def test_open_differs_from_faithful_only_in_what_it_mends(version):
    faithful, mended = RECIPES["faithful"][version].as_dict(), RECIPES["open"][version].as_dict()
    changed = {name for name in faithful if faithful[name] != mended[name]}
    assert changed - {"phases"} == {
        "name",
        "gate",
        "decay_small",
        "distillation",
        "cdd_margin",
        "groups",
        "members",
        "ladders",
        "separate_soup_val",
        "scoring",
    }
    for old, new in zip(faithful["phases"], mended["phases"], strict=True):
        assert new == old | {"distil": 1.0 if old["distil"] else 0.0}


@pytest.mark.parametrize(("size", "ladders"), [(4096, 16), (8192, 32), (512, 2), (64, 2)])
def test_ladders_keep_their_share_of_the_batch(size, ladders):
    assert RECIPES["open"]["v1"].scaled(batch_size=size).ladders == ladders
    assert RECIPES["faithful"]["v1"].scaled(batch_size=size).ladders == 0
