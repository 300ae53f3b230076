"""Batches of sequences hold all of them, in order, and not many more letters than they may."""

from __future__ import annotations

import pytest

from glm_assets.genome.batches import batches_of_letters


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([3, 3, 3, 3, 3], [[3, 3], [3, 3], [3]]),
        ([9, 1, 1, 1], [[9], [1, 1, 1]]),
        ([0, 0], [[0, 0]]),
        ([2, 3], [[2, 3]]),
    ],
)
def test_a_batch_ends_with_the_sequence_that_fills_it(sizes, expected):
    sequences = ["A" * size for size in sizes]
    batches = list(batches_of_letters(sequences, 5))
    assert [[len(each) for each in batch] for batch in batches] == expected
    assert [each for batch in batches for each in batch] == sequences
