import gzip

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_assets.errors import FormatError, IntegrityError, SettingsError
from glm_assets.storage.schemas_metagenome import READS
from glm_assets.studies.metagenome.bases import clean_bases, inspect_bases
from glm_assets.studies.metagenome.configuration import ReadFile
from glm_assets.studies.metagenome.label_map import read_label_map
from glm_assets.studies.metagenome.leaks import leaking_reads
from glm_assets.studies.metagenome.reading import write_reads
from glm_assets_tests.studies.metagenome.reads import example_labels, example_reads, fasta, fastq, settings

ENCODINGS = {"fasta": fasta, "fasta.gz": lambda r: gzip.compress(fasta(r)), "fastq": fastq}
ENCODINGS["fastq.gz"] = lambda r: gzip.compress(fastq(r))


@pytest.fixture
def convert(tmp_path):
    """Write reads, read them with the example mapping, and give the table and the counts."""

    def _convert(*files, batch_reads=1000, **changes):
        declared = []
        for number, content in enumerate(files):
            path = tmp_path / f"reads{number}"
            path.write_bytes(content if isinstance(content, bytes) else fasta(content))
            declared.append(ReadFile(path=str(path)))
        table = tmp_path / "part.parquet"
        counts = write_reads(
            declared, example_labels(tmp_path), settings(**changes), table, batch_reads=batch_reads
        )
        return pl.read_parquet(table), counts

    return _convert


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_example_reads_are_one_table_in_every_encoding(tmp_path, encoding):
    reads = example_reads()
    files = []
    for split, part in (("train", reads[:9]), ("val", reads[9:])):
        path = tmp_path / f"{split}.txt"
        path.write_bytes(ENCODINGS[encoding](part))
        files.append(ReadFile.model_validate({"path": str(path), "split": split, "sample": f"sample {split}"}))
    table = tmp_path / "part.parquet"
    counts = write_reads(files, example_labels(tmp_path), settings(), table)
    frame = pl.read_parquet(table)
    READS.check(frame)
    assert frame["read"].to_list() == list(range(12))
    assert frame["sequence"].to_list() == [bases for _, bases in reads]
    assert frame["name"].to_list() == [f"g{n // 3}_{n}_f" for n in range(12)]
    assert frame["genome"].to_list() == [f"g{n // 3}" for n in range(12)]
    assert frame["label"].to_list() == [f"Species{'ABC'[n % 3]}" for n in range(12)]
    assert frame["label_index"].to_list() == [n % 3 for n in range(12)]
    assert frame["file_split"].to_list() == ["train"] * 9 + ["val"] * 3
    assert frame["file"].to_list() == ["train.txt"] * 9 + ["val.txt"] * 3
    assert frame["sample"].unique().sort().to_list() == ["sample train", "sample val"]
    assert frame["length"].to_list() == [60 + n for n in range(12)]
    assert frame["quality"].to_list() == [40.0 if "fastq" in encoding else None] * 12
    assert counts.wrong_lengths == 7
    assert counts.declared_lengths == 12
    assert counts.per_label == {"SpeciesA": 4, "SpeciesB": 4, "SpeciesC": 4}
    assert counts.metadata()["per_file"] == {"train.txt": 9, "val.txt": 3}


def test_seven_of_the_nine_reads_to_train_with_declare_a_wrong_length(convert):
    _, counts = convert(example_reads()[:9])
    assert (counts.wrong_lengths, counts.kept) == (7, 9)


@pytest.mark.parametrize("batch_reads", [1, 5])
def test_a_file_larger_than_a_batch_gives_the_same_table(convert, batch_reads):
    reads = [*example_reads(), ("bad", "ACGT"), ("lbl|999|||n", "ACGT"), ("lbl|100|||low", "acgu")] * 3
    whole, counts = convert(reads, reads)
    parts, other = convert(reads, reads, batch_reads=batch_reads)
    assert parts.equals(whole)
    assert other.metadata() == counts.metadata()


def test_what_is_dropped_is_counted_by_reason_and_shown(convert):
    reads = [
        ("lbl|100|||a_1_f", "ACGTACGT"),
        ("no header", "ACGT"),
        ("lbl|7|||a_2_f", "ACGT"),
        ("lbl|7|||a_3_f", "ACGT"),
        ("lbl|8|||a_4_f", "ACGT"),
        ("lbl|100|||a_5_f", "ACG-T"),
        ("lbl|100|||a_6_f", "AC"),
        ("lbl|100|||a_7_f", "ACNNNN"),
        ("lbl|100|||a_8_f", ""),
    ]
    frame, counts = convert(reads, min_length=4)
    assert frame["name"].to_list() == ["a_1_f"]
    assert counts.metadata()["dropped"] == {
        "bad_header": 1,
        "unknown_class": 3,
        "no_bases": 1,
        "ambiguous": 0,
        "too_short": 2,
        "too_many_n": 1,
    }
    assert counts.metadata()["unknown_classes"] == {"7": 2, "8": 1}
    assert counts.bad_headers == ["reads0: no header"]
    assert (counts.reads, counts.kept) == (9, 1)


