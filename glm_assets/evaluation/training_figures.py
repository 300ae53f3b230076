"""The figure of any training: loss, the figure that epochs are chosen by, and the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from glm_assets.evaluation.figures import BENIGN, CATEGORIES, NEUTRAL, PATHOGENIC, display_name, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_FIGURES: Final = 5


def plot_training(
    name: str,
    history: Sequence[Mapping[str, Any]],
    *,
    planned_epochs: int | None = None,
    score_name: str = "score",
    figures: Sequence[str] = (),
) -> Figure:
    """Curves by epoch; a dotted line marks the best one, the title says where the training stopped and why.

    Args:
        name: The model's name.
        history: Per epoch, at least one: `epoch`, `learning_rate`, `train` with `loss`, and `validation` with
            `score` and, where it was computed, `loss`. The fields of `training.checkpoints.EpochRecord`.
        planned_epochs: How many were asked for; with fewer done, the training stopped early.
        score_name: What the score is, such as `macro F1`.
        figures: Other figures of `validation` to draw beside the score, such as `accuracy`.
    """
    figure = new_figure((9.6, 3.2))
    losses, scores, rates = figure.subplots(1, 3)
    epochs = [record["epoch"] for record in history]
    score = [record["validation"]["score"] for record in history]
    best = int(np.argmax(score))
    _curve(losses, epochs, [record["train"]["loss"] for record in history], NEUTRAL, "training")
    _curve(losses, epochs, [record["validation"].get("loss", np.nan) for record in history], BENIGN, "validation")
    losses.set_title("loss", fontsize=10)
    _curve(scores, epochs, score, PATHOGENIC, score_name)
    for other, colour in zip(figures[:_MOST_FIGURES], CATEGORIES, strict=False):
        values = [record["validation"].get(other, np.nan) for record in history]
        _curve(scores, epochs, values, colour, other.replace("_", " "), dashed=True)
    scores.plot([epochs[best]], [score[best]], "o", color=PATHOGENIC, markersize=7, fillstyle="none")
    scores.set_title("validation", fontsize=10)
    _curve(rates, epochs, [record["learning_rate"] for record in history], NEUTRAL, "")
    rates.set_title("learning rate", fontsize=10)
    rates.set_ylim(bottom=0)
    rates.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    for axes in (losses, scores, rates):
        axes.axvline(epochs[best], color=PATHOGENIC, linestyle=":", linewidth=1)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(epochs) == 1:
            axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
        tidy(axes)
    for axes in (losses, scores):
        axes.legend(fontsize=8, frameon=False)
    early = planned_epochs is not None and epochs[-1] < planned_epochs
    ended = (
        f"stopped early after epoch {epochs[-1]} of {planned_epochs}"
        if early
        else f"{len(epochs)} epoch{'s' * (len(epochs) > 1)}"
    )
    kept = f"best: epoch {epochs[best]}, {score_name} {score[best]:.4g}"
    figure.suptitle(f"{display_name(name, 60)}: {ended}; {kept}", fontsize=10)
    return figure


def _curve(
    axes: Axes, epochs: Sequence[int], values: Sequence[float], colour: str, label: str, *, dashed: bool = False
) -> None:
    """A line with dots; nothing where no value is a number."""
    if not np.isnan(np.asarray(values, dtype=np.float64)).all():
        style = "--" if dashed else "-"
        axes.plot(epochs, values, style, marker="o", color=colour, markersize=3, linewidth=1.3, label=label)
