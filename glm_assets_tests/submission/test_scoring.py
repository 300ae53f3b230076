"""CD, CDD and PCC against plain Python, what is lacking and why, and submissions that do not fit."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import SubmissionError
from glm_assets.submission.scoring import Circumstances, distances, read_submission, score

RNG = np.random.default_rng(2)


def pair_rows(count: int = 30) -> pl.DataFrame:
    label = [None if number % 5 == 0 else number % 2 for number in range(count)]
    split = [None if own is None else ("train", "val", "test")[number % 3] for number, own in enumerate(label)]
    return pl.DataFrame(
        {"distance": RNG.uniform(0, 1, count), "label": label, "split": split},
        schema={"distance": pl.Float64, "label": pl.Int8, "split": pl.String},
    )


def ladder_rows(count: int = 4) -> pl.DataFrame:
    rows = [
        (ladder, 1 << power, power * 0.05 + RNG.uniform(0, 0.2)) for ladder in range(count) for power in range(8)
    ]
    schema = {"ladder": pl.Int64, "substitutions": pl.Int32, "distance": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


NO_PAIRS, NO_LADDERS = pair_rows(0), ladder_rows(0)


def pearson(points) -> float:
    x, y = zip(*points, strict=True)
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in points)
    return covariance / math.sqrt(sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y))


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def test_all_figures_are_those_of_plain_python():
    pairs, ladders = pair_rows(), ladder_rows()
    found = {figure.name: figure for figure in score(pairs, ladders)}
    rows = pairs.rows()
    cd = mean(d for d, _, _ in rows)
    cdd = mean(d for d, own, _ in rows if own == 1) - mean(d for d, own, _ in rows if own == 0)
    held = [(d, own) for d, own, split in rows if split == "test"]
    held_cdd = mean(d for d, own in held if own == 1) - mean(d for d, own in held if own == 0)
    by_ladder = [[(count, d) for own, count, d in ladders.rows() if own == number] for number in range(4)]
    pcc = mean(pearson(points) for points in by_ladder)
    expected = {
        "CD": cd,
        "CDD": cdd,
        "CDD_held_out": held_cdd,
        "PCC": pcc,
        "PCC_global": pearson([point for points in by_ladder for point in points]),
        "raw_sum": cd + cdd + pcc,
        "normalised_mean": (cd / 2 + (cdd / 2 + 1) / 2 + (pcc + 1) / 2) / 3,
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected, rel=1e-9)
    assert found["CDD"].pairs == 24
    assert found["CDD_held_out"].pairs == len(held)
    assert (found["raw_sum"].pairs, found["raw_sum"].ladders) == (30, 4)
    wins = [(a > b) + (a == b) / 2 for a, own, _ in rows if own == 1 for b, other, _ in rows if other == 0]
    assert found["AUROC"].value == pytest.approx(mean(wins))


@pytest.mark.parametrize(
    ("pairs", "ladders", "lacking"),
    [
        (NO_PAIRS, ladder_rows(), "CD, CDD cannot be had"),
        (pair_rows(), NO_LADDERS, "PCC cannot be had"),
        (pair_rows().with_columns(label=pl.lit(None, pl.Int8)), ladder_rows(), "CDD cannot be had"),
        (pair_rows().filter(pl.col("label") == 1), ladder_rows(), "CDD cannot be had"),
        (NO_PAIRS, NO_LADDERS, "CD, CDD, PCC cannot be had"),
    ],
)
def test_what_is_lacking_is_named_and_never_counted_as_nought(pairs, ladders, lacking):
    found = {figure.name: figure for figure in score(pairs, ladders)}
    for name in ("raw_sum", "normalised_mean"):
        assert found[name].value is None
        assert found[name].note == lacking
    for name in lacking.removesuffix(" cannot be had").split(", "):
        assert found[name].value is None
        assert found[name].note


def test_where_test_rows_are_trained_on_nothing_is_held_out():
    found = {f.name: f for f in score(pair_rows(), ladder_rows(), Circumstances(no_held_out="merged"))}
    for name in ("CDD", "AUROC"):
        assert found[name].value is not None
        held_out = found[f"{name}_held_out"]
        assert (held_out.value, held_out.pairs, held_out.note) == (None, 0, "merged")


def test_what_is_not_known_of_a_head_s_split_is_said_of_held_out_pairs_alone():
    pairs, ladders = pair_rows(), ladder_rows()
    plain = {f.name: f for f in score(pairs, ladders)}
    found = {f.name: f for f in score(pairs, ladders, Circumstances(held_out_remark="split unknown"))}
    assert {name for name in found if found[name] != plain[name]} == {"CDD_held_out", "AUROC_held_out"}
    assert found["CDD_held_out"].value == plain["CDD_held_out"].value
    assert found["CDD_held_out"].note == f"{plain['CDD_held_out'].note}; split unknown"


def test_a_ladder_whose_distances_never_change_has_no_correlation():
    flat = ladder_rows(1).with_columns(pl.lit(0.5).alias("distance"))
    moving = ladder_rows(1).with_columns(pl.lit(7, pl.Int64).alias("ladder"))
    assert {f.name: f.value for f in score(NO_PAIRS, flat)}["PCC"] is None
    both = {f.name: f for f in score(NO_PAIRS, pl.concat([flat, moving]))}
    assert (both["PCC"].ladders, both["PCC_global"].ladders) == (1, 2)


def test_distances_are_exact_far_below_what_float32_cosines_can_tell():
    angle = np.array([1e-6, 1e-3, 1.0])
    first = np.tile([1.0, 0.0], (3, 1))
    second = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rows = pl.Series([0, 1, 2])
    found = distances(np.concatenate([first, second]), rows, rows + 3)
    assert found == pytest.approx(2 * np.sin(angle / 2) ** 2, rel=1e-9)


def test_a_submission_is_read_in_float64_and_to_unit_length(tmp_path):
    path = tmp_path / "submission.csv"
    path.write_text("ID,emb_0000,emb_0001\nb,3,4\na,0.1,0\n")
    assert read_submission(path, pl.Series(["b", "a"])).tolist() == [[0.6, 0.8], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ID,emb_0000\na,1\nb,1\n", "not of these test sequences"),
        ("ID,emb_0000\nb,1\n", "not of these test sequences"),
        ("ID,emb_0000\nb,0\na,1\n", "not finite or zero"),
        ("ID,emb_0000\nb,nan\na,1\n", "not finite or zero"),
        ("ID,emb_0000\nb,x\na,1\n", "cannot be read"),
    ],
)
def test_a_submission_that_does_not_fit_is_refused(tmp_path, text, problem):
    path = tmp_path / "submission.csv"
    path.write_text(text)
    with pytest.raises(SubmissionError, match=problem):
        read_submission(path, pl.Series(["b", "a"]))
