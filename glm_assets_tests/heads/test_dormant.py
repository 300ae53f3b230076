"""Blocks that cannot move: what autograd says of them, and that leaving them out changes nothing."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from glm_assets.heads.dormant import dormant_blocks, find_dormant, skip_dormant
from glm_assets.heads.networks import Head
from glm_assets.heads.shapes import ORIGINAL_SHAPES
from glm_assets.heads.warm_start import warm_start
from glm_assets_tests.heads.test_networks import shaken, small_shape
from glm_assets_tests.heads.trained import trained_head

SLEEPING = {
    "v2": [f"high.{i}" for i in range(4)] + [f"low.{i}" for i in range(8, 12)],
    "v3": [f"high.{i}" for i in range(8)] + [f"low.{i}" for i in range(8, 16)],
}
GATED = ["v2", "v3"]
RATE, DECAY = 1e-2, 0.1


def block_of(key: str) -> str:
    """`head.low.3.ln.weight` -> `low.3`, `head.proj1.alpha` -> `proj1`."""
    _, stage, index, *_ = key.split(".")
    return f"{stage}.{index}" if index.isdigit() else stage


def warm_head(version: str, *, gate: float = 0.0) -> Head:
    """A fresh v2 or v3 with what it takes from teachers of the faithful recipe, dropout off."""
    torch.manual_seed(0)
    teacher = shaken(Head(small_shape("v1")))
    head = Head(small_shape("v2"), dropout=0.0, gate=gate)
    warm_start(head, teacher.state_dict())
    if version == "v3":
        teacher, head = head, Head(small_shape("v3"), dropout=0.0, gate=gate)
        warm_start(head, teacher.state_dict())
    return head.train()


def batches(steps: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(16, 12, generator=generator) for _ in range(steps)]


def loss_of(head: Head, batch: torch.Tensor) -> torch.Tensor:
    ref, var = head(batch).chunk(2)
    return (ref - var).square().sum(-1).mean() + ref[:, 0].mean()


def train(head: Head, parameters: list[nn.Parameter], steps: int = 5) -> None:
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=DECAY)
    for batch in batches(steps):
        optimizer.zero_grad()
        loss_of(head, batch).backward()
        nn.utils.clip_grad_norm_(parameters, 0.1)
        optimizer.step()


@pytest.mark.parametrize("version", GATED)
def test_exactly_the_dormant_blocks_have_no_gradient(version):
    head = warm_head(version)
    assert list(dormant_blocks(head)) == SLEEPING[version]
    moved: set[str] = set()
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    for batch in batches(4):
        optimizer.zero_grad()
        loss_of(head, batch).backward()
        moved |= {name for name, p in head.named_parameters() if p.grad is not None and p.grad.any()}
        optimizer.step()
    never = {name for name, _ in head.named_parameters()} - moved
    assert never == {name for name, _ in head.named_parameters() if block_of(name) in SLEEPING[version]}
    assert list(dormant_blocks(head)) == SLEEPING[version]  # after training as before


@pytest.mark.parametrize(("version", "share", "live"), [("v2", 0.595, 71_375_882), ("v3", 0.691, 71_371_786)])
def test_shares_at_the_original_widths(version, share, live):
    found = find_dormant(trained_head(ORIGINAL_SHAPES[version]))
    assert list(found.blocks) == SLEEPING[version]
    assert found.parameter_share == pytest.approx(share, abs=5e-4)
    sleeping = found.as_dict()["parameters"]
    assert {"v2": 176_311_314, "v3": 230_894_618}[version] - sleeping == live
    assert found.block_share == pytest.approx({"v2": 8 / 18, "v3": 16 / 26}[version])


@pytest.mark.parametrize("version", GATED)
def test_leaving_them_out_trains_to_the_same_weights(version):
    plain, skipping = warm_head(version), warm_head(version)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), skipping.parameters(), strict=True))
    sleep = skip_dormant(skipping)
    with torch.no_grad():
        assert torch.equal(plain(batches(1)[0]), skipping(batches(1)[0]))

    train(plain, list(plain.parameters()))
    train(skipping, [parameter for parameter in skipping.parameters() if parameter.requires_grad])
    sleep.decay(RATE, DECAY, 5)

    before = warm_head(version).state_dict()
    for key, expected in plain.state_dict().items():
        found = skipping.state_dict()[key]
        torch.testing.assert_close(
            found, expected, rtol=1e-5, atol=1e-7, msg=lambda text, key=key: f"{key}: {text}"
        )
        assert block_of(key) in SLEEPING[version] or not torch.equal(found, before[key])


def test_norms_of_sleeping_blocks_end_where_the_authors_end():
    head = warm_head("v3")
    sleep = skip_dormant(head)
    for rate in torch.linspace(2e-4, 1e-6, 150).tolist():  # as many epochs, about as many steps
        sleep.decay(rate, 1e-3, 330)
    state = head.state_dict()
    scales = torch.cat([state[f"head.{name}.norm.scale"] for name in SLEEPING["v3"]])
    assert (scales - 0.995).abs().max() < 1e-3
    assert all(not state[f"head.{name}.alpha"].any() for name in SLEEPING["v3"])


@pytest.mark.parametrize("version", GATED)
def test_open_gates_leave_nothing_dormant(version):
    head = warm_head(version, gate=1.0)
    assert dormant_blocks(head) == ()
    assert find_dormant(head).parameter_share == 0.0
    before = deepcopy(head.state_dict())
    train(head, list(head.parameters()), steps=3)
    state = head.state_dict()
    for name in SLEEPING[version]:
        last = "fc2" if f"head.{name}.fc2.weight" in state else "linear"
        for part in ("alpha", f"{last}.weight", f"{last}.bias"):
            assert not torch.equal(state[f"head.{name}.{part}"], before[f"head.{name}.{part}"])


def test_a_projection_whose_branch_sleeps_keeps_its_straight_path():
    head = Head(small_shape("v2"), dropout=0.0)  # without a teacher all branches sleep
    assert {"proj1", "proj2"} <= set(dormant_blocks(head))
    expected = head(batches(1)[0])
    skip_dormant(head)
    assert torch.equal(head(batches(1)[0]), expected)
    awake = {name for name, parameter in head.named_parameters() if parameter.requires_grad}
    assert awake == {"head.proj1.skip.weight", "head.proj2.skip.weight", "head.out_ln.weight", "head.out_ln.bias"}


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_heads_without_gates_have_nothing_dormant(version):
    head = Head(small_shape(version))
    assert skip_dormant(head).as_dict() == {
        "blocks": [],
        "parameters": 0,
        "block_share": 0.0,
        "parameter_share": 0.0,
    }
    assert all(parameter.requires_grad for parameter in head.parameters())
