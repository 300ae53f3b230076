"""Model files of minbpe, version 1: read, checked line by line, and written.

Lines: `minbpe v1`; the pattern that cuts a text into chunks before anything is merged; the number of special tokens;
each of them as `text id`; then pairs of ids `a b`, of which the first makes token 256, the second 257 and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from glm_assets.errors import FormatError
from glm_assets.storage.atomic import atomic_path

BYTES = 256
_VERSION = "minbpe v1"


@dataclass(frozen=True)
class MinbpeModel:
    """What a model file holds.

    Attributes:
        pattern: Of the package `regex`; empty where a whole text is one chunk.
        special_tokens: Text to id.
        merges: Pairs of ids in the order of their rank.
    """

    pattern: str
    special_tokens: Mapping[str, int]
    merges: tuple[tuple[int, int], ...]

    def token_bytes(self) -> list[bytes]:
        """The bytes of the ids 0 to 255 and of each merge; without special tokens."""
        tokens = [bytes([code]) for code in range(BYTES)]
        for left, right in self.merges:
            tokens.append(tokens[left] + tokens[right])
        return tokens


def read_minbpe(path: Path) -> MinbpeModel:
    """Read a model file.

    Raises:
        FormatError: There is none, or a line of it is not what it must be; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").rstrip().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read: {error}", expected=f"a model file of {_VERSION}") from error
    if lines[0].strip() != _VERSION:
        _refuse(path, 1, lines[0], f"{_VERSION!r}")
    if len(lines) < 3:
        _refuse(path, len(lines) + 1, None, "a pattern and the number of special tokens")
    if not lines[2].strip().isdecimal():
        _refuse(path, 3, lines[2], "the number of special tokens")
    first_pair = 3 + int(lines[2])
    if len(lines) < first_pair:
        _refuse(path, len(lines) + 1, None, f"{lines[2].strip()} special tokens, as line 3 states")
    specials = _read_specials(path, lines[3:first_pair], free_id=BYTES + len(lines) - first_pair)
    return MinbpeModel(lines[1].strip(), specials, _read_merges(path, lines, first_pair))


def write_minbpe(path: Path, model: MinbpeModel) -> None:
    """Write a model file that `read_minbpe` and minbpe itself read back the same.

    Raises:
        FormatError: The pattern or a special token has white space that the format loses.
    """
    for text in (model.pattern, *model.special_tokens):
        if text != text.strip() or "\n" in text or (text is not model.pattern and len(text.split()) != 1):
            raise FormatError(
                f"{text!r} cannot be written to {path}", expected="no white space that would be lost"
            )
    lines = [_VERSION, model.pattern, str(len(model.special_tokens))]
    lines += [f"{text} {index}" for text, index in model.special_tokens.items()]
    lines += [f"{left} {right}" for left, right in model.merges]
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read_specials(path: Path, lines: list[str], free_id: int) -> dict[str, int]:
    specials: dict[str, int] = {}
    for number, line in enumerate(lines, start=4):
        parts = line.split()
        if len(parts) != 2 or not parts[1].isdecimal():
            _refuse(path, number, line, f"a special token and its id: line 3 states {len(lines)} of them")
        text, index = parts[0], int(parts[1])
        if index < free_id or text in specials or index in specials.values():
            _refuse(path, number, line, f"a text and an id from {free_id} on that nothing else has")
        specials[text] = index
    return specials


def _read_merges(path: Path, lines: list[str], first: int) -> tuple[tuple[int, int], ...]:
    merges: dict[tuple[int, int], None] = {}
    for number, line in enumerate(lines[first:], start=first + 1):
        parts = line.split()
        made = BYTES + len(merges)
        if len(parts) != 2 or not all(part.isdecimal() and int(part) < made for part in parts):
            _refuse(path, number, line, f"a pair of ids below {made}, the token that it makes")
        pair = (int(parts[0]), int(parts[1]))
        if pair in merges:
            _refuse(path, number, line, "a pair that no line before has")
        merges[pair] = None
    return tuple(merges)


def _refuse(path: Path, number: int, line: str | None, expected: str) -> NoReturn:
    found = "is missing: the file ends before it" if line is None else f"is {line[:60]!r}"
    raise FormatError(f"{path}, line {number} {found}", expected=expected, fix="get the file anew")
