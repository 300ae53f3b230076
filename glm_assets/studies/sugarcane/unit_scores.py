"""How likely units are, before and after training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.model_styles import model_title
from glm_assets.evaluation.score_distribution import ranking
from glm_assets.evaluation.score_distribution_figures import (
    plot_ranking,
    plot_score_histogram,
    plot_score_violins,
)
from glm_assets.language.model import LanguageModel
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_sugarcane import UNIT_SCORES
from glm_assets.storage.tables import PART
from glm_assets.studies.sugarcane.adapter import open_models
from glm_assets.studies.sugarcane.configuration import ScoringSettings
from glm_assets.studies.sugarcane.study import VARIABLE, SugarcaneStudy
from glm_assets.studies.sugarcane.unit_sequences import UnitSequences, choose_evenly, read_units

Progress = Callable[[str], None]

# Units of which a killed run keeps all or nothing.
_TOGETHER = 64

_MEAN = "mean log-probability of a base"


@dataclass
class Speed:
    """What was computed now, and not found from a killed run.

    Attributes:
        units: Units that were scored, counted for each model.
        bases: Bases of them, on as many strands as were scored.
        seconds: That it took.
    """

    units: int = 0
    bases: int = 0
    seconds: float = 0.0


def make_unit_scores(study: SugarcaneStudy, variety: str, progress: Progress) -> Manifest:
    """Score units of a variety by the model as it was published and by the trained one.

    A run that was killed goes on with the units that it has not scored.

    Args:
        study: The study.
        variety: Name of the variety.
        progress: Called with a line now and then.

    Raises:
        MissingUpstreamError: Genome, units or adapter are absent or out of date.
        EvaluationError: The splits hold no unit.
        SettingsError: The model cannot read tiles of that size.
    """
    product = study.unit_scores(variety)
    settings = study.values.scoring

    def build(work: Path) -> Facts:
        every = read_units(study, variety)
        of_splits = every.filter(pl.col("split").is_in(settings.splits))
        units = choose_evenly(of_splits, settings.max_units)
        if not units.height:
            raise EvaluationError(
                f"variety {variety} has no unit in {', '.join(settings.splits)}",
                fix=f"add a split to scoring.splits, or change split, in the YAML file of {VARIABLE}",
            )
        sequences, speed = UnitSequences(study, variety), Speed()
        scored = pl.concat(
            score_units(work / ".parts" / name, name, model, units, sequences, settings, speed, progress)
            for name, model in open_models(study, variety).items()
        )
        table = scored.filter(pl.col("n_tokens") > 0)
        UNIT_SCORES.write(table, work / PART)
        _save_figures(table, variety, work)
        skipped = {
            "of another split": every.height - of_splits.height,
            "beyond max_units": of_splits.height - units.height,
            "without a known base": units.height - table["unit_id"].n_unique(),
        }
        return {
            "rows": table.height,
            "units": table["unit_id"].n_unique(),
            "computed": speed.units,
            "skipped_units": skipped,
            "cut_at_the_ends_of_contigs": sequences.cut(units),
            "units_in_tiles": table.filter(pl.col("tiles") > 1)["unit_id"].n_unique(),
            "bases_per_second": round(speed.bases / speed.seconds, 1) if speed.seconds else None,
            "scores_not_finite": int((~table["logprob_sum"].is_finite()).sum()),
            "units_scored_unevenly": unevenly_scored(table),
            **_means(table),
        }

    return product.make(build)


def score_units(
    folder: Path,
    name: str,
    model: LanguageModel,
    units: pl.DataFrame,
    sequences: UnitSequences,
    settings: ScoringSettings,
    speed: Speed,
    progress: Progress,
) -> pl.DataFrame:
    """Score units in blocks, each of which is kept when it is finished.

    Args:
        folder: Where blocks are kept; it belongs to these units, this model and these settings alone.
        name: Of the model in the table.
        model: The model.
        units: Rows of the table of units.
        sequences: Reads them.
        settings: How they are scored.
        speed: Is told what was computed.
        progress: Called with a line after each block.

    Returns:
        Rows of the table of scores, in the order of the units; `n_tokens` is 0 of those without a known base.
    """
    blocks = []
    for number, block in enumerate(units.iter_slices(_TOGETHER)):
        path = folder / f"{number:06d}.parquet"
        if not path.is_file():
            begin = time.perf_counter()
            scores = _scored(name, model, block, list(sequences.each(block)), settings)
            with atomic_path(path) as temporary:
                scores.write_parquet(temporary)
            speed.units += block.height
            speed.bases += int(block["length"].sum()) * (2 if settings.reverse_complement else 1)
            speed.seconds += time.perf_counter() - begin
        blocks.append(pl.read_parquet(path, glob=False, hive_partitioning=False))
        progress(f"{sum(each.height for each in blocks):,} of {units.height:,} units scored, {name}")
    return pl.concat(blocks)


def _scored(
    name: str, model: LanguageModel, units: pl.DataFrame, sequences: list[str], settings: ScoringSettings
) -> pl.DataFrame:
    from glm_assets.language.scoring import score_sequences

    scores = score_sequences(
        model,
        sequences,
        start_token=settings.start_token,
        reverse_complement=settings.reverse_complement,
        tile=settings.tile,
        overlap=settings.overlap,
        batch_tokens=settings.batch_tokens,
    )
    return units.select("variety", "unit_id", "unit_type", "split", pl.lit(name).alias("model")).with_columns(
        pl.Series(column.name, getattr(scores, column.name), column.dtype) for column in UNIT_SCORES.columns[5:]
    )


def unevenly_scored(table: pl.DataFrame) -> int:
    """Units of which one model predicted other bases than the other, or none, so that they cannot be compared."""
    models = table["model"].n_unique()
    of_units = table.group_by("unit_id").agg(rows=pl.len(), tokens=pl.col("n_tokens").n_unique())
    return of_units.filter((pl.col("rows") != models) | (pl.col("tokens") != 1)).height


def _means(table: pl.DataFrame) -> Facts:
    """Of each model over all bases: what a base's logarithm is, and what a base costs in bits."""
    of_a_base = pl.col("logprob_sum").sum() / pl.col("n_tokens").sum()
    means = dict(table.group_by("model", maintain_order=True).agg(of_a_base).iter_rows())
    return {
        "logprob_of_a_base": means,
        "bits_of_a_base": {name: -mean / math.log(2) for name, mean in means.items()},
    }


def _save_figures(table: pl.DataFrame, variety: str, work: Path) -> None:
    means = {
        str(name): rows["logprob_mean"].to_numpy()
        for (name,), rows in table.group_by("model", maintain_order=True)
    }
    if not means:
        return
    title = f"units of {variety}"
    save_figure(plot_score_histogram(means, name=_MEAN, title=title), work / "histogram.png")
    save_figure(plot_score_violins(means, name=_MEAN, title=title), work / "violins.png")
    last = list(means)[-1]
    ranked = ranking(table.filter(pl.col("model") == last), "logprob_mean", label="unit_id")
    shown = plot_ranking(
        ranked, score="logprob_mean", label="unit_id", name=_MEAN, title=f"{title}, {model_title(last)}"
    )
    save_figure(shown, work / "ranking.png")
