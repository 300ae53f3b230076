"""State that no gradient moves: updated after each step, and kept as weights are."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file

from glm_assets.training.schedules import Schedule
from glm_assets_tests.training.tasks import RowsTask, fit_alone
from glm_assets_tests.training.test_going_on import SETTINGS, interrupt, products


class CountingTask(RowsTask):
    """Keeps a moving mean of the rows it has read, which its model adds to what it says."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.mean, self.steps = torch.zeros(6), torch.zeros((), dtype=torch.int64)
        self.model.register_buffer("mean", self.mean)
        self.model.register_buffer("steps", self.steps)
        self.followed: list[tuple[list[list[int]], torch.Tensor]] = []

    def loss(self, batch, epoch):
        error = (self.model(self.x[batch] + self.mean) - self.y[batch]).square().mean()
        return {"loss": error, "weight": len(batch)}

    def after_step(self, batches) -> None:
        self.followed.append(([rows.tolist() for rows in batches], self.model.head.bias.detach().clone()))
        self.steps.add_(1)
        self.mean.lerp_(self.x[torch.cat(list(batches))].mean(0), 0.1)


def test_it_is_told_of_each_step_after_it_and_of_what_it_was_of(tmp_path):
    task = CountingTask()
    begin = task.model.head.bias.detach().clone()
    fit_alone(task, replace(SETTINGS, epochs=1), tmp_path)
    assert [rows for batches, _ in task.followed for rows in batches] == task.read
    assert [len(batches) for batches, _ in task.followed] == [3, 3, 3, 2]
    seen = [begin, *(bias for _, bias in task.followed[:-1])]  # at the last step the rate is 0
    assert not any(torch.equal(before, after) for before, after in pairwise(seen))
    assert load_file(tmp_path / "epoch_001.safetensors")["steps"] == 4


@pytest.mark.parametrize("steps", [3, 4, 7])
def test_a_training_goes_on_with_it_inside_an_epoch(tmp_path, monkeypatch, steps):
    """What is lost of it would show in every later loss."""
    settings = replace(SETTINGS, schedule=Schedule("cosine", 2))
    whole = CountingTask(dropout=0.3)
    history = fit_alone(whole, settings, tmp_path / "whole")
    interrupt(monkeypatch, CountingTask(dropout=0.3), settings, tmp_path / "part", steps)
    task = CountingTask(dropout=0.3)
    assert fit_alone(task, settings, tmp_path / "part") == history
    assert products(tmp_path / "part") == products(tmp_path / "whole")
    assert torch.equal(task.mean, whole.mean)
    assert task.steps == 12
