"""From files of labelled reads to one table, a batch at a time: what is dropped is counted, or refused by choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from glm_assets.errors import FormatError, SettingsError
from glm_assets.sources.sequence_files import BATCH_READS, read_sequences
from glm_assets.storage.schemas_metagenome import READS
from glm_assets.storage.streamed_tables import write_batches
from glm_assets.studies.metagenome.bases import clean_bases, inspect_bases
from glm_assets.studies.metagenome.configuration import ReadFile, ReadsSettings
from glm_assets.studies.metagenome.counts import REASONS, ReadCounts
from glm_assets.studies.metagenome.headers import GRAMMAR, parse_headers
from glm_assets.studies.metagenome.label_map import LabelMap

_SHOWN = 5


def write_reads(
    files: Sequence[ReadFile],
    labels: LabelMap,
    settings: ReadsSettings,
    destination: Path,
    *,
    batch_reads: int = BATCH_READS,
) -> ReadCounts:
    """Read labelled reads and write the table `metagenome_reads`.

    Args:
        files: FASTA or FASTQ files, their order that of the rows.
        labels: Which label a class id has.
        settings: What is dropped and what is refused; its own files and mapping are not looked at.
        destination: The Parquet file to write; the caller publishes it.
        batch_reads: Reads in memory at most.

    Returns:
        What was found.

    Raises:
        FormatError: A file is damaged, a read breaks a rule that is strict, or no read is left. Messages name the first
            culprits.
        SettingsError: The regular expression of the genome is none that polars knows.
    """
    counts = ReadCounts(per_label=Counter(dict.fromkeys(labels.labels, 0)))
    with write_batches(READS, destination) as writer:
        for file, name in zip(files, _names(files), strict=True):
            for batch in read_sequences(Path(file.path), batch_reads=batch_reads):
                kept = _kept(batch, name, labels, settings, counts)
                writer.add(_rows(kept, file, name, settings, counts))
    if not counts.kept:
        reasons = ", ".join(f"{reason} {counts.dropped[reason]}" for reason in REASONS if counts.dropped[reason])
        raise FormatError(
            f"none of {counts.reads} reads is left ({reasons or 'the files are empty'})",
            expected=f"headers like {GRAMMAR} whose class ids the mapping has",
            fix="correct the mapping or the files, or loosen the rules in the section reads of GLM_METAGENOME",
        )
    return counts


def _kept(
    batch: pl.DataFrame, file: str, labels: LabelMap, settings: ReadsSettings, counts: ReadCounts
) -> pl.DataFrame:
    """The reads of a batch that are kept, with the header's fields and their labels; the others are counted."""
    header = pl.concat_str("name", "comment", separator=" ", ignore_nulls=True)
    batch = batch.select("sequence", "quality", header=header)
    known = labels.frame.select("class_id", "label", "label_index", "mapped_tax_id")
    parts = [batch, parse_headers(batch["header"]), inspect_bases(batch["sequence"])]
    read = pl.concat(parts, how="horizontal").with_columns(
        length=pl.col("sequence").str.len_bytes().cast(pl.Int32)
    )
    read = read.join(known, on="class_id", how="left", maintain_order="left")
    read = read.with_columns(reason=_reason(settings))
    counts.reads += read.height
    counts.dropped.update(dict(read["reason"].drop_nulls().value_counts().iter_rows()))
    _refuse_or_note(read, file, settings, counts)
    return read.filter(pl.col("reason").is_null())


def _reason(settings: ReadsSettings) -> pl.Expr:
    """Why a read is dropped: the first of `REASONS` that holds; null where none does."""
    rules = {
        "bad_header": pl.col("class_id").is_null(),
        "unknown_class": pl.col("label").is_null(),
        "no_bases": pl.col("no_base"),
        "ambiguous": pl.col("iupac") & (settings.ambiguous != "n"),
        "too_short": pl.col("length") < settings.min_length,
        "too_many_n": pl.col("unknown") > settings.max_n_share * pl.col("length"),
    }
    return pl.coalesce(pl.when(rules[reason]).then(pl.lit(reason)) for reason in REASONS)


