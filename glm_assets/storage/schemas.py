"""The tables of the main lineage. Column names and types are a contract with everyone who queries them."""

from __future__ import annotations

import polars as pl

from glm_assets.storage.schemas_impact import IMPACT_TABLES
from glm_assets.storage.schemas_metagenome import METAGENOME_TABLES
from glm_assets.storage.schemas_plant import PLANT_TABLES
from glm_assets.storage.schemas_release import CLINVAR_RELEASE_DIFF
from glm_assets.storage.schemas_sugarcane import SUGARCANE_TABLES
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
_GENES = Column("genes", _STR, "all gene symbols of GENEINFO, joined by commas; null where there is none")
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
        _GENES,
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
        _GENES,
    ),
)

VARIANT_EMBEDDINGS = Table(
    "variant_embeddings",
    "One row per window row: the key under which the embedding store keeps its reference vector and difference.",
    (*_KEY, Column("key", _STR, "SHA-256 over encoder fingerprint, window recipe, windows, offset and lengths")),
)

COVARIANCE_EMBEDDINGS = Table(
    "covariance_embeddings",
    "One row per window row: the key of its covariance-pooled vectors, which the covariance probe takes.",
    VARIANT_EMBEDDINGS.columns,
)

VARIANT_LIKELIHOODS = Table(
    "variant_likelihoods",
    "One row per window row: how likely the encoder finds its windows, mean over both strands.",
    (
        *VARIANT_EMBEDDINGS.columns,
        Column("log_likelihood_ref", _F64, "natural logarithm of P(reference window), summed over its bases"),
        Column("log_likelihood_ratio", _F64, "that of the variant window minus that of the reference window"),
    ),
)

