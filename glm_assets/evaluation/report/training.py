"""Training of each head: validation figures by epoch, the training loss, and what the soup tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from glm_assets.evaluation.figures import ACCENTS, BENIGN, NEUTRAL
from glm_assets.evaluation.report.axes import linear_axis
from glm_assets.evaluation.report.chart import Chart
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.markup import element
from glm_assets.evaluation.report.numbers import count, decimal

History = Sequence[Mapping[str, Any]]

_FIGURES = (
    ("score", "score that chooses"),
    ("cd", "CD"),
    ("cdd", "CDD"),
    ("pcc_ladder", "PCC over ladders"),
    ("pcc", "PCC by length"),
)


def draw_training(data: ReportData) -> Markup:
    """A block of charts per head, or a sentence where no head was trained here."""
    blocks = [
        _block(name, history, data.soups.get(name, {})) for name, history in data.histories.items() if len(history)
    ]
    missing = element("p", "No training history is at hand.", class_="none")
    return Markup("").join(blocks) if blocks else missing


def _block(name: str, history: History, soup: Mapping[str, Any]) -> Markup:
    kept = sum(bool(record.get("kept")) for record in history)
    charts = [_by_epoch(name, history, key, title, soup) for key, title in _FIGURES if _has(history, key)]
    charts += _loss(name, history)
    charts += _steps(name, soup)
    sentence = f"{count(len(history))} epochs, {count(kept)} checkpoints kept. {_soup_sentence(soup)}"
    return element(
        "section", element("h4", name), element("p", sentence), element("div", *charts, class_="charts small")
    )


def _soup_sentence(soup: Mapping[str, Any]) -> str:
    if not soup:
        return "No soup was made."
    parts = [f"epoch {item['epoch']} ({decimal(item['weight'], 2)})" for item in soup["ingredients"]]
    accepted = sum(step["accepted"] for step in soup["steps"])
    return (
        f"The soup scores {decimal(soup['score'], 4)} on the pairs that chose it, after "
        f"{count(len(soup['steps']))} mixes of which {count(accepted)} improved it: {', '.join(parts)}."
    )


def _has(history: History, key: str) -> bool:
    return all(record["validation"].get(key) is not None for record in history)


def _by_epoch(name: str, history: History, key: str, title: str, soup: Mapping[str, Any]) -> Markup:
    epochs = np.array([record["epoch"] for record in history])
    values = np.array([record["validation"][key] for record in history], dtype=np.float64)
    kept = np.array([bool(record.get("kept")) for record in history])
    souped = soup.get(key)
    shown = [*values, *([souped] if souped is not None else [])]
    chart = _chart(f"{name}: {title} by epoch", "epoch", epochs, title, shown)
    chart.line(epochs, values, colour=NEUTRAL)
    chart.dots(epochs[kept], values[kept], colour=BENIGN, radius=2.2)
    if souped is not None:
        chart.rule(y=souped, colour=ACCENTS[1], dash="5 3")
    return chart.render()


def _loss(name: str, history: History) -> list[Markup]:
    if not all("loss" in record.get("train", {}) for record in history):
        return []
    epochs = np.array([record["epoch"] for record in history])
    loss = np.array([record["train"]["loss"] for record in history], dtype=np.float64)
    chart = _chart(f"{name}: training loss by epoch", "epoch", epochs, "training loss", loss)
    chart.line(epochs, loss, colour=NEUTRAL)
    return [chart.render()]


def _steps(name: str, soup: Mapping[str, Any]) -> list[Markup]:
    """The score of every mix that the soup tried, the accepted ones filled."""
    steps = soup.get("steps", [])
    if not steps:
        return []
    places = np.arange(1, len(steps) + 1)
    scores = np.array([step["score"] for step in steps], dtype=np.float64)
    accepted = np.array([step["accepted"] for step in steps], dtype=bool)
    chart = _chart(f"{name}: mixes the soup tried", "mix", places, "soup: score", scores)
    chart.dots(places[~accepted], scores[~accepted], colour=NEUTRAL, radius=2.2, hollow=True)
    chart.dots(places[accepted], scores[accepted], colour=ACCENTS[1], radius=2.8)
    return [chart.render()]


def _chart(title: str, x_label: str, x: np.ndarray, y_label: str, values: Sequence[float] | np.ndarray) -> Chart:
    low, high = float(np.min(values)), float(np.max(values))
    margin, pad = 0.06 * (high - low), 0.02 * len(x)
    return Chart(
        title,
        linear_axis(float(x[0]) - pad, float(x[-1]) + pad, x_label, whole=True),
        linear_axis(low - margin, high + margin, y_label, ticks=4),
        width=340,
        height=190,
        left=58,
    )