def _refuse_or_note(read: pl.DataFrame, file: str, settings: ReadsSettings, counts: ReadCounts) -> None:
    """Raise for what is strict, and remember culprits of the rest."""
    culprits = {
        reason: read.filter(pl.col("reason") == reason) for reason in ("bad_header", "unknown_class", "ambiguous")
    }
    bad, unknown, ambiguous = culprits.values()
    if bad.height and settings.bad_header == "fail":
        raise _refusal(file, bad, "headers do not follow the grammar", GRAMMAR, "bad_header")
    if unknown.height and settings.unknown_class == "fail":
        ids = unknown["class_id"].unique(maintain_order=True).head(_SHOWN).to_list()
        problem = f"class ids that the mapping lacks ({', '.join(map(str, ids))})"
        raise _refusal(file, unknown, problem, "class ids of the mapping", "unknown_class")
    if ambiguous.height and settings.ambiguous == "fail":
        raise _refusal(file, ambiguous, "IUPAC codes for several bases", "A, C, G, T, U and N", "ambiguous")
    counts.note_bad_headers(file, bad["header"].to_list())
    counts.unknown_classes.update(dict(unknown["class_id"].value_counts().iter_rows()))


def _refusal(file: str, culprits: pl.DataFrame, problem: str, expected: str, key: str) -> FormatError:
    first = ", ".join(header[:100] for header in culprits["header"].head(_SHOWN))
    return FormatError(
        f"{file}: {problem}, first in {first}",
        expected=expected,
        fix=f"correct them, or set reads.{key} to drop in GLM_METAGENOME: such reads are then dropped and counted",
    )


def _rows(
    kept: pl.DataFrame, file: ReadFile, name: str, settings: ReadsSettings, counts: ReadCounts
) -> pl.DataFrame:
    """Rows of the table `metagenome_reads`, in the order given."""
    try:
        genome = kept["name"].str.extract(settings.genome, 1)
    except pl.exceptions.ComputeError as error:
        raise SettingsError(
            f"reads.genome={settings.genome!r} cannot be used ({error})",
            expected="a regular expression without look-around and back-references",
        ) from error
    first = counts.kept
    rows = kept.with_columns(
        pl.int_range(first, first + kept.height, dtype=pl.Int64).alias("read"),
        pl.lit(name).alias("file"),
        pl.lit(file.sample, dtype=pl.String).alias("sample"),
        pl.lit(file.split, dtype=pl.String).alias("file_split"),
        genome.fill_null(kept["name"]).alias("genome"),
        clean_bases(kept["sequence"]),
    )
    counts.unmatched_names += genome.null_count()
    counts.per_file[name] += kept.height
    _count(kept, counts)
    return rows.select(READS.schema.names())


def _count(kept: pl.DataFrame, counts: ReadCounts) -> None:
    counts.kept += kept.height
    counts.per_label.update(dict(kept["label"].value_counts().iter_rows()))
    counts.declared_lengths += kept["declared_length"].count()
    counts.wrong_lengths += int((kept["length"] != kept["declared_length"]).sum())
    counts.wrong_tax_ids += int((kept["tax_id"] != kept["mapped_tax_id"]).sum())
    counts.lower += int(kept["lower"].sum())
    counts.uracil += int(kept["uracil"].sum())
    counts.iupac += int(kept["iupac"].sum())
    counts.bases += int(kept["length"].sum())
    counts.unknown_bases += int(kept["unknown"].sum())


def _names(files: Sequence[ReadFile]) -> list[str]:
    """What to call the files: as much of the ends of their paths as tells them apart."""
    paths = [Path(file.path) for file in files]
    names = [path.name for path in paths]
    for parts in range(2, max((len(path.parts) for path in paths), default=0) + 1):
        if len(set(names)) == len(names):
            break
        names = [Path(*path.parts[-parts:]).as_posix() for path in paths]
    return names
