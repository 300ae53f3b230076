import gzip
from collections import Counter

import pytest

from glm_assets.errors import FormatError, ReferenceMismatchError
from glm_assets.sources.annotation import read_annotation

LENGTHS = {"Chr1": 10_000, "chrM": 500}
HEAD = "##gff-version 3\n##sequence-region Chr1 1 10000\n"


def row(kind, start, end, attributes, *, contig="Chr1", strand="+", phase="."):
    return "\t".join((contig, "test", kind, str(start), str(end), ".", strand, phase, attributes)) + "\n"


GENE = row("gene", 101, 900, "ID=g1;Name=one%3B1, b", strand="-")
WHOLE = (
    HEAD
    + row("region", 1, 10_000, "ID=Chr1:1..10000")
    + GENE
    + row("mRNA", 101, 900, "ID=t1;Parent=g1", strand="-")
    + row("mRNA", 101, 800, "ID=t2; Parent=g1;Note=a%3Bb%2Cc", strand="-")
    + row("exon", 701, 900, "Parent=t1,t2;ID=e1", strand="-")
    + row("CDS", 701, 850, "ID=c1;Parent=t1", strand="-", phase="0")
    + row("CDS", 101, 300, "ID=c1;Parent=t1", strand="-", phase="2")
    + "###\n\n# a comment\n"
    + row("pseudogene", 2_001, 2_100, "ID=p%3B1", strand="?")
    + row("exon", 2_001, 2_100, "Parent=p%3B1", strand=".")
    + row("promoter", 1_001, 1_100, ".")
    + "##FASTA\n>Chr1\nACGT\n"
)


def read(tmp_path, content, name="a.gff3", lengths=LENGTHS):
    path = tmp_path / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return read_annotation(path, lengths)


