"""Annotated VCFs: what is added, and that nothing else changes."""

from __future__ import annotations

import gzip
import shutil
import subprocess

import polars as pl
import pysam
import pytest

from glm_assets.storage.schemas import SCORED_VARIANTS
from glm_assets.variants.annotate import FIELDS, annotate_vcf

HEADER = (
    b"##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n"
    b'##INFO=<ID=NOTE,Number=1,Type=String,Description="a note">\n'
    b'##INFO=<ID=GLM_PROBE,Number=1,Type=Float,Description="of an earlier run">\n'
    b'##INFO=<ID=DB,Number=0,Type=Flag,Description="x">\n##glm_assets=<ID=scores,Head="old">\n'
    b'##FILTER=<ID=q10,Description="low">\n##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
    b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
)
RECORDS = [
    b"chr1\t10\trs1\tA\tC,T\t50.00\tPASS\tDB;GLM_PROBE=0.5;NOTE=<b onclick='x'>&\xc3\xa9</b>\tGT\t0/1",
    b"chr1\t20\t.\tA\t<DEL>\t1e-3\tq10\t.\tGT\t./.",
    b"chr1\t20\t.\tG\t.\t.\t.\tGLM_PROBE=1\tGT\t0|0",
    b"chr1\t30\t.\tN\tC\t.\t.\tNOTE=\xff\xfe\tGT\t1/1",
]
FIRST_INFO = (
    b"DB;NOTE=<b onclick='x'>&\xc3\xa9</b>;GLM_DISTANCE=0.25,.;GLM_RAW_DISTANCE=1.5e-07,.;GLM_PROBE=0.75,.;"
    b"GLM_LLR=-3,.;GLM_REASON=.,ref_mismatch"
)
# record, alt_index, head_distance, raw_distance, probe, llr, reason
SCORES = [
    (0, 0, 0.25, 1.5e-7, 0.75, -3.0, None),
    (0, 1, None, None, None, None, "ref_mismatch"),
    (1, 0, None, None, None, None, "symbolic_alt"),
    (2, 0, None, None, None, None, "no_alt"),
    (3, 0, 0.123456789, 0.5, None, 1e-5, None),
]


def table(scores) -> pl.DataFrame:
    rows = [("1", 1, "A", "C", *row) for row in scores]
    return pl.DataFrame(rows, SCORED_VARIANTS.schema, orient="row")


@pytest.fixture
def annotated(tmp_path):
    source, dest = tmp_path / "my.vcf", tmp_path / "scored.vcf.gz"
    source.write_bytes(HEADER + b"\n".join(RECORDS) + b"\n")
    meta = {"Head": 'head "three", new', "EncoderFingerprint": "abc"}
    return source, dest, annotate_vcf(source, dest, table(SCORES), meta, index=True)


def test_every_byte_but_info_and_its_declarations_stays(annotated):
    _, dest, done = annotated
    assert (done.records, done.unindexed, done.replaced) == (4, None, ("GLM_PROBE",))
    text = gzip.decompress(dest.read_bytes())
    header = [line for line in text.split(b"\n") if line.startswith(b"#")]
    ours = [line for line in header if b"GLM_" in line or line.startswith(b"##glm_assets")]
    gone = [line for line in HEADER.split(b"\n") if b"GLM_PROBE" in line or b"##glm_assets" in line]
    assert [line for line in header if line not in ours] == [
        line for line in HEADER.split(b"\n")[:-1] if line not in gone
    ]
    assert len(ours) == len(FIELDS) + 1
    assert ours[-1] == b'##glm_assets=<ID=scores,Head="head \\"three\\", new",EncoderFingerprint="abc">'
    records = [line.split(b"\t") for line in text.split(b"\n") if line and not line.startswith(b"#")]
    before = [line.split(b"\t") for line in RECORDS]
    assert [line[:7] + line[8:] for line in records] == [line[:7] + line[8:] for line in before]
    assert [line[7] for line in records] == [
        FIRST_INFO,
        b"GLM_REASON=symbolic_alt",
        b"GLM_REASON=no_alt",
        b"NOTE=\xff\xfe;GLM_DISTANCE=0.123457;GLM_RAW_DISTANCE=0.5;GLM_LLR=1e-05",
    ]


def test_pysam_reads_the_declared_fields_through_the_index(annotated):
    _, dest, _ = annotated
    with pysam.VariantFile(str(dest)) as file:
        [first] = list(file.fetch("chr1", 9, 10))
        assert first.info["GLM_DISTANCE"] == pytest.approx((0.25, None))
        assert first.info["GLM_REASON"] == (None, "ref_mismatch") or first.info["GLM_REASON"][1] == "ref_mismatch"
        assert len(list(file.fetch("chr1"))) == 4
        assert file.header.info["GLM_LLR"].number == "A"


