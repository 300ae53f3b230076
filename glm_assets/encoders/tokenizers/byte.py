"""Bytes as tokens: what Evo-1 and Evo2 read. A is 65, C 67, G 71 and T 84."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glm_assets.encoders.tokenizers.base import Ids
from glm_assets.errors import EncoderError
from glm_assets.storage.atomic import digest_of

_ROWS = 512  # of both models' embeddings; ids above 255 are never used
_PAD = 1


class ByteTokenizer:
    """One token for each byte of ASCII; nothing is unknown to it."""

    name = "byte"
    vocabulary_size = _ROWS
    pad_id = _PAD
    unk_id = None
    digest = digest_of({"tokenizer": "byte", "rows": _ROWS, "pad": _PAD})
    token_strings: tuple[str | None, ...] = tuple(chr(code) if 32 <= code < 127 else None for code in range(_ROWS))

    def encode(self, sequences: Sequence[str]) -> list[Ids]:
        """The bytes of each sequence.

        Raises:
            EncoderError: A sequence has a character that is not ASCII.
        """
        try:
            return [np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int32) for text in sequences]
        except UnicodeEncodeError as error:
            raise EncoderError(f"a sequence has the character {error.object[error.start]!r}") from error

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The characters of bytes; padding and what else is no printable character is left out."""
        return "".join(self.token_strings[index] or "" for index in ids)
