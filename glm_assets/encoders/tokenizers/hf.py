"""The tokenizer of a transformers model: its `tokenizer.json`, read by the library `tokenizers`; no code is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glm_assets.encoders.huggingface.folder import read_json
from glm_assets.encoders.tokenizers.base import Ids
from glm_assets.errors import EncoderError
from glm_assets.storage.atomic import digest_of, file_digest

TOKENIZER = "tokenizer.json"
_SETTINGS = "tokenizer_config.json"
_PADS = ("[PAD]", "<pad>", "<|pad|>")


class HfTokenizer:
    """Encodes as the folder's `tokenizer.json` says.

    Args:
        folder: Of a saved transformers model, or of its tokenizer alone.
        special_tokens: Whether the special tokens of its template, such as [BOS] and [EOS], are put around a sequence.

    Raises:
        EncoderError: There is no such file, it cannot be read, it has no padding, or `tokenizers` is not installed.
    """

    def __init__(self, folder: Path, *, special_tokens: bool = False) -> None:
        path = folder / TOKENIZER
        content = read_json(path)
        self.name = f"tokenizer of {folder.resolve().name}"
        self._special_tokens = special_tokens
        self._core = load_core(path)
        texts = {index: text for text, index in self._core.get_vocab(with_added_tokens=True).items()}
        self.vocabulary_size = max(texts, default=-1) + 1
        self.token_strings: tuple[str | None, ...] = tuple(map(texts.get, range(self.vocabulary_size)))
        unknown = (content.get("model") or {}).get("unk_token")
        self.unk_id: int | None = self._core.token_to_id(unknown) if unknown else None
        self.pad_id = self._find_pad(folder)
        added = {entry["id"] for entry in content.get("added_tokens") or () if entry.get("special")}
        self._silent = added - {self.unk_id}
        self.digest = digest_of(
            {"tokenizer": "hf", "file": file_digest(path), "pad": self.pad_id, "special_tokens": special_tokens}
        )

    def encode(self, sequences: Sequence[str]) -> list[Ids]:
        """Ids of each sequence."""
        encoded = self._core.encode_batch_fast(list(sequences), add_special_tokens=self._special_tokens)
        return [np.array(entry.ids, np.int32) for entry in encoded]

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of ids, special tokens left out but for the unknown one."""
        kept = [int(index) for index in ids if int(index) not in self._silent]
        if self._core.decoder is not None:
            return self._core.decode(kept, skip_special_tokens=False)
        # tokenizers itself would put spaces in between.
        return "".join(self.token_strings[index] or "" for index in kept)

    def _find_pad(self, folder: Path) -> int:
        path = folder / _SETTINGS
        stated = read_json(path).get("pad_token") if path.is_file() else None
        named = stated.get("content") if isinstance(stated, dict) else stated
        for text in (named, *_PADS):
            if text and (index := self._core.token_to_id(text)) is not None:
                return index
        raise EncoderError(
            f"the tokenizer in {folder} has no padding token",
            expected=f"pad_token in {_SETTINGS}, or one of {', '.join(_PADS)} among its tokens",
        )


def load_core(path: Path) -> Any:
    """The library's tokenizer of a `tokenizer.json`, which neither cuts nor pads.

    Raises:
        EncoderError: It is none, or the library is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise EncoderError("HF tokenizers need transformers", fix="pip install 'glm_assets[hf]'") from error
    try:
        core = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more specific
        raise EncoderError(f"{path} cannot be read: {error}", expected="a tokenizer of transformers") from error
    core.no_truncation()
    core.no_padding()
    return core
