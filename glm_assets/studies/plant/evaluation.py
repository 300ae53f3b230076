"""Judging the language model on test sequence, with its memory and without, beside uniform and Markov baselines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from glm_assets.evaluation.bootstrap import Estimate
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.language_figures import plot_bits_by_context, plot_bits_per_base
from glm_assets.language.token_store import TokenStore
from glm_assets.language.windows import overlap_step
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_plant import EVALUATION
from glm_assets.storage.tables import PART
from glm_assets.studies.plant.judged_figures import ALL, TokenFigures, pooled
from glm_assets.studies.plant.judging import MARKOV, MODEL, WITHOUT_MEMORY, JudgedTokens, judge
from glm_assets.studies.plant.opening import open_lm
from glm_assets.studies.plant.study import PlantStudy

Progress = Callable[[str], None]

COMPARED_ORDER: Final = 2
"""Of the Markov model that a language model of k-mers must beat to have learnt anything of what is between them."""


def make_evaluation(study: PlantStudy, progress: Progress) -> Manifest:
    """Judge the model and the baselines on the same test tokens of each species, and of all together.

    Raises:
        MissingUpstreamError: The model or a species' tokens are absent or out of date.
        SettingsError: A species has no test window.
    """

    def build(work: Path) -> Facts:
        judged = _judged(study, progress)
        values = study.values
        parts = judged | {ALL: pooled(judged)}
        figures = {
            name: TokenFigures(tokens, values.tokens.k, values.resamples, values.seed)
            for name, tokens in parts.items()
        }
        table = pl.concat(each.table(name) for name, each in figures.items())
        EVALUATION.write(table, work / PART)
        save_figure(plot_bits_per_base(table.filter(figure="bits_per_base")), work / "bits_per_base.png")
        by_context = {
            name: {
                predictor: nats / (values.tokens.k * np.log(2)) for predictor, nats in tokens.by_context.items()
            }
            for name, tokens in parts.items()
        }
        save_figure(plot_bits_by_context(by_context), work / "context.png")
        return _facts(study, table, figures)

    return study.evaluation().make(build)


def _judged(study: PlantStudy, progress: Progress) -> dict[str, JudgedTokens]:
    values, network = study.values, open_lm(study)
    return {
        species: judge(
            network,
            TokenStore(study.files("tokens", species)),
            number,
            overlap=values.training.overlap,
            max_windows=values.evaluation.max_windows,
            markov_order=values.evaluation.markov_order,
            phase=values.tokens.phases[0],
            block_bases=values.split.block_bases,
            progress=progress,
        )
        for number, species in enumerate(study.species)
    }


def _facts(study: PlantStudy, table: pl.DataFrame, figures: Mapping[str, TokenFigures]) -> Facts:
    values, every = study.values, figures[ALL]
    context = values.model.context
    bits = table.filter(figure="bits_per_base")
    orders = range(values.evaluation.markov_order + 1)
    markov = {order: every.bits(MARKOV.format(order)).value for order in orders}
    best = min(markov, key=lambda order: markov[order])
    facts: dict[str, Any] = {
        "rows": table.height,
        "test_tokens": every.tokens,
        "test_blocks": every.blocks,
        "tokens_before_a_test_token": {
            "at_least": context - overlap_step(context, values.training.overlap),
            "at_most": context,
        },
        "metrics": {
            f"bits_per_base_{species}": value
            for species, value in bits.filter(predictor=MODEL).select("species", "value").iter_rows()
        },
        "baseline": {f"markov_{order}": value for order, value in markov.items()},
        "best_markov_order": best,
        "over_best_markov": every.saved(MARKOV.format(best), MODEL).value,
    }
    if COMPARED_ORDER in markov:
        compared = MARKOV.format(COMPARED_ORDER)
        facts |= _difference("over_markov_2", every.saved(compared, MODEL))
        facts["over_markov_2_by_species"] = {
            species: figures[species].saved(compared, MODEL).value for species in study.species
        }
    if WITHOUT_MEMORY in every.predictors:
        saved = every.saved(WITHOUT_MEMORY, MODEL)
        facts |= _difference("memory_saves", saved) | {"memory": _verdict(saved)}
    return facts


def _difference(name: str, saved: Estimate) -> dict[str, float | None]:
    """Bits per base, more of which is better; None where there are too few blocks for an interval."""
    low, high = (None if np.isnan(bound) else bound for bound in saved.interval())
    return {name: saved.value, f"{name}_low": low, f"{name}_high": high}


def _verdict(saved: Estimate) -> str:
    low, high = saved.interval()
    if low > 0:
        return "helps: it saves bits on test sequence"
    if high < 0:
        return "harms: test sequence costs more bits with it"
    return "makes no difference that the test blocks can show"
