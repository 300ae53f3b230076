"""Products of a data root on an object store: what one machine finishes, another finds, fetches once and can trust."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import fsspec
import pytest
from filelock import FileLock, Timeout

from glm_assets.errors import IntegrityError, MissingUpstreamError, StorageError
from glm_assets.storage import products
from glm_assets.storage.data_root import claim_data_root
from glm_assets.storage.products import MANIFEST, Manifest, Product
from glm_assets.storage.remote_products import RemoteFolder
from glm_assets.storage.remote_root import RemoteRoot
from glm_assets_tests.checkouts import wait_until
from glm_assets_tests.storage.servers import BUCKET, environment, nothing_listens, serve_refusals, serve_s3

FOLDER = Path("tables") / "thing" / "chrom=21"


class Store:
    """A data root of its own on fsspec's file system in memory, looked at past the code under test."""

    def __init__(self, machines: Path) -> None:
        self.url = f"memory://roots/{uuid.uuid4().hex}"
        self.machines = machines
        self.files, self.root = fsspec.core.url_to_fs(self.url)

    def product(self, machine: str, version: str = "1") -> Product:
        """The product as a machine sees it that has just started."""
        here = self.machines / machine
        remote = RemoteFolder(RemoteRoot(self.url, here), here / FOLDER)
        return Product("thing", here / FOLDER, {"up": version}, {}, "1", "21", remote=remote)

    def names(self) -> set[str]:
        prefix = f"{self.root}/{FOLDER.as_posix()}/"
        return {name.removeprefix(prefix) for name in self.files.find(self.root)}

    def path(self, name: str) -> str:
        return f"{self.root}/{FOLDER.as_posix()}/{name}"


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def build_with(**files: str):
    def build(work: Path) -> dict:
        for name, text in files.items():
            path = work / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return {"rows": len(files)}

    return build


def refuse_to_build(_work: Path) -> dict:
    raise AssertionError("this was built already")


def count_downloads(monkeypatch) -> list[str]:
    fetched: list[str] = []
    get = RemoteRoot.get
    monkeypatch.setattr(RemoteRoot, "get", lambda self, name, dest: fetched.append(name) or get(self, name, dest))
    return fetched


def test_what_one_machine_makes_another_finds_without_fetching_and_reads_after_fetching_once(store, monkeypatch):
    made = store.product("a").make(build_with(data="rows", figures__one="picture"))
    assert store.names() == {"data", "figures/one", MANIFEST}
    fetched = count_downloads(monkeypatch)
    there = store.product("b")
    assert there.current() == made
    assert there.make(refuse_to_build).reused
    assert fetched == []
    for _ in range(2):
        assert (store.product("b").files() / "data").read_text() == "rows"
    assert (there.folder / "figures/one").read_text() == "picture"
    assert sorted(fetched) == [f"{FOLDER.as_posix()}/data", f"{FOLDER.as_posix()}/figures/one"]
    assert Manifest.read(there.folder) == made
    stamp = made.files["data"].mtime_ns  # so that nothing is read to know that it is this file
    assert (there.folder / "data").stat().st_mtime_ns == stamp
    store.product("a").files()  # what a machine made it has
    assert len(fetched) == 2


def test_another_version_replaces_files_here_and_there_and_an_old_copy_is_never_read(store):
    store.product("a").make(build_with(data="old", extra="old"))
    store.product("b").files()
    store.product("a", "2").make(build_with(data="new"))
    assert store.names() == {"data", MANIFEST}
    there = store.product("b", "2")
    folder = there.files()
    assert (folder / "data").read_text() == "new"
    assert not (folder / "extra").exists()
    assert store.product("b").current() is None


def stop_at(monkeypatch, end: str) -> None:
    """Cut an upload off before the object whose name ends so."""
    put = RemoteRoot.put

    def stop(self, path, name):
        if name.endswith(end):
            raise StorageError("cut off")
        put(self, path, name)

    monkeypatch.setattr(RemoteRoot, "put", stop)


