"""The tables of the study `impact`; each person has a folder of their own."""

from __future__ import annotations

import polars as pl

from glm_assets.storage.tables import Column, Table

_I8, _I16, _I32, _I64 = pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64()
_F64, _STR, _BOOL = pl.Float64(), pl.String(), pl.Boolean()

OUTER = "individual"

_PERSON = Column("individual", _STR, "name of the person")

_ALLELE = (
    Column("chrom", _STR, "chromosome: 1..22, X, Y or MT"),
    Column("pos", _I64, "1-based VCF position of the first base of `ref`"),
    Column("ref", _STR, "reference allele, upper case"),
    Column("alt", _STR, "alternate allele, upper case"),
)

_CLINVAR = (
    Column("variation_id", _I64, "ClinVar Variation ID"),
    Column("rs", _STR, "dbSNP ids of the record, separated by `|`; null without one"),
    Column("gene", _STR, "first gene symbol of GENEINFO"),
    Column("mc", _STR, "molecular consequences, verbatim: `SO:id|term`, separated by commas"),
    Column("clnsig", _STR, "CLNSIG, verbatim"),
    Column("impact", _STR, "high, moderate, low, modifier or none: the worst consequence"),
    Column("score", _F64, "10, 5, 2, 1 or 0"),
)

INDIVIDUAL_VARIANTS = Table(
    "impact_individual_variants",
    "One row per alternate allele of ClinVar, and whether the person carries it.",
    (
        _PERSON,
        *_ALLELE,
        *_CLINVAR,
        Column("carried", _BOOL, "whether the person carries it, by the study's rule"),
        Column(
            "genotype", _STR, "GT of the person's VCF, verbatim; null where it has no record, or there is no VCF"
        ),
        Column("copies", _I8, "copies of the allele in the genotype; null where that is not known"),
        Column("alternate_reads", _I32, "without a VCF: reads that show the allele; else null"),
        Column("depth", _I32, "without a VCF: reads that cover the place; else null"),
        Column("excluded", _STR, "why the row enters no example, such as no_dbsnp; null where it may"),
    ),
    outer=OUTER,
)

ALIGNMENT_SUMMARY = Table(
    "impact_individual_alignments",
    "One row per number about the person's reads on a chromosome.",
    (
        _PERSON,
        Column("chrom", _STR, "chromosome"),
        Column("figure", _STR, "what is counted: reads, mapped, duplicate, mapping_quality, length, .."),
        Column("value", _I64, "the length or quality that is counted; null for a plain count"),
        Column("reads", _I64, "how many reads"),
    ),
    outer=OUTER,
)

READ_EXAMPLES = Table(
    "impact_read_examples",
    "One row per example: a read that covers a variant of ClinVar.",
    (
        _PERSON,
        *_ALLELE,
        *_CLINVAR,
        Column("carried", _BOOL, "whether the person carries the alternate allele"),
        Column("copies", _I8, "copies of the allele in the genotype; null where that is not known"),
        Column("read_name", _STR, "name of the read, with /1 or /2 of a pair"),
        Column(
            "strand",
            _STR,
            "+ or -: how the read was mapped; but for policy faithful, `sequence` is on + in either case",
        ),
        Column("sequence", _STR, "the read's bases on the forward strand, cut around the variant"),
        Column("sequence_digest", _STR, "first 32 hex digits of the SHA-256 of `sequence`"),
        Column(
            "variant_offset", _I16, "0-based index in `sequence` of the variant's first base; -1 where unknown"
        ),
        Column("allele_in_read", _STR, "alternate, reference or other: what the read shows"),
        Column("mapping_quality", _I16, "MAPQ"),
        Column("target", _F64, "what is learned: `score` / 10 where the read shows the alternate allele, else 0"),
        Column("group", _STR, "what must stay in one split: variant, locus, gene or chromosome"),
        Column("split", _STR, "train, val or test"),
    ),
    outer=OUTER,
)

READ_EMBEDDINGS = Table(
    "impact_read_embeddings",
    "One row per example, in the order of `impact_read_examples`: where its vector is.",
    (
        _PERSON,
        Column("chrom", _STR, "chromosome"),
        Column("sequence_digest", _STR, "of the read, as in `impact_read_examples`"),
        Column("key", _STR, "key of the vector in the embedding store"),
    ),
    outer=OUTER,
)

TRAINING_SET = Table(
    "impact_training_set",
    "One row per example that is trained on or judged, after the split and the balancing.",
    (
        _PERSON,
        Column("chrom", _STR, "chromosome"),
        Column("row", _I64, "0-based row of the example in its chromosome's `impact_read_examples`"),
        Column("key", _STR, "key of the vector in the embedding store"),
        Column("group", _STR, "what stayed in one split"),
        Column("split", _STR, "train, val or test"),
        Column("target", _F64, "impact / 10"),
        Column("copies_in_training", _I32, "how often an epoch has it; 1 outside train"),
        Column("weight", _F64, "mode sampler: relative chance of being drawn; else 1"),
    ),
    outer=OUTER,
)

PREDICTIONS = Table(
    "impact_predictions",
    "One row per new read or new variant: its predicted impact.",
    (
        _PERSON,
        Column("kind", _STR, "read or variant"),
        Column("name", _STR, "name of the read, or chrom:pos:ref>alt"),
        Column("chrom", _STR, "of a variant or mapped read; else null"),
        Column("pos", _I64, "1-based position of the variant or of the read's first base; else null"),
        Column("ref", _STR, "of a variant; else null"),
        Column("alt", _STR, "of a variant; else null"),
        Column("sequence_digest", _STR, "of what was embedded; null where nothing was"),
        Column("score_conv", _F64, "predicted impact by the convolutional head, 0 to 10; null without one"),
        Column("score_linear", _F64, "predicted impact by the linear baseline, 0 to 10"),
        Column("reason", _STR, "why there is no score; null where there is one"),
    ),
    outer=OUTER,
)

REPORT = Table(
    "impact_report",
    "One row per figure of each predictor on each split.",
    (
        _PERSON,
        Column("predictor", _STR, "conv, linear or mean (the mean of the training targets)"),
        Column("split", _STR, "val or test"),
        Column("slice", _STR, "all, or an impact class"),
        Column("figure", _STR, "mse, rmse, mae, pearson, spearman or r2, of scores 0 to 10"),
        Column("value", _F64, "the figure; null where it does not exist"),
        Column("low", _F64, "lower end of the 95 % interval by groups of the split; null where they are too few"),
        Column("high", _F64, "upper end"),
        Column("rows", _I64, "examples"),
        Column("groups", _I64, "groups of the split that these fall into"),
    ),
    outer=OUTER,
)

IMPACT_TABLES = (
    INDIVIDUAL_VARIANTS,
    ALIGNMENT_SUMMARY,
    READ_EXAMPLES,
    READ_EMBEDDINGS,
    TRAINING_SET,
    REPORT,
    PREDICTIONS,
)
