"""What a submission file looks like: its columns and limits, shared by the writer and the verifier."""

from __future__ import annotations

from glm_assets.errors import SubmissionError

ID_COLUMN = "ID"
MAX_DIMENSIONS = 2048
"""The contest's working limit of embedding columns."""
UNIT_TOLERANCE = 1e-4
"""How far the length of a row may be from 1."""

_FOUR_DIGITS = 10_000


def embedding_columns(dimensions: int) -> list[str]:
    """Names of the embedding columns: `emb_0000`, `emb_0001`, ...

    Args:
        dimensions: How many; at most 10,000, which is what four digits can number.

    Raises:
        SubmissionError: `dimensions` is not positive or needs more than four digits.
    """
    if not 0 < dimensions <= _FOUR_DIGITS:
        raise SubmissionError(
            f"a submission of {dimensions:,} embedding columns cannot be named",
            expected=f"1 to {_FOUR_DIGITS:,} columns, emb_0000 to emb_9999",
        )
    return [f"emb_{number:04d}" for number in range(dimensions)]
