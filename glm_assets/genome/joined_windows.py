"""Which windows must not be split apart: those that overlap, those that are equal, and those of one gene.

All are joined transitively, so that neither bases nor genes leak, whatever chain of overlapping genes links them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_assets.genome.intervals import Positions, overlap_components
from glm_assets.genome.pseudoautosomal import pseudoautosomal_parts
from glm_assets.genome.splits import LOCUS_BIN


@dataclass(frozen=True)
class ChromosomeWindows:
    """Windows of one chromosome, n rows.

    Attributes:
        chrom: Chromosome key, such as `13`.
        starts: (n,) 0-based window starts, in any order.
        ends: (n,) positions after the windows' last base.
        digests: (n,) equal where the reference windows are.
        genes: (n,) symbols of each row's genes; may be empty.
    """

    chrom: str
    starts: Positions
    ends: Positions
    digests: Sequence[str]
    genes: Sequence[Sequence[str]]


def join_windows(parts: Sequence[ChromosomeWindows], *, by_gene: bool) -> list[NDArray[np.str_]]:
    """Name for each window the group that must stay in one split.

    A group is a connected component of windows that share a base (those of the pseudoautosomal regions of X and Y are
    the same), a sequence or, `by_gene`, a gene. Its name is its
    smallest gene symbol; without genes it is `<chrom>:<start // LOCUS_BIN>` of its first locus in the order of the
    parts. Groups of one name share a split besides.

    Args:
        parts: A chromosome each: X and Y together, because genes and sequences of their ends are the same.
        by_gene: Join by gene too, and name groups after genes.

    Returns:
        (n,) names for each part.
    """
    loci, locus_names = _number_loci(parts)
    _, windows = np.unique([digest for part in parts for digest in part.digests], return_inverse=True)
    joining = [symbols if by_gene else () for part in parts for symbols in part.genes]
    gene_rows, symbols, genes = _number_genes(joining)
    rows = np.arange(loci.size)
    keys = [(rows, loci), (rows, windows), (gene_rows, genes), _number_pseudoautosomal(parts)]
    components = connected_rows(loci.size, keys)
    names = locus_names[_smallest(components, rows, loci)]
    if symbols.size:
        first = _smallest(components, gene_rows, genes)
        has_gene = first < symbols.size
        names = np.where(has_gene, symbols[np.where(has_gene, first, 0)], names)
    borders = np.cumsum([part.starts.size for part in parts])[:-1]
    return np.split(names[components], borders)


def connected_rows(count: int, shared: Sequence[tuple[Positions, Positions]]) -> Positions:
    """Number the connected components of rows that share a key of any kind.

    Args:
        count: Number of rows.
        shared: For each kind of key, (m,) rows and the (m,) keys that they have, both counted from 0; a row may have
            any number of keys.

    Returns:
        (count,) components, counted from 0.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes, rows, ends = count, [], []
    for row, key in shared:
        rows.append(row)
        ends.append(nodes + key)
        nodes += int(key.max(initial=-1)) + 1
    if not count:
        return np.empty(0, dtype=np.int64)
    edges = (np.concatenate(rows), np.concatenate(ends))
    graph = coo_array((np.ones(edges[0].size, dtype=np.int8), edges), shape=(nodes, nodes))
    _, components = connected_components(graph, directed=False)
    return np.unique(components[:count], return_inverse=True)[1]


def _number_loci(parts: Sequence[ChromosomeWindows]) -> tuple[Positions, NDArray[np.str_]]:
    """Number the loci of all parts by part and position; returns each row's locus, and their names."""
    loci, names, count = [], [], 0
    for part in parts:
        components = overlap_components(part.starts, part.ends)
        starts = _smallest(components, np.arange(components.size), part.starts)
        loci.append(count + components)
        names += [f"{part.chrom}:{start // LOCUS_BIN}" for start in starts.tolist()]
        count += starts.size
    return np.concatenate(loci), np.asarray(names, dtype=np.str_)


def _number_pseudoautosomal(parts: Sequence[ChromosomeWindows]) -> tuple[Positions, Positions]:
    """Number the loci of the pseudoautosomal regions of all parts; returns (m,) rows and each one's locus."""
    rows, starts, ends, before = [], [], [], 0
    for part in parts:
        row, start, end = pseudoautosomal_parts(part.chrom, part.starts, part.ends, onto="X")
        rows.append(before + row)
        starts.append(start)
        ends.append(end)
        before += part.starts.size
    return np.concatenate(rows), overlap_components(np.concatenate(starts), np.concatenate(ends))


def _number_genes(genes: Sequence[Sequence[str]]) -> tuple[Positions, NDArray[np.str_], Positions]:
    """Lay the genes of all rows end to end: (m,) rows, the sorted symbols, and (m,) indices into them."""
    rows = np.repeat(np.arange(len(genes)), [len(symbols) for symbols in genes])
    flat = np.asarray([symbol for symbols in genes for symbol in symbols], dtype=np.str_)
    symbols, numbers = np.unique(flat, return_inverse=True)
    return rows, symbols, numbers


def _smallest(components: Positions, rows: Positions, values: Positions) -> Positions:
    """The smallest value among the rows of each component; the largest int64 where none has one."""
    smallest = np.full(int(components.max(initial=-1)) + 1, np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(smallest, components[rows], values)
    return smallest
