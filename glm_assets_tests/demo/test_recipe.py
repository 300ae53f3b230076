from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from glm_assets.demo.recipe import random_stream
from glm_assets.genome.splits import split_by_locus
from glm_assets.genome.windows import WindowRecipe, cut_windows
from glm_assets_tests.demo.oracle import read_fasta, read_rows


def test_streams_are_repeatable_and_apart():
    draws = [
        random_stream(seed, *words).integers(1 << 60) for seed, *words in ((1, "a"), (1, "a"), (1, "b"), (2, "a"))
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3


@pytest.mark.parametrize(
    ("name", "length", "least"), [("tree", 1024, 25), ("tiny_tree", 1024, 2), ("tiny_tree", 128, 2)]
)
def test_every_split_by_locus_has_both_labels(request, name, length, least):
    """What the seed was chosen for: heads need both classes to train, to choose and to report."""
    tree = request.getfixturevalue(name)
    genome = read_fasta(tree.fasta)
    accessions = {"21": "NC_000021.9", "22": "NC_000022.11", "MT": "NC_012920.1"}
    found = []
    for chrom, accession in accessions.items():
        usable = [row for row in read_rows(tree.vcfs[1]) if row.chrom == chrom and row.label is not None]
        usable = [
            row for row in usable if row.is_snv or (row.is_plain and 0 < abs(len(row.ref) - len(row.alt)) <= 50)
        ]
        if not usable:
            continue
        contig = np.frombuffer(genome[accession].upper().encode("ascii"), dtype=np.uint8)
        positions = np.array([row.pos for row in usable])
        alleles = [row.ref for row in usable], [row.alt for row in usable]
        windows = cut_windows(contig, positions, *alleles, WindowRecipe(length, length // 2))
        start = windows.start[windows.kept]
        _, splits = split_by_locus(chrom, start, start + length)
        labels = np.array([row.label for row in usable])[windows.kept]
        found.append(pl.DataFrame({"split": splits, "label": labels}))
    counts = pl.concat(found).group_by("split", "label").len()
    assert counts.height == 6
    assert counts["len"].min() >= least
