"""The figure of any training: loss, the figure that epochs are chosen by, and the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from glm_assets.evaluation.figures import (
    ACCENTS,
    BENIGN,
    CATEGORIES,
    NEUTRAL,
    PATHOGENIC,
    display_name,
    new_figure,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_FIGURES: Final = 5
_NEAR_NATS: Final = 1.0  # a level that is no farther from the validation curve never squashes it


def plot_training(
    name: str,
    history: Sequence[Mapping[str, Any]],
    *,
    planned_epochs: int | None = None,
    score_name: str = "score",
    figures: Sequence[str] = (),
    levels: Mapping[str, float] | None = None,
    epoch_steps: int | None = None,
    lower_is_better: bool = False,
) -> Figure:
    """Curves by epoch; a dotted line marks the best one, the title says where the training stopped and why.

    Args:
        name: The model's name.
        history: Per epoch, at least one: `epoch`, `learning_rate`, `train` with `loss`, and `validation` with
            `score` and, where it was computed, `loss`. The fields of `training.checkpoints.EpochRecord`.
        planned_epochs: How many were asked for; with fewer done, the training stopped early.
        score_name: What the score is, such as `macro F1`.
        figures: Other figures of `validation` to draw beside the score, such as `accuracy`.
        levels: Losses to compare with, by name, each a line across; one far from the curves is named alone.
        epoch_steps: Optimiser steps of an epoch where people count those, and not epochs.
        lower_is_better: The score is what `score_name` says with its sign changed, which is changed back.
    """
    unit, each = ("epoch", 1) if epoch_steps is None else ("step", epoch_steps)
    figure = new_figure((9.6, 3.2))
    losses, scores, rates = figure.subplots(1, 3)
    epochs = [record["epoch"] * each for record in history]
    score = [record["validation"]["score"] for record in history]
    best = int(np.argmax(score))
    if lower_is_better:
        score = [-value for value in score]
    trained = [record["train"]["loss"] for record in history]
    judged = [record["validation"].get("loss", np.nan) for record in history]
    _curve(losses, epochs, trained, NEUTRAL, "training")
    _curve(losses, epochs, judged, BENIGN, "validation")
    if levels:
        _compare(losses, judged, trained, levels)
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
        axes.set_xlabel("epoch" if unit == "epoch" else "optimiser step")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if len(epochs) == 1:
            axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
        tidy(axes)
    for axes in (losses, scores):
        axes.legend(fontsize=8, frameon=False)
    planned = (planned_epochs or 0) * each
    ended = (
        f"stopped early after {unit} {epochs[-1]} of {planned}"
        if epochs[-1] < planned
        else f"{epochs[-1]} {unit}{'s' * (epochs[-1] > 1)}"
    )
    kept = f"best: {unit} {epochs[best]}, {score_name} {score[best]:.4g}"
    figure.suptitle(f"{display_name(name, 60)}: {ended}; {kept}", fontsize=10)
    return figure


def _compare(axes: Axes, judged: Sequence[float], trained: Sequence[float], levels: Mapping[str, float]) -> None:
    """Levels across, and an axis on which the validation curve is still seen to move."""
    low, high = float(np.nanmin(judged)), float(np.nanmax(judged))
    far = max(high - low, _NEAR_NATS)
    shown = [low, high]
    for (level, value), colour in zip(levels.items(), ACCENTS, strict=False):
        if low - far <= value <= high + far:
            axes.axhline(value, color=colour, linestyle="--", linewidth=1, label=f"{level}: {value:.3f}")
            shown.append(value)
        else:
            side = "above" if value > high else "below"
            axes.plot([], [], " ", label=f"{level}: {value:.3f} (far {side})")
    shown += [value for value in trained if low - far <= value <= high + far]
    margin = 0.08 * (max(shown) - min(shown) or _NEAR_NATS)
    axes.set_ylim(min(shown) - margin, max(shown) + margin)


def _curve(
    axes: Axes, epochs: Sequence[int], values: Sequence[float], colour: str, label: str, *, dashed: bool = False
) -> None:
    """A line with dots; nothing where no value is a number."""
    if not np.isnan(np.asarray(values, dtype=np.float64)).all():
        style = "--" if dashed else "-"
        axes.plot(epochs, values, style, marker="o", color=colour, markersize=3, linewidth=1.3, label=label)
