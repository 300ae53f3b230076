"""Examples: reads that cover variants of ClinVar, the table `impact_read_examples` without its split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from glm_assets.sources.alignments import Alignments
from glm_assets.storage.schemas_impact import READ_EXAMPLES
from glm_assets.studies.impact.carried import NO_DBSNP, UNKNOWN_CONSEQUENCE
from glm_assets.studies.impact.configuration import ReadSettings
from glm_assets.studies.impact.middle_reads import middle_reads
from glm_assets.studies.impact.read_choice import Choice, ChosenRead, choose_reads
from glm_assets.studies.impact.sightings import ALTERNATE, REFERENCE, Alleles, ReadThresholds, seen_reads
from glm_assets.variants.windows import sequence_digest

Counts = dict[str, int]

_LATER: Final = ("group", "split")


def read_examples(
    variants: pl.DataFrame, alignments: Alignments, settings: ReadSettings, *, chrom: str
) -> tuple[pl.DataFrame, Counts]:
    """Choose the reads that stand for the variants of a chromosome.

    With the policy `strict` a carried variant gives reads that show its alternate allele (target: score / 10), its
    reference allele (target 0) or both, as `allele` says; a variant that the person lacks gives reference reads. Flags
    and qualities are those of `sightings`. The sequence is the read on the forward strand with its soft clips, cut
    to `length` bases with the variant as near the middle as the read allows; shorter reads are left out. Of each
    variant and allele the best `per_variant` reads stay: variant most central, mapping quality, name; never by the
    order of the file, and of a pair one read. A read that shows a carried allele of a higher score than its own target,
    inside the cut, is left out: its target would be wrong.

    With `faithful` every variant gives one read by the original's rule (see `middle_reads`), and the target is the
    variant's if the person carries it, whatever the read shows.

    Args:
        variants: Rows of the table `impact_individual_variants`, of one chromosome. Excluded ones give no example; with
            `faithful` only a missing dbSNP id or an unknown consequence excludes, for the original compares no alleles.
        alignments: The person's reads.
        settings: Which reads to take. Of the variants that the person lacks, `absent_variants` are drawn by the MD5 of
            their names.
        chrom: Chromosome key, such as `17`.

    Returns:
        One row per example by position, columns of `READ_EXAMPLES` without `group` and `split`; and counts: those of
        `sightings.seen_reads`, more `dropped:<reason>`, `variants_carried`, `variants_absent`, `variants_without_reads`
        and `examples`.

    Raises:
        ReferenceMismatchError: The reads lack the chromosome.
        IntegrityError: The reads' file is damaged.
    """
    alignments.contig(chrom)
    counts: Counter[str] = Counter()
    rows = _rows(variants, settings)
    alleles = Alleles(rows["pos"].to_numpy() - 1, rows["ref"].to_list(), rows["alt"].to_list())
    if settings.policy == "faithful":
        chosen = list(middle_reads(alignments, chrom, alleles, settings.length, counts))
    else:
        thresholds = ReadThresholds(settings.min_mapping_quality, settings.min_base_quality)
        # A worse allele in a read's cut counts wherever it lies; deletions let a cut reach farther than its bases.
        reach = 2 * settings.length
        reads = seen_reads(alignments, chrom, alleles, thresholds, counts, reach=reach)
        chosen = list(choose_reads(reads, _choice(rows, alleles, settings), counts))
    frame = _examples(rows, chosen, settings)
    usable = rows.filter("usable")
    return frame, {
        "variants_carried": int(usable["carried"].sum()),
        "variants_absent": int((~usable["carried"]).sum()),
        "variants_without_reads": usable.height - len({read.variant for read in chosen}),
        **dict(sorted(counts.items())),
        "examples": frame.height,
    }


def _rows(variants: pl.DataFrame, settings: ReadSettings) -> pl.DataFrame:
    """The variants to look at in the reads, by position; `usable` are those that may give examples.

    Carried alleles that are excluded are looked at too: reads that show them must not pass for reference reads.
    """
    faithful = settings.policy == "faithful"
    excluded = pl.col("excluded")
    kept_out = excluded.is_in([NO_DBSNP, UNKNOWN_CONSEQUENCE]) if faithful else excluded.is_not_null()
    rows = variants.with_columns(usable=~kept_out.fill_null(value=False))
    absent = rows.filter(pl.col("usable") & ~pl.col("carried"))
    watched = pl.col("usable") if faithful else pl.col("usable") | (excluded == NO_DBSNP).fill_null(value=False)
    carried = rows.filter(pl.col("carried") & watched)
    return pl.concat([carried, _drawn(absent, settings.absent_variants)]).sort(
        "pos", "ref", "alt", maintain_order=True
    )


def _drawn(variants: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most so many variants, by the MD5 of their names: neither seed nor order matters."""
    names = variants.select(pl.format("{}:{}:{}>{}", "chrom", "pos", "ref", "alt")).to_series()
    digests = [hashlib.md5(name.encode(), usedforsecurity=False).hexdigest() for name in names]
    return variants[np.argsort(np.asarray(digests, dtype=np.str_), kind="stable")[:most]]


def _choice(rows: pl.DataFrame, alleles: Alleles, settings: ReadSettings) -> Choice:
    asked = {
        "alternate": frozenset({ALTERNATE}),
        "reference": frozenset({REFERENCE}),
        "both": frozenset({ALTERNATE, REFERENCE}),
    }[settings.allele]
    wanted = [
        (asked if carried else frozenset({REFERENCE})) if usable else frozenset()
        for carried, usable in rows.select("carried", "usable").iter_rows()
    ]
    return Choice(
        starts=alleles.starts,
        wanted=wanted,
        scores=rows["score"].fill_null(0).to_numpy(),
        carried=rows["carried"].to_numpy(),
        length=settings.length,
        per_variant=settings.per_variant,
    )


def _examples(rows: pl.DataFrame, chosen: Sequence[ChosenRead], settings: ReadSettings) -> pl.DataFrame:
    reads = pl.DataFrame(
        {
            "variant": [read.variant for read in chosen],
            "read_name": [read.name for read in chosen],
            "strand": ["-" if read.reverse else "+" for read in chosen],
            "sequence": [read.sequence for read in chosen],
            "sequence_digest": [sequence_digest(read.sequence) for read in chosen],
            "variant_offset": [read.offset for read in chosen],
            "allele_in_read": [read.allele for read in chosen],
            "mapping_quality": [read.mapping_quality for read in chosen],
        },
        schema_overrides={"variant": pl.UInt32},
    )
    shows = pl.col("carried") if settings.policy == "faithful" else pl.col("allele_in_read") == ALTERNATE
    target = pl.when(shows).then(pl.col("score") / 10).otherwise(0.0)
    joined = reads.sort("variant", maintain_order=True).join(
        rows.with_row_index("variant"), on="variant", how="left", maintain_order="left"
    )
    schema = {name: dtype for name, dtype in READ_EXAMPLES.schema.items() if name not in _LATER}
    return joined.with_columns(target=target).select(pl.col(name).cast(dtype) for name, dtype in schema.items())
