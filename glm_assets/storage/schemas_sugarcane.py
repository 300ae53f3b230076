"""The tables of the study `sugarcane`; each variety has a folder of its own."""

from __future__ import annotations

import polars as pl

from glm_assets.storage.schemas_genome import CONTIG_COLUMNS, FEATURE_COLUMNS
from glm_assets.storage.tables import Column, Table

_I32, _I64, _F64, _STR = pl.Int32(), pl.Int64(), pl.Float64(), pl.String()

OUTER = "variety"

_VARIETY = Column("variety", _STR, "name of the variety")
_MODEL = Column("model", _STR, "zero_shot: as published; fine_tuned: with what was trained")

GENOME = Table(
    "sugarcane_genome",
    "One row per contig of a genome, in the order of its file.",
    (
        _VARIETY,
        *CONTIG_COLUMNS,
    ),
    outer=OUTER,
)

ANNOTATION = Table(
    "sugarcane_annotation",
    "One row per feature of an annotation.",
    (
        _VARIETY,
        *FEATURE_COLUMNS,
    ),
    outer=OUTER,
)

UNITS = Table(
    "sugarcane_units",
    "One row per unit: a gene with its flanks, a cluster of them, or a regulatory element.",
    (
        _VARIETY,
        Column("unit_id", _STR, "ID of its gene, of the first three of a cluster, or of its element"),
        Column("contig", _STR, "contig"),
        Column("start", _I64, "0-based first base"),
        Column("end", _I64, "0-based base after the last"),
        Column("strand", _STR, "+ or -: a unit of - is read as its reverse complement; . is read as +"),
        Column("unit_type", _STR, "gene_with_regulatory, gene_only, regulatory or gene_cluster"),
        Column("n_features", _I32, "genes and elements in it"),
        Column("gene_ids", _STR, "IDs of its genes, separated by commas"),
        Column("strands", _STR, "strands of its genes in order, such as +-+"),
        Column("length", _I64, "bases"),
        Column("group", _STR, "homology group of the contig"),
        Column("split", _STR, "train, val or test; null where it lies across the ends of blocks"),
    ),
    outer=OUTER,
)

REGIONS = Table(
    "sugarcane_regions",
    "One row per stretch of a contig that belongs to one split.",
    (
        _VARIETY,
        Column("contig", _STR, "contig"),
        Column("start", _I64, "0-based first base"),
        Column("end", _I64, "0-based base after the last"),
        Column("group", _STR, "homology group of the contig"),
        Column("split", _STR, "train, val or test"),
    ),
    file="sugarcane_units/variety=*/regions.parquet",
)

UNIT_SCORES = Table(
    "sugarcane_unit_scores",
    "One row per scored unit and model.",
    (
        _VARIETY,
        Column("unit_id", _STR, "unit"),
        Column("unit_type", _STR, "its type"),
        Column("split", _STR, "its split"),
        _MODEL,
        Column("logprob_sum", _F64, "sum of the natural logarithms of the bases' probabilities"),
        Column("logprob_mean", _F64, "their mean"),
        Column("n_tokens", _I64, "bases that have a probability"),
        Column("tiles", _I32, "windows that the unit was scored in"),
    ),
    outer=OUTER,
)

TOKEN_PROFILES = Table(
    "sugarcane_token_profiles",
    "One row per unit and model whose logits are kept, position by position, in `logits.npy` beside it.",
    (
        _VARIETY,
        Column("unit_id", _STR, "unit"),
        Column("unit_type", _STR, "its type"),
        _MODEL,
        Column("first_row", _I64, "0-based row of its first position in logits.npy and entropy.npy"),
        Column("positions", _I64, "rows that are its"),
        Column("mean_entropy", _F64, "bits, of the four bases, mean over positions"),
        Column("accuracy", _F64, "share of positions whose base has the largest of the four logits"),
    ),
    outer=OUTER,
)

GENERATIONS = Table(
    "sugarcane_generations",
    "One row per sequence that was drawn.",
    (
        _VARIETY,
        _MODEL,
        Column("prompt", _I32, "0-based number of the prompt"),
        Column("prompt_name", _STR, "unit of the prompt, or its number"),
        Column("sample", _I32, "0-based number of the sequence among those of the prompt"),
        Column("prompt_sequence", _STR, "bases of the prompt"),
        Column("sequence", _STR, "bases that were drawn"),
        Column("gc", _F64, "share of G and C of what was drawn; null without a base"),
        Column("length", _I32, "bases that were drawn"),
        Column("logprob_mean", _F64, "mean natural logarithm of the drawn tokens' probabilities under the model"),
    ),
    outer=OUTER,
)

GENOME_PROFILE = Table(
    "sugarcane_genome_profile",
    "One row per figure of a genome and its annotation.",
    (
        _VARIETY,
        Column("part", _STR, "summary, gene, codon, microsatellite, repeat or domain"),
        Column("name", _STR, "what the figure is of, such as gc, GCT or di"),
        Column("figure", _STR, "value, count, rscu, .."),
        Column("value", _F64, "the figure; null where the data do not say it"),
    ),
    outer=OUTER,
)

MODEL_COMPARISON = Table(
    "sugarcane_model_comparison",
    "One row per unit type and figure: zero-shot beside fine-tuned.",
    (
        _VARIETY,
        Column("slice", _STR, "all, unit_type or experiment"),
        Column("name", _STR, "all, the unit type, or the experiment's file"),
        Column("figure", _STR, "logprob_mean, pearson or spearman"),
        Column("zero_shot", _F64, "of the model as published; null where it does not exist"),
        Column("fine_tuned", _F64, "of the model with what was trained"),
        Column("difference", _F64, "fine_tuned - zero_shot"),
        Column("low", _F64, "lower end of the difference's 95 % interval; null where there are too few rows"),
        Column("high", _F64, "upper end"),
        Column("rows", _I64, "units or sequences"),
    ),
    outer=OUTER,
)

SEARCH = Table(
    "sugarcane_search",
    "One row per trial of the search.",
    (
        _VARIETY,
        Column("trial", _I32, "number, from 0; 0 has the study's own values"),
        Column("state", _STR, "complete or pruned"),
        Column("loss", _F64, "smallest validation loss, in nats per base; null of one that was pruned"),
        Column("learning_rate", _F64, "largest"),
        Column("rank", _I32, "of the adapters"),
        Column("alpha", _F64, "of the adapters"),
        Column("dropout", _F64, "of the adapters"),
        Column("targets", _STR, "name of the set of modules"),
    ),
    outer=OUTER,
)

SUGARCANE_TABLES = (
    GENOME,
    ANNOTATION,
    UNITS,
    REGIONS,
    UNIT_SCORES,
    TOKEN_PROFILES,
    GENERATIONS,
    GENOME_PROFILE,
    MODEL_COMPARISON,
    SEARCH,
)
