"""What README.md says, taken from the file itself: code blocks, commands, tables and links."""

from __future__ import annotations

import re
from dataclasses import dataclass

from glm_assets_tests.conftest import REPOSITORY

README = REPOSITORY / "README.md"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`]+)`", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PROGRAMS = ("source", "make", "pip", "export", "dagster", "dg", "mlflow")


@dataclass(frozen=True)
class Block:
    """A fenced code block; `language` is empty for a shell."""

    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """The fenced code blocks in order."""
    return [Block(*match) for match in _BLOCK.findall(text)]


def spans(text: str) -> list[str]:
    """The inline code of the text, white space as in one line."""
    return [" ".join(span.split()) for span in _SPAN.findall(_BLOCK.sub("", text))]


def commands(text: str) -> list[str]:
    """Every command in the text, in blocks without a language and inline, in order of appearance."""
    found = []
    for part in re.split(r"(^```\w*\n.*?^```$)", text, flags=re.DOTALL | re.MULTILINE):
        if block := _BLOCK.fullmatch(part):
            language, body = block.groups()
            found += [line for line in body.splitlines() if not language]
        else:
            found += [span for span in spans(part) if _is_command(span)]
    return [line.split("  #")[0].strip() for line in found]


def links(text: str) -> list[str]:
    """Targets of the links and pictures."""
    return _LINK.findall(text)


def table(text: str, header: str) -> list[list[str]]:
    """The cells of the rows under the table header that begins with `| header |`."""
    lines = iter(text[text.index(f"| {header} |") :].splitlines()[2:])
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def _is_command(span: str) -> bool:
    words = [word for word in span.split() if not re.fullmatch(r"[A-Z_]+=\S*", word)]
    return len(words) > 1 and words[0] in _PROGRAMS
