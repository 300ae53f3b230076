from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from glm_assets.heads import losses
from glm_assets.heads.groups import ORIGINAL_GROUPS, GroupRule, lay_out_groups
from glm_assets.heads.losses import GroupTensors
from glm_assets.heads.pair_source import PairBatch
from glm_assets.heads.recipes import RECIPES, HeadRecipe
from glm_assets.heads.task import HeadTask

CPU = torch.device("cpu")


OPEN = GroupRule(min_members=4, min_lengths=2, ties=False)
RULES = {"faithful": ORIGINAL_GROUPS, "open": OPEN}


def plain_pcc_loss(
    d: torch.Tensor, var_len: torch.Tensor, group: torch.Tensor, rule: GroupRule = ORIGINAL_GROUPS
) -> torch.Tensor:
    """The loss as one reads it: a loop over groups, and loops over pairs inside."""
    members = {int(g): torch.nonzero(group == g).flatten() for g in group.unique()}
    members = {
        g: rows
        for g, rows in members.items()
        if len(rows) >= rule.min_members and len(set(var_len[rows].tolist())) >= rule.min_lengths
    }
    total = sum(len(rows) for rows in members.values())
    loss = d.sum() * 0
    for rows in members.values():
        x, y = var_len[rows].to(d.dtype), d[rows]
        term = d.new_zeros(())
        if x.std() != 0 and y.std() != 0:
            z_x = (x - x.mean()) / (x.std() + 1e-6)
            z_y = (y - y.mean()) / (y.std() + 1e-6)
            term = term + (z_x - z_y).square().mean()
        order = torch.sort(x, stable=True).indices.tolist()
        steps = [
            torch.relu(y[here] - y[after] + 0.02)
            for here, after in pairwise(order)
            if rule.ties or x[here] != x[after]
        ]
        if steps:
            term = term + torch.stack(steps).mean()
        pairs = [torch.relu(0.02 - (y[j] - y[i])) for i in range(len(x)) for j in range(len(x)) if x[j] > x[i]]
        if pairs:
            term = term + torch.stack(pairs).mean()
        loss = loss + len(rows) / total * term
    return loss


