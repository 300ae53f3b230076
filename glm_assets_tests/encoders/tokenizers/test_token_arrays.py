"""Tokens on disk are those of the tokenizer, cut and counted."""

from __future__ import annotations

import pytest

from glm_assets.encoders.tokenizers.byte import ByteTokenizer
from glm_assets.encoders.tokenizers.token_arrays import TokenArrays, TokenCounts, write_tokens


class ByteTokenizerOfBases(ByteTokenizer):
    """Bytes, of which N is the unknown one."""

    unk_id = ord("N")


@pytest.fixture
def tokens(tmp_path) -> TokenArrays:
    return write_tokens([["ACGT", "A"], [], ["ACNNNNNN"]], ByteTokenizerOfBases(), tmp_path, max_length=4)


def test_rows_are_the_first_tokens_of_each_sequence(tokens):
    assert [bytes(row.tolist()).decode() for row in tokens.rows([2, 0, 1])] == ["ACNN", "ACGT", "A"]
    assert tokens.lengths.tolist() == [4, 1, 4]


def test_unknown_tokens_are_counted_among_those_that_are_kept(tokens):
    """A share of the kept ones cannot be made of those that were cut off as well."""
    assert tokens.counts == TokenCounts(sequences=3, tokens=9, truncated=1, unknown=2)
    assert tokens.counts.unknown_share == pytest.approx(2 / 9)
