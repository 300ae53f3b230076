"""Files from a web server or a folder, verified before they become visible; what they mean is not known here."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from glm_assets.errors import DownloadError, IntegrityError, OfflineError
from glm_assets.sources.location import is_remote, local_path, public_url
from glm_assets.sources.pace import at_pace
from glm_assets.sources.partial import PartialDownload, too_large
from glm_assets.sources.progress import Progress, Ticker, TransferMeter
from glm_assets.sources.web import DEFAULT_POLICY, RetryPolicy, get
from glm_assets.storage.atomic import atomic_path, file_digest
from glm_assets.storage.disk_space import explained_room
from glm_assets.storage.limits import LIMITS

if TYPE_CHECKING:
    import httpx

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 20
_TEXT_LIMIT = 16 << 20


@dataclass(frozen=True)
class FetchReport:
    """What a fetch did.

    Attributes:
        url: Source, without credentials.
        path: The file.
        size: Bytes.
        md5: MD5 of the file, as 32 hex digits.
        seconds: Wall time.
        resumed_from: Bytes that an earlier attempt had left; 0 for a transfer in one go.
        reused: The file was there already, with the expected checksum, and nothing was transferred.
    """

    url: str
    path: Path
    size: int
    md5: str
    seconds: float
    resumed_from: int = 0
    reused: bool = False


def fetch(
    url: str,
    dest: Path,
    *,
    md5: str | None = None,
    offline: bool = False,
    progress: Progress = _LOG.info,
    max_bytes: int | None = None,
    policy: RetryPolicy = DEFAULT_POLICY,
    headers: Mapping[str, str] | None = None,
) -> FetchReport:
    """Bring a file to `dest`, which appears only when it is whole and its checksum holds.

    A web transfer that breaks off is continued where it stopped, in this call or a later one.

    Args:
        url: `http(s)://`, `file://` or a plain path.
        dest: Where the file goes; its folder is made. A file there with the expected checksum is kept as it is.
        md5: Expected MD5 in hex; without it only the transferred size is checked.
        offline: Refuse web addresses.
        progress: Receives readable lines every few seconds.
        max_bytes: Refuse larger files; by default those beyond GLM_MAX_GB.
        policy: Patience with a web server.
        headers: Sent along; an `Authorization` is not sent to another host that the server redirects to.

    Raises:
        OfflineError: A download is needed but `offline` is set.
        DownloadError: The source cannot be read.
        IntegrityError: The checksum differs; nothing is left behind.
        StorageError: The disk is full; what has arrived of a web transfer is kept.
    """
    ticker = Ticker(progress)
    if max_bytes is None:
        max_bytes = LIMITS.max_bytes
    if md5 and dest.is_file() and file_digest(dest, "md5") == md5:
        progress(f"{dest.name}: already here, checksum verified")
        return FetchReport(public_url(url), dest, dest.stat().st_size, md5, ticker.seconds, reused=True)
    _refuse_offline(url, offline, fix=f"unset GLM_OFFLINE, or put the file at {dest}")
    dest.parent.mkdir(parents=True, exist_ok=True)
    source = local_path(url)
    with explained_room(dest.parent):
        if source is None:
            part = PartialDownload(dest, url, max_bytes=max_bytes, progress=progress, patience_s=policy.timeout_s)
            found = _download(part, url, md5, policy, headers or {})
            resumed_from = part.resumed_from
        else:
            found = _copy(source, dest, md5, max_bytes, progress)
            resumed_from = 0
    size = dest.stat().st_size
    progress(f"{dest.name}: {size / 1e6:.1f} MB in {ticker.seconds:.1f} s, md5 {found}")
    return FetchReport(public_url(url), dest, size, found, ticker.seconds, resumed_from)


def read_text(
    url: str,
    *,
    offline: bool = False,
    max_bytes: int = _TEXT_LIMIT,
    progress: Progress = _LOG.info,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> str:
    """Read a small text file, UTF-8; other bytes become replacement characters.

    Args:
        url: As for `fetch`.
        offline: Refuse web addresses.
        max_bytes: Refuse larger files.
        progress: Told of failed attempts.
        policy: Patience with a web server.

    Raises:
        OfflineError: A web address, and `offline` is set.
        DownloadError: The source cannot be read or is too large.
    """
    _refuse_offline(url, offline, fix="unset GLM_OFFLINE, or point GLM_NCBI_URL to a local copy of NCBI's tree")
    source = local_path(url)
    if source is None:
        data = get(
            url, lambda response: _head(response, max_bytes, policy.timeout_s), policy=policy, progress=progress
        )
    else:
        with _open(source) as stream:
            data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise DownloadError(f"{public_url(url)} is too long for a text", expected=f"at most {max_bytes:,} bytes")
    return data.decode("utf-8", errors="replace")


def _download(
    part: PartialDownload, url: str, md5: str | None, policy: RetryPolicy, headers: Mapping[str, str]
) -> str:
    """Transfer to the part until its checksum holds, publish it and return the checksum."""

    def transfer() -> None:
        get(
            url, part.receive, headers=lambda: {**headers, **part.headers()}, policy=policy, progress=part.progress
        )

    transfer()
    found = file_digest(part.data, "md5")
    if md5 and found != md5 and part.resumed_from:
        part.progress(f"{part.dest.name}: the checksum of the continued download differs, starting from scratch")
        part.discard()
        transfer()
        found = file_digest(part.data, "md5")
    if md5 and found != md5:
        part.discard()
        raise _wrong_sum(part.url, found, md5)
    part.publish()
    return found


def _copy(source: Path, dest: Path, md5: str | None, max_bytes: int, progress: Progress) -> str:
    """Copy a local file, publish it if its checksum holds, and return the checksum."""
    with _open(source) as reader, atomic_path(dest) as temporary:
        size = source.stat().st_size
        if size > max_bytes:
            raise too_large(str(source), size, max_bytes)
        meter = TransferMeter(dest.name, done=0, total=size, progress=progress)
        digest = hashlib.md5(usedforsecurity=False)
        with temporary.open("wb") as writer:
            while chunk := reader.read(_CHUNK):
                digest.update(chunk)
                writer.write(chunk)
                meter.add(len(chunk))
        found = digest.hexdigest()
        if md5 and found != md5:
            raise _wrong_sum(str(source), found, md5)
    return found


def _open(source: Path) -> BinaryIO:
    try:
        return source.open("rb")
    except OSError as error:
        raise DownloadError(
            f"{source} cannot be read ({error.strerror})", expected="a readable file", fix="check GLM_NCBI_URL"
        ) from error


def _head(response: httpx.Response, max_bytes: int, patience_s: float) -> bytes:
    """The body's first `max_bytes` and one more if there are more: enough to know that it is too long."""
    data = bytearray()
    for chunk in at_pace(response.iter_bytes(), patience_s=patience_s):
        data += chunk
        if len(data) > max_bytes:
            break
    return bytes(data)


def _refuse_offline(url: str, offline: bool, fix: str) -> None:
    if offline and is_remote(url):
        raise OfflineError(f"{public_url(url)} would have to be downloaded, but downloads are off", fix=fix)


def _wrong_sum(source: str, found: str, md5: str) -> IntegrityError:
    return IntegrityError(
        f"{source} has md5 {found}",
        expected=f"md5 {md5}, as the source states",
        fix="run again; if it stays so, the file is damaged at the source or its checksum file is out of date",
    )
