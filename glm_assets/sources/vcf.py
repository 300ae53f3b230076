"""A ClinVar VCF, parsed once, as Parquet with row groups by chromosome. Labels and alleles are not judged here.

The whole file streams through polars: no step sees a single record, and memory does not grow with the file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from glm_assets.errors import FormatError
from glm_assets.genome.contigs import chromosome_key
from glm_assets.sources.compression import check_gzip, refuse_bomb
from glm_assets.sources.progress import Progress, Ticker
from glm_assets.sources.vcf_faults import POS_MAX, explain_fault, read_header
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.schemas import RECORDS

_LOG = logging.getLogger(__name__)
_BATCH_ROWS = 100_000

# Output column: INFO key.
_INFO_KEYS = {"clnsig": "CLNSIG", "clnrevstat": "CLNREVSTAT", "geneinfo": "GENEINFO", "mc": "MC", "rs": "RS"}
# Few distinct values in a row group; a dictionary for the other columns makes the file larger and slower to write.
_DICTIONARY = ["chrom", "filter", "clnsig", "clnrevstat", "gene", "geneinfo", "mc"]


@dataclass
class RecordCounts:
    """How many records a VCF holds, and where.

    Attributes:
        records: All records of the file; the sum of the other two.
        by_chromosome: Records written, by chromosome, in the file's order.
        foreign: Records on other contigs (`NT_`, `NW_`), which are counted and not written, by contig.
    """

    records: int = 0
    by_chromosome: dict[str, int] = field(default_factory=dict)
    foreign: dict[str, int] = field(default_factory=dict)

    def add(self, contig: str, chrom: str | None, count: int) -> None:
        """Count records of a contig, whose chromosome is None when it is foreign."""
        tally, name = (self.by_chromosome, chrom) if chrom else (self.foreign, contig)
        tally[name] = tally.get(name, 0) + count
        self.records += count


def parse_records(vcf: Path, out: Path, *, progress: Progress = _LOG.info) -> RecordCounts:
    """Parse a gzip or BGZF VCF to a Parquet file with the columns of the table `records`.

    Rows keep the file's order; a row group holds rows of one chromosome only, so a reader that filters by `chrom`
    touches no others. Values are kept as they are; an absent INFO key is null; bytes that are not UTF-8 become
    replacement characters.

    Args:
        vcf: The VCF; records of a chromosome are contiguous, as in every sorted file.
        out: Parquet file to write; appears only when it is whole.
        progress: Receives a line every few seconds.

    Raises:
        IntegrityError: The file is cut short or damaged.
        FormatError: It is no VCF; the message names the line.
    """
    check_gzip(vcf)
    refuse_bomb(vcf)
    columns = read_header(vcf)
    ticker = Ticker(progress)
    with atomic_path(out) as temporary, _writer(temporary) as writer:
        counts = RecordCounts()
        for contig, rows in _contig_runs(_batches(vcf, columns)):
            chrom = chromosome_key(contig)
            if chrom:
                _require_contiguous(vcf, chrom, counts)
                writer.write_table(_to_arrow(rows, chrom, first_record=counts.records))
            counts.add(contig, chrom, rows.height)
            ticker.tick(lambda: f"{vcf.name}: {counts.records:,} records, {ticker.rate(counts.records):,.0f}/s")
        if not counts.by_chromosome:
            raise FormatError(
                f"{vcf.name} holds no record on chromosomes 1-22, X, Y, MT", fix="take a ClinVar release"
            )
    progress(f"{vcf.name}: {counts.records:,} records in {ticker.seconds:.1f} s")
    return counts


def _batches(vcf: Path, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    """The file's rows in order, some 100,000 at a time, with the columns of `_query`."""
    try:
        for batch in _query(vcf, columns).collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True):
            if batch["faulty"].any():
                raise explain_fault(vcf, columns)
            yield batch.drop("faulty")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise explain_fault(vcf, columns) from error


def _query(vcf: Path, columns: tuple[str, ...]) -> pl.LazyFrame:
    fields = pl.scan_csv(
        vcf,
        has_header=False,
        separator="\t",
        comment_prefix="#",
        quote_char=None,
        schema=dict.fromkeys(columns, pl.String),
        encoding="utf8-lossy",
        glob=False,
    )
    position = pl.col("POS").cast(pl.Int64, strict=False)
    # A short line leaves its last columns null, and so does an empty field. Every column is asked for, because polars
    # overlooks surplus fields behind the last column that is wanted.
    absent = pl.col(name for name in columns if name != "ID").is_null()
    return fields.select(
        contig="CHROM",
        pos=position,
        variation_id=pl.col("ID").cast(pl.Int64, strict=False),
        ref="REF",
        alt="ALT",
        filter="FILTER",
        faulty=pl.any_horizontal(absent, ~position.fill_null(-1).is_between(0, POS_MAX)),
        **{name: _info_value(key) for name, key in _INFO_KEYS.items()},
    ).with_columns(gene=_before(pl.col("geneinfo"), ":"))


def _info_value(key: str) -> pl.Expr:
    """The value of an INFO key. The semicolons keep CLNSIG apart from CLNSIGCONF and from text inside values."""
    mark, info = f";{key}=", pl.lit(";") + pl.col("INFO")
    # `find` counts bytes, so the slice must too.
    after = info.cast(pl.Binary).bin.slice(info.str.find(mark, literal=True) + len(mark))
    return _before(after.cast(pl.String), ";")


def _before(text: pl.Expr, separator: str) -> pl.Expr:
    return text.str.split_exact(separator, 0).struct[0]


def _contig_runs(batches: Iterator[pl.DataFrame]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Cut batches where the contig changes."""
    for batch in batches:
        start = 0
        for length, contig in batch["contig"].rle().struct.unnest().iter_rows():
            yield contig, batch.slice(start, length)
            start += length


def _require_contiguous(vcf: Path, chrom: str, counts: RecordCounts) -> None:
    last = next(reversed(counts.by_chromosome), None)
    if chrom in counts.by_chromosome and chrom != last:
        raise FormatError(
            f"{vcf.name}: record {counts.records} goes back to chromosome {chrom} after chromosome {last}",
            expected="the records of a chromosome one after the other",
            fix="sort the file: bcftools sort",
        )


def _to_arrow(rows: pl.DataFrame, chrom: str, first_record: int) -> pa.Table:
    frame = rows.select(
        pl.lit(chrom).alias("chrom"),
        pl.exclude("contig"),
        pl.int_range(first_record, first_record + pl.len(), dtype=pl.Int64).alias("record"),
    ).select(RECORDS.schema.names())
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def _writer(path: Path) -> pq.ParquetWriter:
    schema = RECORDS.schema.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    dictionary: Any = _DICTIONARY  # pyarrow's stub knows only True and False
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=dictionary)