@pytest.mark.parametrize("name", ["a.gff3", "a.gff3.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_row_is_as_worked_out_by_hand(tmp_path, name, end):
    found = read(tmp_path, WHOLE.replace("\n", end), name)
    assert found.features.rows() == [
        ("Chr1:1..10000", None, None, "region", "Chr1", 0, 10_000, "+", None, None),
        ("g1", None, "g1", "gene", "Chr1", 100, 900, "-", None, "one;1, b"),
        ("t1", "g1", "g1", "mRNA", "Chr1", 100, 900, "-", None, None),
        ("t2", "g1", "g1", "mRNA", "Chr1", 100, 800, "-", None, None),
        ("e1", "t1", "g1", "exon", "Chr1", 700, 900, "-", None, None),
        ("e1", "t2", "g1", "exon", "Chr1", 700, 900, "-", None, None),
        ("c1", "t1", "g1", "CDS", "Chr1", 700, 850, "-", 0, None),
        ("c1", "t1", "g1", "CDS", "Chr1", 100, 300, "-", 2, None),
        ("p;1", None, "p;1", "pseudogene", "Chr1", 2_000, 2_100, ".", None, None),
        (None, "p;1", "p;1", "exon", "Chr1", 2_000, 2_100, ".", None, None),
        (None, None, None, "promoter", "Chr1", 1_000, 1_100, "+", None, None),
    ]
    assert (found.without_parent, found.regions, found.across_origin) == (0, 0, 0)


def test_a_mark_of_the_byte_order_is_passed_over(tmp_path):
    assert read(tmp_path, "\ufeff" + WHOLE).features.equals(read(tmp_path, WHOLE).features)
    assert read(tmp_path, "\ufeff" + GENE).features["contig"].to_list() == ["Chr1"]


def test_a_child_may_come_before_its_parent_and_one_may_be_absent(tmp_path):
    content = HEAD + row("exon", 5, 9, "Parent=t") + row("mRNA", 5, 9, "ID=t;Parent=g") + row("gene", 5, 9, "ID=g")
    found = read(tmp_path, content + row("exon", 5, 9, "Parent=nobody"))
    assert found.features["gene_id"].to_list() == ["g", "g", "g", None]
    assert found.without_parent == 1


def test_regions_may_go_beyond_the_sequence_and_be_circular(tmp_path):
    circle = row("region", 1, 500, "ID=m;Is_circular=true", contig="chrM")
    across = row("gene", 450, 560, "ID=g", contig="chrM")
    found = read(tmp_path, HEAD + circle + across + row("region", 1, 30_000, "ID=r") + GENE)
    assert found.features["feature_id"].to_list() == ["m", "g1"]
    assert (found.regions, found.across_origin) == (1, 1)
    with pytest.raises(
        ReferenceMismatchError, match=r"line 3: a gene ends at base 560 of contig chrM, which has 500"
    ):
        read(tmp_path, HEAD + across)


def test_a_contig_of_another_name_is_named_with_those_of_the_genome(tmp_path):
    with pytest.raises(
        ReferenceMismatchError, match=r"a\.gff3, line 4: contig chr1 is not.*2 contigs: Chr1, chrM"
    ):
        read(tmp_path, HEAD + GENE + row("gene", 1, 5, "ID=x", contig="chr1"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Chr1\ttest\tgene\t5\t9\t.\t+\n", "7 columns"),
        ("Chr1 test gene 5 9 . + . ID=g\n", "1 columns"),
        (row("gene", "x", 9, "ID=g"), "invalid literal"),
        (row("gene", ".", 9, "ID=g"), r"from \. to 9"),
        (row("gene", 0, 9, "ID=g"), "from 0 to 9"),
        (row("gene", 10, 9, "ID=g"), "from 10 to 9"),
        (row("gene", 5, 9, "ID=g", strand="*"), r"strand is '\*'"),
        (row("CDS", 5, 9, "ID=c", phase="3"), "phase is '3'"),
        (row("gene", 5, 9, 'gene_id "g1"; transcript_id "t1"'), "as in GTF"),
        ("##gff-version 2\n", "version 2"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(tmp_path, line, message):
    with pytest.raises(FormatError, match=rf"a\.gff3, line 4 .*{message}"):
        read(tmp_path, HEAD + GENE + line)


@pytest.mark.parametrize("content", ["", HEAD, "##FASTA\n>a\nACGT\n"])
def test_a_file_without_features_is_refused(tmp_path, content):
    with pytest.raises(FormatError, match="holds no feature"):
        read(tmp_path, content)


def test_parents_in_a_circle_are_refused(tmp_path):
    content = HEAD + row("mRNA", 5, 9, "ID=a;Parent=b") + row("mRNA", 5, 9, "ID=b;Parent=a")
    with pytest.raises(FormatError, match="the parents of feature a have no end"):
        read(tmp_path, content)


@pytest.mark.real_data
def test_the_real_annotation_has_the_features_that_are_listed(real_data):
    path = real_data / "plants" / "arabidopsis_thaliana" / "chr1.gff3.gz"
    features = read_annotation(path, {"NC_003070.9": 2_000_000}).features
    listed = (real_data / "README.md").read_text().split("cut to 2,000,000. ")[1].split(".\n")[0]
    counts = {
        kind: int(count.replace(",", "")) for kind, count in (entry.rsplit(" ", 1) for entry in listed.split(", "))
    }
    assert len(counts) == 16
    assert Counter(features["type"]) == counts
    # Every row says its gene's name in an attribute that is not read here.
    with gzip.open(path, "rt") as stream:
        rows = [line.rstrip("\n").split("\t") for line in stream if not line.startswith("#")]
    stated = [dict(pair.split("=", 1) for pair in fields[8].split(";")).get("locus_tag") for fields in rows]
    rows = zip(features["gene_id"], features["type"], stated, strict=True)
    told = [(gene, tag) for gene, kind, tag in rows if tag and kind != "sequence_feature"]
    assert len(told) > 17_900
    assert all(gene == f"gene-{tag}" for gene, tag in told)
