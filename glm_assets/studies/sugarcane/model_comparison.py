"""Zero-shot beside fine-tuned: which is likelier to have written the units, and which agrees with an experiment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.before_and_after import compare_means
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.model_comparison_figures import plot_model_comparison
from glm_assets.evaluation.model_styles import FINE_TUNED, ZERO_SHOT
from glm_assets.evaluation.score_distribution import ranking
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_sugarcane import MODEL_COMPARISON
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.sugarcane.experiment_scores import ScoredExperiment, score_experiment
from glm_assets.studies.sugarcane.study import SugarcaneStudy

FIGURE: Final = "logprob_mean"
SCORE_NAME: Final = "mean log-probability of a base"
RANKING: Final = "ranking.csv"
FIGURE_FILE: Final = "unit_types.png"
_HELD_OUT_FIRST: Final = ("test", "val", "train")

Progress = Callable[[str], None]


def make_model_comparison(study: SugarcaneStudy, variety: str, progress: Progress) -> Manifest:
    """Compare both models on the units of the split that was held out longest, and on the experiment.

    Raises:
        MissingUpstreamError: The scores or the adapters are absent or out of date.
        EvaluationError: No unit has a score of both models, or the experiment cannot be used.
        FormatError: The experiment's file is no such table.
    """

    def build(work: Path) -> Facts:
        split, units = paired_scores(read_part(study.files("unit_scores", variety)))
        table = by_unit_type(units, resamples=study.values.resamples, seed=study.values.seed)
        scored = score_experiment(study, variety, progress)
        _draw_units(units, table, work, variety)
        if scored:
            scored.write(work, study.experiment.value)
            table = pl.concat([table, _of_experiment(scored)])
        table = table.select(pl.lit(variety).alias("variety"), pl.all())
        MODEL_COMPARISON.write(table.select(MODEL_COMPARISON.schema.names()), work / PART)
        progress(f"{units.height:,} {split} units compared")
        return _facts(table, units, split) | (scored.facts() if scored else {})

    return study.model_comparison(variety).make(build)


def paired_scores(scores: pl.DataFrame) -> tuple[str, pl.DataFrame]:
    """Units with the scores of both models side by side, of the split that no training or choice has seen.

    Args:
        scores: Rows of `sugarcane_unit_scores`.

    Returns:
        The split (test where it was scored, else val, else train); and `unit_id`, `unit_type`, `zero_shot` and
        `fine_tuned`.

    Raises:
        EvaluationError: No unit has both.
    """
    finite = scores.filter(pl.col(FIGURE).is_finite())
    # An annotation may use an id twice.
    numbered = finite.with_columns(pl.int_range(pl.len()).over("model", "unit_id").alias("number"))
    one, other = (
        numbered.filter(model=model).select("unit_id", "number", "unit_type", "split", pl.col(FIGURE).alias(model))
        for model in (ZERO_SHOT, FINE_TUNED)
    )
    both = one.join(
        other.select("unit_id", "number", FINE_TUNED), on=["unit_id", "number"], how="inner", maintain_order="left"
    )
    for split in _HELD_OUT_FIRST:
        own = both.filter(split=split)
        if own.height:
            return split, own.select("unit_id", "unit_type", ZERO_SHOT, FINE_TUNED)
    raise EvaluationError(
        "no unit has a score of both models",
        expected="at least one",
        fix="raise scoring.max_units, or add splits that have units to scoring.splits",
    )


def by_unit_type(units: pl.DataFrame, *, resamples: int, seed: int) -> pl.DataFrame:
    """Both models' means over all units and over those of each type, with intervals from resampled units.

    Args:
        units: As `paired_scores` gives them.
        resamples: How many.
        seed: Of the draws.

    Returns:
        Rows of `sugarcane_model_comparison` without the variety, the commonest type first.
    """
    types = units["unit_type"].value_counts().sort(["count", "unit_type"], descending=[True, False])["unit_type"]
    parts = [("all", "all", units), *(("unit_type", name, units.filter(unit_type=name)) for name in types)]
    tables = []
    for kind, name, own in parts:
        before, after = (own[model].to_numpy() for model in (ZERO_SHOT, FINE_TUNED))
        compared = compare_means(FIGURE, before, after, resamples=resamples, seed=seed)
        tables.append(_named(compared, kind, name))
    return pl.concat(tables)


def _of_experiment(scored: ScoredExperiment) -> pl.DataFrame:
    return _named(scored.compared, "experiment", scored.name)


def _named(compared: pl.DataFrame, kind: str, name: str) -> pl.DataFrame:
    """Rows of the table from those of `before_and_after`."""
    return compared.rename({"before": ZERO_SHOT, "after": FINE_TUNED}).select(
        pl.lit(kind).alias("slice"), pl.lit(name).alias("name"), pl.all()
    )


def _draw_units(units: pl.DataFrame, table: pl.DataFrame, work: Path, variety: str) -> None:
    by_type = plot_model_comparison(table, name=SCORE_NAME, title=f"{variety}: units by type")
    save_figure(by_type, work / FIGURE_FILE)
    ranking(units, FINE_TUNED, label="unit_id").write_csv(work / RANKING)


def _facts(table: pl.DataFrame, units: pl.DataFrame, split: str) -> Facts:
    every = table.row(0, named=True)
    values = {key: every[key] for key in (ZERO_SHOT, FINE_TUNED, "difference", "low", "high")}
    return {
        "rows": table.height,
        "units": units.height,
        "judged_split": split,
        FIGURE: {key: value for key, value in values.items() if value is not None},
        "better_units": float((units[FINE_TUNED] > units[ZERO_SHOT]).to_numpy().mean()),
        "verdict": verdict(every),
    }


def verdict(row: dict[str, float | None]) -> str:
    """What a difference says: better, worse, or undecided where its interval holds 0 or there is none.

    Args:
        row: With `low` and `high`.
    """
    low, high = row["low"], row["high"]
    if low is None or high is None or low <= 0 <= high:
        return "undecided"
    return "better" if low > 0 else "worse"
