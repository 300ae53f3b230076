"""The alleles that a person's VCF has on a chromosome, with genotype: read by region where it is indexed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import polars as pl

from glm_assets.errors import FormatError, SettingsError
from glm_assets.genome.contigs import chromosome_key
from glm_assets.studies.impact.minimal_alleles import minimal_allele
from glm_assets.variants.user_vcf import header_lines, record_lines, text_vcf

CARRIED: Final = "carried"
ABSENT: Final = "absent"
NO_CALL: Final = "no_call"
FILTERED: Final = "filtered"

_ACGT = re.compile("[ACGT]+")
_GENOTYPE = re.compile(r"[|/]?(\.|\d+)([|/](\.|\d+))*")
_STATES: Final = (CARRIED, ABSENT, NO_CALL, FILTERED)
_FIXED: Final = 8


@dataclass(frozen=True)
class PersonalAlleles:
    """What a person's VCF has on a chromosome.

    Attributes:
        alleles: One row per allele, minimal (see `minimal_alleles`): `pos`, `ref`, `alt`, `genotype` (GT, verbatim),
            `copies` (int8) and `state`: `carried`, `absent` (the genotype has other alleles), `no_call` or
            `filtered`. Where several records have it, the first in that order.
        positions: `pos` and `genotype` of each position with a record, whatever is in it.
        counts: `vcf_records`, `vcf_records_on_chromosome`, `vcf_alleles`, `vcf_without_alt`, `vcf_symbolic`,
            `vcf_filtered`, `vcf_no_call` and `vcf_without_genotype`. `vcf_records` is absent where an index was used:
            other chromosomes were not read.
    """

    alleles: pl.DataFrame
    positions: pl.DataFrame
    counts: dict[str, int]


def read_personal_vcf(
    vcf: Path, *, chrom: str, individual: str, filters: Collection[str], work: Path
) -> PersonalAlleles:
    """Read the records of one chromosome.

    An allele is carried if its genotype has it at least once, by a record all of whose FILTER values are allowed. A
    VCF without samples lists what the person has: all of its alleles are carried, with unknown genotypes.

    Args:
        vcf: VCF, gzipped VCF or BCF; read by region with a .tbi or .csi beside it.
        chrom: Chromosome key; the VCF may use any name of it.
        individual: The sample, where there are several.
        filters: FILTER values to take.
        work: Folder for temporary files.

    Raises:
        SettingsError: There is no such file, or several samples and none of this name.
        FormatError: The file is no VCF, or damaged.
    """
    if not vcf.is_file():
        raise SettingsError(
            f"the person's VCF {vcf} does not exist",
            expected="a VCF, a gzipped VCF or a BCF, or null to look into the reads",
            fix="correct `variants` of the study",
        )
    work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=work) as folder:
        text = text_vcf(vcf, Path(folder))
        sample = _sample_column(text, individual)
        counts: Counter[str] = Counter()
        rows = [row for line in _lines(text, chrom, counts) for row in _rows(vcf, line, sample, filters, counts)]
    schema = {name: pl.Int64 if name in {"pos", "place"} else pl.String for name in _Row._fields}
    frame = pl.DataFrame(rows, schema | {"copies": pl.Int8}, orient="row")
    rank = pl.col("state").replace_strict(
        {state: rank for rank, state in enumerate(_STATES)}, default=len(_STATES)
    )
    alleles = frame.filter(pl.col("alt").is_not_null()).sort(rank, maintain_order=True)
    return PersonalAlleles(
        alleles=alleles.unique(["pos", "ref", "alt"], keep="first", maintain_order=True).drop("place"),
        positions=frame.select(pos="place", genotype="genotype").unique("pos", keep="first", maintain_order=True),
        counts=dict(counts),
    )


class _Row(NamedTuple):
    """An allele of a record; one row without alleles for a record that has none that can be compared."""

    place: int
    pos: int
    ref: str | None
    alt: str | None
    genotype: str | None
    copies: int | None
    state: str | None


def _sample_column(vcf: Path, individual: str) -> int | None:
    samples = header_lines(vcf)[-1].decode("utf-8", "replace").split("\t")[_FIXED + 1 :]
    if len(samples) <= 1:
        return _FIXED + 1 if samples else None
    if individual not in samples:
        raise SettingsError(
            f"{vcf.name} has {len(samples)} samples, and none is {individual}",
            expected=f"one of {', '.join(samples[:10])}",
            fix="correct `individual` of the study",
        )
    return _FIXED + 1 + samples.index(individual)


def _lines(vcf: Path, chrom: str, counts: Counter[str]) -> Iterator[list[str]]:
    """The fields of each record of a chromosome."""
    for index in (Path(f"{vcf}.tbi"), Path(f"{vcf}.csi")):
        if index.is_file():
            yield from _indexed_lines(vcf, index, chrom)
            return
    for line in record_lines(vcf):
        counts["vcf_records"] += 1
        if chromosome_key(line[: line.index(b"\t")].decode("utf-8", "replace")) == chrom:
            yield line.decode("utf-8", "replace").split("\t")


def _indexed_lines(vcf: Path, index: Path, chrom: str) -> Iterator[list[str]]:
    import pysam

    try:
        with pysam.TabixFile(str(vcf), index=str(index)) as file:
            for contig in file.contigs:
                if chromosome_key(contig) == chrom:
                    yield from (line.split("\t") for line in file.fetch(contig))
    except (OSError, ValueError) as error:
        raise FormatError(
            f"{vcf} cannot be read with its index ({error})",
            expected=f"an undamaged BGZF VCF that {index.name} belongs to",
            fix=f"tabix -f -p vcf {vcf.name}, or remove the index",
        ) from error


def _rows(
    vcf: Path, fields: list[str], sample: int | None, filters: Collection[str], counts: Counter[str]
) -> Iterator[_Row]:
    if len(fields) <= max(_FIXED - 1, sample or 0) or not fields[1].isdigit():
        raise FormatError(
            f"{vcf.name}: the record {' '.join(fields[:5])[:80]} is cut short or has no position",
            expected="the columns of the header, POS a number",
        )
    counts["vcf_records_on_chromosome"] += 1
    place, ref = int(fields[1]), fields[3].upper()
    genotype = None if sample is None else _genotype(vcf, fields, sample)
    allowed = all(value in filters for value in fields[6].split(";"))
    counts["vcf_filtered"] += not allowed
    counts["vcf_without_genotype"] += genotype is None
    called = [] if genotype is None else re.findall(r"\d+|\.", genotype)
    counts["vcf_no_call"] += bool(called) and all(call == "." for call in called)
    counts["vcf_without_alt"] += fields[4] == "."
    compared = 0
    for number, alt in enumerate(fields[4].upper().split(","), start=1):
        if _ACGT.fullmatch(alt) and _ACGT.fullmatch(ref):
            compared += 1
            copies, state = _state(called, str(number), allowed=allowed)
            yield _Row(place, *minimal_allele(place, ref, alt), genotype, copies, state)
        elif alt != ".":
            counts["vcf_symbolic"] += 1
    counts["vcf_alleles"] += compared
    if not compared:
        yield _Row(place, place, None, None, genotype, None, None)


def _genotype(vcf: Path, fields: list[str], sample: int) -> str | None:
    keys = fields[_FIXED].split(":")
    if "GT" not in keys:
        return None
    values = fields[sample].split(":")
    index = keys.index("GT")
    genotype = values[index] if index < len(values) else "."
    if not _GENOTYPE.fullmatch(genotype):
        raise FormatError(
            f"{vcf.name}: the record at {fields[0]}:{fields[1]} has the genotype {genotype!r}",
            expected="numbers of alleles or dots between / or |",
        )
    return genotype


def _state(called: Sequence[str], number: str, *, allowed: bool) -> tuple[int | None, str]:
    """Copies of an allele, None where they are not known, and its state."""
    copies = called.count(number)
    known = bool(called) and (copies > 0 or "." not in called)
    if not allowed:
        state = FILTERED
    elif copies or not called:
        state = CARRIED
    else:
        state = ABSENT if known else NO_CALL
    return (copies if known else None), state