@pytest.mark.parametrize("other", ["3333", "33"])  # of another size and of the same, which no listing tells
def test_an_upload_that_stops_between_files_leaves_no_product_and_is_taken_up_without_building(
    store, monkeypatch, other
):
    store.product("a").make(build_with(one="11", two="22", extra="11"))
    with monkeypatch.context() as patch:
        stop_at(patch, "/two")
        with pytest.raises(StorageError):
            store.product("a", "2").make(build_with(one=other, two=other))
    for version in ("1", "2"):
        assert store.product("b", version).current() is None
        with pytest.raises(MissingUpstreamError):
            store.product("b", version).files()
    second = store.product("a", "2").make(refuse_to_build)
    assert not second.reused
    assert store.product("b", "2").current() == second
    assert (store.product("b", "2").files() / "two").read_text() == other
    assert store.names() == {"one", "two", MANIFEST}
    assert list((store.machines / "a" / FOLDER).parent.glob(".*.partial")) == []


def test_to_be_refused_the_removal_of_the_former_manifest_is_an_error_and_changes_nothing(store, monkeypatch):
    first = store.product("a").make(build_with(data="old"))
    there = store.product("a", "2")
    files = type(there.remote.root.files)
    with monkeypatch.context() as patch:
        patch.setattr(files, "rm_file", lambda self, path: (_ for _ in ()).throw(PermissionError("Access Denied")))
        with pytest.raises(StorageError, match=r"Access Denied.*list, read, write and delete"):
            there.make(build_with(data="new"))
    assert store.product("b").current() == first
    assert (store.product("b").files() / "data").read_text() == "old"


def test_whoever_reads_while_a_product_is_replaced_gets_one_version_or_none_and_harms_neither(store, monkeypatch):
    store.product("a").make(build_with(one="11", two="22"))
    early = store.product("early")
    assert early.current()
    put, seen = RemoteRoot.put, []

    def read_meanwhile(self, path, name):
        put(self, path, name)
        for reader in (early, store.product(f"late{len(seen)}")):
            try:
                folder = reader.files()
                seen.append((folder / "one").read_text() + (folder / "two").read_text())
            except MissingUpstreamError as error:
                seen.append("replaced" if "being replaced" in str(error) else "none")
                reader.remote.root.forget()  # as two seconds later

    monkeypatch.setattr(RemoteRoot, "put", read_meanwhile)
    made = store.product("a", "2").make(build_with(one="33", two="44"))
    assert seen == ["replaced", "none", "none", "none", "3344", "3344"]
    assert store.product("c", "2").current() == made


def test_a_reader_that_finds_damage_does_not_hit_what_another_machine_publishes_meanwhile(store, monkeypatch):
    store.product("a").make(build_with(data="rows"))
    store.files.pipe_file(store.path("data"), b"ROWS")
    create = RemoteRoot.create

    def come_first(self, name, content):
        store.product("a", "2").make(build_with(data="news"))
        create(self, name, content)

    monkeypatch.setattr(RemoteRoot, "create", come_first)
    with pytest.raises(IntegrityError, match="counts as absent"):
        store.product("b").files()
    assert store.product("c", "2").current()
    assert (store.product("c", "2").files() / "data").read_text() == "news"


def test_a_reader_who_may_not_write_still_refuses_damage_and_says_who_can_mend_it(store, monkeypatch):
    store.product("a").make(build_with(data="rows"))
    store.files.pipe_file(store.path("data"), b"ROWS")
    there = store.product("b")

    def refuse(self, *_args, **_options):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(there.remote.root.files), "pipe_file", refuse)
    with pytest.raises(IntegrityError, match=rf"Access Denied.*may write there remove {store.url}.*{MANIFEST}"):
        there.files()


def test_of_two_processes_of_a_machine_the_later_version_stays(store, monkeypatch):
    store.product("a").make(build_with(old="old"))
    tidy, threads = RemoteFolder._tidy, []

    def replace_it() -> None:
        store.product("a", "2").make(build_with(new="new"))
        store.product("b", "2").files()

    def come_between(self, manifest):
        monkeypatch.setattr(RemoteFolder, "_tidy", tidy)
        threads.append(threading.Thread(target=replace_it))
        threads[0].start()
        threads[0].join(1.0)
        tidy(self, manifest)

    monkeypatch.setattr(RemoteFolder, "_tidy", come_between)
    store.product("b").files()
    threads[0].join(30)
    folder = store.machines / "b" / FOLDER
    assert {path.name for path in folder.iterdir()} == {"new", MANIFEST}
    assert Manifest.read(folder) == store.product("c", "2").current()


