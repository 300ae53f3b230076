"""Bringing the report up to date: how well each head predicts examples that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.regression import RegressionFigures, error_by_group, regression_figures
from glm_assets.evaluation.regression_figures import (
    plot_distributions,
    plot_error_bars,
    plot_error_by_group,
    plot_scatter,
)
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_impact import REPORT
from glm_assets.storage.tables import PART
from glm_assets.studies.impact.activations import Activations
from glm_assets.studies.impact.consequences import SCORES
from glm_assets.studies.impact.predictors import CONV, LINEAR, Predictors
from glm_assets.studies.impact.rows import FULL_SCORE
from glm_assets.studies.impact.splitting import without_shared
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets.studies.impact.training_set import read_all_examples

MEAN = "mean"
ALL = "all"
FIGURES = ("mse", "rmse", "mae", "pearson", "spearman", "r2")
_JUDGED = ("val", "test")
_NO_CONSEQUENCE = "(no consequence)"

Progress = Callable[[str], None]
Predictions = dict[str, NDArray[np.float64]]


def make_report(study: ImpactStudy, progress: Progress) -> Manifest:
    """Judge the heads and the mean of the training targets on the val and test splits.

    Raises:
        MissingUpstreamError: The head is absent or out of date.
        EvaluationError: A prediction is not finite.
    """
    product = study.report()

    def build(work: Path) -> Facts:
        # The step holds no GPU, and the heads are small.
        prepare_device(CPU, study.main.settings.cpu_threads)
        examples = without_shared(read_all_examples(study)).filter(pl.col("split").is_in(_JUDGED))
        predictors = Predictors.load(study.head().files(), CPU)
        activations = Activations.open(study.store(), examples["key"], study.encoder_spec.pooling)
        predicted = predictors.scores(activations, np.arange(examples.height))
        predicted[MEAN] = np.full(examples.height, predictors.training_mean)
        judged = _judge(study, examples, predicted, predictors.training_mean)
        table = pl.concat([_rows(study, *name, figures) for name, figures in judged.items()])
        REPORT.write(table, work / PART)
        _draw(examples, predicted, judged, work)
        progress(f"{examples.height:,} examples judged")
        return _facts(table, examples, predicted, judged)

    return product.make(build)


Judged = dict[tuple[str, str, str], RegressionFigures]


def _judge(study: ImpactStudy, examples: pl.DataFrame, predicted: Predictions, training_mean: float) -> Judged:
    """Figures by predictor, split and slice; a split or slice without rows has none."""
    target = FULL_SCORE * examples["target"].to_numpy()
    judged: Judged = {}
    for split in _JUDGED:
        for part in (ALL, *SCORES):
            chosen = examples["split"] == split
            if part != ALL:
                chosen = chosen & (examples["impact"] == part).fill_null(value=False)
            rows = chosen.to_numpy().nonzero()[0]
            if not rows.size:
                continue
            for name, values in predicted.items():
                judged[name, split, part] = regression_figures(
                    values[rows],
                    target[rows],
                    examples["group"].to_numpy()[rows],
                    training_mean=training_mean,
                    resamples=study.values.resamples,
                    seed=study.values.seed,
                )
    return judged


def _rows(study: ImpactStudy, predictor: str, split: str, part: str, figures: RegressionFigures) -> pl.DataFrame:
    return (
        figures.table()
        .filter(pl.col("figure").is_in(FIGURES))
        .with_columns(
            individual=pl.lit(study.individual),
            predictor=pl.lit(predictor),
            split=pl.lit(split),
            slice=pl.lit(part),
            rows=pl.lit(figures.rows, pl.Int64),
            groups=pl.lit(figures.sources, pl.Int64),
        )
        .select(REPORT.schema.names())
    )


def _draw(examples: pl.DataFrame, predicted: Predictions, judged: Judged, work: Path) -> None:
    """Figures of the test split, or of val where no example tests."""
    split = "test" if (MEAN, "test", ALL) in judged else "val"
    rows = (examples["split"] == split).to_numpy().nonzero()[0]
    if not rows.size:
        return
    target = FULL_SCORE * examples["target"].to_numpy()[rows]
    consequence = examples["mc"].fill_null(_NO_CONSEQUENCE).str.split(",").list.first().str.split("|").list.last()
    groups = consequence.to_numpy()[rows]
    for name in (CONV, LINEAR):
        if name not in predicted:
            continue
        values, figures = predicted[name][rows], judged[name, split, ALL]
        estimates, title = figures.estimates, f"{name}, {split} examples"
        save_figure(
            plot_scatter(
                values, target, estimates["pearson"], estimates["spearman"], limits=(0, FULL_SCORE), title=title
            ),
            work / f"scatter_{name}.png",
        )
        save_figure(
            plot_distributions(values, target, limits=(0, FULL_SCORE), title=title),
            work / f"distribution_{name}.png",
        )
        save_figure(plot_error_by_group(values, target, groups, title=title), work / f"consequences_{name}.png")
        save_figure(plot_error_bars(figures.table(), title=title), work / f"errors_{name}.png")


def _facts(table: pl.DataFrame, examples: pl.DataFrame, predicted: Predictions, judged: Judged) -> Facts:
    found: Facts = {"rows": table.height, "examples": dict(examples["split"].value_counts().iter_rows())}
    for (name, split, part), figures in judged.items():
        if part == ALL:
            known = {
                key: value for key, value in figures.as_dict().items() if key in FIGURES and value is not None
            }
            found[f"{split}_{name}"] = known
    best = CONV if CONV in predicted else LINEAR
    if (own := judged.get((best, "test", ALL))) is not None:
        found["rmse_saved"] = own.as_dict()["rmse_saved"]
        found["test_groups"] = own.sources
        rows = (examples["split"] == "test").to_numpy()
        errors = error_by_group(
            predicted[best][rows],
            FULL_SCORE * examples["target"].to_numpy()[rows],
            examples["impact"].fill_null("unknown").to_numpy()[rows],
        )
        found["test_rmse_by_impact"] = dict(errors.select("group", pl.col("rmse").round(4)).iter_rows())
    return found