def batch(seed: int, n: int = 60, groups: int = 25) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random distances, lengths with many ties, and groups of which some have one row."""
    rng = np.random.default_rng(seed)
    d = torch.tensor(rng.uniform(0, 0.3, n))
    var_len = torch.tensor(np.where(rng.random(n) < 0.6, 1, rng.integers(1, 6, n)).astype(np.int16))
    group = torch.tensor(rng.integers(0, groups, n) * 1_000_003)
    return d, var_len, group


def on_cpu(
    var_len: torch.Tensor, group: torch.Tensor, dtype: torch.dtype, rule: GroupRule = ORIGINAL_GROUPS
) -> GroupTensors:
    return GroupTensors.of(lay_out_groups(group.numpy(), var_len.numpy(), rule), CPU, dtype)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("seed", range(50))
def test_pcc_loss_and_its_gradient_equal_the_plain_loop(seed, rule):
    d, var_len, group = batch(seed, groups=(25, 10, 60)[seed % 3])
    fast_d, plain_d = d.clone().requires_grad_(), d.clone().requires_grad_()
    fast = losses.pcc_loss(fast_d, on_cpu(var_len, group, torch.float64, rule))
    plain = plain_pcc_loss(plain_d, var_len, group, rule)
    fast.backward()
    plain.backward()
    torch.testing.assert_close(fast, plain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(fast_d.grad, plain_d.grad, rtol=1e-9, atol=1e-13)


def plain_step_loss(
    vectors: list[torch.Tensor], label: list[int], var_len: torch.Tensor, group: torch.Tensor, recipe: HeadRecipe
) -> torch.Tensor:
    """All terms of a step as the specification words them, row by row."""
    ref, var, teacher_ref, teacher_var, rung_ref, rung_var = vectors
    d = torch.stack([1 - r @ v for r, v in zip(ref, var, strict=True)])
    benign = [d[i] for i, value in enumerate(label) if value == 0]
    pathogenic = [d[i] for i, value in enumerate(label) if value == 1]
    loss = plain_pcc_loss(d, var_len, group, recipe.groups) + torch.relu(0.2 - d.mean())
    if benign and pathogenic:
        gap = torch.stack(benign).mean() - torch.stack(pathogenic).mean()
        loss = loss + torch.relu(recipe.cdd_margin + gap)
    if recipe.distillation == "mse":
        loss = loss + ((ref - teacher_ref) ** 2).mean() + ((var - teacher_var) ** 2).mean()
    else:
        cosines = [
            (1 - r @ t) for a, b in ((ref, teacher_ref), (var, teacher_var)) for r, t in zip(a, b, strict=True)
        ]
        loss = loss + 2 * torch.stack(cosines).mean()
    if recipe.ladders:
        rungs = torch.stack([1 - r @ v for r, v in zip(rung_ref, rung_var, strict=True)])
        loss = loss + plain_pcc_loss(rungs, torch.tensor([1, 2, 4, 8] * 3), torch.arange(3).repeat_interleave(4))
    return loss


@pytest.mark.parametrize("name", ["faithful", "open"])
@pytest.mark.parametrize("seed", range(50))
def test_a_whole_step_and_its_gradient_equal_the_plain_loop(seed, name):
    """With ties and single-member groups in every batch, and one class missing in every fifth."""
    recipe = RECIPES[name]["v1"]
    recipe = replace(recipe, phases=(replace(recipe.phases[0], cdd=1.0, pcc=1.0, cd_floor=1.0, distil=1.0),))
    _, var_len, group = batch(seed, n=40, groups=8)
    rng = np.random.default_rng(seed)
    label = (rng.random(40) < 0.4).astype(int) if seed % 5 else np.full(40, seed % 2)
    leaves = [torch.tensor(rng.normal(size=(rows, 5)), requires_grad=True) for rows in (40, 40, 40, 40, 12, 12)]

    def units() -> list[torch.Tensor]:
        return [torch.nn.functional.normalize(leaf, dim=-1) for leaf in leaves]

    plain = plain_step_loss(units(), label.tolist(), var_len, group, recipe)
    expected = torch.autograd.grad(plain, leaves, allow_unused=True)

    def pairs(ref, var, label, layout, ladders=None):
        return PairBatch(ref, var, torch.tensor(label, dtype=torch.float64), layout, ladders)

    ref, var, teacher_ref, teacher_var, rung_ref, rung_var = units()
    rungs = on_cpu(torch.tensor([1, 2, 4, 8] * 3), torch.arange(3).repeat_interleave(4), torch.float64)
    ladders = pairs(rung_ref, rung_var, np.zeros(12), rungs) if recipe.ladders else None
    step = pairs(ref, var, label, on_cpu(var_len, group, torch.float64, recipe.groups), ladders)
    task = object.__new__(HeadTask)  # the loss of vectors that are given: heads that change nothing
    task.recipe, task.model = recipe, lambda x: x
    task.teacher = lambda _: torch.cat([teacher_ref, teacher_var])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "no_grad", torch.enable_grad)  # so that the teacher's gradient can be compared too
        loss = task.loss(step, 1)["loss"]
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    torch.testing.assert_close(loss, plain, rtol=0, atol=1e-6)
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_pcc_loss_in_float32_stays_within_a_millionth(seed):
    d, var_len, group = batch(seed)
    fast = losses.pcc_loss(d.float(), on_cpu(var_len, group, torch.float32))
    torch.testing.assert_close(fast.double(), plain_pcc_loss(d, var_len, group), rtol=2e-6, atol=1e-6)


def test_equal_distances_in_a_group_leave_a_finite_gradient():
    d = torch.full((4,), 0.25, requires_grad=True)
    loss = losses.pcc_loss(d, on_cpu(torch.tensor([1, 2, 2, 3]), torch.zeros(4, dtype=torch.int64), torch.float32))
    loss.backward()
    assert loss.item() == pytest.approx(0.04)  # neighbours and pairs are each 0.02 short of the margin
    assert torch.isfinite(d.grad).all()


@pytest.mark.parametrize("group", [[0, 1, 2, 3], [5, 6, 7, 8]])
def test_pcc_loss_without_a_group_of_two_is_zero_and_differentiable(group):
    d = torch.rand(4, requires_grad=True)
    loss = losses.pcc_loss(d, on_cpu(torch.tensor([1, 2, 3, 4]), torch.tensor(group), torch.float32))
    loss.backward()
    assert loss.item() == 0
    assert not d.grad.any()


def test_correlation_term_is_an_affine_function_of_pearson():
    rng = np.random.default_rng(0)
    n = 9
    var_len = np.arange(1, n + 1, dtype=np.int16)
    d = rng.uniform(0.5, 0.9, n) - 0.5 * np.arange(n)  # falling by 0.5: both hinge terms can be written down
    groups = on_cpu(torch.tensor(var_len), torch.zeros(n, dtype=torch.int64), torch.float64)
    hinge_neighbours = np.mean(np.maximum(d[:-1] - d[1:] + 0.02, 0))
    hinge_pairs = np.mean([max(0.02 - (d[j] - d[i]), 0) for i in range(n) for j in range(i + 1, n)])
    corr = losses.pcc_loss(torch.tensor(d), groups).item() - hinge_neighbours - hinge_pairs
    r = np.corrcoef(var_len, d)[0, 1]
    assert corr == pytest.approx(2 * (n - 1) / n * (1 - r), rel=1e-5)


def test_layout_keeps_batch_order_among_equal_lengths():
    layout = lay_out_groups(np.array([7, 3, 7, 3, 7, 9]), np.array([1, 2, 1, 1, 1, 4], dtype=np.int16))
    assert layout.rows.tolist() == [3, 1, 0, 2, 4]
    assert layout.segment.tolist() == [0, 0, 1, 1, 1]
    assert list(zip(layout.shorter.tolist(), layout.longer.tolist(), strict=True)) == [(0, 1)]


def test_few_rows_and_equal_lengths_make_no_group_of_the_open_recipe():
    group = np.repeat([0, 1, 2, 3], [3, 4, 4, 5])
    var_len = np.array([1, 2, 3, *[1] * 4, 1, 1, 1, 7, 1, 2, 2, 2, 9], np.int16)
    layout = lay_out_groups(group, var_len, OPEN)
    assert layout.size.tolist() == [4, 5]  # not the three rows, nor the four of one length
    assert set(group[layout.rows]) == {2, 3}
    ties = var_len[layout.rows[layout.neighbour]] == var_len[layout.rows[layout.neighbour + 1]]
    assert len(ties) == 3
    assert not ties.any()


def test_a_margin_that_is_reached_asks_for_no_more():
    d = torch.tensor([0.0, 0.1, 1.2, 1.1], requires_grad=True)
    label = torch.tensor([0.0, 0, 1, 1])
    assert losses.cdd_loss(d, label, 1.0).item() == 0
    assert losses.cdd_loss(d, label, 2.0).item() == pytest.approx(2 + 0.05 - 1.15)
    assert losses.cdd_loss(d - 0.2 * label, label, 1.0).item() == pytest.approx(1 + 0.05 - 0.95)


def test_cosine_distillation_does_not_depend_on_the_width():
    for width in (8, 2048):
        u = torch.nn.functional.normalize(torch.randn(16, width), dim=-1)
        assert losses.cosine_distillation_loss(u, u, u, u).item() == 0
        assert losses.cosine_distillation_loss(u, u, -u, u).item() == pytest.approx(2, rel=1e-5)
        assert losses.cosine_distillation_loss(u, u, -u, -u).item() == pytest.approx(4, rel=1e-5)


def test_cdd_loss_is_two_minus_the_contrast():
    d = torch.tensor([0.1, 0.2, 0.9, 0.5])
    assert losses.cdd_loss(d, torch.tensor([0.0, 0, 1, 1])).item() == pytest.approx(2 + 0.15 - 0.7)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_cdd_loss_of_one_class_is_zero(label):
    d = torch.tensor([0.1, 0.2], requires_grad=True)
    loss = losses.cdd_loss(d, torch.full((2,), label))
    loss.backward()
    assert loss.item() == 0
    assert not d.grad.any()


@pytest.mark.parametrize(("mean", "loss"), [(0.05, 0.15), (0.2, 0.0), (0.7, 0.0)])
def test_cd_floor_acts_below_its_floor(mean, loss):
    assert losses.cd_floor_loss(torch.tensor([mean - 0.01, mean + 0.01])).item() == pytest.approx(loss, abs=1e-7)


def test_distillation_is_bounded_by_the_width():
    def units(seed: int) -> torch.Tensor:
        vectors = torch.randn(32, 2048, generator=torch.Generator().manual_seed(seed))
        return torch.nn.functional.normalize(vectors, dim=-1)

    ref, var, teacher_ref, teacher_var = map(units, range(4))
    loss = losses.distillation_loss(ref, var, teacher_ref, teacher_var)
    cosines = [(a * b).sum(-1).mean().item() for a, b in ((ref, teacher_ref), (var, teacher_var))]
    assert loss.item() == pytest.approx(sum((2 - 2 * cosine) / 2048 for cosine in cosines), rel=1e-5)
    assert losses.distillation_loss(ref, var, -ref, -var).item() == pytest.approx(8 / 2048, rel=1e-5)
    assert losses.distillation_loss(ref, var, ref, var).item() == 0


def test_tiny_distances_keep_their_digits():
    rng = np.random.default_rng(0)
    u = rng.normal(size=512)
    v = u + 1e-4 * rng.normal(size=512)
    exact = 1 - u @ v / np.linalg.norm(u) / np.linalg.norm(v)
    unit = [torch.nn.functional.normalize(torch.tensor(x, dtype=torch.float32), dim=-1) for x in (u, v)]
    assert 0 < exact < 1e-7
    assert losses.cosine_distance(*unit).item() == pytest.approx(exact, rel=0.01)


def test_cosine_distance_has_the_gradient_of_its_formula():
    ref, var = torch.nn.functional.normalize(torch.randn(2, 6, 5, dtype=torch.float64), dim=-1)
    var[0] = ref[0]  # no distance, no gradient
    ref, var = ref.requires_grad_(), var.requires_grad_()
    weight = torch.arange(6.0, dtype=torch.float64)
    found = torch.autograd.grad((weight * losses.cosine_distance(ref, var)).sum(), [ref, var])
    expected = torch.autograd.grad((weight * 0.5 * (ref - var).square().sum(-1)).sum(), [ref, var])
    torch.testing.assert_close(found, expected)
    assert not found[0][0].any()
    assert torch.autograd.grad(losses.cosine_distance(ref, var.detach()).sum(), ref)[0].any()
