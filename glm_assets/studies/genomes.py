"""Bringing a genome of any study up to date: one indexed FASTA and a row per contig."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from glm_assets.sources.genome_files import index_genome
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.storage.tables import PART, Table

Progress = Callable[[str], None]


def make_genome_product(
    product: Product, files: Sequence[Path], table: Table, name: str, progress: Progress
) -> Manifest:
    """Check and index the FASTA files of a genome.

    Args:
        product: What is made.
        files: One or more FASTA files.
        table: Of contigs, divided by genome.
        name: Of the genome.
        progress: Called with a line now and then.

    Raises:
        FormatError: A file is no usable FASTA.
        IntegrityError: A file is damaged.
    """

    def build(work: Path) -> Facts:
        contigs = index_genome(files, work, progress)
        table.write(contigs.select(pl.lit(name).alias(str(table.outer)), pl.all()), work / PART)
        return contig_facts(contigs)

    return product.make(build)


def contig_facts(contigs: pl.DataFrame) -> Facts:
    """What there is to say of a genome.

    Args:
        contigs: Columns of `CONTIG_COLUMNS`.
    """
    bases, unknown, masked = (int(contigs[name].sum()) for name in ("length", "unknown", "soft_masked"))
    known = bases - unknown
    strong = float(((contigs["length"] - contigs["unknown"]) * contigs["gc"].fill_null(0)).sum())
    return {
        "rows": contigs.height,
        "contigs": contigs.height,
        "bases": bases,
        "unknown": unknown,
        "gc": strong / known if known else None,
        "soft_masked_share": masked / bases,
    }
