"""Tables of scores in every form users have them, joined as a dictionary would join them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.predictors import PredictorSpec, parse_predictors, read_predictor

VARIANTS = pl.DataFrame(
    {
        "chrom": ["1", "1", "1", "X", "MT", "2", "1"],
        "pos": [100, 100, 250, 7, 9, 100, 100],
        "ref": ["A", "A", "AT", "C", "G", "A", "A"],
        "alt": ["C", "G", "A", "T", "A", "C", "C"],
        "label": [1, 0, 1, 0, 1, 0, 1],
    }
)
HEADER = ("#CHROM", "POS", "REF", "ALT", "GENE", "Score")
ROWS = (
    ("chr1", "99", "A", "C", "g", "9"),
    ("chr1", "100", "A", "C", "g", "0.5"),
    ("chr1", "100", "A", "C", "g", "0.75"),
    ("chr1", "100", "A", "G", "g", "."),
    ("chr1", "100", "A", "T", "g", "0.9"),
    ("chr1", "250", "at", "a", "g", "-1e-3"),
    ("chrX", "7", "C", "T", "g", "NA"),
    ("chrX", "7", "C", "T", "g", "0.25"),
    ("chrM", "9", "G", "A", "g", ""),
)
# Absent: 2:100 A>C. Missing: 1:100 A>G and MT:9 G>A. Rows 0 and 6 of VARIANTS are the same variant.
EXPECTED = [0.75, np.nan, -1e-3, 0.25, np.nan, np.nan, 0.75]


def text(separator: str = "\t", header=HEADER, rows=ROWS, before: str = "") -> str:
    return before + "".join(separator.join(row) + "\n" for row in (header, *rows))


def write_tsv(folder: Path) -> Path:
    path = folder / "scores.tsv"
    path.write_text(text(before="## made for a test\n# of nothing else\n"))
    return path


def write_csv(folder: Path) -> Path:
    path = folder / "scores.csv"
    quoted = tuple((*row[:4], '"g, or h"', row[5]) for row in ROWS)
    path.write_text(text(",", ("chr", "Position", "ref", "alt", "gene", "SCORE"), quoted))
    return path


def write_gzip(folder: Path) -> Path:
    path = folder / "scores.tsv.gz"
    first, second = text(rows=ROWS[:3]), text(rows=ROWS[3:]).split("\n", 1)[1]
    path.write_bytes(gzip.compress(first.encode()) + gzip.compress(second.encode()))  # as bgzip: several members
    return path


def write_tabix(folder: Path) -> Path:
    import pysam

    plain = folder / "indexed.tsv"
    plain.write_text(text(before="## made for a test\n"))
    path = folder / "indexed.tsv.gz"
    pysam.tabix_compress(str(plain), str(path))
    plain.unlink()
    pysam.tabix_index(str(path), seq_col=0, start_col=1, end_col=1, meta_char="#")
    assert path.with_name("indexed.tsv.gz.tbi").is_file()
    return path


def write_parquet(folder: Path) -> Path:
    path = folder / "scores.parquet"
    frame = pl.DataFrame(ROWS, schema=["Chrom", "POS", "ref", "alt", "gene", "score"], orient="row")
    frame = frame.with_columns(pl.col("POS").cast(pl.Int32), pl.col("score").cast(pl.Float64, strict=False))
    frame.write_parquet(path)
    return path


WRITERS = (write_tsv, write_csv, write_gzip, write_tabix, write_parquet)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("column", [None, "score"])
def test_every_kind_of_table_gives_the_same_scores_and_counts(tmp_path, write, column):
    found = read_predictor(PredictorSpec("p", write(tmp_path), column), VARIANTS)
    np.testing.assert_array_equal(found.score, EXPECTED)
    assert (found.covered, found.covered_pathogenic, found.covered_benign) == (4, 3, 1)
    assert (found.absent, found.missing, found.duplicates) == (1, 2, 2)
    scored = found.scored()
    assert (scored.name, scored.kind) == ("p", "predictor")
    assert found.as_dict()["coverage"] == pytest.approx(4 / 7)


@pytest.mark.parametrize("write", WRITERS)
def test_where_smaller_is_more_pathogenic_scores_are_negated_and_the_smallest_counts(tmp_path, write):
    found = read_predictor(PredictorSpec("af", write(tmp_path), None, descending=True), VARIANTS)
    np.testing.assert_array_equal(found.score, [-0.5, np.nan, 1e-3, -0.25, np.nan, np.nan, -0.5])


def test_tables_name_chromosomes_as_they_like(tmp_path):
    for number, name in enumerate(("1", "chr1", "NC_000001.11")):
        path = tmp_path / f"{number}.tsv"
        path.write_text(text(rows=[(name, "100", "A", "C", "g", "3")]))
        assert read_predictor(PredictorSpec("p", path), VARIANTS).covered == 2


def test_an_indexed_table_is_read_only_where_the_variants_are(tmp_path, monkeypatch):
    import pysam

    path = write_tabix(tmp_path)
    fetched, opened = [], pysam.TabixFile

    class Recorder:
        def __init__(self, name):
            self.file = opened(name)
            self.contigs = self.file.contigs

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def fetch(self, *region):
            fetched.append(region)
            return self.file.fetch(*region)

    monkeypatch.setattr(pysam, "TabixFile", Recorder)
    far = VARIANTS.with_columns(pos=pl.when(pl.col("pos") == 250).then(100_000).otherwise("pos"))
    read_predictor(PredictorSpec("p", path), far)
    assert sorted(fetched) == [("chr1", 99, 100), ("chr1", 99_999, 100_000), ("chrM", 8, 9), ("chrX", 6, 7)]


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["1", "chrX", "GL000192.1"]),
            st.integers(1, 4),
            st.sampled_from(["A", "AC"]),
            st.sampled_from(["G", "T"]),
            st.one_of(st.floats(-9, 9).map(str), st.sampled_from([".", "", "NA"])),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_any_table_is_joined_as_a_dictionary_joins_it(tmp_path_factory, rows):
    variants = pl.DataFrame(
        {
            "chrom": ["1", "X", "1", "X"],
            "pos": [1, 2, 3, 4],
            "ref": ["A", "A", "AC", "A"],
            "alt": ["G", "T", "G", "G"],
            "label": [0, 1, 0, 1],
        }
    )
    path = tmp_path_factory.mktemp("table") / "t.tsv"
    table = [(chrom, str(pos), ref, alt, value) for chrom, pos, ref, alt, value in rows]
    path.write_text(text(header=("chrom", "pos", "ref", "alt", "s"), rows=table))
    best: dict[tuple, float] = {}
    for chrom, pos, ref, alt, value in rows:
        if value not in (".", "", "NA"):
            key = (chrom.removeprefix("chr"), pos, ref, alt)
            best[key] = max(best.get(key, -np.inf), float(value))
    expected = [best.get(row[:4], np.nan) for row in variants.iter_rows()]
    np.testing.assert_array_equal(read_predictor(PredictorSpec("p", path, "s"), variants).score, expected)


def test_specs_are_parsed():
    parsed = parse_predictors("cadd=/d/cadd.tsv.gz:PHRED, gnomad=/d/af.parquet:AF:-,revel=/d/r.csv,x=/d/a.tsv:-")
    assert parsed == (
        PredictorSpec("cadd", Path("/d/cadd.tsv.gz"), "PHRED", descending=False),
        PredictorSpec("gnomad", Path("/d/af.parquet"), "AF", descending=True),
        PredictorSpec("revel", Path("/d/r.csv"), None, descending=False),
        PredictorSpec("x", Path("/d/a.tsv"), None, descending=True),
    )
    assert parse_predictors(" ") == ()


@pytest.mark.parametrize("entry", ["cadd", "=x.tsv", "cadd=", "cadd=:PHRED", "cadd=x.tsv:", "a b=x.tsv"])
def test_specs_that_say_nothing_are_refused(entry):
    with pytest.raises(EvaluationError, match=r"GLM_PREDICTORS has the entry .*NAME=PATH\[:COLUMN\]\[:-\]"):
        parse_predictors(f"ok=/d/a.tsv,{entry}")


def test_specs_with_the_same_name_are_refused():
    with pytest.raises(EvaluationError, match="names cadd more than once"):
        parse_predictors("cadd=a.tsv,cadd=b.tsv")


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        ("", None, "t.tsv has no header or no rows"),
        (text(rows=[]), None, "t.tsv has no header or no rows"),
        ("chrom\tpos\tref\tscore\n1\t1\tA\t2\n", None, "t.tsv has no column alt: its columns are chrom, pos, ref, sc"),
        (text(), "PHRED", "t.tsv has no column PHRED. Expected: one of Score"),
        (text(header=("chrom", "pos", "ref", "alt", "a", "b"), rows=[("1", "2", "A", "C", "1", "2")]), None,
         "t.tsv has 2 numeric columns beside the variant: a, b"),
        (text(), "gene", "t.tsv: column GENE holds 'g' for 1:100 A>C. Expected: finite numbers"),
        (text(rows=[("1", "100", "A", "C", "g", "inf")]), "Score", "holds 'inf' for 1:100"),
        (text(rows=[("1", "x", "A", "C", "g", "1")]), "Score", "column POS holds no position"),
        ("chrom\tpos\tref\talt\ts\n1\t100\tA\tC\t1\t2\t3\n", "s", "t.tsv cannot be read"),
    ],
)  # fmt: skip
def test_errors_name_the_file_the_column_and_what_was_expected(tmp_path, content, column, message):
    path = tmp_path / "t.tsv"
    path.write_text(content)
    with pytest.raises(EvaluationError, match=message):
        read_predictor(PredictorSpec("p", path, column), VARIANTS)


def test_files_that_are_absent_or_damaged_are_named(tmp_path):
    with pytest.raises(EvaluationError, match=r"none\.tsv does not exist.*correct GLM_PREDICTORS"):
        read_predictor(PredictorSpec("p", tmp_path / "none.tsv"), VARIANTS)
    numbers = "".join(f"1\t{pos}\tA\tC\tg\t{pos**0.5}\n" for pos in range(1, 20_000))
    cut = gzip.compress((text() + numbers).encode())[:-20_000]
    for name, content in (("a.parquet", b"no parquet"), ("b.tsv.gz", cut)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EvaluationError, match=f"{name} cannot be read"):
            read_predictor(PredictorSpec("p", tmp_path / name), VARIANTS)


def test_a_column_of_words_in_parquet_is_refused(tmp_path):
    write_parquet(tmp_path)
    with pytest.raises(EvaluationError, match="column gene holds 'g'"):
        read_predictor(PredictorSpec("p", tmp_path / "scores.parquet", "gene"), VARIANTS)
