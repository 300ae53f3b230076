"""The names in a folder, wherever it lies: a web server's directory page, a `file://` address or a path."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from glm_assets.errors import DownloadError
from glm_assets.sources.fetch import read_text
from glm_assets.sources.location import local_path
from glm_assets.sources.progress import Progress
from glm_assets.sources.web import DEFAULT_POLICY, RetryPolicy

_LOG = logging.getLogger(__name__)
# As the original pipeline reads a page: values without a quote, a fragment or a query.
_HREF = re.compile(r"""\bhref\s*=\s*["']([^"'#?]+)["']""", re.IGNORECASE)


def list_names(
    base: str, *, offline: bool = False, progress: Progress = _LOG.info, policy: RetryPolicy = DEFAULT_POLICY
) -> list[str]:
    """List the files of a folder.

    Args:
        base: `http(s)://` address of a directory page, `file://` address or path of a folder.
        offline: Refuse web addresses.
        progress: Told of failed attempts.
        policy: Patience with a web server.

    Returns:
        Plain file names, sorted, each once. Links to subfolders and to places outside the folder are left out.

    Raises:
        OfflineError: A web address, and `offline` is set.
        DownloadError: There is no such folder, or the server cannot be reached.
    """
    folder = local_path(base)
    if folder is not None:
        return _local_names(folder)
    # With the slash the server need not redirect, and relative links resolve inside the folder.
    page = f"{base.rstrip('/')}/"
    text = read_text(page, offline=offline, progress=progress, policy=policy)
    return sorted(set(_linked_names(page, text)))


def list_folders(
    base: str, *, offline: bool = False, progress: Progress = _LOG.info, policy: RetryPolicy = DEFAULT_POLICY
) -> list[str]:
    """List the subfolders of a folder; arguments and errors are those of `list_names`."""
    folder = local_path(base)
    if folder is not None:
        return _local_names(folder, Path.is_dir)
    page = f"{base.rstrip('/')}/"
    text = read_text(page, offline=offline, progress=progress, policy=policy)
    return sorted(set(_linked_names(page, text, mark="/")))


def _local_names(folder: Path, wanted: Callable[[Path], bool] = Path.is_file) -> list[str]:
    if not folder.is_dir():
        raise DownloadError(
            f"{folder} is {'not a folder' if folder.exists() else 'absent'}",
            expected="a folder laid out as NCBI's",
            fix="check GLM_NCBI_URL; it is the root of NCBI's tree or of a copy",
        )
    return sorted(path.name for path in folder.iterdir() if wanted(path))


def _linked_names(page: str, text: str, *, mark: str = "") -> Iterator[str]:
    """Names of the links that point to files directly in the folder of `page`; to folders with the mark `/`."""
    here = urlsplit(page)
    for value in _HREF.findall(text):
        try:
            target = urlsplit(urljoin(page, html.unescape(value).strip()))
        except ValueError:  # such as an unclosed bracket, which is read as a broken IPv6 address
            continue
        if not target.path.endswith(mark):
            continue
        folder, _, name = target.path.removesuffix(mark).rpartition("/")
        name = unquote(name)
        inside = target.hostname == here.hostname and unquote(folder) == unquote(here.path).rstrip("/")
        if inside and name not in ("", ".", "..") and not set(name) & set("/\\?#\0"):
            yield name
