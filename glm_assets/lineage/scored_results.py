"""Figures of scored variants, and how they agree with an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from glm_assets.evaluation.agreement import Agreement, agreement
from glm_assets.evaluation.bootstrap import Estimate
from glm_assets.evaluation.experiment import SCORES, join_experiment, read_experiment
from glm_assets.evaluation.experiment_figure import plot_experiment
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.region_figure import RegionGrid, plot_region
from glm_assets.evaluation.scored_figures import plot_scores
from glm_assets.storage.products import Facts
from glm_assets.storage.schemas import EXPERIMENT_AGREEMENT
from glm_assets.variants.region import Region


def write_figures(table: pl.DataFrame, region: Region | None, unscored: Mapping[str, int], work: Path) -> None:
    """Draw heat maps of a region, histograms of a VCF.

    Args:
        table: `scored_variants`.
        region: The region; None for a VCF.
        unscored: Reason to its number of rows.
        work: Folder for the PNG files.
    """
    if region is None:
        save_figure(plot_scores(table, unscored), work / "scores.png")
        return
    distance = "head_distance" if table["head_distance"].count() else "raw_distance"
    title = "Distance after the head" if distance == "head_distance" else "Distance of raw vectors"
    save_figure(plot_region(region_grid(table, region, distance), title, "distance"), work / "distance.png")
    if table["log_likelihood_ratio"].count():
        grid = region_grid(table, region, "log_likelihood_ratio")
        save_figure(plot_region(grid, "Log-likelihood ratio", "ratio"), work / "likelihood.png")


def region_grid(table: pl.DataFrame, region: Region, score: str) -> RegionGrid:
    """A score of `scored_variants` laid out by position and base."""
    return RegionGrid.of(
        region.chrom,
        region.start + 1,
        region.bases,
        table["record"].to_numpy(),
        table["ref"].to_list(),
        table["alt"].to_list(),
        table[score].fill_null(np.nan).to_numpy(),
    )


def write_experiment(table: pl.DataFrame, path: Path, work: Path, resamples: int, seed: int) -> Facts:
    """Compare scores with an experiment: the table `experiment_agreement` and a figure.

    Args:
        table: `scored_variants`.
        path: The experiment's table.
        work: Folder for the files.
        resamples: Of the variants, for intervals.
        seed: Of the resamples.
    """
    experiment = read_experiment(path)
    joined = join_experiment(experiment, table)
    agreements = [found for score in SCORES if (found := agreement(joined, score, resamples=resamples, seed=seed))]
    rows = [row for one in agreements for row in _rows(one)]
    EXPERIMENT_AGREEMENT.write(
        pl.DataFrame(rows, EXPERIMENT_AGREEMENT.schema), work / EXPERIMENT_AGREEMENT.file_name
    )
    if agreements:
        save_figure(plot_experiment(joined, agreements, path.name), work / "agreement.png")
    return {
        "experiment_rows": experiment.table_rows,
        "experiment_without_score": experiment.without_score,
        "experiment_duplicates": experiment.duplicates,
        "experiment_joined": joined.height,
        "experiment_classes": [f"{name} is {side}" for name, side in experiment.classes.items()] or None,
        "experiment": _figures(rows),
    }


def _rows(one: Agreement) -> list[dict[str, Any]]:
    found = {"pearson": one.pearson, "spearman": one.spearman} | ({"auroc": one.auroc} if one.auroc else {})
    return [
        {
            "score": one.score,
            "figure": name,
            **_bounds(estimate),
            "rows": one.positives + one.negatives if name == "auroc" else one.rows,
            "positives": one.positives if name == "auroc" else None,
            "negatives": one.negatives if name == "auroc" else None,
        }
        for name, estimate in found.items()
    ]


def _bounds(estimate: Estimate) -> dict[str, float | None]:
    names = ("value", "value_low", "value_high")
    values = (estimate.value, *estimate.interval())
    return {name: None if np.isnan(value) else value for name, value in zip(names, values, strict=True)}


def _figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Figures and bounds as one mapping of names to numbers."""
    return {
        f"{row['score']}/{row['figure']}{name.removeprefix('value')}": row[name]
        for row in rows
        for name in ("value", "value_low", "value_high")
        if row[name] is not None
    }