def test_bcftools_reads_it_and_gives_the_same_back(annotated, tmp_path):
    if not (bcftools := shutil.which("bcftools")):
        pytest.skip("no bcftools: apt-get install -y bcftools")
    _, dest, _ = annotated
    bcf, back = tmp_path / "a.bcf", tmp_path / "b.vcf"
    run = [
        subprocess.run([bcftools, "view", "--no-version", *options], check=True, capture_output=True)
        for options in (["-O", "b", "-o", str(bcf), str(dest)], ["-o", str(back), str(bcf)])
    ]
    assert [done.stderr for done in run] == [b"", b""]
    asked = ["query", "-f", "%POS %GLM_DISTANCE %GLM_REASON\n", "-r", "chr1:10-20", str(dest)]
    answer = subprocess.run([bcftools, *asked], check=True, capture_output=True, text=True).stdout
    assert answer == "10 0.25,. .,ref_mismatch\n20 . symbolic_alt\n20 . no_alt\n"
    text = back.read_bytes()
    assert [line.split(b"\t")[7] for line in text.splitlines() if not line.startswith(b"#")] == [
        line.split(b"\t")[7]
        for line in gzip.decompress(dest.read_bytes()).splitlines()
        if not line.startswith(b"#")
    ]


def test_an_unsorted_file_is_written_without_an_index_and_one_without_records_with_one(tmp_path):
    source = tmp_path / "my.vcf"
    source.write_bytes(HEADER + b"\n".join(RECORDS[::-1]) + b"\n")
    rows = [(number, 0, None, None, None, None, "no_alt") for number in range(3)] + [
        (3, 0, *[None] * 5),
        (3, 1, *[None] * 5),
    ]
    done = annotate_vcf(source, tmp_path / "a.vcf.gz", table(rows), {}, index=False)
    assert str(done.unindexed).startswith("the records are not sorted")
    assert {path.name for path in tmp_path.iterdir()} == {"my.vcf", "a.vcf.gz"}
    source.write_bytes(HEADER)
    assert annotate_vcf(source, tmp_path / "b.vcf.gz", table([]), {}, index=True).records == 0
    with pysam.VariantFile(str(tmp_path / "b.vcf.gz")) as file:
        assert list(file) == []
    assert (tmp_path / "b.vcf.gz.tbi").is_file()


@pytest.mark.parametrize(
    ("far", "indexed"),
    [
        (b"chr1\t536870912\t.\tA\tC\t.\t.\t.\tGT\t0/1", True),
        (b"chr1\t536870913\t.\tA\tC\t.\t.\t.\tGT\t0/1", False),
        (b"chr1\t9999999999\t.\tA\tC\t.\t.\t.\tGT\t0/1", False),
        (b"chr1\t50\t.\tA\t<DEL>\t.\t.\tEND=600000000\tGT\t0/1", False),
    ],
)
def test_a_file_with_a_position_that_a_tbi_cannot_hold_is_written_whole_without_one(tmp_path, far, indexed):
    source, dest = tmp_path / "my.vcf", tmp_path / "a.vcf.gz"
    source.write_bytes(HEADER + RECORDS[1] + b"\n" + far + b"\n")
    rows = [(0, 0, *[None] * 4, "symbolic_alt"), (1, 0, *[None] * 4, "window_outside_contig")]
    done = annotate_vcf(source, dest, table(rows), {}, index=True)
    assert done.records == 2
    assert (done.unindexed is None) is indexed
    assert {path.name for path in tmp_path.iterdir()} == {
        "my.vcf",
        "a.vcf.gz",
        *(["a.vcf.gz.tbi"] if indexed else []),
    }
    if not indexed:
        assert "536,870,912" in str(done.unindexed)
    last = gzip.decompress(dest.read_bytes()).splitlines()[-1].split(b"\t")
    assert last[:2] == far.split(b"\t")[:2]
    assert last[7].endswith(b"GLM_REASON=window_outside_contig")


def test_a_record_whose_only_info_was_an_older_value_of_ours_keeps_an_info(tmp_path):
    source, dest = tmp_path / "my.vcf", tmp_path / "a.vcf.gz"
    source.write_bytes(HEADER + RECORDS[2] + b"\n")
    annotate_vcf(source, dest, table([(0, 0, *[None] * 5)]), {}, index=True)
    assert gzip.decompress(dest.read_bytes()).splitlines()[-1] == b"chr1\t20\t.\tG\t.\t.\t.\t.\tGT\t0|0"
