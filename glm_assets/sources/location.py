"""Where a source lies: an `http(s)://` address, a `file://` address or a plain folder. Nothing is opened here."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from glm_assets.errors import DownloadError


def is_remote(url: str) -> bool:
    """Whether `url` lies on a web server, so that reading it needs a network."""
    return _split(url).scheme in ("http", "https")


def local_path(url: str) -> Path | None:
    """The path that a `file://` address or plain path names; None for a web address.

    Raises:
        DownloadError: The address is of another kind (`ftp://`, `s3://`, another host's files) or malformed.
    """
    if is_remote(url):
        return None
    if "://" not in url:
        return Path(url)
    parts = _split(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    raise _no_address(public_url(url))


def join_url(base: str, *parts: str) -> str:
    """Append path parts to an address or folder, quoting them where it is an address.

    Args:
        base: As for `local_path`, with or without a slash at its end.
        parts: Relative paths; slashes in them separate folders.
    """
    if "://" not in base:
        return str(Path(base, *parts))
    return "/".join([base.rstrip("/"), *(quote(part.strip("/")) for part in parts)])


def split_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Take user and password out of a web address, so that no log can show them.

    Returns:
        The address without them, and (user, password) or None.
    """
    parts = _split(url)
    if parts.username is None:
        return url, None
    clean = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return clean, (unquote(parts.username), unquote(parts.password or ""))


def public_url(url: str) -> str:
    """The address as messages and records may show it: without user, password, query (signatures) and fragment."""
    clean, _ = split_credentials(url)
    return urlunsplit(_split(clean)._replace(query="", fragment="")) if "://" in clean else clean


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:  # such as an unclosed bracket, which is read as a broken IPv6 address
        raise _no_address(url.rpartition("@")[2]) from error


def _no_address(shown: str) -> DownloadError:
    return DownloadError(
        f"{shown} is no address that can be read",
        expected="https://..., http://..., file:///... or a folder",
        fix="check GLM_NCBI_URL",
    )
