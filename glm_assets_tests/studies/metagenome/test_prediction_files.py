import csv
import math

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import EvaluationError
from glm_assets.storage.schemas_metagenome import ABUNDANCE, PREDICTIONS, SAMPLES
from glm_assets.studies.metagenome.abundance import Abundance, write_taxon_table
from glm_assets.studies.metagenome.prediction_files import write_predictions, write_sample_predictions
from glm_assets.studies.metagenome.samples import SampleVectors

LABELS = ("Archaea", "Bacteria, other", 'the "rest"')


def batch(names):
    rows = [("reads.fa", name, f"s{index % 2}", 100 + index, 0.0, False) for index, name in enumerate(names)]
    return pl.DataFrame(
        rows,
        schema={
            "file": pl.String,
            "sequence_id": pl.String,
            "sample": pl.String,
            "sequence_length": pl.Int32,
            "unknown_share": pl.Float64,
            "truncated": pl.Boolean,
        },
        orient="row",
    )


def probabilities(rows, classes=3, seed=0):
    logits = np.random.default_rng(seed).normal(size=(rows, classes)) * 6
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_read_predictions_have_the_columns_of_the_original_and_rows_that_sum_to_one(tmp_path):
    values = probabilities(500)
    names = [f"r{number}" for number in range(500)]
    with write_predictions(tmp_path / "p.csv", tmp_path / "p.parquet", LABELS, 2) as writer:
        for start in range(0, 500, 64):
            writer.add(batch(names[start : start + 64]), values[start : start + 64])
        writer.add(batch([]), values[:0])
    header, *rows = read_csv(tmp_path / "p.csv")
    assert header == [
        "sequence_id",
        "predicted_class",
        "confidence",
        "sequence_length",
        *(f"prob_{x}" for x in LABELS),
    ]
    assert [row[0] for row in rows] == names
    for row, expected in zip(rows, values, strict=True):
        found = [float(text) for text in row[4:]]
        assert sum(found) == pytest.approx(1, abs=1e-6)
        assert found == pytest.approx(expected.tolist(), abs=1e-7)
        assert row[1] == LABELS[int(expected.argmax())]
        assert float(row[2]) == max(found)
    table = pl.read_parquet(tmp_path / "p.parquet")
    PREDICTIONS.check(table)
    assert table["sequence_id"].to_list() == names
    assert table["predicted_class"].to_list() == [row[1] for row in rows]
    assert writer.rows == 500


def test_the_most_probable_labels_are_listed_in_order(tmp_path):
    values = np.array([[0.2, 0.5, 0.3], [0.25, 0.25, 0.5]])
    with write_predictions(tmp_path / "p.csv", tmp_path / "p.parquet", ("a", "b", "c"), 2) as writer:
        writer.add(batch(["x", "y"]), values)
    assert pl.read_parquet(tmp_path / "p.parquet")["top_k"].to_list() == ["b:0.5;c:0.3", "c:0.5;a:0.25"]


def test_more_top_labels_than_there_are_list_all(tmp_path):
    with write_predictions(tmp_path / "p.csv", tmp_path / "p.parquet", ("a", "b"), 9) as writer:
        writer.add(batch(["x"]), np.array([[0.25, 0.75]]))
    assert pl.read_parquet(tmp_path / "p.parquet")["top_k"].to_list() == ["b:0.75;a:0.25"]


def test_names_that_a_spreadsheet_would_run_are_kept_and_counted(tmp_path):
    names = ["=1+1", "+x", "-y", "@z", "plain", "a=b", 'quo"te,d']
    with write_predictions(tmp_path / "p.csv", tmp_path / "p.parquet", LABELS, 1) as writer:
        writer.add(batch(names), probabilities(7))
    assert [row[0] for row in read_csv(tmp_path / "p.csv")[1:]] == names
    assert writer.formula_ids == 4


def test_predictions_that_fail_leave_no_file(tmp_path):
    def write():
        with write_predictions(tmp_path / "p.csv", tmp_path / "p.parquet", ("a", "b"), 1) as writer:
            writer.add(batch(["x"]), np.array([[0.5, 0.5]]))
            writer.add(batch(["x", "y"]), np.array([[0.5, 0.5], [0.5, 0.6]]))

    with pytest.raises(EvaluationError, match=r"row 1 .*sum to 1"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("values", [np.full((2, 3), 1 / 3), np.array([[0.5, 0.5]]), np.array([[np.nan] * 3])])
def test_probabilities_that_do_not_fit_are_refused(tmp_path, values):
    with (
        pytest.raises(EvaluationError),
        write_predictions(tmp_path / "p.csv", tmp_path / "p.parquet", LABELS, 1) as writer,
    ):
        writer.add(batch(["x"]), values)


def test_sample_predictions_have_the_columns_of_the_original(tmp_path):
    values = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]])
    files = tmp_path / "s.csv", tmp_path / "s.parquet"
    table = write_sample_predictions(*files, ["s,1", "s2"], np.array([5, 1]), values, LABELS)
    SAMPLES.check(table)
    assert pl.read_parquet(files[1]).equals(table)
    assert read_csv(files[0]) == [
        ["sample_id", "num_sequences", "predicted_class", "confidence", *(f"prob_{label}" for label in LABELS)],
        ["s,1", "5", "Bacteria, other", "0.7", "0.1", "0.7", "0.2"],
        ["s2", "1", "Archaea", "0.6", "0.6", "0.3", "0.1"],
    ]


