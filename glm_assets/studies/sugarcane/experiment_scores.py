"""An experiment's sequences scored by both models, and how well each agrees with what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.before_and_after import compare_correlations
from glm_assets.evaluation.bootstrap import Estimate
from glm_assets.evaluation.figures import display_name, save_figure
from glm_assets.evaluation.model_styles import FINE_TUNED, ZERO_SHOT, model_title
from glm_assets.evaluation.regression_figures import plot_scatter
from glm_assets.studies.sugarcane.adapter import open_models
from glm_assets.studies.sugarcane.experiment import Experiment, read_experiment
from glm_assets.studies.sugarcane.study import SugarcaneStudy

SCORES_FILE: Final = "experiment_scores.csv"
SCATTER: Final = "scatter_{}.png"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ScoredExperiment:
    """An experiment and what both models say of its sequences.

    Attributes:
        name: Of its file.
        experiment: As read.
        scores: `line`, `sequence`, `value`, and each model's mean log-probability of a base.
        compared: `pearson` and `spearman`, as `before_and_after.compare_correlations` gives them.
        estimates: The same with their resamples: figure to those of zero-shot and of fine-tuned.
    """

    name: str
    experiment: Experiment
    scores: pl.DataFrame
    compared: pl.DataFrame
    estimates: dict[str, tuple[Estimate, Estimate]]

    def write(self, work: Path, measured: str) -> None:
        """Write the scores as a CSV file, and a scatter plot for each model.

        Args:
            work: Folder.
            measured: What the measured value is called.
        """
        self.scores.write_csv(work / SCORES_FILE)
        values = self.scores["value"].to_numpy()
        for place, model in enumerate((ZERO_SHOT, FINE_TUNED)):
            figure = plot_scatter(
                self.scores[model].to_numpy(),
                values,
                self.estimates["pearson"][place],
                self.estimates["spearman"][place],
                names=(f"measured: {display_name(measured)}", "mean log-probability of a base"),
                title=f"{model_title(model)}, {display_name(self.name, 40)}",
            )
            save_figure(figure, work / SCATTER.format(model))

    def facts(self) -> dict[str, object]:
        """Figures and counts for people."""
        read = self.experiment
        found: dict[str, object] = {
            "experiment_rows": self.scores.height,
            "experiment_usable_rows": read.usable,
            "experiment_dropped": read.dropped,
        }
        for row in self.compared.iter_rows(named=True):
            values = {ZERO_SHOT: row["before"], FINE_TUNED: row["after"]} | {
                key: row[key] for key in ("difference", "low", "high")
            }
            found[f"experiment_{row['figure']}"] = {
                key: value for key, value in values.items() if value is not None
            }
        return found


def score_experiment(study: SugarcaneStudy, variety: str, progress: Progress) -> ScoredExperiment | None:
    """Score the experiment's sequences with both models; None where the study has no experiment.

    Raises:
        MissingUpstreamError: The adapters are absent or out of date.
        FormatError: The experiment's file is no such table.
        EvaluationError: Fewer than three of its rows can be used or scored.
    """
    from glm_assets.language.scoring import score_sequences

    file = study.experiment_file()
    if file is None:
        return None
    experiment = read_experiment(file, study.experiment, seed=study.values.seed)
    settings = study.values.scoring
    means: dict[str, np.ndarray] = {}
    for name, model in open_models(study, variety).items():
        progress(f"scoring {experiment.rows.height:,} sequences of {file.name} by {model_title(name)}")
        means[name] = score_sequences(
            model,
            experiment.rows["scored"].to_list(),
            start_token=settings.start_token,
            reverse_complement=settings.reverse_complement,
            tile=settings.tile,
            overlap=settings.overlap,
            batch_tokens=settings.batch_tokens,
            progress=progress,
        ).logprob_mean
    scores = experiment.rows.drop("scored").with_columns(
        pl.Series(name, means[name], pl.Float64) for name in (ZERO_SHOT, FINE_TUNED)
    )
    return judge_experiment(
        file.name, experiment, scores, resamples=study.values.resamples, seed=study.values.seed
    )


def judge_experiment(
    name: str, experiment: Experiment, scores: pl.DataFrame, *, resamples: int, seed: int
) -> ScoredExperiment:
    """How well two models' scores agree with what was measured.

    Args:
        name: Of the experiment.
        experiment: As read.
        scores: `line`, `sequence`, `value`, and a column of each model; rows without a score are left out.
        resamples: How many, of sequences.
        seed: Of the draws.

    Raises:
        EvaluationError: Fewer than three rows have scores.
    """
    known = scores.filter(pl.all_horizontal(pl.col(ZERO_SHOT, FINE_TUNED).is_finite()))
    if known.height < 3:
        raise EvaluationError(
            f"{name}: {known.height} of {scores.height:,} sequences have a score",
            expected="at least 3",
            fix="set scoring.start_token to true: without it the first base of a sequence has no probability",
        )
    before, after, value = (known[column].to_numpy() for column in (ZERO_SHOT, FINE_TUNED, "value"))
    compared, estimates = compare_correlations(
        before, after, value, known["sequence"].to_numpy(), resamples=resamples, seed=seed
    )
    return ScoredExperiment(name, experiment, known, compared, estimates)
