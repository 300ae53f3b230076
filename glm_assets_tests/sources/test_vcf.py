import gzip
from itertools import groupby

import polars as pl
import pyarrow.parquet as pq
import pytest

from glm_assets.errors import FormatError, IntegrityError
from glm_assets.sources import vcf as vcf_module
from glm_assets.sources.vcf import parse_records
from glm_assets.storage.schemas import RECORDS
from glm_assets_tests.sources.files import HEADER, bgzf, bgzf_blocks, gzipped, record

PLAIN = ("CLNSIG", "CLNREVSTAT", "GENEINFO", "MC", "RS")


def oracle(path):
    """The same table, made record by record with nothing but Python; None stands for a foreign contig."""
    aliases = {"M": "MT", "NC_000021.9": "21"} | {name: name for name in [*map(str, range(1, 23)), "X", "Y", "MT"]}
    rows, others, number = [], {}, 0
    with gzip.open(path, "rt", encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            if line.startswith("#"):
                continue
            chrom, pos, name, ref, alt, _, filters, info = line.rstrip("\r\n").split("\t")
            keys = {}
            for item in info.split(";"):
                key, equals, value = item.partition("=")
                if equals:
                    keys.setdefault(key, value)
            clnsig, clnrevstat, geneinfo, mc, rs = (keys.get(key) for key in PLAIN)
            gene = geneinfo.split(":")[0] if geneinfo is not None else None
            known = aliases.get(chrom.removeprefix("chr"))
            if known is None:
                others[chrom] = others.get(chrom, 0) + 1
            else:
                fixed = (known, int(pos), int(name) if name.isdigit() else None, ref, alt, filters)
                rows.append((*fixed, clnsig, clnrevstat, gene, geneinfo, mc, rs, number))
            number += 1
    return rows, others


ODD_RECORDS = [
    record(1, info="CLNSIGCONF=Benign(1)|Pathogenic(2);CLNSIG=Conflicting_classifications_of_pathogenicity"),
    record(2, info="CLNSIGINCL=5:Pathogenic;XCLNSIG=Benign;RS=7"),  # no CLNSIG at all
    record(3, info="RS=1;CLNSIG=Pathogenic/Likely_pathogenic,_low_penetrance|other;MC=SO:1|a,SO:2|b"),
    record(4, info="GENEINFO=BRCA2:675|ZAR1L:646799;CLNREVSTAT=criteria_provided,_single_submitter"),
    record(5, info="GENEINFO=:1;CLNSIG=;MC"),  # empty values and a flag
    record(6, info="CLNDN=a=b,MC=x;MC=SO:3|c=d;RS=8|9"),  # equals signs inside values
    record(7, info="."),
    record(8, info='CLNDN="quoted;CLNSIG=Benign;RS=10"'),
    record(9, info="CLNSIG=Benign;CLNSIG=Pathogenic"),  # the first one counts
    record(10, info="CLNDN=Sj\xf6gren;CLNSIG=Benign").decode().encode("latin-1"),  # not UTF-8
    record(11, info="CLNDN=Sjögren;CLNSIG=Benign"),
    b"1\t12\trs99\tACGT\t.\t.\tPASS\tCLNSIG=Benign\n",
    b"1\t13\t.\tA\tC,G\t50\tq10;s50\tCLNSIG=Benign\n",
    b"1\t14\t\tA\t<DEL>\t.\t.\tRS=\n",
    b"1\t15\t15\ta\tn\t.\t.\t;;CLNSIG=Benign;\n",
    record(5, contig="NT_187633.1"),
    record(9, contig="chr2"),
    record(10, contig="2"),
    record(3, contig="NC_000021.9"),
    record(1, contig="NW_009646201.1"),
    record(1, contig="X"),
    record(2, contig="NT_187633.1"),
    record(1, contig="M"),
    record(2, contig="NC_000001x"),
]


@pytest.fixture
def parse(tmp_path):
    """Parse the bytes of a VCF file; gives the counts and the table."""

    def run(data):
        source = tmp_path / "clinvar.vcf.gz"
        source.write_bytes(data)
        counts = parse_records(source, tmp_path / "records.parquet")
        return counts, pl.read_parquet(tmp_path / "records.parquet")

    return run


@pytest.mark.parametrize("pack", [gzipped, bgzf])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_odd_records_are_read_as_a_plain_loop_reads_them(parse, tmp_path, pack, line_end):
    counts, table = parse(pack((HEADER + b"".join(ODD_RECORDS)).replace(b"\n", line_end)))
    rows, others = oracle(tmp_path / "clinvar.vcf.gz")
    assert table.schema == RECORDS.schema
    assert table.rows() == rows
    assert counts.foreign == others == {"NT_187633.1": 2, "NW_009646201.1": 1, "NC_000001x": 1}
    assert counts.by_chromosome == {"1": 15, "2": 2, "21": 1, "X": 1, "MT": 1}
    assert counts.records == len(ODD_RECORDS)


def test_the_last_line_needs_no_end(parse):
    counts, table = parse(gzipped((HEADER + record(1) + record(2)).rstrip(b"\n")))
    assert counts.records == table.height == 2
    assert table["rs"].to_list() == ["1", "2"]


def test_format_and_sample_columns_are_allowed(parse):
    header = HEADER.replace(b"INFO\n", b"INFO\tFORMAT\tme\n")
    _, table = parse(gzipped(header + record(1).replace(b"\n", b"\tGT\t0/1\n")))
    assert table["rs"].to_list() == ["1"]


def test_row_groups_hold_one_chromosome_each_whatever_the_batches(parse, tmp_path, monkeypatch):
    monkeypatch.setattr(vcf_module, "_BATCH_ROWS", 40)
    contigs = ["1"] * 100 + ["NT_1.1"] * 5 + ["2"] * 7 + ["X"] * 50
    counts, table = parse(bgzf(HEADER + b"".join(record(n, contig=c) for n, c in enumerate(contigs))))
    assert counts.by_chromosome == {"1": 100, "2": 7, "X": 50}
    assert table["record"].to_list() == [*range(100), *range(105, 162)]
    assert table["pos"].to_list() == table["record"].to_list()
    file = pq.ParquetFile(tmp_path / "records.parquet")
    groups = [file.read_row_group(index)["chrom"].unique().to_pylist() for index in range(file.num_row_groups)]
    assert all(len(chroms) == 1 for chroms in groups)
    assert [chrom for [chrom], _ in groupby(groups)] == ["1", "2", "X"]
    assert len(groups) > 3


def test_the_same_file_gives_the_same_bytes(parse, tmp_path):
    data = bgzf(HEADER + b"".join(ODD_RECORDS))
    written = set()
    for _ in range(2):
        parse(data)
        written.add((tmp_path / "records.parquet").read_bytes())
    assert len(written) == 1


LONG = HEADER + b"".join(record(position) for position in range(1, 40_000))


@pytest.mark.parametrize("pack", [gzipped, bgzf])
@pytest.mark.parametrize("kept", [0.0005, 0.5, 0.999])
def test_a_file_cut_short_is_damaged_and_nothing_is_written(parse, tmp_path, pack, kept):
    data = pack(LONG)
    with pytest.raises(IntegrityError, match=r"clinvar\.vcf\.gz is damaged"):
        parse(data[: int(len(data) * kept)])
    assert [path.name for path in tmp_path.iterdir()] == ["clinvar.vcf.gz"]


def test_bgzf_cut_between_blocks_is_damaged(parse):
    data = bgzf(LONG)
    with pytest.raises(IntegrityError, match="end marker"):
        parse(data[: bgzf_blocks(data)[-3]])


@pytest.mark.parametrize("at", [0.2, 0.9])
def test_a_flipped_byte_is_damage_and_not_a_bad_line(parse, at):
    data = bytearray(bgzf(LONG))
    data[int(len(data) * at)] ^= 0xFF
    with pytest.raises(IntegrityError):
        parse(data)


def test_a_line_that_damage_has_changed_is_not_blamed(parse):
    data = gzip.compress(LONG * 2, compresslevel=0)  # stored as it is, so that only the checksum at the end tells
    at = data.index(b"\t900\t")
    with pytest.raises(IntegrityError, match="CRC"):
        parse(data[:at] + b"x" + data[at + 1 :])


def test_damage_does_not_replace_a_good_table(parse, tmp_path):
    parse(gzipped(HEADER + record(1)))
    with pytest.raises(IntegrityError):
        parse(gzipped(LONG)[:-50])
    assert pl.read_parquet(tmp_path / "records.parquet").height == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1\t7\t7\tA\tC\n", r"line 7: 5 columns where the header has 8"),
        (record(7).replace(b"\n", b"\textra\n"), r"line 7: 9 columns where the header has 8"),
        (record(7).replace(b"\n", b"\t\n"), r"line 7: 9 columns"),
        (record(7).replace(b"1\t7\t", b"1\tseven\t"), r"line 7: POS is 'seven'"),
        (record(7).replace(b"1\t7\t", b"1\t-7\t"), r"line 7: POS is '-7'"),
        (record(7).replace(b"1\t7\t", b"1\t2147483648\t"), r"line 7: POS is '2147483648'"),
        (record(7).replace(b"1\t7\t", b"1\t%s\t" % (b"9" * 5_000)), r"line 7: POS is '9999"),
        (record(7).replace(b"1\t7\t", b"1\t\t"), r"line 7: POS is empty"),
        (record(7).replace(b"1\t7\t", b"\t7\t"), r"line 7: CHROM is empty"),
        (record(7).replace(b"\t.\t.\t", b"\t\t.\t"), r"line 7: QUAL is empty"),
        (record(7, info=""), r"line 7: INFO is empty"),
        (b"\n", r"line 7: the line is empty"),
        (b"some prose\n", r"line 7: 1 columns"),
    ],
)
@pytest.mark.parametrize("place", ["middle", "end"])
def test_a_bad_line_is_named(parse, tmp_path, line, message, place):
    good = [record(position) for position in (1, 2, 3)]
    rest = [record(9)] if place == "middle" else []
    with pytest.raises(FormatError, match=rf"clinvar\.vcf\.gz, {message}"):
        parse(gzipped(HEADER + b"".join([*good, line, *rest])))
    assert not (tmp_path / "records.parquet").exists()


