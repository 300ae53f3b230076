"""The tables of the main lineage. Column names and types are a contract with everyone who queries them."""

from __future__ import annotations

import polars as pl

from glm_assets.storage.tables import Column, Table

_I8, _I16, _I32, _I64 = pl.Int8(), pl.Int16(), pl.Int32(), pl.Int64()
_STR, _BOOL, _F64 = pl.String(), pl.Boolean(), pl.Float64()

_KEY = (
    Column("variation_id", _I64, "ClinVar Variation ID; not unique per alternate allele"),
    Column("chrom", _STR, "chromosome: 1..22, X, Y or MT"),
    Column("pos", _I64, "1-based VCF position of the first base of `ref`"),
    Column("ref", _STR, "reference allele, upper case"),
    Column("alt", _STR, "alternate allele, upper case"),
)
_KIND = Column("kind", _STR, "snv, ins or del; null when the alleles are of no such kind")
_LENGTH = Column("var_len", _I16, "1 for an SNV, else the difference of the allele lengths in bases")
_LABEL = "1 pathogenic or likely pathogenic, 0 benign or likely benign"
_SIGNIFICANCE = Column("clnsig", _STR, "CLNSIG, verbatim")
_STARS = Column("review_stars", _I8, "review status as ClinVar's stars, 0 to 4")
_GENE = Column("gene", _STR, "first gene symbol of GENEINFO")
_CONSEQUENCE = Column("consequence", _STR, "first Sequence Ontology term of MC")

RECORDS = Table(
    "records",
    "One row per record of the release that lies on one of the 25 chromosomes, values verbatim.",
    (
        Column("chrom", _STR, "chromosome: 1..22, X, Y or MT"),
        Column("pos", _I64, "1-based VCF position"),
        Column("variation_id", _I64, "ID column; null when it is no number"),
        Column("ref", _STR, "REF, verbatim"),
        Column("alt", _STR, "ALT, verbatim: may be '.' or hold several alleles"),
        Column("filter", _STR, "FILTER, verbatim"),
        _SIGNIFICANCE,
        Column("clnrevstat", _STR, "CLNREVSTAT, verbatim"),
        _GENE,
        Column("geneinfo", _STR, "GENEINFO, verbatim"),
        Column("mc", _STR, "MC (molecular consequence), verbatim"),
        Column("rs", _STR, "RS (dbSNP id), verbatim"),
        Column("record", _I64, "0-based number of the record in the file"),
    ),
)

CLINVAR_VARIANTS = Table(
    "clinvar_variants",
    "One row per alternate allele, with its label or the reason why it has none.",
    (
        *_KEY,
        Column("rs", _STR, "dbSNP id"),
        _GENE,
        Column("mc", _STR, "MC (molecular consequence), verbatim"),
        _CONSEQUENCE,
        _SIGNIFICANCE,
        Column("clnrevstat", _STR, "CLNREVSTAT, verbatim"),
        _STARS,
        _KIND,
        _LENGTH,
        Column("label", _I8, f"{_LABEL}; null when dropped"),
        Column("keep", _BOOL, "whether the row goes on to windows"),
        Column("drop_reason", _STR, "first rule that dropped the row; null when kept"),
    ),
)

VARIANT_WINDOWS = Table(
    "variant_windows",
    "One row per labelled variant with its reference and variant window.",
    (
        *_KEY,
        Column("kind", _STR, "snv, ins or del"),
        _LENGTH,
        Column("label", _I8, _LABEL),
        _SIGNIFICANCE,
        _STARS,
        _GENE,
        _CONSEQUENCE,
        Column("window_start", _I64, "0-based start of the window on the chromosome"),
        Column("window_end", _I64, "0-based, exclusive end of the window"),
        Column("variant_offset", _I16, "0-based index of the variant in the window"),
        Column("locus", _I64, "component of overlapping windows: the 0-based start of its first window"),
        Column("split", _STR, "train, val or test"),
        Column("ref_seq", _STR, "reference window, upper case"),
        Column("var_seq", _STR, "variant window, upper case, equally long"),
        Column("ref_digest", _STR, "first 32 hex digits of the SHA-256 of `ref_seq`"),
        Column("var_digest", _STR, "first 32 hex digits of the SHA-256 of `var_seq`"),
    ),
)

VARIANT_EMBEDDINGS = Table(
    "variant_embeddings",
    "One row per window row: the key under which the embedding store keeps its reference vector and difference.",
    (*_KEY, Column("key", _STR, "SHA-256 over encoder fingerprint, window recipe, windows, offset and lengths")),
)

LAYER_COMPARISON = Table(
    "layer_comparison",
    "One row per layer: how well it tells the variants of a sample apart.",
    (
        Column("layer", _STR, "submodule whose output is pooled"),
        Column("variants", _I64, "variants of train and val in the sample"),
        Column("probe_variants", _I64, "those of val, which judge the ridge regression"),
        Column(
            "auroc_distance", _F64, "AUROC of the cosine distance over the sample; null where a class is absent"
        ),
        Column(
            "auroc_probe", _F64, "AUROC over val of a ridge regression on the differences of train; null likewise"
        ),
        Column(
            "relative_delta_median", _F64, "median length of the difference, as a share of the reference vector's"
        ),
    ),
)

SPLIT_AUDIT = Table(
    "split_audit",
    "One row per chromosome and held-out split: how far its windows overlap windows of train.",
    (
        Column("chrom", _STR, "chromosome, or `all`"),
        Column("split", _STR, "val or test"),
        Column("rows", _I64, "rows of the split"),
        Column("overlapping_rows", _I64, "rows whose window shares a base with a train window"),
        Column("overlapping_share", _F64, "overlapping_rows / rows"),
        Column("mean_overlap", _F64, "mean share of a row's window that train windows cover"),
        Column("max_overlap", _F64, "largest such share"),
    ),
)

TEST_SEQUENCES = Table(
    "test_sequences",
    "One row per sequence of the test CSV, in its order.",
    (
        Column("ID", _STR, "the CSV's identifier"),
        Column("seq", _STR, "the sequence, upper case"),
        Column("length", _I32, "its length in bases"),
        Column("digest", _STR, "first 32 hex digits of the SHA-256 of `seq`"),
    ),
)

TEST_EMBEDDINGS = Table(
    "test_embeddings",
    "One row per test sequence: the key under which the embedding store keeps its vector.",
    (
        Column("ID", _STR, "the CSV's identifier"),
        Column("key", _STR, "SHA-256 over encoder fingerprint and sequence"),
    ),
)

# Those that the warehouse shows as views; `records` is a file of the release.
PUBLISHED = (
    CLINVAR_VARIANTS,
    VARIANT_WINDOWS,
    SPLIT_AUDIT,
    VARIANT_EMBEDDINGS,
    LAYER_COMPARISON,
    TEST_SEQUENCES,
    TEST_EMBEDDINGS,
)
