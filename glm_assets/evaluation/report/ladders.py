"""How distances answer to the number of substitutions: medians with quartiles, and the correlation by ladder."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from glm_assets.evaluation.figures import NEUTRAL
from glm_assets.evaluation.ladder_response import LadderResponse, ladder_response
from glm_assets.evaluation.report.axes import doubling_axis, linear_axis, log_axis
from glm_assets.evaluation.report.chart import Chart
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.markup import element
from glm_assets.evaluation.report.numbers import count, decimal
from glm_assets.evaluation.scorer_styles import Style

_BINS = 25


def draw_ladders(data: ReportData, styles: dict[str, Style]) -> Markup:
    """Two small charts per scorer with ladder distances, or a sentence where there are none.

    Args:
        data: The page's data.
        styles: By scorer.
    """
    panels = [
        _panel(one.name, ladder_response(data.test.ladders, one.ladder_distance), styles[one.name].colour)
        for one in data.scored
        if one.ladder_distance is not None and data.test.ladders.height
    ]
    if not panels:
        return element(
            "p",
            "There are no mutation ladders in this comparison: PCC is known from the length of insertions and "
            "deletions only, which is not what the contest measures.",
            class_="none",
        )
    return element("div", *panels, class_="charts small")


def _panel(name: str, response: LadderResponse, colour: str) -> Markup:
    r = response.correlations
    found = f"median {decimal(float(np.median(r)))}, mean {decimal(float(r.mean()))}" if len(r) else "none"
    note = f"r within {count(len(r))} ladders: {found}."
    return element(
        "figure",
        element("h4", name),
        _response(name, response, colour),
        _correlations(name, response, colour) if len(r) else "",
        element("figcaption", note),
    )


def _response(name: str, response: LadderResponse, colour: str) -> Markup:
    low, median, high = response.quartiles
    floor = float(response.quartiles[response.quartiles > 0].min()) if (response.quartiles > 0).any() else 1e-12
    x = doubling_axis(response.substitutions.tolist(), "substitutions")
    y = log_axis(floor, max(float(high.max()), floor), "distance")
    chart = Chart(f"Distance of {name} by number of substitutions", x, y, width=340, height=210)
    chart.area(response.substitutions, low, high, colour=colour)
    chart.line(response.substitutions, median, colour=colour, width=2)
    chart.dots(response.substitutions, median, colour=colour, radius=2.4)
    return chart.render()


def _correlations(name: str, response: LadderResponse, colour: str) -> Markup:
    r = response.correlations
    edges = np.linspace(min(0.0, float(np.floor(r.min() * 5) / 5)), 1.0, _BINS + 1)
    heights = np.histogram(r, edges)[0]
    x, y = (
        linear_axis(edges[0], 1.0, "r within a ladder"),
        linear_axis(0, heights.max() * 1.08, "ladders", ticks=3),
    )
    chart = Chart(f"Correlations of {name} by ladder", x, y, width=340, height=130)
    chart.steps(edges, heights, colour=colour)
    chart.rule(x=float(np.median(r)), colour=NEUTRAL)
    return chart.render()
