"""How large a file may become, downloaded or decompressed: where an endless answer or a decompression bomb stops."""

from __future__ import annotations

from dataclasses import dataclass

from glm_assets.errors import IntegrityError

GB = 10**9


@dataclass
class Limits:
    """What one file may hold; the process has one such object, as it has one disk.

    Attributes:
        max_bytes: Of a download, and of a file after decompression.
        longest_line: Bytes of a line of text, which is in memory as a whole.
    """

    max_bytes: int = 64 * GB
    longest_line: int = 512 << 20


LIMITS = Limits()
"""In force here; the settings set `max_bytes` from GLM_MAX_GB."""


def refuse_excess(name: str, size: int, *, decompressed: bool = False) -> None:
    """Refuse a file that holds more than is allowed.

    Args:
        name: What to call the file.
        size: Bytes so far.
        decompressed: Whether these are bytes after decompression.

    Raises:
        IntegrityError: There are too many.
    """
    if size <= LIMITS.max_bytes:
        return
    raise IntegrityError(
        f"{name} holds more than {LIMITS.max_bytes:,} bytes{' after decompression' if decompressed else ''}",
        expected=f"at most {LIMITS.max_bytes / GB:g} GB, the limit GLM_MAX_GB",
        fix="if the file is what it should be, set GLM_MAX_GB to more; otherwise it is damaged or hostile",
    )


def refuse_long_line(name: str, length: int) -> None:
    """Refuse a text whose line is longer than memory should hold.

    Raises:
        IntegrityError: It is.
    """
    if length > LIMITS.longest_line:
        raise IntegrityError(
            f"{name} holds a line of more than {LIMITS.longest_line:,} bytes",
            expected="lines of text that memory can hold",
            fix="make or download the file again: it is damaged or hostile; break the lines of sequence",
        )