MUTATION_LADDERS = Table(
    "mutation_ladders",
    "One row per rung: a real window with a number of substitutions, and the key of its vectors.",
    (
        Column("chrom", _STR, "chromosome: 1..22, X, Y or MT"),
        Column("window_start", _I64, "0-based start of the window on the chromosome"),
        Column("split", _STR, "train, val or test: that of the row whose window it is"),
        Column("ladder", _I64, "number of the ladder"),
        Column("substitutions", _I16, "bases that differ from the reference window: 1, 2, 4 .. 512"),
        Column("variant_offset", _I16, "0-based index of the first of them"),
        Column("ref_seq", _STR, "reference window, upper case"),
        Column("var_seq", _STR, "the window with the substitutions"),
        Column("ref_digest", _STR, "first 32 hex digits of the SHA-256 of `ref_seq`"),
        Column("var_digest", _STR, "first 32 hex digits of the SHA-256 of `var_seq`"),
        Column("key", _STR, "SHA-256 over encoder fingerprint, window recipe, windows, offset and lengths"),
    ),
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

HEAD_SEARCH = Table(
    "head_search",
    "One row per trial and value that was tried.",
    (
        Column("trial", _I64, "number of the trial"),
        Column("state", _STR, "complete, or pruned: given up before its end"),
        Column("score", _F64, "best validation score of its epochs; null when it was given up"),
        Column("name", _STR, "what was varied"),
        Column("value", _F64, "what was tried"),
    ),
)

SPLIT_AUDIT = Table(
    "split_audit",
    "One row per chromosome and held-out split: what its windows share with those of train.",
    (
        Column("chrom", _STR, "chromosome, or `all`"),
        Column("split", _STR, "val or test"),
        Column("rows", _I64, "rows of the split"),
        Column("overlapping_rows", _I64, "rows whose window shares a base with a train window"),
        Column("overlapping_share", _F64, "overlapping_rows / rows"),
        Column("mean_overlap", _F64, "mean share of a row's window that train windows cover"),
        Column("max_overlap", _F64, "largest such share"),
        Column("shared_gene_rows", _I64, "rows of which a gene has a row in train, on any chromosome"),
        Column("shared_gene_share", _F64, "shared_gene_rows / rows"),
        Column("duplicate_ref_rows", _I64, "rows whose reference window equals one of train, on any chromosome"),
        Column("duplicate_var_rows", _I64, "rows whose variant window equals one of train"),
        Column("duplicate_pair_rows", _I64, "rows whose two windows equal those of one row of train"),
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

SUBMISSION_SCORE = Table(
    "submission_score",
    "One row per figure of the contest that the submission's vectors and the test CSV's structure tell.",
    (
        Column("name", _STR, "CD, CDD, CDD_held_out, PCC, PCC_global, raw_sum, normalised_mean, AUROC .."),
        Column("value", _F64, "null where there is nothing to take it of; `note` says why"),
        Column("pairs", _I64, "SNV pairs it is taken of"),
        Column("ladders", _I64, "mutation ladders it is taken of"),
        Column("note", _STR, "how it is taken, or what is lacking"),
    ),
)

TEST_STRUCTURE = Table(
    "test_structure",
    "One row per SNV pair and per rung of a mutation ladder that was found in the test CSV.",
    (
        Column("role", _STR, "pair or rung"),
        Column("family", _I64, "number of the family of pairs, or of the ladder"),
        Column("base", _STR, "ID of the reference or of the ladder's base, as far as that is known"),
        Column("other", _STR, "ID of the variant or of the rung"),
        Column("substitutions", _I32, "bases in which the two differ"),
        Column("index", _I32, "0-based index in which a pair differs; null for a rung"),
        Column("oriented", _BOOL, "whether `base` is known to be the reference or base"),
        Column("label", _I8, f"{_LABEL}, in this study's ClinVar; null where it was not found"),
        Column("split", _STR, "split of the row that was found"),
        Column("distance", _F64, "cosine distance of the two in the submission"),
    ),
    file="submission_score/structure.parquet",
)


def _interval(name: str, description: str) -> tuple[Column, Column, Column]:
    """A figure with the bounds of its 95 % interval."""
    return (
        Column(name, _F64, description),
        Column(f"{name}_low", _F64, f"2.5th percentile of `{name}` over the resamples"),
        Column(f"{name}_high", _F64, f"97.5th percentile of `{name}` over the resamples"),
    )


_SCORER = (
    Column("name", _STR, "scorer"),
    Column("kind", _STR, "head, probe, zero_shot, baseline or predictor"),
)

HEAD_COMPARISON = Table(
    "head_comparison",
    "One row per scorer: its figures over the rows of the sealed test that it scores.",
    (
        *_SCORER,
        Column("recipe", _STR, "open or faithful; null for what is no head"),
        Column("rows", _I64, "test rows with a score"),
        Column("pathogenic", _I64, "those that are pathogenic"),
        Column("benign", _I64, "those that are benign"),
        Column("loci", _I64, "loci of those rows, which the bootstrap resamples"),
        Column("coverage", _F64, "rows with a score / all test rows"),
        Column("coverage_pathogenic", _F64, "the same among pathogenic rows"),
        Column("coverage_benign", _F64, "the same among benign rows"),
        *_interval("auroc", "area under the ROC curve, ties half"),
        *_interval("auprc", "average precision; a score without information has the share of pathogenic rows"),
        *_interval("macro_auroc", "mean AUROC of the consequence classes that are not small"),
        Column("macro_classes", _I64, "classes in that mean"),
        *_interval("cd", "CD: mean cosine distance of reference and variant; null without distances"),
        *_interval("cdd", "CDD: mean distance of pathogenic minus that of benign rows"),
        *_interval("pcc_ladder", "mean over mutation ladders of Pearson's r of substitutions and distance"),
        Column("ladders", _I64, "ladders in that mean"),
        *_interval("pcc_length", "mean over groups of Pearson's r of variant length and distance"),
        Column("pcc_groups", _I64, "groups in that mean"),
        Column("pcc_source", _STR, "the PCC of the two scores: ladder, length, or none (counted as 0)"),
        *_interval("raw_sum", "CD + CDD + PCC"),
        *_interval("normalised", "mean of CD / 2, (CDD / 2 + 1) / 2 and (PCC + 1) / 2"),
        *_interval("brier", "mean squared error of the calibrated probability; null without one"),
        Column("ece", _F64, "expected calibration error over bins of equally many rows"),
        Column("resamples", _I64, "resamples with both classes, which make the interval of `auroc`"),
    ),
)

HEAD_SLICES = Table(
    "head_slices",
    "One row per scorer and part of the sealed test.",
    (
        *_SCORER,
        Column("by", _STR, "kind, length (of indels), consequence, gene_rows, stars or chromosome"),
        Column("value", _STR, "value of the rows; `gene_rows` is how many train rows their gene has"),
        Column("rows", _I64, "rows of the part with a score"),
        Column("pathogenic", _I64, "those that are pathogenic"),
        Column("benign", _I64, "those that are benign"),
        Column("loci", _I64, "their loci"),
        Column("prevalence", _F64, "pathogenic / rows"),
        *_interval("auroc", "area under the ROC curve; null where a class is absent"),
        Column("auprc", _F64, "average precision; null likewise"),
        Column("small", _BOOL, "the rarer class has too few rows for the figures to mean much"),
    ),
    file="head_comparison/slices.parquet",
)

HEAD_DIFFERENCES = Table(
    "head_differences",
    "One row per pair of scorers and figure: their difference over the rows that both score.",
    (
        Column("first", _STR, "scorer"),
        Column("first_kind", _STR, "its kind"),
        Column("second", _STR, "the scorer it is compared with"),
        Column("second_kind", _STR, "its kind"),
        Column("metric", _STR, "auroc, cdd or pcc_ladder"),
        Column("rows", _I64, "test rows that both score; of pcc_ladder: rungs of ladders"),
        Column("pathogenic", _I64, "those that are pathogenic; null for pcc_ladder"),
        Column("benign", _I64, "those that are benign; null for pcc_ladder"),
        Column("coverage", _F64, "rows that both score / all"),
        Column("first_value", _F64, "figure of the first over those rows"),
        Column("second_value", _F64, "figure of the second over the same rows"),
        Column("difference", _F64, "first_value - second_value; null where one does not exist"),
        Column("low", _F64, "2.5th percentile of the difference over the same resamples of both"),
        Column("high", _F64, "97.5th percentile"),
        Column("resamples", _I64, "resamples in which both figures exist"),
        Column("verdict", _STR, "which is better: first, second, or undecided where the interval holds 0"),
    ),
    file="head_comparison/differences.parquet",
)

HEAD_RELIABILITY = Table(
    "head_reliability",
    "One row per scorer and bin of its calibrated probability, the bins holding equally many rows.",
    (
        *_SCORER,
        Column("bin", _I64, "0 for the lowest probabilities"),
        Column("rows", _I64, "rows of the bin"),
        Column("probability", _F64, "their mean probability"),
        Column("observed", _F64, "their share of pathogenic rows"),
        Column("low", _F64, "lower bound of the share's 95 % interval (Wilson)"),
        Column("high", _F64, "upper bound"),
    ),
    file="head_comparison/reliability.parquet",
)

SCORED_VARIANTS = Table(
    "scored_variants",
    "One row per alternate allele that the user asked about: its scores, or the reason why it has none.",
    (
        Column("chrom", _STR, "chromosome: 1..22, X, Y or MT; the contig's own name where it is none of them"),
        Column("pos", _I64, "1-based VCF position of the first base of `ref`"),
        Column("ref", _STR, "reference allele, upper case"),
        Column("alt", _STR, "alternate allele, upper case"),
        Column("record", _I64, "0-based number of the record in the VCF, or of the base in the region"),
        Column("alt_index", _I64, "0-based place of `alt` in the record"),
        Column("head_distance", _F64, "cosine distance of reference and variant after the head; null without one"),
        Column("raw_distance", _F64, "cosine distance of the encoder's own vectors"),
        Column("probe_probability", _F64, "probability of pathogenic by the probe; null without one"),
        Column("log_likelihood_ratio", _F64, "log P(variant window) - log P(reference window) in nats; or null"),
        Column("reason", _STR, "why there are no scores; null where there are"),
    ),
)

EXPERIMENT_AGREEMENT = Table(
    "experiment_agreement",
    "One row per score of `scored_variants` and figure: how it agrees with the user's experiment.",
    (
        Column("score", _STR, "column of `scored_variants`"),
        Column("figure", _STR, "pearson, spearman or auroc; of auroc larger means more pathogenic"),
        *_interval("value", "the figure; null where a score does not vary"),
        Column("rows", _I64, "variants with both scores, or with a class besides for auroc"),
        Column("positives", _I64, "of auroc: those of the positive class"),
        Column("negatives", _I64, "of auroc: those of the negative class"),
    ),
    file="scored_variants/experiment.parquet",
)

# Those that the warehouse shows as views; `records` is a file of the release.
PUBLISHED = (
    CLINVAR_RELEASE_DIFF,
    CLINVAR_VARIANTS,
    VARIANT_WINDOWS,
    SPLIT_AUDIT,
    VARIANT_EMBEDDINGS,
    COVARIANCE_EMBEDDINGS,
    VARIANT_LIKELIHOODS,
    MUTATION_LADDERS,
    LAYER_COMPARISON,
    HEAD_SEARCH,
    HEAD_COMPARISON,
    HEAD_SLICES,
    HEAD_DIFFERENCES,
    HEAD_RELIABILITY,
    TEST_SEQUENCES,
    TEST_EMBEDDINGS,
    SUBMISSION_SCORE,
    TEST_STRUCTURE,
    SCORED_VARIANTS,
    EXPERIMENT_AGREEMENT,
    *IMPACT_TABLES,
    *METAGENOME_TABLES,
    *SUGARCANE_TABLES,
    *PLANT_TABLES,
)
