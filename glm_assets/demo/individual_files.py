"""The text files around an invented person: their VCF, and new variants and reads to predict."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from glm_assets.demo.genotypes import LOW_QUALITY, NO_CALL, Call, Genotypes
from glm_assets.demo.records import Record
from glm_assets.demo.vcf import write_indexed
from glm_assets.genome.alphabet import reverse_complement

_NOTICE = "SYNTHETIC demo data; genome, person and variants are invented"
_READ, _SHORT_READ, _UNKNOWN = 150, 120, 20
_QUALITY = "F"


def write_person(chromosomes: Sequence[tuple[str, Genotypes]], individual: str, path: Path) -> None:
    """Write the person's calls, unphased, as `path` (`.vcf.gz`) with `path.tbi`.

    Args:
        chromosomes: Name in the VCF and calls of each.
        individual: The sample.
        path: Final name.
    """
    header = [
        *_header(chromosomes),
        '##FILTER=<ID=PASS,Description="All filters passed">',
        f'##FILTER=<ID={LOW_QUALITY},Description="Low quality">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        _columns("FORMAT", individual),
    ]
    lines = [_call_line(name, call) for name, genotypes in chromosomes for call in genotypes.calls]
    write_indexed([*header, *lines], path)


def write_new_variants(chromosomes: Sequence[tuple[str, Genotypes]], count: int, path: Path) -> int:
    """Write variants of ClinVar that the person lacks as a VCF without samples; returns how many.

    Args:
        chromosomes: Name in the VCF and genotypes of each.
        count: Of each chromosome, at most.
        path: Final name, `.vcf.gz`.
    """
    lines = [
        "\t".join((name, str(change.pos), ".", change.ref, change.alt, ".", ".", "."))
        for name, genotypes in chromosomes
        for change in sorted(record.change for record in genotypes.unused[:count])
    ]
    write_indexed([*_header(chromosomes), _columns(), *lines], path)
    return len(lines)


def write_new_reads(
    chromosomes: Sequence[tuple[str, Genotypes]], count: int, rng: np.random.Generator, path: Path
) -> int:
    """Write reads that show variants of ClinVar which the person lacks, as a machine gives them: either strand.

    The last two are a short read and one with unknown bases.

    Args:
        chromosomes: Name and genotypes of each.
        count: Reads of each chromosome, at most.
        rng: Source of randomness.
        path: Final name, `.fastq.gz`.

    Returns:
        How many reads there are.
    """
    reads = [_read_with(record, rng) for _, genotypes in chromosomes for record in genotypes.unused[-count:]]
    reads += [reads[0][:_SHORT_READ], reads[1][:-_UNKNOWN] + "N" * _UNKNOWN]
    text = "".join(f"@new:{number:04d}\n{read}\n+\n{_QUALITY * len(read)}\n" for number, read in enumerate(reads))
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as stream:
        stream.write(text.encode("ascii"))
    return len(reads)


def _read_with(record: Record, rng: np.random.Generator) -> str:
    start = record.change.start - int(rng.integers(_READ // 4, _READ // 2))
    changed = record.change.applied_to(record.contig.sequence)[start : start + _READ]
    if rng.random() < 0.5:
        return changed
    return reverse_complement(np.frombuffer(changed.encode("ascii"), np.uint8)).tobytes().decode("ascii")


def _header(chromosomes: Iterable[tuple[str, Genotypes]]) -> Iterator[str]:
    yield from ("##fileformat=VCFv4.2", f"##note={_NOTICE}")
    for name, genotypes in chromosomes:
        yield f"##contig=<ID={name},length={len(genotypes.contig.sequence)}>"


def _columns(*more: str) -> str:
    return "\t".join(("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", *more))


def _call_line(name: str, call: Call) -> str:
    numbers = sorted({f"rs{record.rs}" for record in call.known if record and record.rs})
    genotype = "/".join("." if allele == NO_CALL else str(allele) for allele in sorted(call.genotype))
    fields = (";".join(numbers) or ".", call.ref, ",".join(call.alts), "50", call.passes, ".", "GT", genotype)
    return "\t".join((name, str(call.start + 1), *fields))
