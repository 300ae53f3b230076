"""Sliding local attention against the original's disjoint blocks, in one run.

Run `python benchmarks/sliding_attention.py [--steps N] [--k K] [--device cuda]`; the last line is JSON.

Words follow one another by a chain of order 2: two words decide which two may come next, each with probability 1/2,
so that no model is better than ln 2 = 0.693. Of the 4^k words 8 occur. Both networks are the plant language model
with d = 64, w = 4 and no memory, begin with the same numbers and read the same batches, in turns.

- `sliding`, `block`: mean cross entropy (nats a word) of fresh sequences, in evaluation mode; `block_starts` of the
  words that the first of a block predicts, which sees none before it.
- `step_ratio`: a training step of sliding over one of blocks, medians. The output layer over 4^k words is part of both.
- `attention_ratio`: the attention alone, forward and backward, at `--length` tokens and a window of 128.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from glm_assets.encoders.plant_lm.attention import block_attention, sliding_attention
from glm_assets.encoders.plant_lm.config import Local, PlantLmConfig
from glm_assets.encoders.plant_lm.network import PlantLm

WORDS = 8
WINDOW = 4
LENGTH = 64
BATCH = 16
EVALUATED = 256
LEARNING_RATE = 3e-3
LOCALS: tuple[Local, ...] = ("sliding", "block")
REPEATS = 15


class Chain:
    """A chain of order 2.

    Args:
        vocabulary: Words there are; `WORDS` of them occur.
        seed: Of the chain and of all that is drawn from it.
    """

    def __init__(self, vocabulary: int, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._words = torch.randperm(vocabulary, generator=self._generator)[:WORDS]
        draws = torch.rand(WORDS, WORDS, WORDS, generator=self._generator)
        self._successors = draws.argsort(dim=-1)[..., :2]

    def draw(self, sequences: int, length: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets (b, L), the targets one word ahead."""
        states = list(torch.randint(0, WORDS, (2, sequences), generator=self._generator))
        for choice in torch.randint(0, 2, (length - 1, sequences), generator=self._generator):
            states.append(self._successors[states[-2], states[-1], choice])
        words = self._words[torch.stack(states, dim=1)]
        return words[:, :-1], words[:, 1:]


def network(local: Local, k: int, device: str) -> PlantLm:
    """Equal numbers for both kinds: they have the same parameters."""
    torch.manual_seed(0)
    config = PlantLmConfig(
        species=("chain",),
        k=k,
        width=64,
        heads=4,
        layers=2,
        dropout=0.0,
        context=LENGTH,
        window=WINDOW,
        local=local,
        positions=LENGTH,
        tied=False,
        memory="none",
    )
    return PlantLm(config).to(device)


def timed(step: Callable[[], object], device: str) -> float:
    """Seconds of a call; on a CPU those of this process, which others on the machine do not lengthen."""
    if not device.startswith("cuda"):
        start = time.process_time()
        step()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def train(networks: dict[Local, PlantLm], chain: Chain, steps: int, device: str) -> dict[Local, float]:
    """Train in turns on the same batches; median seconds of a step."""
    optimizers = {local: torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE) for local, net in networks.items()}
    seconds: dict[Local, list[float]] = {local: [] for local in networks}

    def step(local: Local, inputs: Tensor, targets: Tensor) -> None:
        loss = cross_entropy(networks[local](inputs).flatten(0, 1), targets.flatten())
        optimizers[local].zero_grad()
        loss.backward()
        optimizers[local].step()

    for _ in range(steps):
        inputs, targets = (part.to(device) for part in chain.draw(BATCH, LENGTH))
        for local in networks:
            seconds[local].append(timed(partial(step, local, inputs, targets), device))
    return {local: statistics.median(taken) for local, taken in seconds.items()}


@torch.no_grad()
def losses(net: PlantLm, inputs: Tensor, targets: Tensor) -> Tensor:
    """(b, L) cross entropy."""
    return cross_entropy(net.eval()(inputs).transpose(1, 2), targets, reduction="none")


def attention_seconds(length: int, device: str) -> dict[Local, float]:
    """Median seconds of the attention alone, forward and backward, in turns."""
    shape = (1, 4, length, 64)
    query, key, value = (torch.randn(shape, device=device, requires_grad=True) for _ in range(3))
    seconds: dict[Local, list[float]] = {local: [] for local in LOCALS}

    def step(local: Local) -> None:
        attend = sliding_attention if local == "sliding" else block_attention
        attend(query, key, value, 128).sum().backward()

    for turn in range(REPEATS + 1):
        for local in LOCALS:
            taken = timed(partial(step, local), device)
            seconds[local] += [taken] if turn else []
    return {local: statistics.median(taken) for local, taken in seconds.items()}


def main() -> None:
    """Train both, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--k", type=int, default=6)
    parser.add_argument("--length", type=int, default=8192)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chain = Chain(4**options.k, seed=1)
    networks: dict[Local, PlantLm] = {local: network(local, options.k, options.device) for local in LOCALS}
    steps = train(networks, chain, options.steps, options.device)
    inputs, targets = (part.to(options.device) for part in chain.draw(EVALUATED, LENGTH))
    found = {local: losses(net, inputs, targets) for local, net in networks.items()}
    attention = attention_seconds(options.length, options.device)
    figures = {
        "sliding": found["sliding"].mean().item(),
        "block": found["block"].mean().item(),
        "block_starts": found["block"][:, ::WINDOW].mean().item(),
        "floor": math.log(2),
        "step_ratio": steps["sliding"] / steps["block"],
        "sliding_step_ms": 1000 * steps["sliding"],
        "attention_ratio": attention["sliding"] / attention["block"],
    }
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
