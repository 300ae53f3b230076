"""What a person's reads on a chromosome are like: the table `impact_individual_alignments`."""

from __future__ import annotations

from collections import Counter
from typing import Final

import polars as pl

from glm_assets.sources.alignments import Alignments
from glm_assets.storage.schemas_impact import ALIGNMENT_SUMMARY

FLAGS: Final = {
    "paired": 0x1,
    "unmapped": 0x4,
    "reverse": 0x10,
    "secondary": 0x100,
    "qc_fail": 0x200,
    "duplicate": 0x400,
    "supplementary": 0x800,
}
"""Figure: bit of SAM's FLAG (SAM specification, section 1.4)."""

_NOT_COUNTED: Final = FLAGS["unmapped"] | FLAGS["secondary"] | FLAGS["supplementary"]


def alignment_summary(alignments: Alignments, chrom: str, individual: str) -> pl.DataFrame:
    """Count the reads of a chromosome.

    Args:
        alignments: The person's reads.
        chrom: Chromosome key.
        individual: The person's name.

    Returns:
        Rows of `ALIGNMENT_SUMMARY`: `reads`, each of `FLAGS` and `mapped` as plain counts; then `mapping_quality` and
        `length` (bases, with soft clips) of the mapped reads, each read once, by value.
    """
    flags: Counter[int] = Counter()
    qualities: Counter[int] = Counter()
    lengths: Counter[int] = Counter()
    for read in alignments.reads(chrom):
        flags[read.flag] += 1
        if not read.flag & _NOT_COUNTED:
            qualities[read.mapping_quality] += 1
            lengths[read.query_length] += 1
    plain = {"reads": flags.total(), "mapped": qualities.total()}
    plain |= {name: sum(n for flag, n in flags.items() if flag & bit) for name, bit in FLAGS.items()}
    rows = [(name, None, count) for name, count in plain.items()]
    rows += [("mapping_quality", value, count) for value, count in sorted(qualities.items())]
    rows += [("length", value, count) for value, count in sorted(lengths.items())]
    schema = {"figure": pl.String, "value": pl.Int64, "reads": pl.Int64}
    frame = pl.DataFrame(rows, schema, orient="row")
    named = frame.with_columns(individual=pl.lit(individual), chrom=pl.lit(chrom))
    return named.select(ALIGNMENT_SUMMARY.schema.names())
