"""Many sequences, a bounded number of letters at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches_of_letters(sequences: Sequence[str], letters: int) -> Iterator[Sequence[str]]:
    """Consecutive sequences, each time until they have that many letters together, or more by the last one's."""
    first = size = 0
    for place, sequence in enumerate(sequences):
        size += len(sequence)
        if size >= letters:
            yield sequences[first : place + 1]
            first, size = place + 1, 0
    if first < len(sequences):
        yield sequences[first:]
