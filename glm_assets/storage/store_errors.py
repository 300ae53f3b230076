"""What a person reads when an object store refuses: its address without secrets, the reason, and how to go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from glm_assets.errors import GlmError, StorageError
from glm_assets.storage.disk_space import is_full

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


@contextmanager
def explained_access(url: str, done: str, setting: str, resumed: str) -> Iterator[None]:
    """Turn what a file system says into an error that names the address and the fix.

    Args:
        url: Of the folder, as `public_address` gives it.
        done: What the block does there, such as `read`.
        setting: Where the address is from.
        resumed: What a second try finds done.

    Raises:
        StorageError: The block failed. A disk of this machine that is full is left to the caller to explain.
    """
    try:
        yield
    except GlmError:
        raise
    except Exception as error:  # every file system has errors of its own
        if is_full(error):
            raise
        reason = _CREDENTIALS.sub("", str(error)) or type(error).__name__
        raise StorageError(f"{url} cannot be {done} ({reason})", fix=_fix(error, setting, resumed)) from error


def public_address(url: str) -> str:
    """The address without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _fix(error: Exception, setting: str, resumed: str) -> str:
    if isinstance(error, ImportError):
        return "install the package, for s3:// with: pip install 'glm_assets[s3]'"
    if isinstance(error, ValueError):
        return f"correct {setting}: a folder, s3://bucket/folder, or another address that fsspec knows"
    if isinstance(error, FileNotFoundError):
        return f"make the bucket, or correct {setting}"
    if isinstance(error, PermissionError):
        return "let these credentials list, read, write and delete there, or use others (AWS_PROFILE)"
    return f"check the network, AWS_ENDPOINT_URL and the credentials, and materialise again: {resumed}"
