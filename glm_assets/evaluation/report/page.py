"""One self-contained HTML page of a comparison: it opens from disk and fetches nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from glm_assets.evaluation.report.answer import answer, unknown
from glm_assets.evaluation.report.curves import draw_curves
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.differences import difference_tables
from glm_assets.evaluation.report.distances import draw_distances
from glm_assets.evaluation.report.ladders import draw_ladders
from glm_assets.evaluation.report.lineage import lineage_tables
from glm_assets.evaluation.report.margins import draw_margins
from glm_assets.evaluation.report.numbers import count
from glm_assets.evaluation.report.reliability import draw_reliability
from glm_assets.evaluation.report.scoreboard import scoreboard
from glm_assets.evaluation.report.slices import slice_tables
from glm_assets.evaluation.report.training import draw_training
from glm_assets.evaluation.scorer_styles import scorer_styles
from glm_assets.storage.atomic import atomic_path

_CONTENTS: Final = (
    ("answer", "Which head, and how sure"),
    ("scorers", "All scorers"),
    ("differences", "Paired differences"),
    ("slices", "By class of variant"),
    ("distances", "Distances by class"),
    ("curves", "ROC and precision-recall"),
    ("calibration", "Calibration"),
    ("ladders", "Mutation ladders"),
    ("training", "Training and soups"),
    ("lineage", "Where the numbers come from"),
    ("methods", "What each number is"),
)


def write_report(path: Path, data: ReportData) -> None:
    """Write the page.

    It has all numbers without its script; the script sorts tables, hides series and shows values under the pointer.

    Args:
        path: The HTML file, replaced when the new one is whole.
        data: What it shows; all of it is escaped.
    """
    with atomic_path(path) as draft:
        draft.write_text(_render(data), encoding="utf-8")


def _render(data: ReportData) -> str:
    styles = scorer_styles(data.scored)
    return _environment().get_template("page.html.j2").render(
        data=data,
        contents=_CONTENTS,
        subtitle=_subtitle(data),
        style=_asset("style.css"),
        script=_asset("script.js"),
        answer=answer(data),
        margins=draw_margins(data, styles),
        unknown=unknown(data),
        scoreboard=scoreboard(data, styles),
        differences=difference_tables(data, styles),
        slices=slice_tables(data),
        distances=draw_distances(data),
        curves=draw_curves(data, styles),
        calibration=draw_reliability(data, styles),
        ladders=draw_ladders(data, styles),
        training=draw_training(data),
        lineage=lineage_tables(data),
    )  # fmt: skip


def _subtitle(data: ReportData) -> str:
    label = data.test.label
    kept = "sealed test" if data.sealed else "test (not sealed)"
    return (
        f"{count(len(data.scored))} scorers on {count(len(label))} {kept} variants "
        f"({count(int((label == 1).sum()))} pathogenic, {count(int((label == 0).sum()))} benign) "
        f"in {count(data.comparison.loci)} loci; {count(data.comparison.resamples)} bootstrap resamples"
    )


@cache
def _environment() -> Environment:
    loader = PackageLoader("glm_assets.evaluation.report", "template")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


@cache
def _asset(name: str) -> Markup:
    """A style sheet or script of this package, which needs no escaping."""
    return Markup((Path(__file__).parent / "template" / name).read_text(encoding="utf-8"))  # noqa: S704
