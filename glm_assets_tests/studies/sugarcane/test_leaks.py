import numpy as np
import polars as pl
import pytest

from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.sources.genome_files import FASTA
from glm_assets.studies.sugarcane import leaks
from glm_assets.studies.sugarcane.leaks import find_leaks
from glm_assets_tests.studies.genomes import indexed, other_strand

LENGTH = 24_000


def bases(seed, length=LENGTH):
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def compare(folder, train, val, test):
    contigs = {"train": train, "val": val, "test": test}
    rows = [(name, 0, len(text), name) for name, text in contigs.items()]
    regions = pl.DataFrame(rows, ["contig", "start", "end", "split"], orient="row")
    return find_leaks(IndexedFasta(indexed(folder, {"a.fa": contigs}) / FASTA), regions)


def test_what_is_not_shared_does_not_leak(tmp_path):
    found = compare(tmp_path, bases(0), bases(1), bases(2))
    assert (found["val"].share, found["test"].share) == (0, 0)
    # One k-mer in 16.
    assert found["val"].hashes == pytest.approx(LENGTH / 16, rel=0.1)


def test_a_copied_part_is_told_on_either_strand_and_in_lower_case(tmp_path):
    train = bases(0)
    forward, backward = train[4_000:10_000], other_strand(train[4_000:16_000])
    found = compare(tmp_path, train, bases(1)[:18_000] + forward, backward.lower() + bases(2)[:12_000])
    assert found["val"].share == pytest.approx(0.25, abs=0.04)
    assert found["test"].share == pytest.approx(0.5, abs=0.04)
    # What leaks in test is marked as a repeat.
    assert found["val"].unmasked == found["val"].share
    assert found["test"].unmasked == 0


def test_unknown_bases_have_no_sketch(tmp_path):
    found = compare(tmp_path, bases(0), "N" * 1_000, bases(0)[:500])
    assert (found["val"].share, found["val"].hashes) == (None, 0)
    assert found["test"].share == 1


def test_stretches_beyond_the_regions_are_not_looked_at(tmp_path):
    text = bases(0)
    folder = indexed(tmp_path, {"a.fa": {"c": text + text}})
    rows = [
        ("c", 0, LENGTH // 2, "train"),
        ("c", LENGTH, LENGTH * 3 // 2, "val"),
        ("c", LENGTH * 3 // 2, 2 * LENGTH, "test"),
    ]
    regions = pl.DataFrame(rows, ["contig", "start", "end", "split"], orient="row")
    found = find_leaks(IndexedFasta(folder / FASTA), regions)
    assert found["val"].share == 1
    assert found["test"].share == 0


@pytest.mark.parametrize("piece", [701, 1 << 20])
def test_pieces_and_thinning_do_not_change_the_share(tmp_path, monkeypatch, piece):
    train = bases(0)
    contigs = (train, train[:12_000] + bases(1)[:12_000], bases(2))
    whole = compare(tmp_path / "whole", *contigs)
    monkeypatch.setattr(leaks, "_BASES", piece)
    assert compare(tmp_path / "pieces", *contigs) == whole
    monkeypatch.setattr(leaks, "_MOST_HASHES", 800)
    thinned = compare(tmp_path / "thinned", *contigs)
    assert thinned["val"].hashes < whole["val"].hashes / 3
    assert thinned["val"].share == pytest.approx(0.5, abs=0.1)
