"""Local attention against a plain masked softmax, and what of a sequence a token can see."""

from __future__ import annotations

import math

import pytest

from glm_assets.encoders.plant_lm.attention import SHORT_LENGTH, block_attention, sliding_attention
from glm_assets_tests.encoders.plant_lm.conftest import small_network

torch = pytest.importorskip("torch")

WINDOW = 4
# One block, a short sequence, the longest short one, long ones that fill their blocks or do not.
LENGTHS = [1, 3, 4, 9, SHORT_LENGTH, SHORT_LENGTH + 1, 140, 143]


def draw(length):
    generator = torch.Generator().manual_seed(length)
    return [torch.randn(2, 3, length, 5, generator=generator) for _ in range(3)]


def plain(query, key, value, sees):
    """Every weight of every pair of tokens, those that are not seen set to nothing."""
    weights = torch.einsum("bhic,bhjc->bhij", query, key) / math.sqrt(query.shape[-1])
    return weights.masked_fill(~sees, -torch.inf).softmax(dim=-1) @ value


def sliding_sees(length):
    return torch.tensor([[0 <= i - j < WINDOW for j in range(length)] for i in range(length)])


def block_sees(length):
    return torch.tensor([[j <= i and i // WINDOW == j // WINDOW for j in range(length)] for i in range(length)])


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("attend", "sees"),
    [(sliding_attention, sliding_sees), (block_attention, block_sees)],
    ids=["sliding", "block"],
)
def test_it_equals_a_masked_softmax(attend, sees, length):
    parts = draw(length)
    assert torch.allclose(attend(*parts, WINDOW), plain(*parts, sees(length)), atol=1e-6)


@pytest.mark.parametrize("length", [11, 143])
def test_gradients_of_long_sequences_equal_those_of_a_masked_softmax(length):
    ours, theirs = ([part.requires_grad_() for part in draw(length)] for _ in range(2))
    sliding_attention(*ours, WINDOW).square().sum().backward()
    plain(*theirs, sliding_sees(length)).square().sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-5)


def reach(network, length, at):
    """The tokens whose embedding the logits at a position depend on, by gradient."""
    embedded = []
    network.tokens.register_forward_hook(lambda _module, _inputs, out: embedded.append(out.retain_grad() or out))
    tokens = torch.randint(0, 16, (1, length), generator=torch.Generator().manual_seed(2))
    network(tokens)[0, at].square().sum().backward()
    return embedded[0].grad[0].abs().sum(dim=1).nonzero()[:, 0].tolist()


@pytest.mark.parametrize("length", [14, 141], ids=["short", "long"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_sliding_window_reaches_exactly_its_width_back_with_each_layer(layers, length):
    network = small_network(layers=layers, local="sliding", memory="none")
    at = length - 2
    assert reach(network, length, at) == list(range(at - layers * (WINDOW - 1), at + 1))


@pytest.mark.parametrize(("at", "first"), [(11, 8), (8, 8), (10, 8)])
def test_a_block_never_reaches_over_its_start_however_many_layers(at, first):
    network = small_network(layers=3, local="block", memory="none")
    assert reach(network, 14, at) == list(range(first, at + 1))


@pytest.mark.parametrize("local", ["sliding", "block"])
@pytest.mark.parametrize("memory", ["none", "content"])
def test_the_future_never_changes_the_past(local, memory):
    network = small_network(local=local, memory=memory)
    tokens = torch.randint(0, 16, (1, 135), generator=torch.Generator().manual_seed(3))
    for at in [*range(9), *range(126, 135)]:
        changed = tokens.clone()
        changed[0, at:] = (changed[0, at:] + 1) % 16
        with torch.no_grad():
            assert torch.allclose(network(changed)[0, :at], network(tokens)[0, :at], atol=1e-6)
            assert not torch.allclose(network(changed)[0, at], network(tokens)[0, at], atol=1e-3)
