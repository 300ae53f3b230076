"""Training on windows: the loss of the tokens that count, the order of windows, and figures that several share."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from glm_assets.errors import TrainingError  # noqa: E402
from glm_assets.language.loss import language_figures, next_token_loss, token_losses  # noqa: E402
from glm_assets.language.task import LanguageTask  # noqa: E402
from glm_assets.studies.training_runs import epochs_and_steps, language_loop  # noqa: E402
from glm_assets.studies.training_values import LanguageTraining  # noqa: E402
from glm_assets.training.checkpoints import CheckpointFolder  # noqa: E402
from glm_assets.training.distributed import Ranks  # noqa: E402
from glm_assets.training.loop import fit  # noqa: E402
from glm_assets.training.seeding import seeded  # noqa: E402
from glm_assets_tests.language.fakes import Windows, markov_genome  # noqa: E402


class Bigrams(nn.Module):
    """Logits that depend on the token before alone."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(128, 128)

    def forward(self, ids):
        return self.table(ids)


def task_of(train, val=None, **changes) -> LanguageTask:
    values = {"batch_size": 4, "validation_windows": 5, "micro_batches": 3, "seed": 7} | changes
    with seeded(1):
        return LanguageTask(Bigrams(), train, train if val is None else val, **values)


def genome(context: int = 10, windows: int = 9) -> Windows:
    return Windows(markov_genome(context * windows + 1), context)


def test_the_loss_is_the_mean_over_the_tokens_that_count():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, generator=generator)
    targets = torch.tensor([[0, 1, 2], [3, 4, 0]])
    weights = torch.tensor([[1.0, 0, 1], [0, 0, 0.5]])
    chances = logits.double().exp() / logits.double().exp().sum(-1, keepdim=True)
    each = [
        (weights[b, i].item(), -math.log(chances[b, i, targets[b, i]].item())) for b in range(2) for i in range(3)
    ]
    loss, weight = next_token_loss(logits, targets, weights)
    assert weight.item() == pytest.approx(2.5)
    assert loss.item() == pytest.approx(sum(w * v for w, v in each) / 2.5, rel=1e-5)
    assert token_losses(logits, targets)[1, 2].item() == pytest.approx(each[5][1], rel=1e-5)


def test_a_batch_without_a_target_moves_nothing():
    logits = torch.zeros(1, 2, 4, requires_grad=True)
    loss, weight = next_token_loss(logits, torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 2))
    (loss * weight / weight).backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_a_loss_in_other_words():
    assert language_figures(math.log(4), 1) == pytest.approx(
        {"loss": math.log(4), "perplexity": 4, "bits_per_base": 2}
    )
    assert language_figures(6 * math.log(4), 6)["bits_per_base"] == pytest.approx(2)


def test_smoothing_is_for_training_alone():
    windows = genome()
    smooth, plain = (task_of(windows, label_smoothing=share) for share in (0.2, 0.0))
    batch = next(iter(plain.batches(1)))
    assert smooth.loss(batch, 1)["loss"] != plain.loss(batch, 1)["loss"]
    assert smooth.validate(1) == plain.validate(1)


def test_no_window_comes_again_before_all_have_been_taken():
    """9 windows, 4 at a time, 3 times an epoch: 12 an epoch, also over the ends of epochs."""
    windows = genome()
    task = task_of(windows)
    for epoch in (1, 2, 3):
        for _ in task.batches(epoch):
            pass
    taken = windows.taken
    assert len(taken) == 36
    rounds = [taken[start : start + 9] for start in range(0, 36, 9)]
    assert all(sorted(each) == list(range(9)) for each in rounds)
    assert len({tuple(each) for each in rounds}) == 4


def test_the_order_is_the_seeds_alone_and_a_batch_can_be_read_alone():
    first, second = task_of(genome()), task_of(genome())
    list(first.batches(1))
    torch.rand(3)
    assert torch.equal(first.batches(2)[1].inputs, second.batches(2)[1].inputs)
    assert not torch.equal(task_of(genome(), seed=8).batches(2)[1].inputs, second.batches(2)[1].inputs)