def test_what_a_machine_makes_is_put_in_place_while_nobody_there_fetches(store, monkeypatch):
    link, free = products.link_or_copy, []

    def try_to_fetch(source, dest):
        lock = FileLock(dest.parent.with_name(f".{dest.parent.name}.fetch.lock"))
        try:
            with lock.acquire(timeout=0):
                free.append(dest)
        except Timeout:
            link(source, dest)

    monkeypatch.setattr(products, "link_or_copy", try_to_fetch)
    store.product("a").make(build_with(data="rows"))
    assert free == []
    assert (store.machines / "a" / FOLDER / "data").read_text() == "rows"


@pytest.mark.parametrize("change", ["size", "bytes", "gone"])
def test_a_file_that_is_damaged_there_is_never_read_and_made_again(store, change):
    store.product("a").make(build_with(data="rows"))
    if change == "gone":
        store.files.rm(store.path("data"))
    else:
        store.files.pipe_file(store.path("data"), b"rowsrows" if change == "size" else b"ROWS")
    there = store.product("b")
    if change == "bytes":  # that only reading tells
        assert there.current() is not None
        with pytest.raises(
            IntegrityError, match=r"data .*differs from its checksum.*--select thing --partition 21"
        ):
            there.files()
    assert there.current() is None
    assert store.product("a").current() is None
    assert not there.make(build_with(data="rows")).reused
    assert (store.product("c").files() / "data").read_text() == "rows"
    assert store.names() == {"data", MANIFEST}


def test_a_copy_that_is_damaged_here_is_fetched_again(store):
    store.product("a").make(build_with(data="rows"))
    copy = store.product("b").files() / "data"
    copy.write_text("ROWS")
    assert (store.product("b").files() / "data").read_text() == "rows"
    assert store.product("a").current()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_product_that_is_replaced_while_it_is_fetched_is_fetched_as_it_is_then(store, monkeypatch, when):
    store.product("a").make(build_with(data="old"))
    get = RemoteRoot.get

    def replace_it(self, name, dest):
        monkeypatch.setattr(RemoteRoot, "get", get)
        found = get(self, name, dest) if when == "after" else None
        store.product("a", "2").make(build_with(data="new"))
        return found or get(self, name, dest)

    monkeypatch.setattr(RemoteRoot, "get", replace_it)
    assert (store.product("b").files() / "data").read_text() == "new"


def test_files_of_one_machine_under_the_manifest_of_another_are_found_out_and_made_again(store, monkeypatch):
    """Both make what is never twice the same; each uploads while the other does."""
    put = RemoteRoot.put

    def both(self, path, name):
        if name.endswith(MANIFEST):
            monkeypatch.setattr(RemoteRoot, "put", put)
            store.product("b").make(build_with(data="22"))
        put(self, path, name)

    monkeypatch.setattr(RemoteRoot, "put", both)
    store.product("a").make(build_with(data="11"))
    with pytest.raises(IntegrityError):
        store.product("c").files()
    assert not store.product("b").make(build_with(data="33")).reused
    assert (store.product("c").files() / "data").read_text() == "33"


def test_nothing_there_is_an_error_that_says_so_and_a_strange_manifest_counts_as_nothing(store):
    with pytest.raises(MissingUpstreamError, match=rf"no finished product in {store.url}/{FOLDER.as_posix()}"):
        store.product("a").files()
    store.files.pipe_file(store.path(MANIFEST), b"{ no json")
    assert store.product("a").current() is None


@pytest.mark.parametrize("name", ["../../../../evil", "/tmp/evil", "a/../../evil"])
def test_a_manifest_that_names_files_elsewhere_is_not_followed(store, name):
    store.product("a").make(build_with(data="rows"))
    manifest = json.loads(store.files.cat_file(store.path(MANIFEST)))
    manifest["files"][name] = manifest["files"].pop("data")
    store.files.pipe_file(store.path(MANIFEST), json.dumps(manifest).encode())
    assert store.product("b").current() is None
    with pytest.raises(MissingUpstreamError):
        store.product("b").files()


