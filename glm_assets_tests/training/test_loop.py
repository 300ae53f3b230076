from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glm_assets.errors import GlmError
from glm_assets.training.checkpoints import CheckpointFolder
from glm_assets.training.loop import LoopSettings, fit


class LineTask:
    """Fits a line; notes the gradient norm that each step arrives with."""

    def __init__(self, scale: float = 1.0) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(3, 1)
        self.x = torch.randn(20, 3)
        self.y = self.x @ torch.tensor([[1.0], [2.0], [3.0]])
        self.scale = scale
        self.epochs_ended: list[tuple[float, float, int]] = []

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        return [
            {"params": [self.model.weight], "weight_decay": weight_decay},
            {"params": [self.model.bias], "weight_decay": 0.0},
        ]

    def after_epoch(self, rate: float, weight_decay: float, steps: int) -> None:
        self.epochs_ended.append((rate, weight_decay, steps))

    def batches(self, epoch: int) -> Iterator[Tensor]:
        yield from torch.randperm(20).split(8)

    def loss(self, rows: Tensor, epoch: int) -> dict[str, Tensor]:
        error = (self.model(self.x[rows]) - self.y[rows]).square().mean()
        return {"loss": self.scale * error, "error": error}

    def validate(self, epoch: int) -> dict[str, float]:
        with torch.no_grad():
            return {"score": -float((self.model(self.x) - self.y).square().mean())}


SETTINGS = LoopSettings(epochs=6, learning_rate=0.1)


def run(task: LineTask, settings: LoopSettings, folder, keep: int | None = None):
    heard: list[int] = []
    lines: list[str] = []
    checkpoints = CheckpointFolder(folder, key="k", keep=keep)
    history = fit(task, settings, checkpoints, on_epoch=lambda r: heard.append(r.epoch), progress=lines.append)
    return history, heard, lines


@pytest.mark.parametrize(("epochs", "rate"), [(100, 1e-3), (100, 3e-4), (150, 2e-4), (12, 1e-3)])
def test_learning_rates_are_those_of_torchs_cosine(epochs, rate):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs, eta_min=1e-6)
    settings = LoopSettings(epochs=epochs, learning_rate=rate)
    for epoch in range(1, epochs + 1):
        assert settings.learning_rate_at(epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        scheduler.step()


def test_known_learning_rates():
    settings = LoopSettings(epochs=100, learning_rate=1e-3)
    assert settings.learning_rate_at(1) == 1e-3
    assert settings.learning_rate_at(51) == pytest.approx((1e-3 + 1e-6) / 2)
    assert settings.learning_rate_at(100) == pytest.approx(1e-6 + 999e-6 * 0.000246719817)


def test_every_epoch_is_recorded_and_told(tmp_path):
    history, heard, lines = run(LineTask(), SETTINGS, tmp_path)
    assert [record.epoch for record in history] == heard == [1, 2, 3, 4, 5, 6]
    assert history[-1].score > history[0].score
    assert [record.learning_rate for record in history] == [SETTINGS.learning_rate_at(e) for e in range(1, 7)]
    assert lines == [f"epoch 6/6: loss {history[-1].train['loss']:.4f}, score {history[-1].score:.4f}"]


def test_recorded_losses_are_means_over_steps(tmp_path):
    task = LineTask()
    task.batches = lambda epoch: [torch.arange(0, 4), torch.arange(4, 20)]
    history, _, _ = run(task, replace(SETTINGS, epochs=1, learning_rate=0.0, min_learning_rate=0.0), tmp_path)
    parts = [task.loss(rows, 1)["error"].item() for rows in task.batches(1)]
    assert history[0].train["error"] == pytest.approx(sum(parts) / 2)


def test_gradients_are_clipped_and_groups_keep_their_weight_decay(tmp_path, monkeypatch):
    norms, groups = [], []
    step = torch.optim.AdamW.step

    def watched(self, *args, **kwargs):
        gradients = [p.grad.flatten() for group in self.param_groups for p in group["params"]]
        norms.append(torch.cat(gradients).norm().item())
        groups.append(
            [tuple(group[key] for key in ("weight_decay", "betas", "eps")) for group in self.param_groups]
        )
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    run(LineTask(scale=1000.0), replace(SETTINGS, epochs=1), tmp_path)
    assert norms == pytest.approx([1.0] * 3, rel=1e-4)
    assert groups == [[(1e-3, (0.9, 0.999), 1e-8), (0.0, (0.9, 0.999), 1e-8)]] * 3


def test_weights_move_as_the_plain_loop_of_adamw_moves_them(tmp_path):
    task, plain = LineTask(), LineTask()
    run(task, replace(SETTINGS, weight_decay=0.5), tmp_path)

    plain = LineTask()
    optimizer = torch.optim.AdamW(plain.parameter_groups(0.5), lr=0.1, foreach=False, fused=False)
    for epoch in range(1, SETTINGS.epochs + 1):
        for group in optimizer.param_groups:
            group["lr"] = SETTINGS.learning_rate_at(epoch)
        for rows in plain.batches(epoch):
            loss = plain.loss(rows, epoch)["loss"]
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(plain.model.parameters(), 1.0)
            optimizer.step()
    torch.testing.assert_close(task.model.state_dict(), plain.model.state_dict(), rtol=1e-5, atol=1e-6)


def test_the_task_hears_of_every_epochs_steps(tmp_path):
    task = LineTask()
    history, _, _ = run(task, replace(SETTINGS, epochs=2, weight_decay=0.5), tmp_path)
    assert task.epochs_ended == [(record.learning_rate, 0.5, 3) for record in history]


class WatchedTask(LineTask):
    """Notes in what type the model answers while it trains and while it is validated."""

    def __init__(self) -> None:
        super().__init__()
        self.types: set[tuple[bool, torch.dtype]] = set()
        self.model.register_forward_hook(lambda model, _, out: self.types.add((model.training, out.dtype)))

    def validate(self, epoch: int) -> dict[str, float]:
        self.model.eval()
        return super().validate(epoch)


@pytest.mark.parametrize(("mixed", "training"), [(False, torch.float32), (True, torch.bfloat16)])
def test_mixed_precision_narrows_the_training_pass_alone(tmp_path, mixed, training):
    task = WatchedTask()
    history, _, _ = run(task, replace(SETTINGS, mixed_precision=mixed), tmp_path)
    assert task.types == {(True, training), (False, torch.float32)}
    assert history[-1].score > history[0].score
    assert {parameter.dtype for parameter in task.model.parameters()} == {torch.float32}


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    with pytest.raises(GlmError, match="diverged in epoch 1"):
        run(LineTask(scale=float("nan")), SETTINGS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_going_on_tells_the_epochs_that_are_done(tmp_path):
    first, _, _ = run(LineTask(), SETTINGS, tmp_path)
    again, heard, lines = run(LineTask(), SETTINGS, tmp_path)
    assert again == first
    assert heard == [1, 2, 3, 4, 5, 6]
    assert lines == ["continuing after epoch 6 of 6"]
