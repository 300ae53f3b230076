"""The parts of the plant model's page: each product's figures with what they show, and its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from glm_assets.evaluation.report import PageTable, Section
from glm_assets.storage.tables import read_part
from glm_assets.studies.plant.judged_figures import ALL
from glm_assets.studies.plant.judging import MODEL, WITHOUT_MEMORY
from glm_assets.studies.plant.phenotype_judgement import ALL_FOLDS, HEAD, MAJORITY
from glm_assets.studies.report_parts import Part

_SECTIONS: Final = (
    ("lm", "Training"),
    ("evaluation", "Test sequence, by species"),
    ("generations", "Drawn sequences"),
    ("phenotypes", "Samples with phenotypes"),
    ("phenotype_head", "Phenotypes from genes"),
)
"""In the order of the page."""

_TEXTS: Final = {
    "lm": "The loss is in nats per token on windows of the validation blocks, which trained nothing.",
    "evaluation": "Bits per base on blocks of sequence that neither trained nor chose anything; fewer are better, and"
    " a guess among four bases costs 2. A Markov model of order k predicts a base from the k before it, counted on the"
    " same training blocks; it interpolates all shorter contexts, so a longer one costs it little. Intervals are over"
    " blocks.",
    "generations": "Sequences that the model drew as each species, after the beginnings of its test sequence. That"
    " their composition is like the genome's does not say that they mean anything.",
    "phenotypes": "Samples without a phenotype are left out; a gene without a sequence is masked.",
    "phenotype_head": "The language model is frozen: a vector for each gene, their mean or a learned one for a"
    " sample, and a linear classifier. Every sample is judged by a classifier that was fitted to the other folds alone."
    " The commonest class is what one would answer who knows nothing of a sample: an accuracy no better than that is"
    " no success.",
}

_CAPTIONS: Final = {
    "training": "Loss of training and validation, and the learning rate.",
    "bits_per_base": "Bits per base of each predictor by species, with 95 % intervals.",
    "context": "Bits per base by how many tokens of the window lie before.",
    "gc": "Share of G and C of the drawn sequences, beside the species' test sequence.",
    "samples": "Samples of each phenotype, and how many genes they have.",
    "baseline": "The head beside the commonest class, and the difference with its 95 % interval.",
    "confusion": "Which phenotypes are taken for which, on held-out samples.",
}

_LOGO: Final = "logo_"

_SHOWN_BASES: Final = 40
"""More would be wider than the page."""

_FIGURES: Final = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1", "mcc": "MCC"}

_ABSENT: Final = "Missing: {}, for the study's values name no samples."


def sections(parts: Mapping[str, Part]) -> list[Section]:
    """The page's parts in order; what there is not is said to be missing.

    Args:
        parts: Product to its files and facts, those of phenotypes only where the study has some.
    """
    return [_section(name, title, parts.get(name)) for name, title in _SECTIONS]


def _section(name: str, title: str, part: Part | None) -> Section:
    if part is None:
        return Section(title, missing=[_ABSENT.format(name.replace("_", " "))])
    figures = part.figures(_CAPTIONS | _captions_of_logos(part))
    missing = [] if figures else [f"Missing: {name.replace('_', ' ')} has no figure."]
    if name == "evaluation" and "memory" not in part.facts:
        missing.append("Missing: what the memory is worth, for the model has none.")
    tables = _TABLES[name](part) if name in _TABLES else []
    return Section(title, (_TEXTS[name],), tables, figures, missing)


def _captions_of_logos(part: Part) -> dict[str, str]:
    stems = [name.removesuffix(".png") for name in part.names if name.startswith(_LOGO)]
    return {stem: f"Sequence logo of what was drawn as {stem.removeprefix(_LOGO)}." for stem in stems}


def _evaluation(part: Part) -> list[PageTable]:
    table = read_part(part.folder)
    return [
        _by_species(table, "bits_per_base", "Bits per base"),
        _by_species(table, "perplexity", "Perplexity of a token"),
        _with_intervals(table),
    ]


def _by_species(table: pl.DataFrame, figure: str, caption: str) -> PageTable:
    """A row a predictor, a column a species."""
    rows = table.filter(figure=figure)
    turned = rows.pivot("species", index="predictor", values="value")
    return PageTable(f"{caption} on test sequence", _named(turned), {ALL: "all species"})


def _with_intervals(table: pl.DataFrame) -> PageTable:
    rows = table.filter(figure="bits_per_base", species=ALL).select("predictor", "value", "low", "high", "tokens")
    titles = {"value": "bits per base", "low": "95 % from", "high": "to"}
    return PageTable("All species, with intervals", _named(rows.sort("value")), titles)


def _named(table: pl.DataFrame) -> pl.DataFrame:
    names = {MODEL: "language model", WITHOUT_MEMORY: "language model without its memory"}
    return table.with_columns(pl.col("predictor").replace(names).str.replace("markov_", "Markov, order "))


def _generations(part: Part) -> list[PageTable]:
    shown = read_part(part.folder).select(
        "species", "sample", "length", "gc", "logprob_mean", pl.col("sequence").str.head(_SHOWN_BASES)
    )
    titles = {"gc": "GC", "sequence": f"first {_SHOWN_BASES} bases", "logprob_mean": "mean log-probability"}
    return [PageTable("Sequences that were drawn", shown, titles, most=20)]


def _phenotype_head(part: Part) -> list[PageTable]:
    table = read_part(part.folder).with_columns(
        pl.col("predictor").replace({HEAD: "head", MAJORITY: "commonest class"}),
        pl.col("figure").replace(_FIGURES),
    )
    pooled = table.filter(fold=ALL_FOLDS).select("figure", "predictor", "value", "low", "high", "samples")
    folds = table.filter(pl.col("fold") != ALL_FOLDS, pl.col("figure") == "accuracy")
    turned = folds.pivot("predictor", index=["fold", "samples"], values="value")
    return [
        PageTable("All held-out samples", pooled, {"low": "95 % from", "high": "to"}),
        PageTable("Accuracy by fold", turned),
    ]


_TABLES: Final = {
    "evaluation": _evaluation,
    "generations": _generations,
    "phenotype_head": _phenotype_head,
}
