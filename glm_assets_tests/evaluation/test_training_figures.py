"""Training curves show every epoch, the best one and an early end."""

from __future__ import annotations

import pytest

from glm_assets.evaluation.training_figures import plot_training
from glm_assets_tests.evaluation.drawn import saved

SCORES = (0.3, 0.6, 0.5)


def history(epochs: int = 3, *, loss: bool = True) -> list[dict]:
    return [
        {
            "epoch": number + 1,
            "learning_rate": 1e-4 / (number + 1),
            "train": {"loss": 1 / (number + 1)},
            "validation": {"score": SCORES[number], "accuracy": SCORES[number] + 0.1}
            | ({"loss": 2 / (number + 1)} if loss else {}),
        }
        for number in range(epochs)
    ]


def test_curves_show_each_epoch_and_the_best_one(tmp_path):
    figure = plot_training("reads", history(), planned_epochs=5, score_name="macro F1", figures=["accuracy"])
    losses, scores, rates = figure.axes
    assert losses.lines[0].get_xydata().tolist() == [[1, 1], [2, 1 / 2], [3, 1 / 3]]
    assert losses.lines[1].get_ydata().tolist() == pytest.approx([2, 1, 2 / 3])
    assert scores.lines[0].get_ydata().tolist() == pytest.approx(SCORES)
    assert scores.lines[1].get_ydata().tolist() == pytest.approx([0.4, 0.7, 0.6])
    assert rates.lines[0].get_ydata().tolist() == pytest.approx([1e-4, 5e-5, 1e-4 / 3])
    assert rates.get_ylim()[0] == 0  # a constant rate is seen to be one
    assert all(list(axes.lines[-1].get_xdata()) == [2, 2] for axes in figure.axes)
    title = "reads: stopped early after epoch 3 of 5; best: epoch 2, macro F1 0.6"
    assert figure.get_suptitle() == title
    saved(figure, tmp_path)


@pytest.mark.parametrize("planned", [None, 3])
def test_a_training_that_ran_to_its_end_is_not_called_early(planned):
    title = plot_training("reads", history(), planned_epochs=planned).get_suptitle()
    assert title == "reads: 3 epochs; best: epoch 2, score 0.6"


def test_one_epoch_without_a_validation_loss_can_be_drawn(tmp_path):
    figure = plot_training("reads", history(1, loss=False))
    assert [line.get_label() for line in figure.axes[0].lines[:-1]] == ["training"]
    assert figure.get_suptitle() == "reads: 1 epoch; best: epoch 1, score 0.3"
    saved(figure, tmp_path)


def test_a_level_far_from_the_curves_is_named_and_does_not_squash_them(tmp_path):
    records = history()
    for record, trained, judged in zip(records, (9.8, 1.3, 1.2), (1.4, 1.3, 1.2), strict=True):
        record["train"]["loss"] = trained
        record["validation"] |= {"loss": judged, "score": -judged}
    figure = plot_training(
        "evo2",
        records,
        score_name="validation loss",
        levels={"zero-shot": 12.83, "ln 4": 1.386},
        epoch_steps=20,
        lower_is_better=True,
    )
    losses, scores, _ = figure.axes
    bottom, top = losses.get_ylim()
    assert 1.1 < bottom < 1.2
    assert 1.4 < top < 1.5
    legend = [text.get_text() for text in losses.get_legend().get_texts()]
    assert legend == ["training", "validation", "zero-shot: 12.830 (far above)", "ln 4: 1.386"]
    assert scores.lines[0].get_ydata().tolist() == [1.4, 1.3, 1.2]
    assert figure.get_suptitle() == "evo2: 60 steps; best: step 60, validation loss 1.2"
    saved(figure, tmp_path)
