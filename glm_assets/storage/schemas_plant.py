"""The tables of the study `plant`."""

from __future__ import annotations

import polars as pl

from glm_assets.storage.schemas_genome import CONTIG_COLUMNS
from glm_assets.storage.tables import Column, Table

_I32, _I64, _F64, _STR = pl.Int32(), pl.Int64(), pl.Float64(), pl.String()

OUTER = "species"

_SPECIES = Column("species", _STR, "name of the species")

GENOME = Table(
    "plant_genome",
    "One row per contig of a genome, in the order of its file.",
    (
        _SPECIES,
        *CONTIG_COLUMNS,
    ),
    outer=OUTER,
)

EVALUATION = Table(
    "plant_evaluation",
    "One row per species, predictor and figure, on test sequence; all species together as `all`.",
    (
        _SPECIES,
        Column("predictor", _STR, "model, model_without_memory, uniform or markov_N"),
        Column("figure", _STR, "bits_per_base, perplexity or accuracy, of tokens"),
        Column("value", _F64, "the figure; null where it does not exist"),
        Column("low", _F64, "lower end of the 95 % interval by blocks; null without one"),
        Column("high", _F64, "upper end"),
        Column("tokens", _I64, "tokens that were predicted"),
    ),
)

GENERATIONS = Table(
    "plant_generations",
    "One row per sequence that was drawn.",
    (
        _SPECIES,
        Column("sample", _I32, "0-based number"),
        Column("prompt_sequence", _STR, "bases of the prompt"),
        Column("sequence", _STR, "bases that were drawn"),
        Column("gc", _F64, "share of G and C of what was drawn"),
        Column("length", _I32, "bases that were drawn"),
        Column("logprob_mean", _F64, "mean natural logarithm of the drawn tokens' probabilities under the model"),
    ),
)

PHENOTYPES = Table(
    "plant_phenotypes",
    "One row per sample.",
    (
        Column("sample", _STR, "name of the sample"),
        Column("phenotype", _STR, "its phenotype, verbatim"),
        Column("genes", _I32, "genes with a sequence"),
        Column("missing", _I32, "genes without one"),
        Column("repeated", _I32, "genes whose sequence was shorter than a segment and is read again and again"),
        Column("unknown", _I64, "6-mers with another letter than A, C, G and T, which are left out"),
    ),
)

PHENOTYPE_HEAD = Table(
    "plant_phenotype_head",
    "One row per fold and figure of the cross-validation; all samples together as fold -1.",
    (
        Column("fold", _I32, "0-based number; -1: every sample, judged by the fold that held it out"),
        Column("predictor", _STR, "head or majority"),
        Column("figure", _STR, "accuracy, balanced_accuracy, macro_f1 or mcc"),
        Column("value", _F64, "the figure"),
        Column("low", _F64, "lower end of the 95 % interval over samples; null of a fold"),
        Column("high", _F64, "upper end"),
        Column("samples", _I32, "samples that were held out"),
    ),
)

PLANT_TABLES = (GENOME, EVALUATION, GENERATIONS, PHENOTYPES, PHENOTYPE_HEAD)