@pytest.mark.parametrize(
    ("read", "changes", "named"),
    [
        (
            ("lbl|7|||a_2_f", "ACGT"),
            {"unknown_class": "fail"},
            r"lacks \(7\), first in lbl\|7\|\|\|a_2_f.*unknown_class",
        ),
        (
            ("lbl|1|2|a_2_f", "ACGT"),
            {"bad_header": "fail"},
            r"grammar, first in lbl\|1\|2\|a_2_f.*lbl\|class_id\|tax_id",
        ),
        (("lbl|100|||a_2_f", "ACRT"), {"ambiguous": "fail"}, r"IUPAC codes.*first in lbl\|100\|\|\|a_2_f"),
    ],
)
def test_a_strict_rule_names_the_culprit(convert, read, changes, named):
    with pytest.raises(FormatError, match=named):
        convert([*example_reads(), read], **changes)
    assert convert([*example_reads(), read], **dict.fromkeys(changes, "drop"))[1].kept == 12


def test_rna_lower_case_and_codes_become_bases_and_are_counted(convert):
    reads = [("lbl|100|5||a_1_f", "ACGTacgu"), ("lbl|100|||a_2_f", "ACRYN"), ("lbl|200|||a_3_f", "UUUU")]
    frame, counts = convert(reads)
    assert frame["sequence"].to_list() == ["ACGTACGT", "TTTT"]
    assert counts.dropped["too_many_n"] == 1
    frame, counts = convert(reads, max_n_share=0.6)
    assert frame["sequence"].to_list() == ["ACGTACGT", "ACNNN", "TTTT"]
    assert (counts.lower, counts.uracil, counts.iupac, counts.bases, counts.unknown_bases) == (1, 2, 1, 17, 3)
    assert convert(reads, ambiguous="drop")[1].dropped == {"ambiguous": 1}


def test_a_name_that_tells_no_genome_is_its_own(convert):
    frame, counts = convert(
        [("lbl|100|||odd/1", "ACGT"), ("lbl|100|||odd/2", "ACGT"), ("lbl|100|||g_1_f", "ACGT")]
    )
    assert frame["genome"].to_list() == ["odd", "odd", "g"]
    assert frame["mate"].to_list() == [1, 2, None]
    assert counts.unmatched_names == 2


def test_a_tax_id_other_than_the_mappings_is_counted(tmp_path):
    (tmp_path / "m.csv").write_text("class_id,label_name,tax_id\n100,a,5\n200,b,\n")
    (tmp_path / "r.fa").write_bytes(fasta([("lbl|100|5||x", "A"), ("lbl|100|6||x", "A"), ("lbl|200|6||x", "A")]))
    files = [ReadFile(path=str(tmp_path / "r.fa"))]
    counts = write_reads(files, read_label_map(tmp_path / "m.csv"), settings(), tmp_path / "p.parquet")
    assert counts.wrong_tax_ids == 1


def test_no_read_left_says_why(convert):
    with pytest.raises(FormatError, match=r"none of 2 reads is left \(bad_header 1, unknown_class 1\)"):
        convert([("x", "A"), ("lbl|7|||n", "A")])
    with pytest.raises(FormatError, match="the files are empty"):
        convert(b"")


def test_a_truncated_file_is_no_shorter_one(convert):
    content = gzip.compress(fasta(example_reads() * 200))
    with pytest.raises(IntegrityError, match="damaged"):
        convert(content[: len(content) // 2], batch_reads=10)


def test_an_expression_that_only_python_knows_is_refused(convert):
    with pytest.raises(SettingsError, match=r"reads\.genome"):
        convert(example_reads(), genome="^(?=x)(.+)$")


def test_files_of_one_name_are_told_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "reads.fa").write_bytes(fasta(example_reads()))
    files = [ReadFile(path=str(tmp_path / folder / "reads.fa")) for folder in ("a", "b")]
    counts = write_reads(files, example_labels(tmp_path), settings(), tmp_path / "p.parquet")
    assert counts.per_file == {"a/reads.fa": 12, "b/reads.fa": 12}  # without a user's folders


@given(st.lists(st.text("ACGTACGTNRYacgtunU", max_size=12), min_size=1, max_size=30))
def test_bases_are_cleaned_as_one_by_one(sequences):
    table = str.maketrans("URYKMSWBDHV", "TNNNNNNNNNN")
    clean = [bases.upper().translate(table) for bases in sequences]
    assert clean_bases(pl.Series("sequence", sequences)).to_list() == clean
    found = inspect_bases(pl.Series(sequences))
    assert found["unknown"].to_list() == [bases.count("N") for bases in clean]
    assert found["lower"].to_list() == [bases != bases.upper() for bases in sequences]
    assert found["uracil"].to_list() == ["U" in bases.upper() for bases in sequences]
    assert found["iupac"].to_list() == [any(code in "RY" for code in bases) for bases in sequences]
    assert not found["no_base"].any()


@pytest.mark.real_data
def test_the_real_reads_are_all_read_and_no_held_out_one_leaks(real_data, tmp_path):
    folder = real_data / "metagenome"
    files = [
        ReadFile.model_validate({"path": str(folder / f"reads.{split}.fa.gz"), "split": split})
        for split in ("train", "val")
    ]
    table = tmp_path / "part.parquet"
    strict = settings(unknown_class="fail", bad_header="fail", ambiguous="fail")
    counts = write_reads(files, read_label_map(folder / "mapping.tsv"), strict, table)
    labels = ("archaea", "bacteria", "eukaryota", "mitochondrion", "plastid")
    assert counts.per_label == dict.fromkeys(labels, 960)
    assert counts.metadata()["per_file"] == {"reads.train.fa.gz": 4000, "reads.val.fa.gz": 800}
    assert (counts.wrong_lengths, counts.wrong_tax_ids, counts.unmatched_names) == (0, 0, 0)
    splits = pl.read_parquet(table, columns=["file_split"]).to_series()
    assert leaking_reads(table, splits, 31).sum() == 0
