"""The reader of a user's VCF on records of any shape, judged by a simple reader; and the way from alleles on."""

from __future__ import annotations

import gzip
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_assets.errors import GlmError
from glm_assets.variants.user_vcf import header_lines, read_user_vcf, record_lines, text_vcf
from glm_assets_tests.fuzz.tally import Tally, examples

pytestmark = pytest.mark.system

HEADER = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
CONTIGS = st.sampled_from(["1", "chr13", "MT", "../../x", "CON", "\u2215", "=1+1", "<script>"])
FIELDS = ("A", ".", "<DEL>", "A,C", "é", '"', "x" * 300, "a b", "*", "=HYPERLINK(1)")
# Few draws a record: hypothesis takes longer for them than the reader for the file.
RESTS = st.sampled_from(
    [tuple(FIELDS[(at + step) % len(FIELDS)] for step in range(6)) for at in range(len(FIELDS))]
)
GOOD = st.tuples(CONTIGS, st.integers(0, 10**10 - 1), RESTS).map(
    lambda own: "\t".join((own[0], str(own[1]), *own[2]))
)
ODD = st.sampled_from(
    ["", "#comment", "1", "1\t2", "1\t-5" + "\tA" * 6, "1\t5\t\tA\tC\t.\t.\t.", "1\t" + "9" * 11 + "\tA" * 6]
)
BAD = (ODD | st.text(max_size=20)).map(lambda text: text.encode("utf-8", errors="surrogatepass"))


def oracle(content: bytes):
    rows = []
    if content.startswith(b"#"):  # then the line of the columns is not the header's last
        return None
    for line in (line.rstrip(b"\r") for line in content.split(b"\n")):
        if not line or line.startswith(b"#"):
            continue
        fields = line.split(b"\t")
        if len(fields) != 8 or not all(fields) or not re.fullmatch(rb"[0-9]{1,10}", fields[1]):
            return None
        text = [field.decode("utf-8", errors="replace") for field in fields]
        rows.append((len(rows), text[0], int(text[1]), text[3], text[4]))
    return rows


def read(path):
    try:
        return read_user_vcf(path)
    except GlmError:
        return None


def test_records(tmp_path):
    tally = Tally()

    @examples(700)
    @given(
        good=st.lists(GOOD, min_size=15, max_size=25),
        bad=st.lists(BAD, max_size=2),
        place=st.randoms(use_true_random=False),
        zipped=st.booleans(),
        ending=st.sampled_from([b"\n", b"\r\n", b""]),
    )
    def fuzz(good, bad, place, zipped, ending):
        lines = [line.encode() for line in good]
        for line in bad:
            lines.insert(place.randrange(len(lines) + 1), line)
        content = (ending or b"\n").join(lines) + ending
        path = tmp_path / "x.vcf"
        path.write_bytes(gzip.compress(HEADER + content, 1) if zipped else HEADER + content)
        found, expected = read(path), oracle(content)
        tally["cases"] += len(lines)
        tally["read" if found else "refused"] += 1
        assert (found.records.rows() if found else None) == expected
        if found:
            assert len(list(record_lines(path))) == found.records.height
            assert read(path).records.equals(found.records)

    fuzz()
    tally.require("read", "refused")


def test_damaged_bytes(tmp_path):
    """Cut and flipped anywhere, from the header on."""
    good = HEADER + b"".join(b"1\t%d\t.\tA\tC\t.\t.\t.\n" % at for at in range(1, 300))
    content, chance, path, tally = gzip.compress(good, mtime=0), random.Random(3), tmp_path / "x.vcf.gz", Tally()
    (tmp_path / "scratch").mkdir()
    for number in range(1200):
        data = bytearray(content if number % 2 else good)
        for _ in range(chance.choice((1, 2))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        if number % 3 == 0:
            del data[chance.randrange(1, len(data)) :]
        path.write_bytes(data)
        try:
            header_lines(text_vcf(path, tmp_path / "scratch"))
            tally["read" if read(path) else "refused"] += 1
        except GlmError:
            tally["refused"] += 1
    assert tally["refused"] > 400
