"""Steps of several micro-batches: gradients, rates, figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from glm_assets.errors import TrainingError
from glm_assets.training.schedules import Schedule
from glm_assets.training.settings import LoopSettings
from glm_assets_tests.training.tasks import RowsTask, StreamTask, fit_alone

SETTINGS = LoopSettings(2, 0.05, schedule=Schedule("linear", 1), clip_norm=0.5)


@pytest.fixture
def steps(monkeypatch) -> list[tuple[float, torch.Tensor]]:
    """Rate and gradient that every step of the optimiser arrives with."""
    seen = []
    step = torch.optim.AdamW.step

    def watched(self, *args, **kwargs):
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        seen.append((self.param_groups[0]["lr"], torch.cat([p.grad.flatten() for p in parameters])))
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    return seen


@pytest.mark.parametrize("clip_norm", [0.05, 1e9])
def test_eight_batches_of_one_row_move_the_weights_as_one_of_eight(tmp_path, steps, clip_norm):
    """In an epoch of 22 rows, so that its last step has 6 rows."""
    settings = replace(SETTINGS, clip_norm=clip_norm)
    large, small = RowsTask(size=8, seed=1), RowsTask(size=1, seed=1)
    expected = fit_alone(large, settings, tmp_path / "large")
    found = fit_alone(small, replace(settings, accumulation=8), tmp_path / "small")
    assert len(steps) == 2 * 2 * 3
    for (rate, gradient), (small_rate, small_gradient) in zip(steps[:6], steps[6:], strict=True):
        assert small_rate == rate
        torch.testing.assert_close(small_gradient, gradient, rtol=1e-4, atol=1e-6)
        assert float(gradient.norm()) == pytest.approx(0.05, rel=1e-3) or clip_norm > 1
    torch.testing.assert_close(small.model.state_dict(), large.model.state_dict(), rtol=1e-4, atol=1e-6)
    assert [record.train["loss"] for record in found] == pytest.approx(
        [r.train["loss"] for r in expected], rel=1e-5
    )


def test_micro_batches_of_unequal_sizes_count_by_their_rows(tmp_path, steps):
    """Micro-batches of 5, 5, 5, 5 and 2 rows in steps of two, beside the gradients of the rows that they hold."""
    task = RowsTask(size=5, seed=1)
    fit_alone(task, LoopSettings(1, 0.0, schedule=Schedule("constant"), clip_norm=1e9, accumulation=2), tmp_path)
    for rows, (_, gradient) in zip(task.order(1).split(10), steps, strict=True):
        task.model.zero_grad()
        task.loss(rows, 1)["loss"].backward()
        groups = task.parameter_groups(0.0)
        expected = torch.cat([p.grad.flatten() for group in groups for p in group["params"]])
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_without_weights_micro_batches_count_alike(tmp_path, steps):
    task = RowsTask(size=20, seed=1)  # 20 rows and 2
    weighed = task.loss
    task.loss = lambda batch, epoch: {k: v for k, v in weighed(batch, epoch).items() if k != "weight"}
    settings = LoopSettings(1, 0.0, schedule=Schedule("constant"), clip_norm=1e9, accumulation=2)
    (record,) = fit_alone(task, settings, tmp_path)
    parts = [task.loss(rows, 1)["loss"].item() for rows in task.order(1).split(20)]
    assert record.train["loss"] == pytest.approx(sum(parts) / 2)
    assert len(steps) == 1


def test_the_rate_counts_steps_and_ends_at_zero(tmp_path, steps):
    """The fault of the original: counting micro-batches, eight in a step, it ended at 7/8 of the peak."""
    settings = LoopSettings(4, 1e-3, schedule=Schedule("linear", 2), accumulation=8)
    history = fit_alone(RowsTask(size=1, seed=1), settings, tmp_path)
    assert [rate for rate, _ in steps] == pytest.approx([5e-4, *(1e-3 * left / 10 for left in range(10, -1, -1))])
    assert steps[-1][0] == history[-1].learning_rate == 0.0


def test_betas_are_the_optimisers(tmp_path, monkeypatch):
    seen = set()
    step = torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self: (seen.add(self.param_groups[0]["betas"]), step(self))
    )
    fit_alone(RowsTask(), replace(SETTINGS, betas=(0.8, 0.95)), tmp_path)
    assert seen == {(0.8, 0.95)}


def test_a_schedule_of_steps_needs_batches_that_can_be_counted(tmp_path):
    with pytest.raises(TrainingError, match=r"linear cannot count the steps of generator.*Planned"):
        fit_alone(StreamTask(), SETTINGS, tmp_path)


def test_an_epoch_without_batches_is_named(tmp_path):
    task = StreamTask()
    task.batches = lambda epoch: iter(())
    with pytest.raises(TrainingError, match="epoch 1 has no batches"):
        fit_alone(task, replace(SETTINGS, schedule=Schedule()), tmp_path)


def test_float16_leaves_out_steps_that_overflow_and_learns(tmp_path):
    """The first scale of 65,536 overflows float16; steps that it spoils move nothing."""
    settings = LoopSettings(
        30, 0.02, schedule=Schedule("constant"), mixed_precision=True, narrow_type="float16", accumulation=2
    )
    task = RowsTask()
    task.loss, plain = (lambda batch, epoch: {k: v * 8 for k, v in plain(batch, epoch).items()}), task.loss
    history = fit_alone(task, settings, tmp_path)
    assert history[-1].score > history[0].score + 0.05
    assert all(torch.isfinite(value).all() for value in task.model.state_dict().values())
    state = torch.load(tmp_path / "resume.pt", weights_only=True)
    assert 0 < state["scaler"]["scale"] < 65536
