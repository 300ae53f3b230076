"""New reads and new variants: what is judged, what is not and why, and that a variant's sequence holds its allele."""

from __future__ import annotations

import gzip

import pysam
import pytest

from glm_assets.errors import FormatError
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.studies.impact.new_data import NO_DNA, NO_SEQUENCE, TOO_SHORT, explain, new_reads, new_variants
from glm_assets.studies.impact.predictions import window_recipe
from glm_assets_tests.alignment_files import Read, random_bases, write_bam

LENGTH = 30
CONTIG = random_bases(400, 7)


def test_reads_of_a_fastq_are_cut_and_unusable_ones_have_a_reason(tmp_path):
    reads = {
        "long": "acgt" * 10,
        "exact": "N" + "A" * 29,
        "short": "A" * 29,
        "odd": "A" * 29 + "-",
        "none": "",
    }
    path = tmp_path / "reads.fastq.gz"
    with gzip.open(path, "wt") as out:
        out.write("".join(f"@{name} comment\n{bases}\n+\n{'I' * len(bases)}\n" for name, bases in reads.items()))
    rows = new_reads(path, LENGTH, None)
    assert rows["name"].to_list() == list(reads)
    assert rows["sequence"].to_list() == [("ACGT" * 8)[:30], reads["exact"], None, None, None]
    assert rows["reason"].to_list() == [None, None, TOO_SHORT, NO_DNA, NO_SEQUENCE]
    assert set(rows["kind"]) == {"read"}
    assert all(explain(reason) != reason for reason in rows["reason"].drop_nulls())


def test_reads_of_a_bam_are_on_the_forward_strand_and_counted_once(tmp_path):
    reads = [
        Read("plus", 10, "40M", CONTIG[10:50]),
        Read("minus", 20, "40M", CONTIG[20:60], ("reverse", "paired", "read2")),
        Read("plus", 90, "40M", CONTIG[90:130], ("supplementary",)),
    ]
    rows = new_reads(write_bam(tmp_path / "new.bam", reads, order="unsorted", index=False), LENGTH, None)
    assert rows.select("name", "chrom", "pos", "sequence").rows() == [
        ("plus", "21", 11, CONTIG[10:40]),
        ("minus/2", "21", 21, CONTIG[20:50]),
    ]


def test_what_is_no_file_of_reads_is_refused(tmp_path):
    path = tmp_path / "reads.bam"
    path.write_bytes(b"no reads at all")
    with pytest.raises(FormatError, match=r"reads\.bam"):
        new_reads(path, LENGTH, None)


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> ReferenceGenome:
    path = tmp_path_factory.mktemp("genome") / "genome.fa.gz"
    with pysam.BGZFile(str(path), "wb") as out:
        out.write(f">NC_000021.9\n{CONTIG}\n".encode())
    pysam.faidx(str(path))
    return ReferenceGenome(path)


def variants(folder, genome, lines, offset=12):
    path = folder / "new.vcf"
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    path.write_text(header + "".join("\t".join([*line, ".", ".", "."]) + "\n" for line in lines))
    return new_variants(path, genome, window_recipe(LENGTH, offset), indel_max=5)


def other(base: str) -> str:
    return "ACGT"[("ACGT".index(base) + 1) % 4]


def test_a_variants_sequence_is_the_reference_around_it_with_its_allele(tmp_path, genome):
    snv, deletion, insertion = 100, 200, 300
    lines = [
        ("chr21", str(deletion + 1), ".", CONTIG[deletion : deletion + 4], CONTIG[deletion]),
        ("21", str(snv + 1), ".", CONTIG[snv], f"{other(CONTIG[snv])},{CONTIG[snv]}GG"),
        ("21", str(insertion + 1), ".", CONTIG[insertion], f"{CONTIG[insertion]}TT"),
    ]
    rows = variants(tmp_path, genome, lines)
    expected = [
        CONTIG[188:200] + CONTIG[200] + CONTIG[204:221],
        CONTIG[88:100] + other(CONTIG[100]) + CONTIG[101:118],
        CONTIG[88:100] + CONTIG[100] + "GG" + CONTIG[101:116],
        CONTIG[288:300] + CONTIG[300] + "TT" + CONTIG[301:316],
    ]
    assert rows["sequence"].to_list() == expected
    assert {len(sequence) for sequence in expected} == {LENGTH}
    assert rows["reason"].null_count() == 4
    assert rows["name"][1] == f"21:101:{CONTIG[100]}>{other(CONTIG[100])}"


def test_variants_without_a_sequence_have_a_reason(tmp_path, genome):
    lines = [
        ("21", "101", ".", other(CONTIG[100]), CONTIG[100]),
        ("21", "101", ".", CONTIG[100], "<DEL>"),
        ("21", "399", ".", CONTIG[398], other(CONTIG[398])),
        ("22", "10", ".", "A", "C"),
        ("21", "101", ".", CONTIG[100], CONTIG[100] + "ACGTAC"),
    ]
    rows = variants(tmp_path, genome, lines)
    assert rows["reason"].to_list() == [
        "ref_mismatch",
        "symbolic_alt",
        "window_outside_contig",
        "not_in_reference",
        "over_indel_max",
    ]
    assert rows["sequence"].null_count() == 5


def test_without_known_offsets_variants_lie_in_the_middle():
    assert window_recipe(100, None).anchor == 50
    assert window_recipe(100, 72).anchor == 72
