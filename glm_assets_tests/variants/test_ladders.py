"""Mutation ladders: what is drawn, and what is done to it, counted base by base."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest

from glm_assets.variants.ladders import build_ladders
from glm_assets_tests.encoders.conftest import random_windows, text

LENGTH = 128
COLUMNS = ["chrom", "window_start", "variant_offset", "split", "ref_seq", "ref_digest"]


def digest(sequence):
    return hashlib.sha256(sequence.encode()).hexdigest()[:32]


def frame(rows):
    """Rows of (sequence, split, offset), as in `variant_windows`."""
    return pl.DataFrame(
        [
            ("13", 1000 + number, offset, split, sequence, digest(sequence))
            for number, (sequence, split, offset) in enumerate(rows)
        ],
        schema=COLUMNS,
        orient="row",
        schema_overrides={"variant_offset": pl.Int16},
    )


@pytest.fixture(scope="module")
def windows():
    splits = np.random.default_rng(1).choice(["train", "val", "test"], 40)
    return frame(
        [(text(row), str(split), 64) for row, split in zip(random_windows(40, LENGTH), splits, strict=True)]
    )


def changed(row):
    """Positions at which the two windows differ, with the base that is put there."""
    pairs = enumerate(zip(row["ref_seq"], row["var_seq"], strict=True))
    return {at: new for at, (old, new) in pairs if old != new}


def by_ladder(rungs):
    return [part.to_dicts() for part in rungs.partition_by("ladder", maintain_order=True)]


def test_each_rung_has_exactly_its_number_of_substitutions_and_those_of_the_rungs_below(windows):
    rungs, counts = build_ladders(windows, 40, from_variant=False)
    assert (counts.ladders, counts.rungs, counts.shortened) == (40, 40 * 7, 0)
    for ladder in by_ladder(rungs):
        assert [row["substitutions"] for row in ladder] == [1, 2, 4, 8, 16, 32, 64]  # half of the window, no more
        below = {}
        for row in ladder:
            here = changed(row)
            assert len(here) == row["substitutions"]
            assert below.items() <= here.items()
            assert set(here.values()) <= set("ACGT")
            assert row["variant_offset"] == min(here)
            span = slice(min(here), max(here) + 1)
            assert (row["ref"], row["alt"]) == (row["ref_seq"][span], row["var_seq"][span])
            assert (row["ref_digest"], row["var_digest"]) == (digest(row["ref_seq"]), digest(row["var_seq"]))
            below = here


def test_long_windows_climb_to_512():
    rungs, _ = build_ladders(frame([(text(random_windows(1, 2048)[0]), "train", 5)]), 1, from_variant=False)
    assert rungs["substitutions"].to_list() == [2**power for power in range(10)]
    assert [len(changed(row)) for row in rungs.to_dicts()] == [2**power for power in range(10)]


def test_positions_and_bases_are_drawn_evenly():
    """512 of 1,024 bases each: the share of a place, and of each of the three other bases, within five sigma."""
    rows = [(text(row), "train", 0) for row in random_windows(300, 1024, seed=3)]
    rungs, _ = build_ladders(frame(rows), 300, from_variant=False)
    top = [changed(row) for row in rungs.filter(pl.col("substitutions") == 512).to_dicts()]
    halves = np.array([sum(at < 512 for at in one) for one in top])
    assert abs(halves.mean() - 256) < 5 * np.sqrt(512 / 4) / np.sqrt(300)
    turns = {"AC": 0, "AG": 0, "AT": 0}
    for row, one in zip(rungs.filter(pl.col("substitutions") == 512).to_dicts(), top, strict=True):
        for at, new in one.items():
            turns[row["ref_seq"][at] + new] = turns.get(row["ref_seq"][at] + new, 0) + 1
    from_a = np.array([turns[pair] for pair in ("AC", "AG", "AT")])
    expected = from_a.sum() / 3
    assert np.abs(from_a - expected).max() < 5 * np.sqrt(expected) + 0.01 * expected  # bytes modulo 3
    assert len(turns) == 12


def test_a_window_keeps_the_split_of_its_row(windows):
    rungs, _ = build_ladders(windows, 40, from_variant=False)
    split = dict(windows.select("ref_digest", "split").iter_rows())
    assert all(split[row["ref_digest"]] == row["split"] for row in rungs.to_dicts())
    assert rungs["split"].n_unique() == 3
    place = dict(windows.select("ref_digest", "window_start").iter_rows())
    assert all(place[row["ref_digest"]] == row["window_start"] for row in rungs.to_dicts())


def test_ladders_are_drawn_by_digest_and_are_the_same_whatever_else_is_there(windows):
    few, _ = build_ladders(windows, 10, from_variant=False)
    drawn = sorted(windows["ref_digest"].to_list())[:10]
    assert few["ref_digest"].unique(maintain_order=True).to_list() == drawn
    shuffled = windows.sample(fraction=1.0, shuffle=True, seed=2)
    again, _ = build_ladders(shuffled, 10, from_variant=False)
    assert again.equals(few)
    grown = pl.concat([windows, frame([(text(random_windows(1, LENGTH, seed=9)[0]), "train", 64)])])
    after, _ = build_ladders(grown, 41, from_variant=False)
    columns = pl.exclude("ladder")
    kept = after.filter(pl.col("ref_digest").is_in(windows["ref_digest"].implode())).select(columns)
    assert kept.equals(build_ladders(windows, 41, from_variant=False)[0].select(columns))


def test_windows_with_other_letters_or_of_two_splits_are_not_drawn(windows):
    known = [text(row) for row in random_windows(3, LENGTH, seed=4)]
    rows = frame(
        [
            (known[0], "train", 64),
            ("N" + known[0][1:], "train", 64),
            (known[0][:-1] + "R", "val", 64),
            (known[1], "train", 64),
            (known[1], "test", 64),  # the same sequence elsewhere
            (known[2], "val", 70),
            (known[2], "val", 64),
        ]
    )
    rungs, counts = build_ladders(rows, 10, from_variant=False)
    assert set(rungs["ref_seq"]) == {known[0], known[2]}
    assert (counts.windows, counts.ambiguous, counts.of_several_splits, counts.ladders) == (2, 2, 1, 2)


def test_around_a_variant_substitutions_begin_at_it_and_stay_in_reach(windows):
    shifted = windows.with_columns(
        variant_offset=pl.Series(np.arange(40) * 3, dtype=pl.Int16), window_start=pl.int_range(40, dtype=pl.Int64)
    )
    rungs, counts = build_ladders(shifted, 40, from_variant=True, reach=20)
    for ladder in by_ladder(rungs):
        offset = ladder[0]["window_start"] * 3
        room = min(20, LENGTH - offset)
        assert [row["substitutions"] for row in ladder] == [2**power for power in range(7) if 2**power <= room]
        for row in ladder:
            here = changed(row)
            assert min(here) == row["variant_offset"] == offset
            assert max(here) < offset + room
            assert len(here) == row["substitutions"]
    assert counts.shortened == 40
    whole, counts = build_ladders(shifted, 40, from_variant=True)
    assert counts.shortened == sum(LENGTH - 3 * number < 64 for number in range(40))
    assert whole["substitutions"].max() == 64


@pytest.mark.parametrize("count", [0, 5])
def test_no_windows_give_an_empty_table_with_the_same_columns(windows, count):
    some, _ = build_ladders(windows, 1, from_variant=False)
    none, counts = build_ladders(windows.head(5 - count), count, from_variant=False)
    assert none.schema == some.schema
    assert none.height == counts.ladders == 0
