"""The open recipe: what it mends can be seen in a training, and the faithful one keeps the original's faults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glm_assets.errors import TrainingError
from glm_assets.evaluation.ranking import auroc
from glm_assets.heads import memory
from glm_assets.heads.apply import embed, load_head
from glm_assets.heads.data import HeadData
from glm_assets.heads.metrics import contrast, pearson_by_group
from glm_assets.heads.networks import Block, Head
from glm_assets.heads.recipes import RECIPES, HeadRecipe
from glm_assets.heads.result import HeadResult
from glm_assets.heads.task import HeadTask
from glm_assets.heads.warm_start import warm_start
from glm_assets_tests.heads.planted import DIM, open_data, planted_ladders, stored
from glm_assets_tests.heads.test_resume import products
from glm_assets_tests.heads.test_train import TEACHERS, train

CPU = torch.device("cpu")


def small(name: str, version: str, epochs: int = 4, widths: tuple[int, int] = (16, 12)) -> HeadRecipe:
    recipe = RECIPES[name][version].scaled(in_dim=DIM, widths=widths, epochs=epochs, batch_size=64)
    return replace(recipe, learning_rate=3e-3)


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> tuple[Path, dict[str, HeadResult]]:
    """All four heads of the open recipe, each distilled from the one before."""
    root = tmp_path_factory.mktemp("open")
    return root, {version: train(small("open", version, 6), root, data=open_data()) for version in TEACHERS}


def blocks_without_gradient(name: str, version: str, teacher: Head | None) -> float:
    """Share of the blocks none of whose branch's parameters gets a gradient that is not zero, over three batches."""
    recipe = small(name, version)
    torch.manual_seed(0)
    head = Head(recipe.shape, recipe.dropout, gate=recipe.gate)
    if teacher is not None:
        warm_start(head, teacher.state_dict())
    whole = replace(recipe, phases=(replace(recipe.phases[-1], until=1),))
    task = HeadTask(head, None, whole, open_data(), CPU)
    for module in head.modules():  # measure the blocks that the task leaves out, too
        module.requires_grad_(True)
        if isinstance(module, Block):
            module.skipped = False
    for batch in list(task.batches(1))[:3]:
        task.loss(batch, 1)["loss"].backward()
    blocks = [module for module in head.modules() if isinstance(module, Block)]
    moving = [
        any(p.grad is not None and p.grad.any() for n, p in block.named_parameters() if not n.startswith("skip"))
        for block in blocks
    ]
    return 1 - sum(moving) / len(blocks)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_no_gradient_of_an_open_head_is_zero(chain, version):
    root, results = chain
    teacher = load_head(root / TEACHERS[version])
    assert blocks_without_gradient("open", version, teacher) == 0
    assert blocks_without_gradient("open", version, None) == 0
    assert results[version].dead == {when: {"blocks": 0.0, "parameters": 0.0} for when in ("start", "end")}


def test_the_faithful_heads_dead_blocks_are_counted_by_their_gradients(chain, tmp_path):
    root, _ = chain
    (tmp_path / "v1").symlink_to(root / "v1")  # v1 has no gates
    for version, dead, blocks in (("v2", 8, 18), ("v3", 16, 26)):
        share = blocks_without_gradient("faithful", version, load_head(tmp_path / TEACHERS[version]))
        assert share == pytest.approx(dead / blocks)
        result = train(small("faithful", version), tmp_path, data=open_data())
        assert result.dead["start"]["blocks"] == pytest.approx(share)
        assert result.dead["end"] == result.dead["start"]


def test_epochs_and_soups_are_judged_on_different_pairs(chain):
    root, results = chain
    data, head = open_data(), load_head(root / "v1")
    assert not np.isin(data.val.ref, data.soup_val.ref).any()

    def figures(pairs, ladders):
        def distance(some):
            return 0.5 * ((embed(head, some.ref) - embed(head, some.ref + some.delta)) ** 2).sum(1)

        r = pearson_by_group(ladders.var_len.astype(float), distance(ladders).astype(float), ladders.group)
        plain = contrast(distance(pairs), pairs.label, pairs.var_len, pairs.group)
        return plain.cd, plain.cdd, r.mean(), (plain.cd / 2 + (plain.cdd / 2 + 1) / 2 + (r.mean() + 1) / 2) / 3

    metrics = results["v1"].metrics
    expected = figures(data.soup_val, data.soup_ladders)
    assert (metrics.cd, metrics.cdd, metrics.pcc_ladder, metrics.score) == pytest.approx(expected, abs=1e-4)
    assert results["v1"].chosen_on == "soup_val"
    assert len(results["v1"].val_distance) == len(data.soup_val)


def test_a_soup_starts_from_a_score_on_its_own_pairs(chain):
    """v0 mixes without weights, so the original would take over the epoch's score, here one on other pairs."""
    root, results = chain
    soup, history = results["v0"].soup, results["v0"].history
    best = max(history, key=lambda record: record["validation"]["score"])
    recipe, data = small("open", "v0", 6), open_data()
    start = load_head(root / "v0" / ".work" / f"epoch_{best['epoch']:03d}.safetensors")
    on_its_own = HeadTask(start, None, recipe, data, CPU).soup_val.judge(start).figures.score
    accepted = [step["score"] for step in soup["steps"] if step["accepted"]]
    assert len(soup["steps"]) == 5
    assert on_its_own != pytest.approx(best["validation"]["score"], abs=1e-3)
    assert soup["score"] == pytest.approx(max([on_its_own, *accepted]), abs=1e-6)


