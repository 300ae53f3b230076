"""The VCF reader on records and compressed bytes that no ClinVar release holds, judged by a simple reader."""

from __future__ import annotations

import gzip
import random
import re

import polars as pl
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_assets.errors import GlmError
from glm_assets.sources.vcf import parse_records
from glm_assets_tests.fuzz.tally import Tally, examples

pytestmark = pytest.mark.system

HEADER = b"##fileformat=VCFv4.1\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
CHROMOSOMES = {str(number): str(number) for number in range(1, 23)} | {"X": "X", "Y": "Y", "MT": "MT", "M": "MT"}
_LINE = b"%d\t%d\t%d\tA\tC\t.\t.\tCLNSIG=Benign\n"
INFO_COLUMNS = {"clnsig": "CLNSIG", "clnrevstat": "CLNREVSTAT", "geneinfo": "GENEINFO", "mc": "MC", "rs": "RS"}

# Mostly records as ClinVar writes them: a file with one bad line is refused as a whole, and says little more.
GOOD = st.tuples(
    st.integers(0, 2**31 - 1).map(str) | st.sampled_from(["0", "1", "2147483647", "0013"]),
    st.sampled_from(["12345", "7", "."]),
    st.sampled_from(["A", "ACGT", "N"]),
    st.sampled_from(["C", "<DEL>", "*", "."]),
    st.just("."),
    st.sampled_from([".", "PASS"]),
    st.sampled_from(
        [
            *(".", "CLNSIG=Benign", "CLNSIGCONF=x;CLNSIG=Pathogenic;RS=5", "GENEINFO=BRCA2:675|X:1;MC=SO:1|a"),
            *(
                "GENEINFO=<script>alert(1)</script>:1",
                "CLNSIG==HYPERLINK(1)",
                "GENEINFO=../../x:1",
                ";;;",
                "CLNSIG=",
            ),
            *("RS", "CLNSIG=é\u2215;RS=1", '"unclosed', "CLNSIG=a;CLNSIG=b", "XCLNSIG=no"),
        ]
    ),
).map(lambda fields: "\t".join(fields).encode())
TEXT = st.sampled_from(
    [b"", b"-1", b"+5", b" 5", b"1e3", b"2147483648", b"9" * 30, b"\xff\xfe", b"\0", b"a,b", b'"', b"x" * 999]
)
BAD_FIELDS = st.lists(TEXT | st.sampled_from([b"1", b"A", b"."]), min_size=1, max_size=10).map(b"\t".join)
CONTIGS = st.sampled_from(["1", "13", "X", "MT", "chr22", "NT_1", "../../x", "CON", "#", '"', "NW_9"])


def oracle(content: bytes):
    """What a file holds: (records, by chromosome, foreign, rows), or None where a line is not plainly right."""
    by_chromosome, foreign, rows, records, last = {}, {}, [], 0, None
    for line in content.decode("utf-8", errors="replace").removesuffix("\n").split("\n"):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 8 or not all(fields[:2] + fields[3:]) or not re.fullmatch("[0-9]{1,10}", fields[1]):
            return None
        if int(fields[1]) >= 2**31 or "\r" in line:
            return None
        chrom = CHROMOSOMES.get(fields[0].removeprefix("chr"))
        tally, name = (by_chromosome, chrom) if chrom else (foreign, fields[0])
        if chrom and chrom in tally and chrom != last:
            return None
        last = chrom or last
        tally[name] = tally.get(name, 0) + 1
        if chrom:
            rows.append({"chrom": chrom, "record": records, **row(fields)})
        records += 1
    return (records, by_chromosome, foreign, rows) if rows else None


def row(fields: list[str]) -> dict[str, object]:
    values = {}
    for entry in fields[7].split(";"):
        key, equals, value = entry.partition("=")
        if equals:
            values.setdefault(key, value)
    found = {column: values.get(key) for column, key in INFO_COLUMNS.items()}
    number = int(fields[2]) if re.fullmatch("[0-9]{1,18}", fields[2]) else None
    gene = found["geneinfo"].split(":")[0] if found["geneinfo"] is not None else None
    return {
        "pos": int(fields[1]),
        "variation_id": number,
        "ref": fields[3],
        "alt": fields[4],
        "gene": gene,
    } | found


