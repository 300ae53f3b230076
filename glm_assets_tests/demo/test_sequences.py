from __future__ import annotations

import csv
from itertools import pairwise

import pytest

from glm_assets.demo.recipe import DEFAULT_RECIPE, TINY_RECIPE
from glm_assets_tests.demo.oracle import read_fasta, read_rows


@pytest.fixture(scope="module")
def recipe(either_tree):
    return {58: DEFAULT_RECIPE, 18: TINY_RECIPE}[either_tree.counts["test_sequences"]].sequences


@pytest.fixture(scope="module")
def groups(either_tree):
    """Group to its rows (sequence, substitutions, label), the first sequence of each first."""
    with either_tree.test_csv.open() as stream:
        sequences = {row["ID"]: row["seq"] for row in csv.DictReader(stream)}
    found: dict[str, list[tuple[str, int, str]]] = {}
    with either_tree.test_truth.open() as stream:
        for row in csv.DictReader(stream):
            entry = (sequences[row["ID"]], int(row["substitutions"]), row["label"])
            found.setdefault(row["group"], []).append(entry)
    return {name: sorted(rows, key=lambda row: row[1]) for name, rows in found.items()}


def _distance(left: str, right: str) -> list[int]:
    return [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]


def test_the_csv_is_the_contests(either_tree, recipe):
    with either_tree.test_csv.open(newline="") as stream:
        header, *rows = list(csv.reader(stream))
    assert header == ["ID", "seq"]
    assert len(rows) == either_tree.counts["test_sequences"]
    assert len({name for name, _ in rows}) == len({sequence for _, sequence in rows}) == len(rows)
    assert all(set(sequence) <= set("ACGT") for _, sequence in rows)
    assert {len(sequence) for _, sequence in rows} == {recipe.length, recipe.length * 3 // 4}


def test_the_order_tells_nothing(either_tree):
    with either_tree.test_truth.open() as stream:
        groups = [row["group"] for row in csv.DictReader(stream)]
    assert groups != sorted(groups)
    neighbours = sum(left == right for left, right in pairwise(groups))
    assert neighbours < len(groups) / 2


def test_pairs_differ_in_the_middle_by_a_labelled_variant(either_tree, groups, recipe):
    """The variant lies at 0-based index 511 of 1,024, as in the contest."""
    genome = {name: sequence.upper() for name, sequence in read_fasta(either_tree.fasta).items()}
    known = {}
    for row in read_rows(either_tree.vcfs[1]):
        if row.is_snv and row.label is not None:
            contig = genome[row.info["CLNHGVS"].split(":")[0]]
            start = row.pos - recipe.length // 2
            known[contig[max(start, 0) : start + recipe.length], row.alt] = str(row.label)
    pairs = [rows for name, rows in groups.items() if name.startswith("pair")]
    assert len(pairs) == recipe.pairs + recipe.short_pairs
    short = 0
    for (reference, _, no_label), (variant, substitutions, label) in pairs:
        middle = recipe.length // 2 - 1
        assert _distance(reference, variant) == [middle]
        assert (substitutions, no_label) == (1, "")
        fitting = {
            known_label
            for (window, alt), known_label in known.items()
            if window.startswith(reference) and alt == variant[middle]
        }
        assert fitting == {label}
        short += len(reference) < recipe.length
    assert short == recipe.short_pairs
    labels = [rows[1][2] for rows in pairs]
    assert abs(labels.count("1") - labels.count("0")) <= 1


def test_ladders_double_their_substitutions(either_tree, groups, recipe):
    ladders = [rows for name, rows in groups.items() if name.startswith("ladder")]
    assert len(ladders) == recipe.ladders
    genome = "|".join(read_fasta(either_tree.fasta).values()).upper()
    steps = [2**power for power in range(10 if recipe.length == 1024 else 7)]
    for (base, *_), *mutated in ladders:
        assert base in genome
        assert [substitutions for _, substitutions, _ in mutated] == steps
        changed = [set(_distance(base, sequence)) for sequence, _, _ in mutated]
        assert [len(positions) for positions in changed] == steps
        assert all(small < large for small, large in pairwise(changed))
