"""The original's choice, faults and all."""

from __future__ import annotations

import pytest

from glm_assets.genome.alphabet import reverse_complement
from glm_assets.studies.impact.reads import read_examples
from glm_assets_tests.alignment_files import random_bases, read_of, write_bam
from glm_assets_tests.studies.impact.toys import CHROM, opened, read_settings, variants

REFERENCE = random_bases(3000, seed=5)
PLACE = 1000
REF = REFERENCE[PLACE]
ALT = "ACGT"["ACGT".index(REF) - 1]


def faithful(path, rows, **columns):
    settings = read_settings(policy="faithful", absent_variants=9)
    with opened(path) as alignments:
        return read_examples(variants(rows, **columns), alignments, settings, chrom=CHROM)


def chosen(path, carried=True) -> list:
    frame, _ = faithful(path, [(PLACE + 1, REF, ALT, 5.0, carried)])
    return frame["read_name"].to_list()


def flipped(sequence: str) -> str:
    import numpy as np

    return reverse_complement(np.frombuffer(sequence.encode(), np.uint8)).tobytes().decode()


@pytest.mark.parametrize(("count", "middle"), [(1, "r0"), (2, "r1"), (3, "r1"), (4, "r2")])
def test_the_middle_read_in_the_order_of_the_file_is_taken(tmp_path, count, middle):
    reads = [read_of(REFERENCE, f"r{i}", 900 + 10 * i, "150M") for i in range(count)]
    assert chosen(write_bam(tmp_path / "reads.bam", reads)) == [middle]


def test_nothing_but_length_is_looked_at(tmp_path):
    reads = [
        read_of(REFERENCE, "short", 900, "149M"),
        read_of(REFERENCE, "duplicate", 900, "150M", flags=["duplicate"]),
        read_of(REFERENCE, "secondary", 901, "150M", flags=["secondary"], mapping_quality=0, quality=0),
        read_of(REFERENCE, "qc_fail", 902, "150M", flags=["qc_fail"]),
    ]
    frame, counts = faithful(write_bam(tmp_path / "reads.bam", reads), [(PLACE + 1, REF, ALT, 5.0, True)])
    assert frame["read_name"].to_list() == ["secondary"]
    assert (counts["dropped:short"], counts["dropped:not_in_the_middle"]) == (1, 2)


@pytest.mark.parametrize(("start", "kept"), [(PLACE + 1 - 150, False), (PLACE + 1 - 149, True)])
def test_the_reach_of_longer_reads_is_off_by_one(tmp_path, start, kept):
    """The base that lies last of 150, at 0-based 149 of the read, is counted as beyond."""
    path = write_bam(tmp_path / "reads.bam", [read_of(REFERENCE, "long", start, "200M")])
    assert chosen(path) == (["long"] if kept else [])


def test_a_read_of_exactly_the_length_is_kept_to_its_last_base(tmp_path):
    path = write_bam(tmp_path / "reads.bam", [read_of(REFERENCE, "exact", PLACE + 1 - 150, "150M")])
    assert chosen(path) == ["exact"]


def test_a_reverse_read_is_cut_at_the_wrong_end(tmp_path):
    read = read_of(REFERENCE, "reverse", 900, "160M", flags=["reverse"])
    frame, _ = faithful(write_bam(tmp_path / "reads.bam", [read]), [(PLACE + 1, REF, ALT, 5.0, True)])
    assert frame["sequence"].to_list() == [flipped(REFERENCE[910:1060])]
    assert frame.select("variant_offset", "strand", "allele_in_read").rows() == [(-1, "-", "reference")]


def test_the_label_is_the_locus_label_whatever_the_read_shows(tmp_path):
    path = write_bam(tmp_path / "reads.bam", [read_of(REFERENCE, "r", 900, "150M")])
    rows = [(PLACE + 1, REF, ALT, 5.0, True), (PLACE + 11, "A", "C", 10.0, False)]
    frame, _ = faithful(path, rows)
    assert frame.select("allele_in_read", "target").rows()[0] == ("reference", 0.5)
    assert frame["target"].to_list()[1] == 0


def test_every_record_gives_an_example_even_without_alleles(tmp_path):
    path = write_bam(tmp_path / "reads.bam", [read_of(REFERENCE, "r", 900, "150M")])
    rows = [(PLACE + i, "A", ".", 1.0, True) for i in range(1, 4)]
    frame, _ = faithful(path, rows, excluded=["no_alt", "unknown_consequence", "no_dbsnp"])
    assert frame["pos"].to_list() == [PLACE + 1]
