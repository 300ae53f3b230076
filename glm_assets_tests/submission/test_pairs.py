"""The structure of test CSVs: planted ones are found to the letter, and distances agree with plain comparisons."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest

from glm_assets.submission.hamming import all_substitutions, as_letters, single_substitutions, substitutions
from glm_assets.submission.pairs import Structure, find_structure
from glm_assets_tests.submission.contest import BASES, make_contest, substituted


def found(sequences) -> Structure:
    return find_structure(pl.Series("seq", sequences, dtype=pl.String))


def pairs_of(structure: Structure):
    rows = structure.pairs.select("base", "variant", "index").iter_rows()
    return {(frozenset((base, variant)), index) for base, variant, index in rows}


def ladders_of(structure: Structure):
    ladders: dict[int, set[tuple[int, int]]] = {}
    for base, row, count in structure.ladders.select("base", "row", "substitutions").iter_rows():
        ladders.setdefault(base, set()).add((count, row))
    return ladders


def text(rows) -> list[str]:
    return [row.tobytes().decode() for row in rows]


def hamming(first: str, second: str) -> int:
    return sum(a != b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("length", [64, 256, 1024])
def test_what_was_planted_is_found_to_the_letter(length, nested):
    contest = make_contest(pairs=60, ladders=6, length=length, singles=30, nested=nested, seed=length)
    structure = found(contest.sequences)
    assert pairs_of(structure) == contest.pairs
    assert ladders_of(structure) == contest.ladders
    assert structure.unassigned == 30
    assert structure.index_counts() == {length // 2 - 1: 60}


def test_a_contest_of_full_size_is_found_to_the_letter():
    contest = make_contest(pairs=6000, ladders=155, seed=3)
    structure = found(contest.sequences)
    assert pairs_of(structure) == contest.pairs
    assert ladders_of(structure) == contest.ladders
    assert (structure.rows, structure.distinct, structure.unassigned) == (13_705, 13_705, 0)


def test_pairs_are_those_that_comparing_all_with_all_finds():
    rng = np.random.default_rng(5)
    alphabet = np.frombuffer(b"ACGTN", np.uint8)
    rows = [rng.choice(alphabet, 30)]
    while len(rows) < 300:  # each is one to three letters away from an older one
        parent = rows[rng.integers(len(rows))].copy()
        parent[rng.integers(0, 30, rng.integers(1, 4))] = rng.choice(alphabet)
        rows.append(parent)
    sequences = sorted(set(text(rows)))
    expected = [(i, j) for (i, a), (j, b) in combinations(enumerate(sequences), 2) if hamming(a, b) == 1]
    edges = single_substitutions(as_letters(sequences))
    assert len(expected) > 100
    assert [tuple(edge) for edge in edges.tolist()] == expected


def test_both_ways_to_count_substitutions_agree_with_plain_python():
    rng = np.random.default_rng(6)
    sequences = text(rng.choice(np.frombuffer(b"ACGTN", np.uint8), (12, 70)))
    letters = as_letters(sequences)
    expected = [[hamming(a, b) for b in sequences] for a in sequences]
    assert all_substitutions(letters, letters).tolist() == expected
    edges = np.array(list(combinations(range(12), 2)))
    assert substitutions(letters, edges).tolist() == [expected[i][j] for i, j in edges]


def test_pairs_may_differ_anywhere_and_the_places_are_counted():
    rng = np.random.default_rng(1)
    rows = []
    for place in (0, 0, 17, 99):
        base = rng.choice(BASES, 100)
        rows += [base, substituted(rng, base, [place])]
    assert found(text(rows)).index_counts() == {0: 2, 17: 1, 99: 1}


def test_the_reference_of_several_variants_is_known_and_that_of_one_is_not():
    rng = np.random.default_rng(2)
    ref = rng.choice(BASES, 100)
    family = [substituted(rng, ref, [place]) for place in (10, 50, 80)]
    lone = rng.choice(BASES, 100)
    structure = found(text([family[0], ref, *family[1:], lone, substituted(rng, lone, [3])]))
    rows = structure.pairs.sort("family", "variant").rows()
    assert rows == [(0, 1, 0, 10, True), (0, 1, 2, 50, True), (0, 1, 3, 80, True), (1, 4, 5, 3, False)]


def test_alleles_of_one_site_are_a_family_whose_reference_is_the_one_that_occurs_for_each():
    ref = np.random.default_rng(3).choice(BASES, 60)
    alleles = [ref.copy() for _ in range(3)]
    for allele, base in zip(alleles, BASES[ref[30] != BASES], strict=True):
        allele[30] = base
    undecided = found(text([alleles[0], ref, alleles[1]]))
    assert len(undecided.pairs) == 3
    assert not undecided.pairs["oriented"].any()
    told = found(text([alleles[0], ref, alleles[1], ref]))
    assert told.pairs.select("base", "variant", "oriented").rows() == [(1, 0, True), (1, 2, True)]
    assert (told.rows, told.distinct, told.unassigned) == (4, 3, 0)


def test_every_single_substitution_of_a_sequence_is_one_family():
    ref = np.random.default_rng(4).choice(BASES, 120)
    rows = [ref]
    for place in range(120):
        for base in BASES[ref[place] != BASES]:
            allele = ref.copy()
            allele[place] = base
            rows.append(allele)
    structure = found(text(rows))
    assert len(structure.pairs) == 360
    assert structure.pairs["base"].unique().to_list() == [0]
    assert structure.ladders.is_empty()


def test_a_ladder_s_first_rung_is_no_pair_even_where_pairs_differ():
    rng = np.random.default_rng(7)
    contest = make_contest(pairs=5, ladders=0, length=128, seed=70)
    base = rng.choice(BASES, 128)
    index = 63
    others = rng.permutation(np.delete(np.arange(128), index))
    rungs = [substituted(rng, base, [index, *others[: step - 1]]) for step in (1, 2, 4, 8)]
    structure = found([*contest.sequences, *text([rungs[2], rungs[0], base, rungs[3], rungs[1]])])
    assert pairs_of(structure) == contest.pairs
    assert ladders_of(structure) == {12: {(1, 11), (2, 14), (4, 10), (8, 13)}}


def test_a_ladder_s_base_may_be_the_reference_of_snvs_too():
    rng = np.random.default_rng(12)
    contest = make_contest(pairs=6, ladders=0, length=128, seed=120)
    base = rng.choice(BASES, 128)
    others = rng.permutation(np.delete(np.arange(128), 63))
    rungs = [substituted(rng, base, others[:step]) for step in (1, 2, 4, 8)]
    snvs = [base.copy(), base.copy()]
    for snv, letter in zip(snvs, BASES[base[63] != BASES], strict=False):
        snv[63] = letter
    structure = found([*contest.sequences, *text([base, *rungs, *snvs])])
    assert ladders_of(structure) == {12: {(1, 13), (2, 14), (4, 15), (8, 16)}}
    assert pairs_of(structure) == contest.pairs | {(frozenset((12, row)), 63) for row in (17, 18)}
    assert structure.pairs.filter(base=12)["oriented"].to_list() == [True, True]
    assert structure.unassigned == 0


def test_a_ladder_may_lack_its_first_rung_and_have_two_of_a_kind():
    rng = np.random.default_rng(8)
    base = rng.choice(BASES, 512)
    steps = (4, 16, 64, 64, 256)
    rungs = [substituted(rng, base, rng.permutation(512)[:step]) for step in steps]
    structure = found(text([*rungs, base]))
    assert ladders_of(structure) == {5: {(step, row) for row, step in enumerate(steps)}}
    assert structure.ladders["substitutions"].to_list() == sorted(steps)


def test_two_distances_are_no_ladder():
    rng = np.random.default_rng(9)
    base = rng.choice(BASES, 200)
    structure = found(text([base, substituted(rng, base, [4]), substituted(rng, base, [60, 70])]))
    assert structure.ladders.is_empty()
    assert pairs_of(structure) == {(frozenset((0, 1)), 4)}
    assert structure.unassigned == 1


def test_sequences_of_different_lengths_are_never_compared():
    short, long = make_contest(pairs=4, ladders=1, length=96), make_contest(pairs=3, ladders=2, length=128)
    sequences = [*short.sequences, *long.sequences, long.sequences[0][:-1], "A"]
    shift = len(short.sequences)
    structure = found(sequences)
    moved = {(frozenset(row + shift for row in rows), index) for rows, index in long.pairs}
    assert pairs_of(structure) == short.pairs | moved
    assert len(ladders_of(structure)) == 3
    assert structure.pairs["family"].n_unique() == 7
    assert structure.ladders["ladder"].n_unique() == 3
    assert structure.unassigned == 2


def test_an_unknown_base_is_a_letter_of_its_own():
    base = "ACGTTGCAAC" * 8
    structure = found([base, base[:20] + "N" + base[21:], "N" * 80])
    assert pairs_of(structure) == {(frozenset((0, 1)), 20)}


def test_sequences_of_few_letters_do_not_explode():
    rng = np.random.default_rng(10)
    same = np.frombuffer(b"A", np.uint8)
    rows = [np.concatenate([np.repeat(same, 900), rng.choice(BASES, 124)]) for _ in range(1500)]
    structure = found(text(rows))
    assert structure.pairs.is_empty()
    assert structure.ladders.is_empty()


@pytest.mark.parametrize("sequences", [[], ["ACGT"], ["ACGT", "ACGT"], ["A", "C"], [""]])
def test_the_smallest_csvs_have_a_structure_too(sequences):
    structure = found(sequences)
    assert structure.ladders.is_empty()
    assert len(structure.pairs) == (1 if sequences == ["A", "C"] else 0)
