"""The figure behind the answer: how far each scorer is above the strongest sequence-blind baseline."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from glm_assets.evaluation.baselines import GENE_CONSEQUENCE
from glm_assets.evaluation.figures import NEUTRAL
from glm_assets.evaluation.report.axes import Axis, linear_axis
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.differences import Difference, pairwise
from glm_assets.evaluation.report.markup import element
from glm_assets.evaluation.report.numbers import interval, signed
from glm_assets.evaluation.scorer_styles import Style

_WIDTH, _LEFT, _RIGHT, _ROW = 640, 170, 470, 22


def draw_margins(data: ReportData, styles: Mapping[str, Style]) -> Markup:
    """A row per scorer with its margin and interval; nothing where the baseline is not part of the comparison.

    Args:
        data: The page's data.
        styles: By scorer.
    """
    pairs = pairwise(data.comparison.differences)
    names = [one.name for one in data.scored if (one.name, GENE_CONSEQUENCE) in pairs]
    rows = [(name, pairs[name, GENE_CONSEQUENCE]) for name in names]
    rows = [(name, margin) for name, margin in rows if margin.value is not None]
    if not rows:
        return Markup("")
    axis = _axis([margin for _, margin in rows])
    height = _ROW * len(rows) + 40
    parts = [_rule(axis, 0.0, height - 36, NEUTRAL)]
    for place, (name, margin) in enumerate(rows):
        parts += _row(axis, _ROW * place + 14, name, margin, styles[name])
    parts += [
        element("text", text, x=f"{_x(axis, value):.1f}", y=height - 22, text_anchor="middle")
        for value, text in axis.ticks
    ]
    below = {"x": (_LEFT + _RIGHT) / 2, "y": height - 5}
    parts.append(element("text", axis.label, text_anchor="middle", class_="label", **below))
    drawn = element(
        "svg",
        element("title", axis.label),
        *parts,
        viewBox=f"0 0 {_WIDTH} {height}",
        class_="chart",
        role="img",
        style=f"max-width:{_WIDTH}px",
    )
    return element("figure", element("div", drawn, class_="scroll"), id="margins")


def _axis(margins: list[Difference]) -> Axis:
    ends = [0.0] + [end for one in margins for end in (one.low, one.high, one.value) if end is not None]
    return linear_axis(min(ends), max(ends), "AUROC less that of gene × consequence rate, 95 % interval")  # noqa: RUF001


def _row(axis: Axis, y: float, name: str, margin: Difference, style: Style) -> list[Markup]:
    parts = [element("text", name, x=_LEFT - 10, y=y + 4, text_anchor="end", class_="label")]
    if margin.low is not None and margin.high is not None:
        x1, x2 = f"{_x(axis, margin.low):.1f}", f"{_x(axis, margin.high):.1f}"
        parts.append(element("line", x1=x1, x2=x2, y1=y, y2=y, stroke=style.colour, stroke_width=2.2))
    at = f"{_x(axis, margin.value or 0.0):.1f}"
    number = f"{signed(margin.value)} {interval(margin.low, margin.high)}"
    return [
        *parts,
        element("circle", cx=at, cy=y, r=4.5, fill=style.colour),
        element("text", number, x=_RIGHT + 14, y=y + 4),
    ]


def _rule(axis: Axis, value: float, height: float, colour: str) -> Markup:
    at = f"{_x(axis, value):.1f}"
    return element("line", x1=at, x2=at, y1=0, y2=height, stroke=colour, stroke_dasharray="3 3")


def _x(axis: Axis, value: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * float(axis.place(value))
