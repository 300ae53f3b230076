"""ROC and precision-recall curves of all scorers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from glm_assets.evaluation.figures import NEUTRAL
from glm_assets.evaluation.report.axes import Axis, linear_axis
from glm_assets.evaluation.report.chart import Chart
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.legend import legend
from glm_assets.evaluation.report.markup import element
from glm_assets.evaluation.score_curves import Points, precision_recall_points, roc_points, thinned
from glm_assets.evaluation.scorer_styles import Style


def draw_curves(data: ReportData, styles: Mapping[str, Style]) -> Markup:
    """Both charts and their common legend.

    Args:
        data: The page's data; scorers without a score on some rows are drawn over the rows they have.
        styles: By scorer.
    """
    label = data.test.variants["label"].to_numpy()
    prevalence = float((label == 1).mean()) if len(label) else 0.0
    roc = Chart("ROC curves", _rate("false positive rate"), _rate("true positive rate"), 520, 390, hover=True)
    roc.diagonal(NEUTRAL)
    _draw(roc, data, label, styles, roc_points)
    recall = Chart("Precision by recall", _rate("recall"), _rate("precision"), 520, 390, hover=True)
    recall.rule(y=prevalence, colour=NEUTRAL)
    _draw(recall, data, label, styles, precision_recall_points)
    entries = [(one.name, one.name, styles[one.name]) for one in data.scored]
    charts = element("div", roc.render(), recall.render(), class_="charts two")
    return element("div", legend(entries), charts, class_="linked")


def _rate(label: str) -> Axis:
    return linear_axis(0.0, 1.0, label)


def _draw(
    chart: Chart,
    data: ReportData,
    label: NDArray[np.integer],
    styles: Mapping[str, Style],
    points: Callable[[NDArray[np.float64], NDArray[np.integer]], Points | None],
) -> None:
    for one in data.scored:
        there = np.isfinite(one.score)
        curve = points(one.score[there], label[there])
        if curve is not None:
            x, y = thinned(curve)
            chart.line(x, y, colour=styles[one.name].colour, dash=styles[one.name].dash, name=one.name)
