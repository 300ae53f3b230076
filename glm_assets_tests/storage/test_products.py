"""Products appear whole or not at all, are reused when nothing changed, and survive kills and damage."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from glm_assets.storage.products import MANIFEST, Facts, Manifest, Product, read_whole


def product(folder: Path, **changes) -> Product:
    values = {
        "asset": "windows",
        "folder": folder,
        "inputs": {"a": "1"},
        "recipe": {"length": 8},
        "code_version": "1",
    }
    return Product(**(values | changes))


def write_part(text: str):
    def build(work: Path) -> dict:
        (work / "part.txt").write_text(text)
        return {"rows": len(text)}

    return build


def refuse(work: Path) -> dict:
    raise AssertionError("a finished product was built again")


def test_a_finished_product_is_reused_without_building(tmp_path):
    first = product(tmp_path / "p").make(write_part("abc"))
    again = product(tmp_path / "p").make(refuse)
    assert not first.reused
    assert again.reused
    assert again.data_version == first.data_version
    assert again.facts == {"rows": 3}


@pytest.mark.parametrize(
    "change",
    [{"inputs": {"a": "2"}}, {"recipe": {"length": 9}}, {"code_version": "2"}, {"partition": "13"}],
)
def test_any_change_of_what_it_is_made_from_makes_it_stale(tmp_path, change):
    product(tmp_path / "p").make(write_part("abc"))
    changed = product(tmp_path / "p", **change)
    assert changed.current() is None
    assert not changed.make(write_part("xyz")).reused
    assert (tmp_path / "p" / "part.txt").read_text() == "xyz"


def test_equal_content_has_an_equal_data_version_however_it_was_made(tmp_path):
    one = product(tmp_path / "p").make(write_part("abc"))
    other = product(tmp_path / "p", inputs={"a": "2"}).make(write_part("abc"))
    assert other.data_version == one.data_version
    assert other.input_digest != one.input_digest


@pytest.mark.parametrize("damage", ["change", "truncate", "remove"])
def test_a_damaged_file_makes_the_product_absent_and_it_is_built_again(tmp_path, damage):
    product(tmp_path / "p").make(write_part("abcdef"))
    part = tmp_path / "p" / "part.txt"
    if damage == "change":
        part.write_text("abcdeX")
    elif damage == "truncate":
        part.write_text("abc")
    else:
        part.unlink()
    assert product(tmp_path / "p").current() is None
    product(tmp_path / "p").make(write_part("abcdef"))
    assert part.read_text() == "abcdef"


def test_a_copied_data_root_still_counts(tmp_path):
    product(tmp_path / "p").make(write_part("abc"))
    os.utime(tmp_path / "p" / "part.txt", ns=(1, 1))
    assert product(tmp_path / "p").current() is not None


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"files": []}'])
def test_a_broken_manifest_counts_as_absent(tmp_path, content):
    product(tmp_path / "p").make(write_part("abc"))
    (tmp_path / "p" / MANIFEST).write_text(content)
    assert Manifest.read(tmp_path / "p") is None
    assert not product(tmp_path / "p").make(write_part("abc")).reused


def test_a_failed_build_leaves_the_old_product_and_its_own_work(tmp_path):
    product(tmp_path / "p").make(write_part("old"))

    def fail(work: Path) -> dict:
        (work / ".shard-0").write_text("done")
        raise RuntimeError("no space")

    changed = product(tmp_path / "p", inputs={"a": "2"})
    with pytest.raises(RuntimeError):
        changed.make(fail)
    assert (tmp_path / "p" / "part.txt").read_text() == "old"
    assert product(tmp_path / "p").current() is not None

    def resume(work: Path) -> dict:
        assert (work / ".shard-0").read_text() == "done"
        (work / "part.txt").write_text("new")
        return {}

    manifest = changed.make(resume)
    assert list(manifest.files) == ["part.txt"]
    assert not (tmp_path / "p" / ".shard-0").exists()


def test_work_of_other_inputs_is_removed_and_files_that_are_gone_are_gone(tmp_path):
    def two(work: Path) -> dict:
        (work / "part.txt").write_text("a")
        (work / "plots").mkdir()
        (work / "plots" / "b.png").write_text("b")
        return {}

    product(tmp_path / "p").make(two)
    stale = tmp_path / ".p.0123456789abcdef.partial"
    stale.mkdir()
    product(tmp_path / "p", inputs={"a": "2"}).make(write_part("c"))
    assert not stale.exists()
    assert not (tmp_path / "p" / "plots" / "b.png").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["p"]


SCRIPT = """
import os, signal, sys
from pathlib import Path
import glm_assets.storage.products as products

folder, moment = Path(sys.argv[1]), sys.argv[2]
product = products.Product("windows", folder, {"a": "2"}, {"length": 8}, "1")

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def build(work):
    (work / "one.txt").write_text("1")
    if moment == "build":
        die()
    (work / "two.txt").write_text("2")
    return {}

if moment == "publish":
    link = products.link_or_copy
    def link_then_die(source, dest):
        if source.name == "two.txt":
            die()
        link(source, dest)
    products.link_or_copy = link_then_die
product.make(build)
"""


def write_two(work: Path) -> Facts:
    for name in ("one.txt", "two.txt"):
        (work / name).write_text(name[0])
    return {}


@pytest.mark.parametrize("moment", ["build", "publish"])
def test_a_kill_never_leaves_a_product_that_looks_finished(tmp_path, moment):
    folder = tmp_path / "p"
    product(folder).make(write_part("old"))
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    killed = subprocess.run([sys.executable, script, folder, moment], check=False)
    assert killed.returncode == -signal.SIGKILL

    changed = product(folder, inputs={"a": "2"})
    assert changed.current() is None
    manifest = changed.make(refuse if moment == "publish" else write_two)
    assert set(manifest.files) == {"one.txt", "two.txt"}
    assert read_whole(folder) is not None


def test_two_processes_take_turns_and_the_second_reuses(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from glm_assets.storage.products import Product

        def build(work):
            with (Path(sys.argv[1]).parent / "built").open("a") as stream:
                stream.write("x")
            time.sleep(0.5)
            (work / "part.txt").write_text("abc")
            return {}

        manifest = Product("windows", Path(sys.argv[1]), {}, {}, "1").make(build)
        sys.stdout.write(str(manifest.reused))
        """)
    )
    running = [
        subprocess.Popen([sys.executable, script, tmp_path / "p"], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert sorted(process.communicate()[0] for process in running) == ["False", "True"]
    assert (tmp_path / "built").read_text() == "x"