def test_validation_looks_at_the_same_evenly_spaced_windows_and_weighs_tokens():
    train, tokens = genome(), markov_genome(201, seed=3)
    weights = (np.arange(201) % 3 > 0).astype(np.float32)
    val = Windows(tokens, 10, weights)
    task = task_of(train, val)
    figures = task.validate(1)
    assert val.taken == [0, 4, 8, 12, 16]
    with torch.no_grad():
        table = task.model.table.weight.log_softmax(-1)
    places = np.concatenate([np.arange(start * 10 + 1, start * 10 + 11) for start in (0, 4, 8, 12, 16)])
    losses = [-table[tokens[place - 1], tokens[place]].item() for place in places]
    wanted = np.average(losses, weights=weights[places])
    assert figures["loss"] == pytest.approx(wanted, rel=1e-5)
    assert figures["score"] == -figures["loss"]


def test_processes_judge_a_share_each(monkeypatch):
    """Two that bring their sums together find what one finds."""
    alone = task_of(genome()).validate(1)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(Ranks, "gather", lambda _, rows: parts.append(rows) or rows)
        task_of(genome(), ranks=Ranks(rank, 2)).validate(1)
    assert [len(part) for part in parts] == [2, 3]
    monkeypatch.setattr(Ranks, "gather", lambda *_: np.concatenate(parts))
    assert task_of(genome(), ranks=Ranks(0, 2)).validate(1)["loss"] == pytest.approx(alone["loss"])


def test_windows_that_cannot_judge_are_refused():
    empty = Windows(np.zeros(5, np.int64), 10)
    with pytest.raises(TrainingError, match="split val has no window"):
        task_of(genome(), empty)
    masked = Windows(markov_genome(101), 10, np.zeros(101, np.float32))
    with pytest.raises(TrainingError, match="no token of the validation windows counts"):
        task_of(genome(), masked).validate(1)


def training_values(**changes) -> LanguageTraining:
    values = {
        "batch_size": 4,
        "accumulation": 1,
        "learning_rate": 0.1,
        "weight_decay": 0.0,
        "warmup_steps": 2,
        "clip_norm": 1.0,
        "steps": 10,
        "validate_steps": 4,
        "validation_windows": 9,
    }
    return LanguageTraining(**(values | changes))


@pytest.mark.parametrize(
    ("steps", "every", "epochs", "each"), [(100, 50, 2, 50), (60, 20, 3, 20), (10, 4, 3, 3), (5, 20, 1, 5)]
)
def test_an_epoch_is_a_number_of_steps(steps, every, epochs, each):
    values = training_values(steps=steps, validate_steps=every, warmup_steps=1)
    assert epochs_and_steps(values) == (epochs, each)
    loop = language_loop(values, mixed_precision=False)
    assert loop.epochs == epochs
    assert loop.learning_rate_at(epochs, each, each) == pytest.approx(values.min_learning_rate)


def test_a_training_that_was_killed_within_an_epoch_ends_as_if_it_had_not_been(tmp_path):
    class Killed(Exception):
        pass

    def run(folder, *, stop_at: int | None = None):
        task = task_of(genome(windows=40), micro_batches=4)
        plain, seen = task.loss, []

        def loss(batch, epoch):
            seen.append(batch)
            if len(seen) == stop_at:
                raise Killed
            return plain(batch, epoch)

        task.loss = loss
        settings = language_loop(training_values(checkpoint_steps=1, steps=12), mixed_precision=False)
        with seeded(3):
            history = fit(
                task,
                settings,
                CheckpointFolder(folder, key="k"),
                on_epoch=lambda _: None,
                progress=lambda _: None,
            )
        return task.model.table.weight.detach(), history

    whole, history = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "killed", stop_at=7)
    resumed, again = run(tmp_path / "killed")
    assert torch.equal(whole, resumed)
    assert [record.validation for record in again] == [record.validation for record in history]
    assert history[-1].validation["loss"] < history[0].validation["loss"]
