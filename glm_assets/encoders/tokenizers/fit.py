"""Whether a tokenizer's ids are those of a model: within its embedding, and with the meaning it was trained with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from glm_assets.encoders.tokenizers.base import Tokenizer
from glm_assets.errors import EncoderError


def require_fit(
    tokenizer: Tokenizer, vocabulary_size: int, encoder_tokens: Mapping[str, int] | None = None
) -> None:
    """Refuse a tokenizer that a model would fail on, or silently misread.

    Args:
        tokenizer: Makes the model's ids.
        vocabulary_size: Rows of the model's embedding.
        encoder_tokens: Token to id of the vocabulary that the weights were trained with; None of untrained weights,
            which have no meanings yet.

    Raises:
        EncoderError: With all the reasons.
    """
    reasons = [*_outside(tokenizer, vocabulary_size), *_strangers(tokenizer, encoder_tokens or {})]
    if reasons:
        raise EncoderError(
            f"{tokenizer.name} does not fit the encoder: {'; '.join(reasons)}",
            expected="ids that the weights were trained with, all of them rows of the embedding",
            fix="take the encoder's own tokenizer; or this one with weights that were trained with it",
        )


def known_tokens(tokenizer: Tokenizer, encoder_tokens: Mapping[str, int]) -> tuple[int, int]:
    """How many of a tokenizer's merged tokens a vocabulary has, under any id, and how many there are.

    Merged tokens are those of several characters, special ones such as [PAD] and <|eos|> aside.
    """
    merged = merged_tokens(tokenizer)
    return sum(text in encoder_tokens for text in merged), len(merged)


def merged_tokens(tokenizer: Tokenizer) -> list[str]:
    """Texts of the tokens that several characters were merged to, in the order of their ids."""
    return [text for text in tokenizer.token_strings if text and len(text) > 1 and not _is_special(text)]


def _outside(tokenizer: Tokenizer, rows: int) -> Iterator[str]:
    largest = tokenizer.vocabulary_size - 1
    if largest >= rows:
        pad = f", with {tokenizer.pad_id} for padding" if tokenizer.pad_id >= rows else ""
        yield f"its ids reach {largest}{pad}, and the embedding has {rows} rows, 0 to {rows - 1}"


def _strangers(tokenizer: Tokenizer, encoder_tokens: Mapping[str, int]) -> Iterator[str]:
    if not encoder_tokens:
        return
    own = {text: index for index, text in enumerate(tokenizer.token_strings) if text and not _is_special(text)}
    moved = [text for text, index in own.items() if encoder_tokens.get(text, index) != index]
    if moved:
        first = min(moved, key=lambda text: (len(text), text))
        yield (
            f"its ids mean other tokens ({first} is {own[first]} here and {encoder_tokens[first]} there, and so are "
            f"{len(moved)} tokens in all)"
        )
    known, merged = known_tokens(tokenizer, encoder_tokens)
    if known < merged:
        yield f"{merged - known} of its {merged} merged tokens are not in the encoder's vocabulary"


def _is_special(text: str) -> bool:
    return (text[0], text[-1]) in (("[", "]"), ("<", ">"))
