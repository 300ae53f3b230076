from __future__ import annotations

import pytest
import torch

from glm_assets.errors import GlmError, SettingsError, TrainingError
from glm_assets.training.early_stopping import EarlyStopping
from glm_assets.training.schedules import Schedule
from glm_assets.training.settings import LoopSettings


def rates(schedule: Schedule, steps: int, **more) -> list[float]:
    settings = LoopSettings(1, 2e-4, schedule=schedule, **more)
    return [settings.learning_rate_at(1, step, steps) for step in range(1, steps + 1)]


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_rates_fall_as_those_of_torch_after_a_warmup(shape, warmup):
    """A step's rate is the one that torch has after it, so that the last one's is the floor."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
    scheduler = (
        torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=40)
        if shape == "linear"
        else torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    )
    expected = [2e-4 * step / warmup for step in range(1, warmup + 1)]
    for _ in range(40):
        optimizer.step()
        scheduler.step()
        expected.append(optimizer.param_groups[0]["lr"])
    assert rates(Schedule(shape, warmup), 40 + warmup, min_learning_rate=0.0) == pytest.approx(expected, abs=1e-17)


def test_known_rates():
    assert rates(Schedule("linear", 2), 4) == pytest.approx([1e-4, 2e-4, 1e-4, 0.0])
    assert rates(Schedule("constant", 2), 4) == pytest.approx([1e-4, 2e-4, 2e-4, 2e-4])
    assert rates(Schedule("cosine"), 4, min_learning_rate=2e-5)[-1] == 2e-5
    assert rates(Schedule(), 4) == [2e-4] * 4


def test_steps_are_counted_through_all_epochs():
    settings = LoopSettings(3, 1.0, schedule=Schedule("linear", 3))
    found = [settings.learning_rate_at(epoch, step, 5) for epoch in (1, 2, 3) for step in range(1, 6)]
    assert found == pytest.approx([1 / 3, 2 / 3, 1, *(left / 12 for left in range(11, -1, -1))])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shape": "polynomial"}, "no schedule 'polynomial'"),
        ({"shape": "linear", "warmup_steps": -1}, "warmup of -1"),
        ({"warmup_steps": 5}, "epoch_cosine has no warmup"),
    ],
)
def test_schedules_that_cannot_be(options, words):
    with pytest.raises(SettingsError, match=words):
        Schedule(**options)


def test_a_warmup_must_end_before_the_training():
    Schedule("linear", 100).require_room(101)
    with pytest.raises(TrainingError, match=r"warmup of 100 steps in a training of 100.*warmup_steps"):
        Schedule("linear", 100).require_room(100)


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("accumulation", 0), ("checkpoint_every_steps", 0), ("learning_rate", -1.0),
     ("learning_rate", float("nan")), ("weight_decay", -0.1), ("clip_norm", 0.0), ("betas", (0.9, 1.0)),
     ("narrow_type", "float8")],
)  # fmt: skip
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(GlmError, match=f"{name} of a training is"):
        LoopSettings(**{"epochs": 1, "learning_rate": 0.1, name: value})


def ends_after(stopping: EarlyStopping, scores: list[float]) -> int | None:
    """The epoch after which a training with these scores is over."""
    ends = [count for count in range(1, len(scores) + 1) if stopping.ends(scores[:count])]
    return ends[0] if ends else None


@pytest.mark.parametrize(
    ("options", "scores", "epoch"),
    [
        ({"patience": 1}, [0.1, 0.2, 0.2], 3),  # as good is no better
        ({"patience": 3}, [0.5, 0.4, 0.4, 0.6, 0.5, 0.5, 0.5], 7),
        ({"patience": 3}, [0.1, 0.2, 0.3, 0.4], None),
        ({"patience": 2, "min_epochs": 5}, [0.5, 0.4, 0.4, 0.4, 0.3, 0.2], 5),
        ({"patience": 2, "min_delta": 0.1}, [0.50, 0.55, 0.58, 0.9], 3),
        ({"patience": 2}, [-3.0, -2.0, -1.0, 0.0, -0.5, -0.5], 6),  # a score of 0 or less counts like any
        ({"patience": 1}, [0.0, 0.0], 2),
        ({"patience": 2}, [float("nan"), float("nan")], 2),
    ],
)
def test_when_a_training_ends_early(options, scores, epoch):
    assert ends_after(EarlyStopping(**options), scores) == epoch


@pytest.mark.parametrize(
    "options", [{"patience": 0}, {"patience": 1, "min_epochs": -1}, {"patience": 1, "min_delta": -1}]
)
def test_early_stoppings_that_cannot_be(options):
    with pytest.raises(SettingsError, match="patience"):
        EarlyStopping(**options)
