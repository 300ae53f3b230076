"""The tokenizer of a minbpe model file: bytes, merged by rank within the chunks that a pattern cuts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glm_assets.encoders.tokenizers.base import Ids
from glm_assets.encoders.tokenizers.merging import Merger
from glm_assets.encoders.tokenizers.minbpe_file import BYTES, MinbpeModel, read_minbpe
from glm_assets.errors import EncoderError
from glm_assets.genome.batches import batches_of_letters
from glm_assets.storage.atomic import digest_of

# Bytes that are merged at once: the arrays stay within a processor's cache.
_AT_ONCE = 1 << 16
_PADS = ("<|pad|>", "<|eos|>", "<|endoftext|>")


class MinbpeTokenizer:
    """Encodes as minbpe does.

    Padding is the first of `<|pad|>`, `<|eos|>` and `<|endoftext|>` that the file has as a special token, else the
    byte 0, which no sequence has. Bytes know everything, so nothing is unknown.

    Args:
        model: From `read_minbpe`.
        name: What it is called in messages.
        special_tokens: Whether special tokens are recognised within a text; else they are text like any other.

    Raises:
        EncoderError: The pattern is none of the package `regex`, or that is not installed.
    """

    unk_id = None

    def __init__(self, model: MinbpeModel, *, name: str = "minbpe", special_tokens: bool = False) -> None:
        self.name = name
        self._model = model
        self._bytes = model.token_bytes()
        self._merger = Merger(model.merges, BYTES)
        self._chunks = _splitter(model.pattern)
        self._specials = dict(model.special_tokens) if special_tokens else {}
        texts = {index: text for text, index in model.special_tokens.items()}
        self.vocabulary_size = max([len(self._bytes) - 1, *texts]) + 1
        self.pad_id = next((model.special_tokens[text] for text in _PADS if text in model.special_tokens), 0)
        self.token_strings: tuple[str | None, ...] = tuple(
            _printable(self._bytes[index]) if index < len(self._bytes) else texts.get(index)
            for index in range(self.vocabulary_size)
        )
        self.digest = digest_of(
            {
                "tokenizer": "minbpe",
                "pattern": model.pattern,
                "specials": dict(model.special_tokens),
                "merges": [list(pair) for pair in model.merges],
                "special_tokens": special_tokens,
            }
        )

    @classmethod
    def of_file(cls, path: Path, *, special_tokens: bool = False) -> MinbpeTokenizer:
        """The tokenizer of a model file.

        Raises:
            FormatError: The file is none.
            EncoderError: Its pattern is none.
        """
        return cls(read_minbpe(path), name=f"minbpe {path.name}", special_tokens=special_tokens)

    def encode(self, sequences: Sequence[str]) -> list[Ids]:
        """Ids of each sequence."""
        if not self._specials:
            return self._encode(sequences)
        # Parts between special tokens are sequences of their own, and put together again.
        between = re.compile("(" + "|".join(map(re.escape, sorted(self._specials, key=len, reverse=True))) + ")")
        divided = [between.split(text) for text in sequences]
        parts = iter(self._encode([part for row in divided for part in row[::2]]))
        return [
            np.concatenate(
                [
                    np.array([self._specials[part]], np.int32) if odd % 2 else next(parts)
                    for odd, part in enumerate(row)
                ]
            )
            for row in divided
        ]

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of ids; special tokens are left out."""
        return b"".join(self._bytes[index] for index in ids if index < len(self._bytes)).decode(errors="replace")

    def _encode(self, sequences: Sequence[str]) -> list[Ids]:
        return [ids for batch in batches_of_letters(sequences, _AT_ONCE) for ids in self._encode_batch(batch)]

    def _encode_batch(self, sequences: Sequence[str]) -> list[Ids]:
        chunks = [[chunk.encode() for chunk in self._chunks(text)] for text in sequences]
        flat = [chunk for row in chunks for chunk in row]
        tokens, counts = self._merger.merge(
            np.frombuffer(b"".join(flat), np.uint8), np.array([len(chunk) for chunk in flat], np.int64)
        )
        owner = np.repeat(np.arange(len(chunks)), [len(row) for row in chunks])
        sizes = np.bincount(owner, weights=counts, minlength=len(chunks)).astype(np.int64)
        return np.split(tokens, np.cumsum(sizes)[:-1])


def _splitter(pattern: str) -> Callable[[str], list[str]]:
    """What cuts a text into chunks; none of them is empty."""
    if not pattern:
        return lambda text: [text] if text else []
    try:
        import regex
    except ImportError as error:
        raise EncoderError("minbpe patterns need the package regex", fix="pip install 'glm_assets[hf]'") from error
    try:
        compiled: Any = regex.compile(pattern)
    except regex.error as error:
        raise EncoderError(f"the pattern {pattern!r} of a minbpe model is none: {error}") from error
    return lambda text: [match.group() for match in compiled.finditer(text) if match.group()]


def _printable(token: bytes) -> str | None:
    text = token.decode(errors="replace")
    return text if text.isprintable() and "\ufffd" not in text else None