def test_ladders_train_where_the_pcc_term_does(chain):
    _, results = chain
    terms = [set(record["train"]) - {"loss"} for record in results["v2"].history]
    assert terms[0] == {"distil"}
    assert terms[1] == {"cdd", "pcc", "pcc_ladder", "cd_floor", "distil"}
    assert terms[-1] == {"cdd", "pcc", "pcc_ladder", "cd_floor"}
    assert all("pcc_ladder" in record["validation"] for record in results["v2"].history)


def test_ladders_are_learned(tmp_path):
    data = replace(open_data(), ladders=planted_ladders(30, seed=1))
    history = train(small("open", "v0", 25), tmp_path, data=data).history
    first, last = (history[at]["validation"]["pcc_ladder"] for at in (0, -1))
    assert first < 0.8
    assert last > 0.9


def test_gates_norms_and_biases_of_the_open_recipe_do_not_decay():
    for name in RECIPES:
        recipe = small(name, "v3")
        head = Head(recipe.shape, gate=recipe.gate)
        task = HeadTask(head, None, recipe, open_data(), CPU)
        decays = {
            id(parameter): group["weight_decay"]
            for group in task.parameter_groups(0.5)
            for parameter in group["params"]
        }
        for key, parameter in head.named_parameters():
            if parameter.requires_grad:
                matrix = key.endswith(("linear.weight", "skip.weight", "fc1.weight", "fc2.weight"))
                assert decays[id(parameter)] == (0.5 if matrix or name == "faithful" else 0.0), key


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_streamed_and_resident_pairs_give_identical_checkpoints(tmp_path, monkeypatch, dtype):
    recipe, data = small("open", "v0", 3), open_data()
    rounded = HeadData(
        **{
            name: replace(pairs, ref=pairs.ref.astype(dtype), delta=pairs.delta.astype(dtype))
            for name, pairs in data.sets().items()
        }
    )
    train(recipe, tmp_path, data=rounded, name="resident")
    kept = stored(data, tmp_path / "store", dtype)
    train(recipe, tmp_path, data=kept, name="loaded")
    monkeypatch.setattr(memory, "free_memory", lambda device: 0)
    train(recipe, tmp_path, data=kept, name="streamed")
    assert products(tmp_path / "resident") == products(tmp_path / "loaded") == products(tmp_path / "streamed")


def test_a_recipe_that_lacks_what_it_takes_says_so(tmp_path):
    data = open_data()
    with pytest.raises(TrainingError, match=r"pairs of their own.*recipe faithful"):
        train(small("open", "v0"), tmp_path, data=HeadData(data.train, data.val))
    without = HeadData(data.train, data.val, data.soup_val)
    with pytest.raises(TrainingError, match=r"mutation ladders.*ladders\.windows"):
        train(small("open", "v0"), tmp_path, data=without)


def two_directions(n: int = 1200, *, shuffle: bool = False) -> HeadData:
    """Variants that all move equally far: pathogenic ones along one direction, benign ones along another.

    So the distance of the vectors themselves says nothing, and a head has to learn which direction counts.
    """
    rng = np.random.default_rng(5)
    data = open_data(n)
    directions = np.linalg.qr(rng.normal(size=(DIM, 2)))[0].T

    def moved(pairs):
        delta = 4 * directions[pairs.label] + rng.normal(size=pairs.ref.shape) * 0.3
        label = rng.permutation(pairs.label) if shuffle else pairs.label
        return replace(pairs, delta=delta.astype(np.float32), label=label)

    sets = data.sets()
    return HeadData(**sets | {name: moved(sets[name]) for name in ("train", "val", "soup_val")})


def interval(distance: np.ndarray, label: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the AUROC."""
    rng = np.random.default_rng(0)
    drawn = (rng.integers(0, len(label), len(label)) for _ in range(1000))
    values = [auroc(distance[rows], label[rows]) for rows in drawn]
    low, high = np.percentile([value for value in values if value is not None], [2.5, 97.5])
    return float(low), float(high)


@pytest.mark.parametrize("name", RECIPES)
def test_a_direction_that_carries_the_label_is_found_and_shuffled_labels_are_not(tmp_path, name):
    planted, shuffled = two_directions(), two_directions(shuffle=True)
    raw = 0.5 * ((planted.soup_val.delta) ** 2).sum(1)
    low, high = interval(raw, planted.soup_val.label)
    assert low < 0.5 < high
    recipe = small(name, "v0", 15, (32, 24))
    if name == "faithful":
        planted, shuffled = (HeadData(data.train, data.soup_val) for data in (planted, shuffled))
    learned = train(recipe, tmp_path, data=planted, name="planted")
    assert auroc(learned.val_distance, planted.soup_val.label) > 0.95
    fooled = train(recipe, tmp_path, data=shuffled, name="shuffled")
    low, high = interval(fooled.val_distance, shuffled.soup_val.label)
    assert low < 0.5 < high
