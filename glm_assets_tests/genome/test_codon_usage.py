"""Codon usage: Biopython's code as the oracle, and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.genome.codon_usage import CODONS, codon_counts, relative_usage


def bases(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("ascii"), np.uint8)


def test_the_genetic_code_is_the_standard_one():
    table = pytest.importorskip("Bio.Data.CodonTable").unambiguous_dna_by_id[1]
    usage = relative_usage(np.zeros(64, np.int64))
    assert dict(usage.select("codon", "amino_acid").iter_rows()) == {
        codon: table.forward_table.get(codon, "*") for codon in CODONS
    }
    assert usage["rscu"].null_count() == 64


def test_counts_leave_out_unknown_and_cut_codons_and_say_how_many():
    counts, left_out = codon_counts([bases("ATGgctGCNTA"), bases("GCTTAA")])
    seen = {codon: count for codon, count in zip(CODONS, counts.tolist(), strict=True) if count}
    assert seen == {"ATG": 1, "GCT": 2, "TAA": 1}
    assert left_out == 2


def test_relative_usage_by_hand():
    counts = np.zeros(64, np.int64)
    for codon, count in {"GCA": 6, "GCC": 2, "GCG": 0, "GCT": 0, "ATG": 5, "TTT": 3, "TTC": 1}.items():
        counts[CODONS.index(codon)] = count
    rscu = dict(relative_usage(counts).select("codon", "rscu").iter_rows())
    assert (rscu["GCA"], rscu["GCC"], rscu["GCG"], rscu["GCT"]) == (3.0, 1.0, 0.0, 0.0)
    assert (rscu["ATG"], rscu["TTT"], rscu["TTC"]) == (1.0, 1.5, 0.5)
    assert rscu["AAA"] is None
