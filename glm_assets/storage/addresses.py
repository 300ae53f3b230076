"""Which addresses of object stores are taken. Every other kind that a library would open is refused before it does."""

from __future__ import annotations

import re

from glm_assets.errors import StorageError

STORES = ("s3", "gs", "gcs", "az", "abfs", "abfss")
"""Schemes of object stores: Amazon's protocol, Google's and Microsoft's."""

# `file` is the disk itself; `memory` holds what ends with its process, and can reach nothing else.
_HERE = ("file", "memory")
_ADDRESS = re.compile(r"([a-z][a-z0-9]*)://[^\s\0]+", re.IGNORECASE)


def is_address(place: str) -> bool:
    """Whether `place` is an address rather than a folder's path."""
    return "://" in place or "::" in place


# `abfs://container@account...`: what stands before the @ is no user there.
_CONTAINERS = ("az", "abfs", "abfss")


def _refuse_credentials(scheme: str, rest: str, setting: str) -> None:
    """Refuse an address that holds or may hold a secret: the file systems' own messages would repeat it."""
    user, at, _ = rest.partition("/")[0].rpartition("@")
    if set("?#") & set(rest) or (at and (":" in user or scheme not in _CONTAINERS)):
        raise StorageError(
            f"the {scheme}:// address comes with credentials, a query or a fragment",
            expected="credentials in the environment (AWS_SECRET_ACCESS_KEY), where no log or record shows them",
            fix=f"take them out of {setting}",
        )


def require_store(url: str, setting: str) -> str:
    """Check that an address is an object store's, before fsspec sees it: it would open anything.

    Chained addresses (`simplecache::...`, `zip://...::...`), other protocols (`ftp`, `ssh`, `github`) and protocols
    that read what others wrote (`reference`) are refused.

    Args:
        url: The address.
        setting: The setting that it is from.

    Returns:
        `url`.

    Raises:
        StorageError: It is none; neither user, password nor query are repeated.
    """
    match = _ADDRESS.fullmatch(url)
    if match and "::" not in url and match[1].lower() in STORES + _HERE:
        _refuse_credentials(match[1].lower(), url.partition("://")[2], setting)
        return url
    kind = url.partition("://")[0].rpartition("@")[2][:40]
    raise StorageError(
        f"an address that begins with {kind!r} is no object store",
        expected=f"a folder, or one of {', '.join(f'{scheme}://' for scheme in STORES)}",
        fix=f"correct {setting}",
    )
