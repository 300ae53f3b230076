"""The tokenizers by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from glm_assets.encoders.tokenizers.base import Tokenizer
from glm_assets.encoders.tokenizers.byte import ByteTokenizer
from glm_assets.encoders.tokenizers.hf import HfTokenizer
from glm_assets.encoders.tokenizers.kmer import DEFAULT_K, KmerTokenizer
from glm_assets.encoders.tokenizers.minbpe import MinbpeTokenizer
from glm_assets.errors import EncoderError

Kind = Literal["byte", "hf", "kmer", "minbpe"]


def make_tokenizer(
    kind: str, path: Path | None = None, *, special_tokens: bool = False, k: int = DEFAULT_K
) -> Tokenizer:
    """Make a tokenizer.

    Args:
        kind: `byte`, `hf`, `kmer` or `minbpe`.
        path: Of `hf` the folder with `tokenizer.json`, of `minbpe` the model file; the others have none.
        special_tokens: Of `hf`, whether special tokens are put around sequences; of `minbpe`, whether they are
            recognised within.
        k: Of `kmer`, bases of a token.

    Raises:
        EncoderError: The kind is unknown or its path missing, or the tokenizer cannot be used.
        FormatError: The model file is damaged.
    """
    if kind == "byte":
        return ByteTokenizer()
    if kind == "kmer":
        return KmerTokenizer(k)
    if kind not in get_args(Kind):
        raise EncoderError(f"unknown tokenizer {kind!r}", expected=f"one of {', '.join(get_args(Kind))}")
    if path is None:
        raise EncoderError(
            f"tokenizer {kind} needs a path", expected="a folder with tokenizer.json, or a minbpe model file"
        )
    if kind == "hf":
        return HfTokenizer(path, special_tokens=special_tokens)
    return MinbpeTokenizer.of_file(path, special_tokens=special_tokens)