def parsed(path, out):
    """Counts and rows of a file, or None where it is refused by one of our errors."""
    out.unlink(missing_ok=True)
    try:
        counts = parse_records(path, out)
    except GlmError:
        assert not out.exists()
        return None
    rows = pl.read_parquet(out)
    assert (
        counts.records
        == rows.height + sum(counts.foreign.values())
        == sum([*counts.by_chromosome.values(), *counts.foreign.values()])
    )
    return counts.records, counts.by_chromosome, counts.foreign, rows


def agree(found, expected) -> bool:
    if found is None or found[:3] != expected[:3]:
        return False
    names = list(expected[3][0])
    return found[3].select(names).to_dicts() == expected[3]


RUNS = st.lists(
    st.tuples(CONTIGS, st.lists(GOOD, min_size=2, max_size=12)),
    min_size=2,
    max_size=5,
    unique_by=lambda run: run[0],
)


def test_records(tmp_path):
    tally = Tally()
    path, out = tmp_path / "x.vcf.gz", tmp_path / "out.parquet"

    @examples(650)
    @given(
        runs=RUNS,
        bad=st.lists(BAD_FIELDS, max_size=2),
        place=st.randoms(use_true_random=False),
        ending=st.sampled_from([b"\n", b"\n", b"\n", b"", b"\r\n"]),
    )
    def fuzz(runs, bad, place, ending):
        lines = [contig.encode() + b"\t" + record for contig, records in runs for record in records]
        for line in bad:
            lines.insert(place.randrange(len(lines) + 1), line)
        content = b"\n".join(lines) + ending
        path.write_bytes(gzip.compress(HEADER + content, 1))
        found, expected = parsed(path, out), oracle(content)
        tally["cases"] += len(lines)
        tally["read" if found else "refused"] += 1
        again = parsed(path, out)
        assert (found is None) == (again is None)
        if found and again:
            assert found[:3] == again[:3]
            assert found[3].equals(again[3])
        if expected:
            assert agree(found, expected)
            tally["judged"] += 1

    fuzz()
    tally.require("read", "refused", "judged")


@pytest.mark.parametrize("kind", ["gzip", "bgzf"])
def test_damaged_bytes(tmp_path, kind):
    """Cut, flipped and doubled anywhere: refused, or read exactly as it was."""
    good = HEADER + b"".join(
        b"%d\t%d\t%d\tA\tC\t.\t.\tCLNSIG=Benign\n" % (1 + at // 100, at, at) for at in range(1, 300)
    )
    whole, path, out = tmp_path / "good.vcf.gz", tmp_path / "x.vcf.gz", tmp_path / "out.parquet"
    if kind == "bgzf":
        with pysam.BGZFile(str(whole), "wb") as stream:
            for start in range(0, len(good), 2000):
                stream.write(good[start : start + 2000])
                stream.flush()
    else:
        whole.write_bytes(gzip.compress(good, mtime=0))
    content, expected, tally = whole.read_bytes(), parsed(whole, out), Tally()
    chance = random.Random(7)
    for _ in range(1000):
        data = bytearray(content)
        for _ in range(chance.choice((1, 1, 3))):
            at = chance.randrange(len(data))
            change = chance.choice(("cut", "flip", "flip", "drop", "double"))
            if change == "cut":
                del data[max(at, 1) :]
            elif change == "flip":
                data[at] ^= 1 << chance.randrange(8)
            elif change == "drop":
                del data[at : at + chance.randrange(40)]
            else:
                data[at:at] = data[at : at + chance.randrange(40)]
            if len(data) < 2:
                break
        path.write_bytes(data)
        found = parsed(path, out)
        tally["read" if found else "refused"] += 1
        assert found is None or (found[:3] == expected[:3] and found[3].equals(expected[3]))
    assert tally["refused"] > 500