def test_a_root_sees_at_once_what_it_wrote_and_soon_what_others_wrote(store, monkeypatch):
    one, other = store.product("a"), store.product("b")
    assert one.current() is None
    assert other.current() is None
    one.make(build_with(data="rows"))
    assert one.current()
    monkeypatch.setattr("glm_assets.storage.remote_root._LISTING_SECONDS", 0.0)
    assert other.current()


PUBLISHER = """
import sys
from pathlib import Path
from glm_assets.storage.products import Product
from glm_assets.storage.remote_products import RemoteFolder
from glm_assets.storage.remote_root import RemoteRoot

url, here, version, text, built = sys.argv[1:]
folder = Path(here) / "tables/thing"

def build(work):
    Path(built).open("a").write(version)
    for number in range(60):
        (work / f"file{number:02d}").write_text(text * 50_000)
    return {}

Product("thing", folder, {"up": version}, {}, "1", remote=RemoteFolder(RemoteRoot(url, Path(here)), folder)).make(build)
print("published", flush=True)
"""


@pytest.mark.system
def test_a_machine_killed_while_it_uploads_leaves_no_product_and_goes_on_without_building(
    tmp_path,
):
    with serve_s3(tmp_path / "server") as address:
        objects = tmp_path / "server" / BUCKET / "glm/tables/thing"
        built = tmp_path / "built"

        def start(version: str, text: str) -> subprocess.Popen:
            arguments = [f"s3://{BUCKET}/glm", str(tmp_path / "here"), version, text, str(built)]
            return subprocess.Popen(
                [sys.executable, "-c", PUBLISHER, *arguments],
                env=os.environ | environment(address),
                stdout=subprocess.PIPE,
                text=True,
            )

        assert start("1", "old").communicate(timeout=120)[0] == "published\n"
        victim = start("2", "newer")
        wait_until(
            lambda: (objects / "file05").stat().st_size == 250_000, "the sixth file is replaced", pause=0.001
        )
        victim.kill()
        assert victim.communicate(timeout=60)[0] == ""
        assert not (objects / MANIFEST).exists()
        assert len({path.stat().st_size for path in objects.glob("file*")}) == 2  # it was in the midst of it
        assert start("2", "newer").communicate(timeout=120)[0] == "published\n"
        assert built.read_text() == "12"
        manifest = Manifest.read(objects)
        assert manifest is not None
        assert manifest.inputs == {"up": "2"}
        assert {record.sha256 for record in manifest.files.values()} == {
            hashlib.sha256((path).read_bytes()).hexdigest() for path in objects.glob("file*")
        }
        assert start("2", "newer").communicate(timeout=120)[0] == "published\n"
        assert built.read_text() == "12"


@pytest.mark.system
@pytest.mark.parametrize(
    ("serve", "bucket", "reason"),
    [
        (serve_s3, "absent", "bucket does not exist.*make the bucket, or correct GLM_DATA_ROOT"),
        (serve_refusals, BUCKET, "(Access Denied|Forbidden).*let these credentials"),
        (
            nothing_listens,
            BUCKET,
            "Could not connect.*check the network, AWS_ENDPOINT_URL.*uploaded, not computed",
        ),
    ],
)
def test_a_store_that_cannot_be_used_says_why(tmp_path, monkeypatch, serve, bucket, reason):
    with serve() as address:
        for name, value in environment(address).items():
            monkeypatch.setenv(name, value)
        here = tmp_path / "here"
        remote = RemoteFolder(RemoteRoot(f"s3://{bucket}/glm", here), here / FOLDER)
        product = Product("thing", here / FOLDER, {"up": "1"}, {}, "1", remote=remote)
        actions = [
            product.current,
            product.files,
            lambda: product.make(refuse_to_build),
            lambda: claim_data_root(here, {"profile": "demo"}, remote.root),
            lambda: remote.root.put(Path(__file__), "name"),
        ]
        for action in actions:
            with pytest.raises(StorageError, match=rf"s3://{bucket}/glm cannot be .*{reason}"):
                action()
