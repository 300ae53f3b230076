from __future__ import annotations

import torch

from glm_assets.heads.networks import Head
from glm_assets.heads.pair_source import PairSource
from glm_assets.heads.sampler import in_order, shuffled
from glm_assets.heads.task import HeadTask
from glm_assets_tests.heads.planted import planted_data
from glm_assets_tests.heads.test_train import small_recipe

CPU = torch.device("cpu")


def test_the_teacher_has_no_dropout_and_learns_nothing():
    recipe = small_recipe("v1")
    student = Head(recipe.shape).eval()
    teacher = Head(small_recipe("v0").shape, dropout=0.5).train()
    task = HeadTask(student, teacher, recipe, planted_data(), CPU)
    batch = next(task.batches(1))
    first, second = task.loss(batch, 1), task.loss(batch, 1)
    assert set(first) == {"loss", "distil"}
    assert torch.equal(first["loss"], second["loss"])
    first["loss"].backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert any(parameter.grad is not None for parameter in student.parameters())


def test_an_epoch_holds_every_pair_once_in_a_new_order():
    pairs = planted_data().train
    source = PairSource(pairs, CPU)
    torch.manual_seed(0)
    epochs = [torch.cat([batch.ref for batch in source.batches(shuffled(len(pairs), 50))]) for _ in range(2)]
    rows = torch.from_numpy(pairs.ref)
    for epoch in epochs:
        assert not torch.equal(epoch, rows)
        assert sorted(epoch[:, 0].tolist()) == sorted(rows[:, 0].tolist())
    assert not torch.equal(*epochs)


def test_batches_hold_reference_and_variant_of_the_same_pair():
    pairs = planted_data().val
    batches = PairSource(pairs, CPU).batches(in_order(len(pairs), 20))
    for batch, start in zip(batches, range(0, len(pairs), 20), strict=True):
        rows = slice(start, start + 20)
        assert (batch.ref.numpy() == pairs.ref[rows]).all()
        assert (batch.var.numpy() == pairs.ref[rows] + pairs.delta[rows]).all()
        assert batch.pathogenic.tolist() == pairs.label[rows].tolist()
        members = torch.from_numpy(pairs.group[rows])[batch.groups.rows]
        assert (members[:-1] <= members[1:]).all()
