"""Histograms of the cosine distances of both classes, one small chart per scorer that has distances."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from glm_assets.evaluation.figures import BENIGN, CLASSES, PATHOGENIC
from glm_assets.evaluation.report.axes import Axis, linear_axis, log_axis
from glm_assets.evaluation.report.chart import Chart
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.legend import class_legend
from glm_assets.evaluation.report.markup import element
from glm_assets.evaluation.report.numbers import count, small

_BINS = 40


def draw_distances(data: ReportData) -> Markup:
    """The charts of all scorers with distances, or a sentence where there are none."""
    label = data.test.variants["label"].to_numpy()
    panels = [_panel(one.name, one.distance, label) for one in data.scored if one.distance is not None]
    if not panels:
        return element("p", "No scorer of this comparison has a distance.", class_="none")
    names = class_legend([("benign", BENIGN), ("pathogenic", PATHOGENIC)])
    return Markup("").join([names, element("div", *panels, class_="charts small")])


def _panel(name: str, distance: NDArray[np.float64], label: NDArray[np.integer]) -> Markup:
    positive = np.isfinite(distance) & (distance > 0)
    zero = int(np.count_nonzero(distance == 0))
    parts: list[object] = [element("h4", name)]
    if positive.any():
        parts.append(_histogram(name, distance, label, positive))
    medians = ", ".join(
        f"{kind} {small(float(np.median(distance[label == value])))}"
        for value, kind, _ in CLASSES
        if (label == value).any()
    )
    note = f"Medians: {medians}." + (f" {count(zero)} distances are exactly 0 and not drawn." if zero else "")
    return element("figure", *parts, element("figcaption", note))


def _histogram(
    name: str, distance: NDArray[np.float64], label: NDArray[np.integer], positive: NDArray[np.bool_]
) -> Markup:
    x = log_axis(*_inner_range(distance[positive]), "cosine distance")
    edges = np.geomspace(x.low, x.high, _BINS + 1)
    shares = {
        value: np.histogram(np.clip(distance[positive & (label == value)], x.low, x.high), edges)[0]
        / max(1, int(np.count_nonzero(label == value)))
        for value, _, _ in CLASSES
    }
    top = max(float(heights.max()) for heights in shares.values())
    chart = _small_chart(
        f"Distances of {name} by class", x, linear_axis(0, top * 1.05 or 1, "share of class", ticks=3)
    )
    for value, _, colour in CLASSES:
        if (label == value).any():
            chart.steps(edges, shares[value], colour=colour)
            chart.rule(x=max(x.low, float(np.median(distance[label == value]))), colour=colour)
    return chart.render()


def _inner_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """All but the outermost thousandth, so that one odd value does not squeeze the rest."""
    low, high = np.quantile(values, (0.001, 0.999))
    return float(low), float(high)


def _small_chart(title: str, x: Axis, y: Axis) -> Chart:
    return Chart(title, x, y, width=340, height=210)
