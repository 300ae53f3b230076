"""A folder of an object store, or of anything else that fsspec knows, with errors that name it and the fix."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from glm_assets.storage.addresses import require_store
from glm_assets.storage.store_errors import explained_access, public_address

_AT_ONCE = 16  # small files are waited for together
_SETTING = "GLM_EMBEDDINGS_URL"


class Mirror:
    """Files in one remote folder. Nothing is asked of the server before the first call.

    Credentials come from where the file system's own tools take them, for `s3://` the `AWS_*` variables and files.

    Args:
        url: Of the folder, such as `s3://bucket/embeddings`.

    Attributes:
        url: Without user, password and query, for messages.

    Raises:
        StorageError: The kind of address is unknown or its package is not installed.
    """

    def __init__(self, url: str) -> None:
        require_store(url, _SETTING)
        self.url = public_address(url)
        with self._explained("opened"):
            from fsspec.core import url_to_fs

            # A cached listing would hide what other processes publish.
            self._files, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
        self._root = root.rstrip("/")

    def sizes(self) -> dict[str, int]:
        """Size in bytes of each file that is there now, by name."""
        with self._explained("listed"):
            try:
                found = self._files.ls(self._root, detail=True)
            except FileNotFoundError as error:
                if error.__cause__:  # the server's own word that there is no bucket
                    raise
                return {}  # a folder without files does not exist
        return {file["name"].rpartition("/")[2]: int(file["size"]) for file in found if file["type"] == "file"}

    def upload(self, path: Path) -> None:
        """Put a local file there under its name."""
        with self._explained("written to"):
            self._files.put_file(str(path), self._path(path.name))

    def download(self, name: str, dest: Path) -> bool:
        """Copy a file to a local path; False if it has gone."""
        with self._explained("read"), contextlib.suppress(FileNotFoundError):
            self._files.get_file(self._path(name), str(dest))
            return True
        return False

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Contents of small files by name; those that have just gone are left out."""
        with self._explained("read"), ThreadPoolExecutor(_AT_ONCE) as threads:
            contents = threads.map(self._content, names)
            return {name: content for name, content in zip(names, contents, strict=True) if content is not None}

    def rename(self, name: str, new: str) -> None:
        """Give a file another name; it may have gone, and this user may not be allowed to."""
        with self._explained("changed"), contextlib.suppress(FileNotFoundError, PermissionError):
            self._files.mv(self._path(name), self._path(new))

    def remove_old(self, name: str, min_age_s: float) -> bool:
        """Remove a file older than `min_age_s` seconds; whether it was."""
        with self._explained("changed"), contextlib.suppress(FileNotFoundError):
            if time.time() - self._files.modified(self._path(name)).timestamp() > min_age_s:
                self._files.rm_file(self._path(name))
                return True
        return False

    def age_s(self, name: str) -> float:
        """Seconds since a file was written; 0 if it has gone."""
        with self._explained("read"), contextlib.suppress(FileNotFoundError):
            return time.time() - self._files.modified(self._path(name)).timestamp()
        return 0.0

    def remove(self, name: str) -> None:
        """Remove a file; it may have gone."""
        with self._explained("changed"), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _content(self, name: str) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            return self._files.cat_file(self._path(name))
        return None

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _explained(self, done: str) -> AbstractContextManager[None]:
        return explained_access(self.url, done, _SETTING, "finished shards are kept")
