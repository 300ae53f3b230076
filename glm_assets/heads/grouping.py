"""Which variants the PCC loss compares with each other."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

GroupBy = Literal["window_number", "genomic_bin", "gene"]


def variant_groups(
    by: GroupBy, size: int, *, contig: ArrayLike, window_start: ArrayLike, gene: ArrayLike
) -> NDArray[np.int64]:
    """Group of each variant.

    Args:
        by: Runs of consecutive windows as in the original, bins of the contig, or genes. A variant without a gene is
            grouped by its bin.
        size: Windows in a run, or bases in a bin.
        contig: Contig of each row (n,), rows in file order.
        window_start: 0-based start of its window (n,).
        gene: Its gene (n,), None where it has none.
    """
    contig, start = np.asarray(contig), np.asarray(window_start, dtype=np.int64)
    if by == "window_number":
        return window_groups(contig, start, size)
    _, code = np.unique(contig, return_inverse=True)
    bins = (code.astype(np.int64) << 40) | (start // size)
    if by == "genomic_bin":
        return bins
    symbols = np.asarray(gene, dtype=object)
    named = np.array([symbol is not None for symbol in symbols], dtype=bool)
    _, number = np.unique(symbols[named].astype(str), return_inverse=True)
    bins[named] = -1 - number  # negative, so that no gene is a bin
    return bins


def window_groups(contig: ArrayLike, window_start: ArrayLike, bucket: int) -> NDArray[np.int64]:
    """Groups of the PCC loss: every `bucket` consecutive distinct windows form one, as in the original pipeline.

    Distinct (contig, start) are numbered in order of first occurrence, so rows must be in file order, chromosome
    after chromosome, and only kept rows may be among them. A bucket can straddle two chromosomes.

    Args:
        contig: Contig of each row (n,).
        window_start: Start of its window (n,).
        bucket: Distinct windows in a group; 100 in the original.
    """
    _, contig_code = np.unique(np.asarray(contig), return_inverse=True)
    window = (contig_code.astype(np.int64) << 40) | np.asarray(window_start, dtype=np.int64)
    _, first, code = np.unique(window, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[code] // bucket
