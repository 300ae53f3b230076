from __future__ import annotations

import numpy as np
import pytest
import torch

from glm_assets.heads import losses
from glm_assets.heads.groups import lay_out_groups
from glm_assets.heads.losses import GroupTensors

CPU = torch.device("cpu")


def plain_pcc_loss(d: torch.Tensor, var_len: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """The loss as one reads it: a loop over groups, and loops over pairs inside."""
    members = {int(g): torch.nonzero(group == g).flatten() for g in group.unique()}
    members = {g: rows for g, rows in members.items() if len(rows) >= 2}
    total = sum(len(rows) for rows in members.values())
    loss = d.sum() * 0
    for rows in members.values():
        x, y = var_len[rows].to(d.dtype), d[rows]
        term = d.new_zeros(())
        if x.std() != 0 and y.std() != 0:
            z_x = (x - x.mean()) / (x.std() + 1e-6)
            z_y = (y - y.mean()) / (y.std() + 1e-6)
            term = term + (z_x - z_y).square().mean()
        in_order = y[torch.sort(x, stable=True).indices]
        term = term + torch.relu(in_order[:-1] - in_order[1:] + 0.02).mean()
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


def on_cpu(var_len: torch.Tensor, group: torch.Tensor, dtype: torch.dtype) -> GroupTensors:
    return GroupTensors.of(lay_out_groups(group.numpy(), var_len.numpy()), CPU, dtype)


@pytest.mark.parametrize("seed", range(50))
def test_pcc_loss_and_its_gradient_equal_the_plain_loop(seed):
    d, var_len, group = batch(seed)
    fast_d, plain_d = d.clone().requires_grad_(), d.clone().requires_grad_()
    fast = losses.pcc_loss(fast_d, on_cpu(var_len, group, torch.float64))
    plain = plain_pcc_loss(plain_d, var_len, group)
    fast.backward()
    plain.backward()
    torch.testing.assert_close(fast, plain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(fast_d.grad, plain_d.grad, rtol=1e-9, atol=1e-13)


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
