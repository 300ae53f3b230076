"""One self-contained HTML page of a comparison: it opens from disk and fetches nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from glm_assets.evaluation.report.answer import answer, unknown
from glm_assets.evaluation.report.curves import draw_curves
from glm_assets.evaluation.report.data import ReportData
from glm_assets.evaluation.report.differences import difference_tables
from glm_assets.evaluation.report.distances import draw_distances
from glm_assets.evaluation.report.ladders import draw_ladders
from glm_assets.evaluation.report.lineage import fact_tables
from glm_assets.evaluation.report.margins import draw_margins
from glm_assets.evaluation.report.numbers import count
from glm_assets.evaluation.report.reliability import draw_reliability
from glm_assets.evaluation.report.rendering import write_page
from glm_assets.evaluation.report.scoreboard import scoreboard
from glm_assets.evaluation.report.slices import slice_tables
from glm_assets.evaluation.report.training import draw_training
from glm_assets.evaluation.scorer_styles import scorer_styles

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
    styles = scorer_styles(data.scored)
    write_page(
        path,
        "page.html.j2",
        title=data.title,
        subtitle=_subtitle(data),
        contents=_CONTENTS,
        data=data,
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
        lineage=fact_tables(data.facts),
    )


def _subtitle(data: ReportData) -> str:
    label = data.test.label
    kept = "sealed test" if data.sealed else "test (not sealed)"
    return (
        f"{count(len(data.scored))} scorers on {count(len(label))} {kept} variants "
        f"({count(int((label == 1).sum()))} pathogenic, {count(int((label == 0).sum()))} benign) "
        f"in {count(data.comparison.loci)} loci; {count(data.comparison.resamples)} bootstrap resamples"
    )
