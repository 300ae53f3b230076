"""A sliding window predicts what disjoint blocks cannot: a chain of order 2 across the blocks' starts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from glm_assets_tests.encoders.plant_lm.conftest import small_network

torch = pytest.importorskip("torch")

LENGTH, WORDS = 16, 8


def draw(sequences, generator):
    """Each word is the one two before it or the next in a circle, by a coin; the one just before it says nothing."""
    words = list(torch.randint(0, WORDS, (2, sequences), generator=generator))
    for coin in torch.randint(0, 2, (LENGTH - 1, sequences), generator=generator):
        words.append((words[-2] + coin) % WORDS)
    return torch.stack(words, dim=1)


def trained(local):
    """(L,) mean loss at each position after eighty steps."""
    network = small_network(local=local, memory="none", width=32, heads=4, context=LENGTH, layers=1, tied=False)
    optimizer = torch.optim.AdamW(network.train().parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(1)

    def losses(sequences):
        words = draw(sequences, generator)
        logits = network(words[:, :-1]).transpose(1, 2)
        return torch.nn.functional.cross_entropy(logits, words[:, 1:], reduction="none")

    for _ in range(80):
        optimizer.zero_grad()
        losses(32).mean().backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        return losses(256).mean(dim=0)


def test_a_sliding_window_beats_blocks_at_their_starts_and_nowhere_else():
    sliding, block = trained("sliding"), trained("block")
    starts = [4, 8, 12]
    inside = [at for at in range(1, LENGTH) if at not in starts]
    assert sliding[1:].max() < 1.1  # on its way to ln 2 = 0.69
    assert block[inside].max() < 1.1
    assert block[starts].min() > 1.9  # ln 8 = 2.08: nothing is known


@pytest.mark.system
def test_the_benchmark_reproduces_the_gap_at_no_more_cost(repository):
    command = [sys.executable, "benchmarks/sliding_attention.py", "--k", "3", "--length", "2048"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["floor"] < figures["sliding"] < 0.82
    assert figures["block"] > 0.95
    assert figures["block_starts"] > 1.5
    assert figures["step_ratio"] < 1.05
