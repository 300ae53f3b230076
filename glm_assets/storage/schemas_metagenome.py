"""The tables of the study `metagenome`."""

from __future__ import annotations

import polars as pl

from glm_assets.storage.tables import Column, Table

_I16, _I32, _I64 = pl.Int16(), pl.Int32(), pl.Int64()
_F64, _STR, _BOOL = pl.Float64(), pl.String(), pl.Boolean()

READS = Table(
    "metagenome_reads",
    "One row per labelled read that is kept, in the order of the files.",
    (
        Column("read", _I64, "0-based number of the read among those that are kept"),
        Column("file", _STR, "name of its file"),
        Column("name", _STR, "name of the read, without the mate's number"),
        Column("mate", _I16, "1 or 2; null without one"),
        Column("sample", _STR, "sample of its file; null without one"),
        Column("genome", _STR, "source genome, from the name"),
        Column("class_id", _I64, "class id of the header"),
        Column("tax_id", _I64, "taxonomy id of the header; null without one"),
        Column("label", _STR, "label of the class"),
        Column("label_index", _I32, "0-based place of the label among the sorted labels"),
        Column("length", _I32, "bases"),
        Column("declared_length", _I32, "length of the header; null without one"),
        Column("file_split", _STR, "split of its file; null where the genome decides"),
        Column("quality", _F64, "mean Phred quality; null of a FASTA"),
        Column("sequence", _STR, "bases: upper case, U as T, other codes as N"),
    ),
)

SPLITS = Table(
    "metagenome_splits",
    "One row per read, in the order of `metagenome_reads`: where it belongs.",
    (
        Column("read", _I64, "number of the read"),
        Column("genome", _STR, "source genome: all of its reads are in one split"),
        Column("label_index", _I32, "its label"),
        Column("split", _STR, "train, val or test"),
        Column("leaks", _BOOL, "a held-out read that shares a long k-mer with a read of train"),
    ),
)

CLASS_FIGURES = Table(
    "metagenome_evaluation",
    "One row per class and predictor on the test reads, the whole as class `all`.",
    (
        Column("predictor", _STR, "model or kmer_baseline"),
        Column("slice", _STR, "all, class or length"),
        Column("name", _STR, "all, the label, or the range of lengths"),
        Column("figure", _STR, "accuracy, macro_f1, mcc, precision, recall, f1, auroc, .."),
        Column("value", _F64, "the figure; null where it does not exist"),
        Column("low", _F64, "lower end of the 95 % interval by source genomes; null without one"),
        Column("high", _F64, "upper end"),
        Column("rows", _I64, "reads"),
    ),
)

PREDICTIONS = Table(
    "metagenome_predictions",
    "One row per read of the user's files: its label.",
    (
        Column("file", _STR, "name of its file"),
        Column("sequence_id", _STR, "name of the read"),
        Column("sample", _STR, "sample of the read: the CSV's, or the file's name"),
        Column("predicted_class", _STR, "most probable label"),
        Column("confidence", _F64, "its probability"),
        Column("top_k", _STR, "the most probable labels as `label:probability`, separated by `;`"),
        Column("sequence_length", _I32, "bases"),
        Column("unknown_share", _F64, "share of tokens that the tokenizer does not know"),
        Column("truncated", _BOOL, "whether the read has more tokens than the model takes"),
    ),
)

SAMPLES = Table(
    "metagenome_samples",
    "One row per sample: the label of its aggregated vectors.",
    (
        Column("sample_id", _STR, "name of the sample"),
        Column("num_sequences", _I64, "its reads"),
        Column("predicted_class", _STR, "most probable label of the aggregated vector"),
        Column("confidence", _F64, "its probability"),
    ),
    file="metagenome_predictions/samples.parquet",
)

ABUNDANCE = Table(
    "metagenome_abundance",
    "One row per sample and label: how much of the sample it is.",
    (
        Column("sample_id", _STR, "name of the sample"),
        Column("label", _STR, "label"),
        Column("reads", _I64, "reads whose most probable label it is, at the least confidence"),
        Column("share", _F64, "of the counted reads of the sample"),
        Column("mean_probability", _F64, "mean over all reads of the sample"),
        Column("shannon", _F64, "diversity of the sample in nats, from `share`"),
        Column("simpson", _F64, "1 - sum of squared shares"),
        Column("uncounted", _I64, "reads of the sample below the least confidence"),
    ),
    file="metagenome_predictions/abundance.parquet",
)

METAGENOME_TABLES = (READS, SPLITS, CLASS_FIGURES, PREDICTIONS, SAMPLES, ABUNDANCE)
