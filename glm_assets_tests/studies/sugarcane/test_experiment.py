"""Tables of measured sequences: what is read, what is left out and why, and which rows are drawn."""

from __future__ import annotations

import gzip

import pytest

from glm_assets.errors import EvaluationError, FormatError
from glm_assets.studies.sugarcane.configuration import ExperimentSettings
from glm_assets.studies.sugarcane.experiment import read_experiment

ROWS = [
    ("training", "1.5", "GGAGUGAUG"),
    ("test", "0.1", "acgu"),
    ("test", "-0.25", "AAGGTAAGT"),
    ("test", "nan", "AAAA"),
    ("test", "", "CCCC"),
    ("test", "inf", "GGGG"),
    ("test", "1e-2", "CAGGTGAGN"),
    ("test", "3", ""),
    ("test", "2", "TTTT"),
]


def settings(**more) -> ExperimentSettings:
    return ExperimentSettings(**({"file": "x", "sequence": "x", "value": "y"} | more))


def table(path, delimiter=","):
    content = "\n".join(delimiter.join(row) for row in [("set", "y", "x"), *ROWS]).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize(("name", "delimiter"), [("e.csv", ","), ("e.tsv", "\t"), ("e.csv.gz", ",")])
def test_rna_becomes_dna_and_what_cannot_be_used_is_counted_by_reason(tmp_path, name, delimiter):
    path = table(tmp_path / name, delimiter)
    found = read_experiment(path, settings(where={"set": "test"}, before="ug", after="C"), seed=0)
    assert found.rows.rows() == [
        (3, "ACGT", "TGACGTC", 0.1),
        (4, "AAGGTAAGT", "TGAAGGTAAGTC", -0.25),
        (10, "TTTT", "TGTTTTC", 2.0),
    ]
    assert (found.file_rows, found.other_rows, found.usable) == (9, 1, 3)
    assert found.dropped == {"letters other than A, C, G, T and U": 1, "no finite number": 3, "no sequence": 1}


def test_a_draw_is_the_same_for_a_seed_and_in_the_order_of_the_file(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("x,y\n" + "\n".join(f"{'ACGT'[n % 4] * 5},{n}" for n in range(200)))
    one, again, other = (read_experiment(path, settings(max_rows=20), seed=seed).rows for seed in (1, 1, 2))
    assert one.equals(again)
    assert one.height == 20
    assert one["value"].is_sorted()
    assert not one["value"].equals(other["value"])
    every = {read_experiment(path, settings(max_rows=20), seed=seed).rows["value"][0] for seed in range(10)}
    assert len(every) > 3


def test_a_table_that_cannot_be_used_says_what_is_wrong(tmp_path):
    path = table(tmp_path / "e.csv")
    with pytest.raises(FormatError, match="no column score"):
        read_experiment(path, settings(value="score"), seed=0)
    with pytest.raises(EvaluationError, match=r"1 of 9 rows can be used \(8 not chosen"):
        read_experiment(path, settings(where={"set": "training"}), seed=0)
    with pytest.raises(EvaluationError, match=r"experiment\.after is 'NN'"):
        read_experiment(path, settings(after="NN"), seed=0)
