"""Windows of one token against windows of 128, of as many tokens, in one run.

Run `python benchmarks/context_length.py [--steps N] [--device cuda]`; the last line is JSON.

The bases are a chain of order 3. In both trainings the demo's Evo2, cut off after four blocks (one of each kind),
begins with the same numbers and moves all its weights along the same schedule; a step reads 1,024 tokens, and the loss
is that of the same held-out bases. The study refuses a context of 1, and so do its windows: they are cut here by hand.

- `context_1`, `context_128`: validation loss (nats a base) after the last step.
- `pairs`: the entropy of a base after the one before it, the best that windows of one token allow.
- `floor`: the chain's entropy, the best that any model can do; `uniform`: ln 4.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from glm_assets.encoders.demo import make_demo_checkpoint
from glm_assets.encoders.evo2.config import DEMO, EVO2_MODELS
from glm_assets.language.evo2 import load_evo2
from glm_assets.language.task import LanguageTask
from glm_assets.language.windows import WindowBatch
from glm_assets.training.checkpoints import CheckpointFolder
from glm_assets.training.loop import fit
from glm_assets.training.schedules import Schedule
from glm_assets.training.settings import LoopSettings

SHALLOW = "demo_of_four_blocks"
ORDER = 3
SEED = 552
CONTEXTS = (1, 128)
STEP_TOKENS = 1024
TRAIN_BASES = 100_000
VAL_BASES = 8 * STEP_TOKENS
LEARNING_RATE = 0.02


class Chain:
    """What three bases make likely, drawn from a Dirichlet distribution.

    Args:
        seed: Of the chain and of all that is drawn from it.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self.shares = self._generator.dirichlet([0.5] * 4, size=4**ORDER)
        words = np.full(4**ORDER, 1 / 4**ORDER)
        for _ in range(500):  # to the shares of the long run
            words = (words[:, None] * self.shares).reshape(4, -1).sum(axis=0)
        self._longer = words[:, None] * self.shares

    def draw(self, bases: int) -> NDArray[np.int64]:
        """(n,) their bytes."""
        limits, draws = self.shares.cumsum(axis=1).tolist(), self._generator.random(bases + ORDER).tolist()
        codes, word = [], 0
        for draw in draws:
            code = min(3, sum(draw >= limit for limit in limits[word]))
            codes.append(code)
            word = (word * 4 + code) % 4**ORDER
        return np.frombuffer(b"ACGT", np.uint8).astype(np.int64)[codes[ORDER:]]

    @property
    def floor(self) -> float:
        """Entropy of a base after three, in nats."""
        return float(-(self._longer * np.log(self.shares)).sum())

    @property
    def pairs(self) -> float:
        """Entropy of a base after one."""
        both = self._longer.reshape(-1, 4, 4).sum(axis=0)
        return float(-(both * np.log(both / both.sum(axis=1, keepdims=True))).sum())


class Windows:
    """Windows of any length, one too, end to end.

    Args:
        tokens: (n,) ids.
        context: Tokens of a window.
    """

    def __init__(self, tokens: NDArray[np.int64], context: int) -> None:
        self._tokens, self._context = tokens, context

    def __len__(self) -> int:
        return (len(self._tokens) - 1) // self._context

    def take(self, rows: NDArray[np.int64]) -> WindowBatch:
        """Some of them."""
        places = rows[:, None] * self._context + np.arange(self._context)
        weights = np.ones(places.shape, np.float32)
        return WindowBatch(self._tokens[places], self._tokens[places + 1], weights, places, np.zeros_like(rows))


def trained_loss(
    context: int, weights: Path, parts: tuple[NDArray[np.int64], ...], steps: int, device: str
) -> float:
    """Validation loss after training on windows of a length."""
    torch.manual_seed(SEED)
    network = load_evo2(SHALLOW, weights, device=device, dtype="float32").requires_grad_(True)
    train, val = (Windows(part, context) for part in parts)
    task = LanguageTask(
        network,
        train,
        val,
        batch_size=STEP_TOKENS // context,
        device=device,
        validation_windows=len(val),
        micro_batches=steps,
        seed=SEED,
    )
    schedule = Schedule("cosine", 10)
    settings = LoopSettings(epochs=1, learning_rate=LEARNING_RATE, clip_norm=1.0, schedule=schedule)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = CheckpointFolder(Path(folder), key=str(context), keep=1)
        (record,) = fit(task, settings, checkpoints, on_epoch=lambda _: None, progress=lambda _: None)
    return record.validation["loss"]


def main() -> None:
    """Train both, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    demo = EVO2_MODELS[DEMO]
    EVO2_MODELS[SHALLOW] = replace(demo, overrides={**(demo.overrides or {}), "num_layers": 4})
    chain = Chain(SEED)
    parts = chain.draw(TRAIN_BASES), chain.draw(VAL_BASES + 1)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "demo.pt"
        make_demo_checkpoint(weights)
        losses = {
            f"context_{context}": trained_loss(context, weights, parts, options.steps, options.device)
            for context in CONTEXTS
        }
    figures = losses | {"pairs": chain.pairs, "floor": chain.floor, "uniform": math.log(4)}
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