@pytest.mark.parametrize("method", ["mean", "max", "sum"])
def test_vectors_of_samples_are_those_of_all_their_reads_at_once(method):
    source = np.random.default_rng(1)
    vectors = source.normal(size=(300, 5)) - 2
    samples = [f"s{number}" for number in source.integers(0, 40, 300)]
    running = SampleVectors(method)
    for start in range(0, 300, 17):
        running.add(pl.Series(samples[start : start + 17], dtype=pl.String), vectors[start : start + 17])
    assert running.names == list(dict.fromkeys(samples))
    for name, reads, vector in zip(running.names, running.reads, running.vectors(), strict=True):
        own = vectors[[sample == name for sample in samples]]
        assert reads == len(own)
        np.testing.assert_allclose(vector, getattr(own, method)(axis=0), rtol=1e-12)


def test_vectors_of_another_width_are_refused():
    running = SampleVectors("mean")
    running.add(pl.Series(["a"]), np.zeros((1, 4)))
    with pytest.raises(EvaluationError, match=r"\(1, 5\)"):
        running.add(pl.Series(["a"]), np.zeros((1, 5)))


def test_abundances_are_counts_shares_and_diversities_of_sure_reads():
    values = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0, 1, 0], [0.4, 0.3, 0.3], [0.3, 0.3, 0.4]])
    abundance = Abundance(("a", "b", "c"), 0.5)
    abundance.add(pl.Series(["s", "s"]), values[:2])
    abundance.add(pl.Series(["s", "s", "unsure"]), values[2:])
    table = abundance.table()
    ABUNDANCE.check(table)
    mine = table.filter(pl.col("sample_id") == "s")
    assert mine["reads"].to_list() == [2, 1, 0]
    assert mine["share"].to_list() == pytest.approx([2 / 3, 1 / 3, 0])
    assert mine["mean_probability"].to_list() == pytest.approx([2.1 / 4, 1.6 / 4, 0.3 / 4])
    assert mine["uncounted"].to_list() == [1] * 3
    shannon = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert mine["shannon"].to_list() == pytest.approx([shannon] * 3)
    assert mine["simpson"].to_list() == pytest.approx([1 - 4 / 9 - 1 / 9] * 3)
    unsure = table.filter(pl.col("sample_id") == "unsure")
    assert (
        unsure.select("reads", "share", "shannon", "simpson", "uncounted").rows() == [(0, None, None, None, 1)] * 3
    )


def test_a_sample_of_one_label_has_no_diversity():
    abundance = Abundance(("a", "b"), 0.0)
    abundance.add(pl.Series(["s"] * 3), np.array([[1.0, 0.0]] * 3))
    assert abundance.table().select("shannon", "simpson").rows() == [(0.0, 0.0)] * 2


def test_no_reads_have_no_abundance():
    table = Abundance(("a", "b"), 0.0).table()
    ABUNDANCE.check(table)
    assert table.is_empty()


def test_the_taxon_table_has_the_columns_of_the_later_original(tmp_path):
    abundance = Abundance(("a", "b"), 0.0)
    abundance.add(pl.Series(["s"] * 4), np.array([[1.0, 0.0]] * 3 + [[0.0, 1.0]]))
    write_taxon_table(abundance.table(), {"a": 2157, "b": None}, tmp_path / "t.csv")
    assert read_csv(tmp_path / "t.csv") == [
        ["Taxon", "Species_Name", "Prediction", "Norm_Prediction"],
        ["2157", "a", "3", "0.75"],
        ["", "b", "1", "0.25"],
    ]
    abundance.add(pl.Series(["other"]), np.array([[1.0, 0.0]]))
    write_taxon_table(abundance.table(), {"a": 2157}, tmp_path / "t.csv")
    assert [row[0] for row in read_csv(tmp_path / "t.csv")] == ["Sample", "s", "s", "other", "other"]
