import gzip
import sys

import pytest

from glm_assets.errors import FormatError, IntegrityError, SettingsError
from glm_assets.sources.sample_tables import read_sample_table
from glm_assets.sources.sequence_files import holds_sequences, read_sequences, sequence_format
from glm_assets.storage.limits import LIMITS
from glm_assets_tests.sources.files import bgzf, bgzf_blocks, gzipped

FASTA = b">one first read\nACGT\nAC\n\n>two\nGGgN\n>three \nT\n"
FASTQ = b"@one first read\nACGTAC\n+\n!!!IIJ\n@two\nGG\n+two\n5?\n@empty\n\n+\n\n"


@pytest.fixture
def write(tmp_path):
    def _write(data, name="reads.txt"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return _write


def rows(path, **options):
    return [row for batch in read_sequences(path, **options) for row in batch.iter_rows()]


@pytest.mark.parametrize("pack", [bytes, gzipped, bgzf])
@pytest.mark.parametrize("change", [bytes, lambda data: data.replace(b"\n", b"\r\n"), lambda data: data.rstrip()])
def test_a_fasta_comes_back_whatever_its_lines_and_its_name(write, pack, change):
    path = write(pack(change(FASTA)), "reads.fastq")
    assert rows(path) == [
        ("one", "first read", "ACGTAC", None),
        ("two", None, "GGgN", None),
        ("three", None, "T", None),
    ]


@pytest.mark.parametrize("pack", [bytes, gzipped])
@pytest.mark.parametrize("change", [bytes, lambda data: data.replace(b"\n", b"\r\n")])
def test_a_fastq_comes_back_with_its_mean_qualities(write, pack, change):
    # '!' is 0, 'I' 40, 'J' 41, '5' 20 and '?' 30.
    assert rows(write(pack(change(FASTQ)), "reads.fa")) == [
        ("one", "first read", "ACGTAC", pytest.approx(121 / 6)),
        ("two", None, "GG", 25.0),
        ("empty", None, "", None),
    ]


@pytest.mark.parametrize("data", [b"", b"\n \n", gzipped(b"")])
def test_an_empty_file_has_no_batch(write, data):
    path = write(data)
    assert sequence_format(path) is None
    assert holds_sequences(path)
    assert list(read_sequences(path)) == []


def test_an_editors_mark_is_passed_over(write):
    assert rows(write(b"\xef\xbb\xbf>a\nA\n")) == [("a", None, "A", None)]


def test_batches_hold_as_many_reads_and_bases_as_they_may(write):
    path = write(b"".join(b">r%d\n%s\n" % (number, b"A" * (number % 7)) for number in range(100)))
    whole = rows(path)
    by_reads = list(read_sequences(path, batch_reads=9))
    assert [batch.height for batch in by_reads] == [9] * 11 + [1]
    by_bases = list(read_sequences(path, batch_bases=20))
    assert len(by_bases) > 10
    assert all(20 <= batch["sequence"].str.len_bytes().sum() < 26 for batch in by_bases[:-1])
    for batches in (by_reads, by_bases):
        assert [row for batch in batches for row in batch.iter_rows()] == whole


@pytest.mark.parametrize(
    ("data", "record"),
    [
        (b"@a\nACGT\n+\nIIII\n@b\nACGT\n+\nII\n", 2),
        (b"@a\nACGT\n+\nIIII\n@b\nACGT\n", 2),
        (b"@a\nACGT\n+\nIIII\n@b\nA\n+c\nI\n", 2),
        (b"@a\nACGT\n+\nIIII\n@b\nA\n+\nI\n>c\nA\n", 3),
        (b"@a\nAC\nGT\n+\nIIII\n", 1),
        (b">a\nAC\n>b\n\xff\n", 1),
    ],
)
def test_a_damaged_record_is_named_with_what_was_expected(write, data, record):
    with pytest.raises(FormatError, match=rf"reads\.txt: record {record} .*Expected: FAST[AQ].*Fix: "):
        rows(write(data))


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"ACGT\n", "ACGT"),
        (b"BZh91", "bzip2"),
        (b"\xff\xfe>\0", "UTF-16"),
        (b"PK\x03\x04", "zip"),
        (b"a,b\n", "a,b"),
    ],
)
def test_what_is_neither_fasta_nor_fastq_is_named(write, data, named):
    path = write(data)
    with pytest.raises(FormatError, match=named):
        rows(path)
    assert not holds_sequences(path)


