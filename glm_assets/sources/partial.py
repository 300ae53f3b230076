"""A download in progress: the bytes so far, and the notes that tell whether they can be continued later."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glm_assets.errors import DownloadError
from glm_assets.sources.location import public_url
from glm_assets.sources.pace import at_pace
from glm_assets.sources.progress import Progress, TransferMeter
from glm_assets.sources.web import DEFAULT_POLICY, TransientError
from glm_assets.storage.atomic import write_json

if TYPE_CHECKING:
    import httpx

_CONTENT_RANGE = re.compile(r"bytes (?:(?P<start>\d+)-\d+|\*)/(?P<total>\d+|\*)")


class PartialDownload:
    """`<name>.part` beside a file to be, with `<name>.part.json` saying which file on the server it belongs to.

    Both survive a killed process. The validator (ETag or Last-Modified) goes out as `If-Range`, so a server whose
    file has changed sends the whole new one.

    Args:
        dest: The file to be.
        url: Where it comes from.
        max_bytes: Refuse more than this.
        progress: Told about the transfer every few seconds.
        patience_s: How long a server may be slower than `SLOWEST`.
    """

    def __init__(
        self,
        dest: Path,
        url: str,
        *,
        max_bytes: int,
        progress: Progress,
        patience_s: float = DEFAULT_POLICY.timeout_s,
    ) -> None:
        self.dest = dest
        self.data = dest.with_name(f"{dest.name}.part")
        self.notes = dest.with_name(f"{dest.name}.part.json")
        self.url = public_url(url)
        self.max_bytes = max_bytes
        self.progress = progress
        self.patience_s = patience_s
        self.resumed_from = 0
        """Bytes that were already here when the last answer began; 0 for a download in one go."""

    def headers(self) -> dict[str, str]:
        """Request headers that ask for the missing bytes only; empty when there is nothing to continue."""
        notes = self._read_notes()
        if notes.get("url") != self.url:
            self.discard()
        if not (size := self._size()):
            return {}
        condition = {"If-Range": notes["validator"]} if notes.get("validator") else {}
        return {"Range": f"bytes={size}-"} | condition

    def receive(self, response: httpx.Response) -> None:
        """Write an answer's body to the part, after the bytes that are there or from the start.

        Raises:
            TransientError: The answer does not continue the part, or ended early; asking again is right.
            DownloadError: The file is larger than `max_bytes`.
        """
        if response.status_code == 416:
            self._accept_as_complete(response)
            return
        resumes = response.status_code == 206
        total = self._check_range(response) if resumes else _content_length(response)
        self._refuse_excess(total or 0)
        if not resumes:
            # The notes go first: a part never lies beside the notes of another file.
            self.discard()
            write_json(self.notes, {"url": self.url, "validator": _validator(response), "total": total})
        self.resumed_from = self._size()
        self._write(response, total)
        if total is not None and self._size() != total:
            raise TransientError(f"the transfer ended at {self._size():,} of {total:,} bytes")

    def publish(self) -> None:
        """Make the part the file it was meant to be."""
        self.data.replace(self.dest)
        self.notes.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the part and its notes."""
        self.data.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)

    def _write(self, response: httpx.Response, total: int | None) -> None:
        done = self._size()
        meter = TransferMeter(self.dest.name, done=done, total=total, progress=self.progress)
        with self.data.open("ab") as stream:
            for chunk in at_pace(response.iter_raw(), patience_s=self.patience_s):
                done += len(chunk)
                self._refuse_excess(done)
                stream.write(chunk)
                meter.add(len(chunk))

    def _check_range(self, response: httpx.Response) -> int | None:
        """The whole file's size, after making sure that a 206 answer continues exactly this part."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        start, total = (match["start"], match["total"]) if match else (None, None)
        noted = self._read_notes().get("total")
        if start != str(self._size()) or (noted is not None and total not in (str(noted), "*")):
            self.discard()
            raise TransientError("the server continues another part of the file than was asked for")
        return noted if total in (None, "*") else int(total)

    def _accept_as_complete(self, response: httpx.Response) -> None:
        """A range that starts at the file's end is refused with 416: then everything is here already."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        if not match or match["total"] != str(self._size()):
            self.discard()
            raise TransientError("what had arrived does not fit the file on the server")
        self.resumed_from = self._size()

    def _refuse_excess(self, size: int) -> None:
        if size > self.max_bytes:
            self.discard()
            raise too_large(self.url, size, self.max_bytes)

    def _size(self) -> int:
        return self.data.stat().st_size if self.data.exists() else 0

    def _read_notes(self) -> dict[str, Any]:
        try:
            notes = json.loads(self.notes.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}
        return notes if isinstance(notes, dict) else {}


def too_large(source: str, size: int, max_bytes: int) -> DownloadError:
    """The error for a file of at least `size` bytes, which are more than are allowed."""
    return DownloadError(
        f"{source} holds at least {size:,} bytes",
        expected=f"at most {max_bytes:,} bytes",
        fix="if the file is what it should be, set GLM_MAX_GB to more",
    )


def _content_length(response: httpx.Response) -> int | None:
    length = response.headers.get("content-length", "")
    return int(length) if length.isdigit() else None


def _validator(response: httpx.Response) -> str | None:
    """What `If-Range` may carry: a strong ETag, else the modification time (RFC 9110, section 13.1.5)."""
    etag = response.headers.get("etag")
    return etag if etag and not etag.startswith("W/") else response.headers.get("last-modified")