def test_a_bad_first_record_is_named(parse):
    with pytest.raises(FormatError, match="line 4: 2 columns"):
        parse(gzipped(HEADER + b"1\t7\n" + record(8)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (record(1), r"line 1: '1\\t1\\t1.* stands where the column header should"),
        (b"##fileformat=VCFv4.1\n" + record(1), r"line 2: .* stands where"),
        (HEADER.replace(b"\tINFO", b"") + record(1), r"line 3: .*#CHROM<tab>POS"),
        (b"##fileformat=VCFv4.1\n", "has no #CHROM line"),
        (b"", "no #CHROM line"),
        (b"<html>not found</html>", "line 1: '<html>"),
        (HEADER, "holds no record"),
        (HEADER + record(1, contig="NT_1.1"), "holds no record"),
    ],
)
def test_a_file_that_is_no_release_is_refused(parse, tmp_path, data, message):
    with pytest.raises(FormatError, match=message):
        parse(gzipped(data))
    assert not (tmp_path / "records.parquet").exists()


def test_text_that_is_not_compressed_is_refused(parse):
    with pytest.raises(FormatError, match="no gzip file"):
        parse(HEADER + record(1))


def test_a_chromosome_that_comes_back_is_refused(parse):
    contigs = ["1", "2", "NT_1.1", "2", "chr1"]
    with pytest.raises(FormatError, match=r"record 4 goes back to chromosome 1 after chromosome 2.*bcftools sort"):
        parse(gzipped(HEADER + b"".join(record(n, contig=c) for n, c in enumerate(contigs))))


def test_progress_ends_with_the_number_of_records(tmp_path):
    (tmp_path / "a.vcf.gz").write_bytes(gzipped(LONG))
    lines = []
    parse_records(tmp_path / "a.vcf.gz", tmp_path / "a.parquet", progress=lines.append)
    assert lines[-1].startswith("a.vcf.gz: 39,999 records in ")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "by_chromosome"),
    [
        ("clinvar_20260226.vcf.gz", {"3": 500, "5": 500, "11": 500, "13": 21_033, "17": 5_500}),
        ("clinvar_20251116.vcf.gz", {"13": 20_601}),
    ],
)
def test_a_real_release_is_read_as_a_plain_loop_reads_it(real_data, tmp_path, name, by_chromosome):
    source = real_data / "ncbi_mirror/pub/clinvar/vcf_GRCh38/weekly" / name
    counts = parse_records(source, tmp_path / "records.parquet")
    assert counts.by_chromosome == by_chromosome
    assert counts.foreign == {}
    assert pl.read_parquet(tmp_path / "records.parquet").rows() == oracle(source)[0]
