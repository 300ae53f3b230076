"""Toy VCFs of twelve records whose join with ClinVar is known, in every spelling of a VCF."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pysam
import pytest

from glm_assets.errors import FormatError, SettingsError
from glm_assets.storage.schemas_impact import INDIVIDUAL_VARIANTS
from glm_assets.studies.impact.carried import individual_variants
from glm_assets.studies.impact.minimal_alleles import minimal_allele
from glm_assets_tests.alignment_files import random_bases, read_of, write_bam
from glm_assets_tests.studies.impact.toys import (
    CHROM,
    MISSENSE,
    carried_settings,
    clinvar,
    opened,
    read_settings,
)

HEADER = """##fileformat=VCFv4.2
##contig=<ID={contig},length=46709983>
##contig=<ID=other,length=1000>
##FILTER=<ID=LowQ,Description="low">
##INFO=<ID=END,Number=1,Type=Integer,Description="end">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="depth">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	P
"""

# POS, REF, ALT, FILTER, GT of the person's twelve records.
PERSON = [
    (100, "A", "G", "PASS", "0/1"),
    (200, "C", "T", ".", "1|1"),
    (300, "G", "A", "PASS", "./."),
    (400, "T", "C", "LowQ", "0/1"),
    (500, "A", "T", "PASS", "0/1"),
    (600, "CAT", "C,CATAT", "PASS", "1/2"),
    (700, "G", "T", "PASS", "1"),
    (800, "A", "C", "PASS", "0/0"),
    (900, "T", "<DEL>,*", "PASS", "0/1"),
    (1000, "ACGT", "ACTT,GCGT", "PASS", "0|2"),
    (1100, "C", "A", "PASS", "./1"),
    (1200, "G", ".", "PASS", "0/0"),
]

# ClinVar's records, with what is known of the person: carried, genotype, copies, excluded.
CLINVAR = [
    ((100, "A", "G"), (True, "0/1", 1, None)),
    ((200, "C", "T"), (True, "1|1", 2, None)),
    ((300, "G", "A"), (False, "./.", None, "no_call")),
    ((400, "T", "C"), (False, "0/1", 1, "filtered")),
    ((500, "A", "G"), (False, None, None, None)),
    ((600, "CAT", "C"), (True, "1/2", 1, None)),
    # The second ALT of the record, written without the bases that it shares with REF.
    ((600, "C", "CAT"), (True, "1/2", 1, None)),
    ((700, "G", "T"), (True, "1", 1, None)),
    ((800, "A", "C"), (False, "0/0", 0, None)),
    ((900, "T", "G"), (False, None, None, None)),
    # The same substitution, in the middle of a longer record.
    ((1002, "G", "T"), (False, "0|2", 0, None)),
    ((1000, "A", "G"), (True, "0|2", 1, None)),
    ((1100, "C", "A"), (True, "./1", 1, None)),
    ((1200, "G", "A"), (False, None, None, None)),
]


def write_vcf(path: Path, rows=PERSON, contig: str = "chr21", header: str = HEADER) -> Path:
    lines = [
        "\t".join([contig, str(pos), ".", ref, alt, "50", kept, ".", "DP:GT", f"9:{genotype}"])
        for pos, ref, alt, kept, genotype in rows
    ]
    foreign = "\t".join(["other", "100", ".", "A", "G", "50", "PASS", ".", "DP:GT", "9:1/1"])
    path.write_text(header.format(contig=contig) + "\n".join([*lines, foreign]) + "\n")
    return path


def join(vcf: Path | None, records: pl.DataFrame, tmp_path: Path, *, individual="P", alignments=None, **settings):
    consequences = settings.pop("consequences", "accession")
    frame, counts = individual_variants(
        records,
        individual=individual,
        chrom=CHROM,
        carried=carried_settings(**settings),
        consequences=consequences,
        vcf=vcf,
        alignments=alignments,
        reads=read_settings(),
        work=tmp_path / "work",
    )
    INDIVIDUAL_VARIANTS.check(frame)
    return frame, counts


def known(frame: pl.DataFrame) -> list[tuple]:
    return frame.select("carried", "genotype", "copies", "excluded").rows()


def as_text(path: Path) -> Path:
    return path


def as_gzip(path: Path) -> Path:
    """BGZF without an index."""
    pysam.tabix_compress(str(path), f"{path}.gz")
    return Path(f"{path}.gz")


def as_indexed(path: Path) -> Path:
    return Path(pysam.tabix_index(str(path), preset="vcf"))


def as_csi(path: Path) -> Path:
    return Path(pysam.tabix_index(str(path), preset="vcf", csi=True))


def as_bcf(path: Path) -> Path:
    out = path.with_suffix(".bcf")
    with pysam.VariantFile(str(path)) as source, pysam.VariantFile(str(out), "wb", header=source.header) as target:
        for record in source:
            target.write(record)
    return out


@pytest.mark.parametrize("contig", ["chr21", "21", "NC_000021.9"])
@pytest.mark.parametrize("spelled", [as_text, as_gzip, as_indexed, as_csi, as_bcf])
def test_the_join_is_exact(tmp_path, spelled, contig):
    vcf = spelled(write_vcf(tmp_path / "p.vcf", contig=contig))
    frame, counts = join(vcf, clinvar([row for row, _ in CLINVAR]), tmp_path)
    assert known(frame) == [expected for _, expected in CLINVAR]
    assert frame["individual"].unique().to_list() == ["P"]
    assert frame.select("alternate_reads", "depth").null_count().row(0) == (14, 14)
    wanted = {
        "clinvar_records": 14,
        "vcf_records_on_chromosome": 12,
        "vcf_alleles": 12,
        "vcf_symbolic": 2,
        "vcf_without_alt": 1,
        "vcf_filtered": 1,
        "vcf_no_call": 1,
        "carried": 7,
        "excluded:filtered": 1,
        "excluded:no_call": 1,
    }
    assert {name: counts[name] for name in wanted} == wanted
    assert counts.get("vcf_records") == (None if spelled in {as_indexed, as_csi} else 13)
    assert list((tmp_path / "work").iterdir()) == []


def test_what_clinvar_cannot_offer_is_excluded_with_its_reason(tmp_path):
    rows = [
        (100, "A", "G", MISSENSE, None),
        (100, "A", "G", "SO:1|odd_variant", "7"),
        (200, "C", ".", MISSENSE, "7"),
        (200, "C", "T", None, "7"),
        (500, "A", "N", MISSENSE, "7"),
        (600, "R", "C", MISSENSE, "7"),
        (700, "G", "G", MISSENSE, "7"),
    ]
    vcf = write_vcf(tmp_path / "p.vcf")
    frame, counts = join(vcf, clinvar(rows), tmp_path, require_dbsnp=True)
    reasons = ["no_dbsnp", "unknown_consequence", "no_alt", None, "not_acgt_alt", "not_acgt_ref", "same_allele"]
    assert frame["excluded"].to_list() == reasons
    assert frame["impact"].to_list()[1:4] == [None, "moderate", "none"]
    assert (counts["carried"], counts["carried_excluded"], counts["unknown:SO:1|odd_variant"]) == (1, 2, 1)
    assert counts["without_consequence"] == 1
    assert join(vcf, clinvar(rows), tmp_path)[0]["excluded"][0] is None
    # The original calls what it does not know low.
    faithful, _ = join(vcf, clinvar(rows), tmp_path, consequences="faithful")
    assert faithful.select("impact", "score", "excluded").row(1) == ("low", 2.0, None)


def test_records_of_several_alleles_are_split(tmp_path):
    frame, counts = join(write_vcf(tmp_path / "p.vcf"), clinvar([(600, "CAT", "CATAT,C,G")]), tmp_path)
    assert frame["alt"].to_list() == ["CATAT", "C", "G"]
    assert frame["carried"].to_list() == [True, True, False]
    assert (counts["clinvar_records"], counts["clinvar_alleles"]) == (1, 3)


def test_a_filter_can_be_allowed_and_all_of_several_must_be(tmp_path):
    rows = [(400, "T", "C", "LowQ", "0/1"), (410, "T", "C", "LowQ;Odd", "0/1")]
    vcf = write_vcf(tmp_path / "p.vcf", rows)
    records = clinvar([(400, "T", "C"), (410, "T", "C")])
    frame, _ = join(vcf, records, tmp_path, filters=("PASS", "LowQ"))
    assert frame["carried"].to_list() == [True, False]


def test_of_several_records_with_the_allele_the_one_that_carries_it_counts(tmp_path):
    rows = [
        (400, "T", "C", "LowQ", "0/1"),
        (400, "T", "C", "PASS", "./."),
        (400, "T", "C", "PASS", "0/0"),
        (400, "TA", "CA", "PASS", "1/1"),
    ]
    frame, _ = join(write_vcf(tmp_path / "p.vcf", rows), clinvar([(400, "T", "C")]), tmp_path)
    assert known(frame) == [(True, "1/1", 2, None)]


def test_the_originals_rule_takes_any_record_at_the_position(tmp_path):
    rows = [(300, "G", "C"), (400, "T", "G"), (500, "A", "G"), (600, "C", "G"), (601, "A", "G"), (900, "T", "G")]
    frame, _ = join(write_vcf(tmp_path / "p.vcf"), clinvar(rows), tmp_path, match="position")
    assert frame["carried"].to_list() == [True, True, True, True, False, True]
    assert frame["genotype"].to_list() == ["./.", "0/1", "0/1", "1/2", None, "0/1"]
    assert frame["copies"].null_count() == 6


def test_a_vcf_without_samples_lists_what_the_person_has(tmp_path):
    path = tmp_path / "sites.vcf"
    path.write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr21\t100\t.\tA\tG\t.\tPASS\t.\n"
    )
    frame, counts = join(path, clinvar([(100, "A", "G"), (100, "A", "C")]), tmp_path)
    assert known(frame) == [(True, None, None, None), (False, None, None, None)]
    assert counts["vcf_without_genotype"] == 1


def test_the_persons_own_column_is_read(tmp_path):
    header = HEADER.rstrip("\n").removesuffix("\tP") + "\tQ\tP\n"
    path = tmp_path / "two.vcf"
    line = "chr21\t100\t.\tA\tG\t.\tPASS\t.\tGT\t0/0\t1/1\n"
    path.write_text(header.format(contig="chr21") + line)
    for person, copies in (("P", 2), ("Q", 0)):
        frame, _ = join(path, clinvar([(100, "A", "G")]), tmp_path, individual=person)
        assert frame["copies"].to_list() == [copies]
    with pytest.raises(SettingsError, match=r"two\.vcf has 2 samples, and none is R.*Q, P"):
        join(path, clinvar([(100, "A", "G")]), tmp_path, individual="R")


def test_errors_name_the_vcf_and_the_record(tmp_path):
    records = clinvar([(100, "A", "G")])
    with pytest.raises(SettingsError, match=r"absent\.vcf does not exist.*correct `variants`"):
        join(tmp_path / "absent.vcf", records, tmp_path)
    bad = write_vcf(tmp_path / "bad.vcf", [(100, "A", "G", "PASS", "het")])
    with pytest.raises(FormatError, match=r"chr21:100 has the genotype 'het'"):
        join(bad, records, tmp_path)
    whole = as_indexed(write_vcf(tmp_path / "cut.vcf", sorted(PERSON * 400)))
    whole.write_bytes(whole.read_bytes()[:-600])
    with pytest.raises(FormatError, match=r"cut\.vcf\.gz cannot be read"):
        join(whole, records, tmp_path)


def test_without_a_vcf_the_reads_tell(tmp_path):
    reference = random_bases(2000, seed=8)
    other = {p: "ACGT"["ACGT".index(reference[p]) - 1] for p in (500, 520, 540, 560)}
    snvs = [{500, 520}, {500}, {500, 540}, {540}, set(), set(), set(), set(), set(), set()]
    reads = [
        read_of(reference, f"r{i}", 450, "150M", snv={p: other[p] for p in shown}) for i, shown in enumerate(snvs)
    ]
    # Both reads of a pair are one piece of evidence; a deletion is found through the CIGAR.
    reads += [
        read_of(reference, "pair", 450, "150M", snv={560: other[560]}, flags=["paired", f"read{i}"])
        for i in (1, 2)
    ]
    reads += [read_of(reference, f"d{i}", 450, "21M2D129M") for i in range(3)]
    rows = [(p + 1, reference[p], alt) for p, alt in other.items()]
    rows += [(471, reference[470:473], reference[470]), (1500, reference[1499], "N")]
    with opened(write_bam(tmp_path / "reads.bam", reads)) as alignments:
        frame, counts = join(None, clinvar(rows), tmp_path, alignments=alignments, min_reads=2, min_share=0.2)
    found = frame.select("carried", "alternate_reads", "depth", "excluded").rows()
    assert found == [
        (True, 3, 14, None),
        (False, 1, 14, None),
        # Two reads, but too small a share.
        (False, 2, 14, None),
        (False, 1, 14, None),
        (True, 3, 14, None),
        (False, None, None, "not_acgt_alt"),
    ]
    assert frame.select("genotype", "copies").null_count().row(0) == (6, 6)
    assert (counts["reads"], counts["carried"], counts["dropped:mate"]) == (15, 2, 5)


def test_the_reads_cannot_tell_by_position(tmp_path):
    with pytest.raises(SettingsError, match=r"carried\.match is position"):
        join(None, clinvar([(100, "A", "G")]), tmp_path, match="position")


@pytest.mark.parametrize(
    ("allele", "minimal"),
    [
        ((10, "A", "G"), (10, "A", "G")),
        ((10, "CAT", "CATAT"), (10, "C", "CAT")),
        ((10, "CAT", "C"), (10, "CAT", "C")),
        ((10, "ACGT", "ACTT"), (12, "G", "T")),
        ((10, "GCGT", "ACGT"), (10, "G", "A")),
        ((10, "CTT", "CTTT"), (10, "C", "CT")),
        ((10, "TACG", "TGCG"), (11, "A", "G")),
        ((10, "AC", "GT"), (10, "AC", "GT")),
    ],
)
def test_the_shortest_writing_of_an_allele(allele, minimal):
    assert minimal_allele(*allele) == minimal


def test_no_records(tmp_path):
    frame, counts = join(write_vcf(tmp_path / "p.vcf", []), clinvar([]), tmp_path)
    assert frame.is_empty()
    assert counts["carried"] == 0
