"""How many reads show an allele: who carries what, where there is no VCF."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl

from glm_assets.sources.alignments import Alignments
from glm_assets.studies.impact.sightings import ALTERNATE, Alleles, ReadThresholds, seen_reads


def count_alleles(
    variants: pl.DataFrame, alignments: Alignments, chrom: str, thresholds: ReadThresholds
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Count the reads that span variants and those that show the alternate allele.

    Both reads of a pair count once where they overlap: the first one in the file's order.

    Args:
        variants: Rows with `pos`, `ref` and `alt` (A, C, G and T), in any order.
        alignments: The person's reads.
        chrom: Chromosome key.
        thresholds: Which reads and bases count.

    Returns:
        `alternate_reads` and `depth` (int32) in the order of the variants, and the counts of `seen_reads`.
    """
    order = variants["pos"].arg_sort().to_numpy()
    by_position = variants[order]
    alleles = Alleles(
        by_position["pos"].to_numpy() - 1, by_position["ref"].to_list(), by_position["alt"].to_list()
    )
    depth, alternate = np.zeros(order.size, dtype=np.int32), np.zeros(order.size, dtype=np.int32)
    counts: Counter[str] = Counter()
    fragments: dict[int, set[str]] = {}
    for read in seen_reads(alignments, chrom, alleles, thresholds, counts):
        for passed in [variant for variant in fragments if alleles.starts[variant] < read.start]:
            del fragments[passed]
        for sighting in read.sightings:
            names = fragments.setdefault(sighting.variant, set())
            if read.fragment in names:
                counts["dropped:mate"] += 1
                continue
            names.add(read.fragment)
            depth[sighting.variant] += 1
            alternate[sighting.variant] += sighting.allele == ALTERNATE
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    return pl.DataFrame({"alternate_reads": alternate[back], "depth": depth[back]}), dict(counts)
