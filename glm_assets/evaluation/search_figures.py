"""Figures of a search: what each trial scored, and which values mattered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import ACCENTS, BENIGN, NEUTRAL, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_search(trials: pl.DataFrame, importance: Mapping[str, float]) -> Figure:
    """Scores by trial with the best so far, and the importance of each value.

    Args:
        trials: Rows with `trial`, `score` (null where given up) and `state`.
        importance: Value to its share of the scores' variance.
    """
    figure = new_figure((8.4, 3.4))
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    scored = trials.drop_nulls("score").sort("trial")
    number, score = scored["trial"].to_numpy(), scored["score"].to_numpy()
    left.plot(number, score, "o", color=NEUTRAL, markersize=4, label="trial")
    if score.size:
        left.step(number, np.maximum.accumulate(score), where="post", color=BENIGN, label="best so far")
    left.set_title(f"{trials.height} trials, {trials.height - scored.height} given up early", fontsize=10)
    left.set_xlabel("trial")
    left.set_ylabel("validation score")
    left.xaxis.get_major_locator().set_params(integer=True)
    left.legend(frameon=False, fontsize=8)
    names = list(importance)[::-1]
    bars = right.barh(
        [name.replace("_", " ") for name in names], [importance[name] for name in names], color=ACCENTS[0]
    )
    right.bar_label(bars, fmt="{:.2f}", fontsize=8, padding=2)
    right.set_xlim(0, 1.1)
    right.set_xlabel("share of the scores' variance")
    right.set_title("importance" if names else "importance needs more scores", fontsize=10)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure
