"""New reads and new variants as sequences that the heads can judge, or the reason why one cannot be judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import polars as pl

from glm_assets.errors import FormatError
from glm_assets.genome.contigs import chromosome_key
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.windows import WindowRecipe
from glm_assets.sources.cram_reference import reference_for
from glm_assets.sources.sequence_files import read_sequences
from glm_assets.studies.impact.files import CRAM
from glm_assets.studies.impact.sightings import mate_name
from glm_assets.variants.user_vcf import read_user_vcf, text_vcf
from glm_assets.variants.user_windows import REASONS, blocks, scorable_windows, screen, user_alleles

if TYPE_CHECKING:
    import pysam

TOO_SHORT: Final = "shorter_than_training_reads"
NO_DNA: Final = "no_dna"
NO_SEQUENCE: Final = "no_sequence"

READ_REASONS: Final = {
    TOO_SHORT: "the read is shorter than the reads of the training",
    NO_DNA: "the read has other letters than A, C, G, T and N",
    NO_SEQUENCE: "the read has no bases",
}
"""Why a read has no prediction, for people; `user_windows.REASONS` has those of variants."""

SCHEMA: Final = pl.Schema(
    {
        "kind": pl.String,
        "name": pl.String,
        "chrom": pl.String,
        "pos": pl.Int64,
        "ref": pl.String,
        "alt": pl.String,
        "sequence": pl.String,
        "reason": pl.String,
    }
)
"""A row per read or variant; `sequence` is null where there is a reason."""

_BATCH: Final = 65_536


def new_reads(path: Path, length: int, reference: Path | None) -> pl.DataFrame:
    """Reads of a file, cut to their first bases.

    Args:
        path: FASTA, FASTQ, BAM or CRAM.
        length: Bases of the training reads.
        reference: FASTA for a CRAM.

    Returns:
        One row per read in the order of the file, as `SCHEMA` says; secondary and supplementary alignments of a BAM
        are no reads of their own.

    Raises:
        FormatError: It is none of these, or damaged.
    """
    aligned = path.suffix in (".bam", CRAM)
    batches = _aligned_reads(path, reference) if aligned else _plain_reads(path)
    sequence = pl.col("sequence").str.to_uppercase()
    reason = (
        pl.when(sequence.is_null() | (sequence == "")).then(pl.lit(NO_SEQUENCE))
        .when(sequence.str.contains("[^ACGTN]")).then(pl.lit(NO_DNA))
        .when(sequence.str.len_bytes() < length).then(pl.lit(TOO_SHORT))
    )  # fmt: skip
    judged = [
        batch.select(
            pl.lit("read").alias("kind"),
            "name",
            "chrom",
            "pos",
            pl.lit(None, pl.String).alias("ref"),
            pl.lit(None, pl.String).alias("alt"),
            pl.when(reason.is_null()).then(sequence.str.slice(0, length)).alias("sequence"),
            reason.alias("reason"),
        )
        for batch in batches
    ]
    return pl.concat([pl.DataFrame(schema=SCHEMA), *judged])


def new_variants(vcf: Path, genome: ReferenceGenome, recipe: WindowRecipe, indel_max: int) -> pl.DataFrame:
    """Variants of a VCF, each with its allele in the reference around it.

    Args:
        vcf: VCF, gzipped VCF or BCF.
        genome: The reference.
        recipe: How long the sequences are, and where in them the variant lies.
        indel_max: Longest insertion or deletion in bases.

    Returns:
        One row per ALT in the order of the file, as `SCHEMA` says.

    Raises:
        FormatError: It is no VCF, or damaged.
    """
    with TemporaryDirectory() as scratch:
        records = read_user_vcf(text_vcf(vcf, Path(scratch))).records
    rows = user_alleles(records, genome, indel_max).with_row_index("row")
    reasons, sequences = rows["reason"], pl.Series("sequence", [None] * rows.height, dtype=pl.String)
    for block in blocks(rows, recipe):
        contig = genome.sequence(block["chrom"][0])
        found, _ = screen(block, contig, recipe, both_strands=False)
        reasons = reasons.scatter(block["row"], found)
        usable = scorable_windows(block.filter(found.is_null()), contig, recipe)
        sequences = sequences.scatter(usable["row"], usable["var_seq"])
    return rows.select(
        pl.lit("variant").alias("kind"),
        pl.format("{}:{}:{}>{}", "chrom", "pos", "ref", "alt").alias("name"),
        "chrom",
        "pos",
        "ref",
        "alt",
        sequences,
        reasons,
    )


def explain(reason: str) -> str:
    """A reason in words."""
    return READ_REASONS.get(reason) or REASONS.get(reason) or reason


def _plain_reads(path: Path) -> Iterator[pl.DataFrame]:
    nowhere = (pl.lit(None, pl.String).alias("chrom"), pl.lit(None, pl.Int64).alias("pos"))
    for batch in read_sequences(path):
        yield batch.select("name", *nowhere, "sequence")


def _aligned_reads(path: Path, reference: Path | None) -> Iterator[pl.DataFrame]:
    """Primary alignments and unmapped reads, as batches of rows; sequences are on the forward strand."""
    schema = {name: SCHEMA[name] for name in ("name", "chrom", "pos", "sequence")}
    rows: list[tuple[str | None, str | None, int | None, str | None]] = []
    try:
        with TemporaryDirectory() as folder, _open_aligned(path, reference, Path(folder)) as file:
            for read in file.fetch(until_eof=True):
                if read.is_secondary or read.is_supplementary:
                    continue
                placed = not read.is_unmapped and read.reference_name is not None
                chrom = chromosome_key(str(read.reference_name)) or read.reference_name if placed else None
                rows.append(
                    (
                        mate_name(read),
                        chrom,
                        read.reference_start + 1 if placed else None,
                        read.query_sequence,
                    )
                )
                if len(rows) == _BATCH:
                    yield pl.DataFrame(rows, schema, orient="row")
                    rows = []
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read ({error})", expected="an undamaged BAM or CRAM") from error
    yield pl.DataFrame(rows, schema, orient="row")


def _open_aligned(path: Path, reference: Path | None, folder: Path) -> pysam.AlignmentFile:
    """Open a file of reads in any order; the bases of a CRAM are those of the reference but for what differs."""
    import pysam

    file = pysam.AlignmentFile(str(path), check_sq=False)
    if path.suffix != CRAM or reference is None:
        return file
    with file:
        view = reference_for(file.references, reference, folder)
    return pysam.AlignmentFile(str(path), check_sq=False, reference_filename=str(view))