def test_a_truncated_gzip_file_is_damaged_even_between_records(write):
    data = gzip.compress(b"".join(b">r%d\n%s\n" % (n, b"ACGT" * 30) for n in range(20_000)), 1)
    for cut in (len(data) // 2, len(data) - 4):
        with pytest.raises(IntegrityError, match=r"reads\.txt is damaged"):
            rows(write(data[:cut]), batch_reads=100)


def test_a_bgzf_file_that_lacks_a_block_is_damaged(write):
    whole = bgzf(b">a\nACGT\n" * 50_000)
    with pytest.raises(IntegrityError, match="end marker"):
        rows(write(whole[: bgzf_blocks(whole)[-1]]))


@pytest.mark.parametrize("pack", [bytes, gzipped])
def test_a_file_beyond_the_limit_is_refused(write, monkeypatch, pack):
    path = write(pack(b">a\n" + b"ACGT\n" * 1_000_000))
    monkeypatch.setattr(LIMITS, "max_bytes", 4_000_000)
    with pytest.raises(IntegrityError, match="GLM_MAX_GB"):
        rows(path)


def test_an_endless_line_is_refused(write, monkeypatch):
    path = write(gzipped(b">a\n" + b"A" * 5_000_000))
    monkeypatch.setattr(LIMITS, "longest_line", 2_000_000)
    with pytest.raises(IntegrityError, match="line of more than"):
        rows(path)


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("pack", [bytes, gzipped])
def test_a_table_of_samples_comes_back_in_batches(write, delimiter, pack):
    lines = ["note|Sample_ID|sequence", 'x|s1|"ACGT"', "||", "y|s2|GG", 'z|"s1"|T']
    text = "\ufeff" + "\r\n".join(lines).replace("|", delimiter)
    path = write(pack(text.encode()))
    batches = list(read_sample_table(path, batch_reads=2))
    assert [batch.height for batch in batches] == [2, 1]
    found = [row for batch in batches for row in batch.iter_rows()]
    assert found == [("s1:0", "s1", "ACGT"), ("s2:1", "s2", "GG"), ("s1:2", "s1", "T")]


def test_a_table_may_name_its_columns_otherwise_and_hold_long_sequences(write):
    path = write(b"dna,who\n" + b"A" * 200_000 + b",me\n")
    (batch,) = read_sample_table(path, sample_column="who", sequence_column="dna")
    assert batch["sample"].to_list() == ["me"]
    assert batch["sequence"].str.len_bytes().to_list() == [200_000]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "is empty"),
        (b"sample,sequence\na,A\n", "no column sample_id.*Expected.*sample_id, sequence"),
        (b"sample_id,sequence\na,A\n,C\n", "line 3: sample_id is empty"),
        (b"sample_id,sequence\na,A\nb\n", "line 3: 1 fields"),
        (b'sample_id,sequence\na,"A"x\n', "broken quotes"),
        (b"sample_id,sequence\na,\xff\n", "no text in UTF-8"),
        (b"sample_id,sequence,sequence\na,A,C\n", "sequence twice"),
    ],
)
def test_a_broken_table_is_named_with_its_line(write, data, named):
    with pytest.raises(FormatError, match=named):
        list(read_sample_table(write(data)))


def test_a_missing_library_is_told_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "dnaio", None)
    with pytest.raises(SettingsError, match=r"glm_assets\[studies\]"):
        list(read_sequences(tmp_path / "reads.fa"))
