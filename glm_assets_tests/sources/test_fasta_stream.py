import hashlib

import pytest

from glm_assets.errors import FormatError
from glm_assets.sources.fasta_stream import SequenceScan
from glm_assets_tests.sources.files import FASTA

# Worked out by hand from the definition: names and upper-case sequences, a line feed after each.
CHECKSUM = hashlib.sha256(
    b">NC_000021.9\nACGTNACGTNACGTACGTACAC\n>NT_187633.1\nTTTTTTTTTT\n>NC_012920.1\nGGCC\n"
).hexdigest()


def scan(data, *, lines=None):
    """Feed in blocks of so many lines, all at once by default; gives lengths and checksum."""
    seen = SequenceScan("x.fna")
    rows = data.splitlines(keepends=True)
    size = lines or max(len(rows), 1)
    for start in range(0, len(rows), size):
        seen.feed(b"".join(rows[start : start + size]))
    return seen.lengths, seen.finish()


@pytest.mark.parametrize("lines", [None, 1, 2, 3])
def test_contigs_and_checksum_do_not_depend_on_the_blocks(lines):
    assert scan(FASTA, lines=lines) == ({"NC_000021.9": 22, "NT_187633.1": 10, "NC_012920.1": 4}, CHECKSUM)


@pytest.mark.parametrize(
    "same",
    [
        FASTA.replace(b"\n", b"\r\n"),
        FASTA.upper().replace(b"HOMO", b"other words"),
        FASTA.replace(b"ACGTNacgtn\nACGT", b"ACGTNacgtnACGT"),
        FASTA.replace(b"\n>", b"\n\n>"),
        FASTA.rstrip(b"\n"),
    ],
)
def test_layout_case_and_descriptions_do_not_enter_the_checksum(same):
    assert scan(same)[1] == CHECKSUM


@pytest.mark.parametrize(
    "other",
    [
        FASTA.replace(b"GGCC", b"GGCA"),
        FASTA.replace(b"NT_187633.1", b"NT_187633.2"),
        FASTA.replace(b"\nGGCC", b"")
        .replace(b"TTTTTTTTTT", b"TTTTTTTTTT\nGGCC")
        .replace(b"mitochondrion", b"\nG"),
        FASTA[FASTA.index(b">NT") :] + FASTA[: FASTA.index(b">NT")],
    ],
)
def test_sequence_names_borders_and_order_do(other):
    assert scan(other)[1] != CHECKSUM


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "holds no contig"),
        (b"\n\n", "holds no contig"),
        (b"<html>not found</html>\n", r"begins with b'<html>"),
        (b"ACGT\n>a\nACGT\n", "begins with b'ACGT'"),
        (b">a\nAC GT\n", "contig a holds b' '"),
        (b">a\nACGT\n>b\nAC1\n", "contig b holds b'1'"),
        (b">a\n>b\nACGT\n", "contig a is empty"),
        (b">a\nACGT\n>b\n", "contig b is empty"),
        (b">a\nACGT\n>a second time\nACGT\n", "contig a occurs twice"),
        (b">a\nACGT\n>\nACGT\n", "the contig after a has no name"),
        (b">a\nACGT\n> b\nACGT\n", "the contig after a has no name"),
    ],
)
@pytest.mark.parametrize("lines", [None, 1])
def test_what_is_no_fasta_is_refused(data, message, lines):
    with pytest.raises(FormatError, match=rf"x\.fna is no usable FASTA: .*{message}"):
        scan(data, lines=lines)
