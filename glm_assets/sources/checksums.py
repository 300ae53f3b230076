"""MD5 lists as NCBI writes them: `<md5>  <name>`, one file a line, the name with or without a folder."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from glm_assets.errors import FormatError

_LINE = re.compile(r"(?P<md5>[0-9a-fA-F]{32})\s+\*?(?P<path>\S.*?)\s*")


def find_md5(text: str, name: str, *, where: str) -> str:
    """The MD5 that a list states for a file.

    Args:
        text: The list.
        name: File name without folder.
        where: The list's own name or address, for messages.

    Returns:
        32 lower-case hex digits.

    Raises:
        FormatError: The list has no line for the file, or lines that contradict each other.
    """
    lines = filter(None, map(_LINE.fullmatch, text.splitlines()))
    found = {line["md5"].lower() for line in lines if PurePosixPath(line["path"]).name == name}
    if len(found) == 1:
        return found.pop()
    raise FormatError(
        f"{where} states {len(found) or 'no'} md5 {'sums' if found else 'sum'} for {name}",
        expected=f"one line '<md5>  {name}'",
        fix="check that the folder on the server is complete",
    )
