"""A user's VCF in every container, and what is refused."""

from __future__ import annotations

import gzip

import pysam
import pysam.bcftools
import pytest

from glm_assets.errors import FormatError, SettingsError
from glm_assets.variants.user_vcf import read_user_vcf, record_lines, text_vcf

HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=chr2>\n"
    '##INFO=<ID=NOTE,Number=1,Type=String,Description="a note">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
RECORDS = "chr1\t10\t.\tA\tC,<DEL>\t.\t.\tNOTE=<b>é</b>\nchr1\t12\t.\tg\tgt\t.\t.\t.\nchr2\t3\t.\tT\t.\t.\t.\t.\n"
ROWS = [(0, "chr1", 10, "A", "C,<DEL>"), (1, "chr1", 12, "g", "gt"), (2, "chr2", 3, "T", ".")]


def write(folder, text: str):
    path = folder / "my.vcf"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzf", "bcf", "crlf"])
def test_records_come_in_order_from_every_container(tmp_path, kind):
    path = write(tmp_path, HEADER + RECORDS)
    if kind == "gzip":
        path = tmp_path / "my.vcf.gz"
        path.write_bytes(gzip.compress((HEADER + RECORDS).encode()))
    elif kind == "bgzf":
        pysam.tabix_compress(str(path), str(tmp_path / "my.bgz"))
        path = tmp_path / "my.bgz"
    elif kind == "bcf":
        pysam.bcftools.view("-O", "b", "-o", str(tmp_path / "my.bcf"), str(path), catch_stdout=False)
        path = tmp_path / "my.bcf"
    elif kind == "crlf":
        path = write(tmp_path, (HEADER + RECORDS).replace("\n", "\r\n"))
    text = text_vcf(path, tmp_path)
    found = read_user_vcf(text)
    assert found.records.rows() == ROWS
    assert found.sorted
    assert next(record_lines(text)).endswith("NOTE=<b>é</b>".encode())


@pytest.mark.parametrize(
    ("order", "is_sorted"),
    [(["1:5", "1:5", "2:1"], True), (["1:5", "1:4"], False), (["1:5", "2:1", "1:6"], False), ([], True)],
)
def test_a_file_is_sorted_when_contigs_are_whole_and_positions_ascend(tmp_path, order, is_sorted):
    lines = [f"{place.replace(':', chr(9))}\t.\tA\tC\t.\t.\t.\n" for place in order]
    assert read_user_vcf(write(tmp_path, HEADER + "".join(lines))).sorted is is_sorted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t10\t.\tA\tC\n", "does not begin with a VCF header"),
        (HEADER + "chr1\t10\t.\tA\tC\t.\t.\n", "line 6 has 7 columns and the header 8"),
        (HEADER + "chr1\tten\t.\tA\tC\t.\t.\t.\n", "line 6 has the position 'ten'"),
        (HEADER + f"chr1\t{10**30}\t.\tA\tC\t.\t.\t.\n", "line 6 has the position"),
        (HEADER + "chr1\t10\t.\t\tC\t.\t.\t.\n", "line 6 has an empty column"),
    ],
)
def test_what_is_no_vcf_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(FormatError, match=message):
        read_user_vcf(write(tmp_path, text))


def test_a_damaged_or_absent_file_is_named(tmp_path):
    cut = tmp_path / "cut.vcf.gz"
    cut.write_bytes(gzip.compress((HEADER + RECORDS * 2000).encode())[:-200])
    with pytest.raises(FormatError, match=r"cut.vcf.gz cannot be read"):
        read_user_vcf(cut)
    with pytest.raises(SettingsError, match="GLM_USER_VCF"):
        text_vcf(tmp_path / "none.vcf", tmp_path)
