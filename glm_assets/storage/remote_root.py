"""A data root on an object store: the same names as in a folder, read through listings that are a moment old at most.

What lies there is the truth for every machine. An object appears whole or not at all, and a listing shows what is
there at that moment; both hold on every store in use.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glm_assets.errors import StorageError
from glm_assets.storage.addresses import require_store
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.store_errors import explained_access, public_address

_SETTING = "GLM_DATA_ROOT"
# Asking whether a head is up to date asks for a hundred manifests: one listing answers all of them.
_LISTING_SECONDS = 2.0
# What a listing says of an object besides its size, under the names that file systems give it.
_IDENTITY = ("ETag", "etag", "LastModified", "last_modified", "generation", "created", "mtime")


@dataclass(frozen=True)
class Entry:
    """What a listing says of one object.

    Attributes:
        size: In bytes.
        identity: Differs when the content does.
    """

    size: int
    identity: str


class RemoteRoot:
    """The objects of a data root. Nothing is asked of the server before the first call.

    Names are relative to the root and never begin with a slash. Credentials come from where the file system's own
    tools take them, for `s3://` the `AWS_*` variables and files.

    Args:
        url: Of the root, such as `s3://bucket/glm`.
        here: Folder of this machine that has the same names below it.

    Attributes:
        url: Without user, password and query, for messages.
        here: As given.

    Raises:
        StorageError: The address is none of an object store. Every method raises it too when the store cannot be
            reached or refuses.
    """

    def __init__(self, url: str, here: Path) -> None:
        self._address = check_root_address(url).rstrip("/")
        self.url = public_address(self._address)
        self.here = here
        self._listings: dict[str, tuple[float, dict[str, Entry]]] = {}
        self._contents: dict[str, tuple[Entry, bytes]] = {}

    @cached_property
    def files(self) -> Any:  # the types of fsspec are those of every option at once
        """The file system that knows the address, an `AbstractFileSystem` of fsspec."""
        with self._explained("opened"):
            from fsspec.core import url_to_fs

            # A cached listing would hide what other machines publish.
            return url_to_fs(self._address, use_listings_cache=False, skip_instance_cache=True)[0]

    def name_of(self, path: Path) -> str:
        """The name of a path below `here`."""
        return path.relative_to(self.here).as_posix()

    def address(self, name: str) -> str:
        """The address by which the file system opens an object."""
        return self.files.unstrip_protocol(self._path(name))

    def entries(self, folder: str) -> dict[str, Entry]:
        """The objects below a folder, by their name in it."""
        listed = self._listed(folder.partition("/")[0])
        return {
            name.removeprefix(f"{folder}/"): entry
            for name, entry in listed.items()
            if name.startswith(f"{folder}/")
        }

    def lists(self, name: str) -> bool:
        """Whether there is an object of that name."""
        return name in self._listed(name.partition("/")[0])

    def read(self, name: str) -> bytes | None:
        """The content of a small object as it is now; None if there is none."""
        with self._explained("read"), contextlib.suppress(FileNotFoundError):
            return self.files.cat_file(self._path(name))
        return None

    def read_listed(self, name: str) -> bytes | None:
        """The same, read only once for as long as listings show the same object."""
        entry = self._listed(name.partition("/")[0]).get(name)
        if entry is None:
            return None
        known = self._contents.get(name)
        if known and known[0] == entry:
            return known[1]
        content = self.read(name)
        if content is not None:
            self._contents[name] = (entry, content)
        return content

    def copy_here(self, folder: str) -> None:
        """Make a folder of small files on this machine what it is there."""
        there = self.entries(folder)
        for name in there:
            dest, content = self.here / folder / name, self.read_listed(f"{folder}/{name}")
            if content is not None and not (dest.is_file() and dest.read_bytes() == content):
                with atomic_path(dest) as temporary:
                    temporary.write_bytes(content)
        for path in (self.here / folder).glob("*"):
            if path.name not in there and path.is_file():
                path.unlink()

    def create(self, name: str, content: bytes) -> None:
        """Write an object unless there is one, as far as the store can tell: some ignore the condition."""
        with self._explained("written to"), contextlib.suppress(FileExistsError):
            self.files.pipe_file(self._path(name), content, mode="create")
        self.forget()

    def put(self, path: Path, name: str) -> None:
        """Upload a file; it replaces the object in one step."""
        with self._explained("written to"):
            self.files.put_file(str(path), self._path(name))
        self.forget()

    def get(self, name: str, dest: Path) -> bool:
        """Copy an object to a local path; False if there is none."""
        with self._explained("read"), contextlib.suppress(FileNotFoundError):
            self.files.get_file(self._path(name), str(dest))
            return True
        return False

    def remove(self, name: str) -> None:
        """Remove an object; it may have gone, and this user may not be allowed to."""
        with self._explained("changed"), contextlib.suppress(FileNotFoundError, PermissionError):
            self.files.rm_file(self._path(name))
        self.forget()

    def withdraw(self, name: str) -> None:
        """Remove an object that nobody may rely on any more: not to be allowed to is an error here."""
        with self._explained("changed"), contextlib.suppress(FileNotFoundError):
            self.files.rm_file(self._path(name))
        self.forget()

    def forget(self) -> None:
        """List again before the next answer."""
        self._listings.clear()

    def _listed(self, top: str) -> dict[str, Entry]:
        """Everything below a folder of the root."""
        then, listed = self._listings.get(top, (0.0, {}))
        if not then or time.monotonic() - then > _LISTING_SECONDS:
            listed = self._list(top)
            self._listings[top] = (time.monotonic(), listed)
        return listed

    def _list(self, top: str) -> dict[str, Entry]:
        with self._explained("listed"):
            try:
                found = self.files.find(self._path(top), detail=True)
            except FileNotFoundError as error:
                if error.__cause__:  # the server's own word that there is no bucket
                    raise
                return {}  # a folder without objects does not exist
        root = self._path("")
        return {
            name.removeprefix(root): Entry(int(info["size"]), _identity(info))
            for name, info in found.items()
            if info["type"] == "file" and name.startswith(root) and ".." not in name.split("/")
        }

    @cached_property
    def _root(self) -> str:
        return str(self.files._strip_protocol(self._address)).rstrip("/")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _explained(self, done: str) -> AbstractContextManager[None]:
        return explained_access(
            self.url, done, _SETTING, "what was finished on this machine is uploaded, not computed again"
        )


def check_root_address(url: str) -> str:
    """Check the address of a data root; nothing is asked of the server.

    Returns:
        `url`.

    Raises:
        StorageError: As of `require_store`; or it is a folder's.
    """
    if require_store(url, _SETTING).lower().startswith("file:"):
        raise StorageError(f"{url} is a folder of this machine", fix=f"let {_SETTING} name it without file://")
    return url


def _identity(info: dict[str, Any]) -> str:
    return "|".join(str(info.get(key)) for key in _IDENTITY)
