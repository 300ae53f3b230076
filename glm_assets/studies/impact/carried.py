"""Which of ClinVar's alleles a person carries: the table `impact_individual_variants`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final, Literal

import polars as pl

from glm_assets.errors import SettingsError
from glm_assets.sources.alignments import Alignments
from glm_assets.storage.schemas_impact import INDIVIDUAL_VARIANTS
from glm_assets.studies.impact.configuration import CarriedSettings, ReadSettings
from glm_assets.studies.impact.consequences import impacts
from glm_assets.studies.impact.minimal_alleles import with_minimal_alleles
from glm_assets.studies.impact.personal_vcf import CARRIED, FILTERED, NO_CALL, PersonalAlleles, read_personal_vcf
from glm_assets.studies.impact.pileup import count_alleles
from glm_assets.studies.impact.sightings import ReadThresholds
from glm_assets.variants.alleles import ALT_NOT_ACGT, NO_ALT, REF_NOT_ACGT, SAME_ALLELE, explode_alts

Counts = dict[str, int]

NO_DBSNP: Final = "no_dbsnp"
UNKNOWN_CONSEQUENCE: Final = "unknown_consequence"

_ACGT = "^[ACGT]+$"
_MINIMAL: Final = ["minimal_pos", "minimal_ref", "minimal_alt"]
_UNSURE: Final = (NO_CALL, FILTERED)


def individual_variants(
    records: pl.DataFrame,
    *,
    individual: str,
    chrom: str,
    carried: CarriedSettings,
    consequences: Literal["accession", "faithful"],
    vcf: Path | None,
    alignments: Alignments | None,
    reads: ReadSettings,
    work: Path,
) -> tuple[pl.DataFrame, Counts]:
    """Join ClinVar's records of a chromosome with what a person carries.

    With `match: allele` the alleles must be the same ones, in their shortest writing, and the genotype must hold one;
    an allele without a call, or under a FILTER that is not allowed, is neither carried nor absent: it is excluded. With
    `match: position`, the original's rule, any record of the person at the position will do, whatever its alleles,
    genotype and FILTER. Without a VCF an allele is carried if enough reads show it.

    Args:
        records: Rows of the table `records`, of one chromosome.
        individual: The person's name, and of the sample in a VCF with several.
        chrom: Chromosome key, such as `17`.
        carried: The rule.
        consequences: How MC terms become an impact.
        vcf: The person's VCF, gzipped VCF or BCF; None to look into the reads.
        alignments: The person's reads; needed without a VCF.
        reads: Thresholds of the reads that count without a VCF.
        work: Folder for temporary files.

    Returns:
        One row per ALT in the order of the records, columns of `INDIVIDUAL_VARIANTS`; and counts: `clinvar_records`,
        `clinvar_alleles`, those of `PersonalAlleles` and `pileup.count_alleles`, `carried`, `carried_excluded`,
        `without_consequence`, `excluded:<reason>` and `unknown:<term>`.

    Raises:
        SettingsError: There is neither VCF nor reads, `match: position` comes without a VCF, or the VCF is absent or
            lacks the sample.
        FormatError: The VCF is damaged.
    """
    alleles = explode_alts(records)
    judged = impacts(alleles["mc"], consequences)
    rows = alleles.hstack(judged.frame).with_columns(excluded=_exclusion(require_dbsnp=carried.require_dbsnp))
    if vcf is not None:
        person = read_personal_vcf(vcf, chrom=chrom, individual=individual, filters=carried.filters, work=work)
        rows, counts = _join(rows, person, carried.match), person.counts
    else:
        rows, counts = _from_reads(rows, alignments, chrom, carried, reads)
    frame = rows.with_columns(individual=pl.lit(individual)).select(
        pl.col(name).cast(dtype) for name, dtype in INDIVIDUAL_VARIANTS.schema.items()
    )
    usable = frame["excluded"].is_null()
    return frame, {
        "clinvar_records": records.height,
        "clinvar_alleles": frame.height,
        **counts,
        "carried": int((frame["carried"] & usable).sum()),
        "carried_excluded": int((frame["carried"] & ~usable).sum()),
        "without_consequence": judged.without,
        **{f"excluded:{reason}": n for reason, n in sorted(Counter(frame["excluded"].drop_nulls()).items())},
        **{f"unknown:{term}": n for term, n in judged.unknown.items()},
    }


def _exclusion(*, require_dbsnp: bool) -> pl.Expr:
    """The first reason why a row of ClinVar cannot be used, whoever carries it."""
    ref, alt = pl.col("ref"), pl.col("alt")
    has_dbsnp = pl.col("rs").fill_null("").str.strip_chars(". ") != ""
    return (
        pl.when(alt == ".").then(pl.lit(NO_ALT))
        .when(~ref.str.contains(_ACGT)).then(pl.lit(REF_NOT_ACGT))
        .when(~alt.str.contains(_ACGT)).then(pl.lit(ALT_NOT_ACGT))
        .when(ref == alt).then(pl.lit(SAME_ALLELE))
        .when(pl.lit(require_dbsnp) & ~has_dbsnp).then(pl.lit(NO_DBSNP))
        .when(pl.col("score").is_null()).then(pl.lit(UNKNOWN_CONSEQUENCE))
    )  # fmt: skip


def _join(rows: pl.DataFrame, person: PersonalAlleles, match: Literal["allele", "position"]) -> pl.DataFrame:
    empty = {"alternate_reads": pl.lit(None), "depth": pl.lit(None)}
    if match == "position":
        here = person.positions.with_columns(carried=pl.lit(value=True), copies=pl.lit(None))
        joined = rows.join(here, on="pos", how="left", maintain_order="left")
        return joined.with_columns(pl.col("carried").fill_null(value=False), **empty)
    keys = person.alleles.rename({"pos": "minimal_pos", "ref": "minimal_ref", "alt": "minimal_alt"})
    joined = with_minimal_alleles(rows).join(keys, on=_MINIMAL, how="left", maintain_order="left")
    unsure = pl.when(pl.col("state").is_in(_UNSURE)).then("state")
    return joined.with_columns(
        carried=(pl.col("state") == CARRIED).fill_null(value=False),
        excluded=pl.coalesce("excluded", unsure),
        **empty,
    )


def _from_reads(
    rows: pl.DataFrame,
    alignments: Alignments | None,
    chrom: str,
    carried: CarriedSettings,
    reads: ReadSettings,
) -> tuple[pl.DataFrame, Counts]:
    if alignments is None or carried.match == "position":
        raise SettingsError(
            f"the person's VCF is not given, and carried.match is {carried.match}",
            expected="a VCF, or reads and the match `allele`",
            fix="set `variants` of the study, or carried.match to allele",
        )
    thresholds = ReadThresholds(reads.min_mapping_quality, reads.min_base_quality)
    usable = rows["excluded"].is_null()
    depths, counts = count_alleles(rows.filter(usable), alignments, chrom, thresholds)
    shown = pl.DataFrame({"index": usable.arg_true().cast(pl.UInt32)}).hstack(depths)
    joined = rows.with_row_index().join(shown, on="index", how="left", maintain_order="left")
    enough = (pl.col("alternate_reads") >= carried.min_reads) & (
        pl.col("alternate_reads") >= carried.min_share * pl.col("depth")
    )
    return joined.with_columns(
        carried=enough.fill_null(value=False), genotype=pl.lit(None), copies=pl.lit(None)
    ), counts
