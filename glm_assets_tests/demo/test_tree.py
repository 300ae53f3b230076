from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import pytest

from glm_assets.demo import collection
from glm_assets.demo import tree as tree_module
from glm_assets.demo.recipe import TINY_RECIPE
from glm_assets.demo.tree import DemoTree, make_demo_tree
from glm_assets.errors import DataRootError, SettingsError
from glm_assets_tests.demo.oracle import read_header, read_rows


def _content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _make_tiny(folder: Path) -> None:
    make_demo_tree(folder, TINY_RECIPE)


def test_two_trees_are_byte_identical(tmp_path, either_tree):
    recipe = TINY_RECIPE if either_tree.root.parent.name.startswith("tiny") else tree_module.DEFAULT_RECIPE
    started = time.monotonic()
    again = make_demo_tree(tmp_path / "again", recipe)
    assert time.monotonic() - started < 15
    assert _content(again.root) == _content(either_tree.root)
    assert again.counts == either_tree.counts


def test_the_paths_are_those_of_ncbi(tree, weekly):
    assembly = "genomes/all/GCF/000/001/405/GCF_000001405.40_GRCh38.p14"
    releases = [f"clinvar_{date}{part}.vcf.gz" for date in ("20251102", "20251109") for part in ("", "_papu")]
    expected = {f"{weekly}/{name}{end}" for name in releases for end in ("", ".tbi", ".md5")}
    expected |= {f"{assembly}/GCF_000001405.40_GRCh38.p14_genomic.fna.gz", f"{assembly}/md5checksums.txt"}
    assert set(_content(tree.root)) == expected | {"test.csv", "test_truth.csv", "demo_tree.json"}
    assert [path.relative_to(tree.root / weekly).name for path in tree.vcfs] == releases[::2]


def test_md5_companions_hold(either_tree, weekly):
    companions = sorted((either_tree.root / weekly).glob("*.md5"))
    assert len(companions) == 4
    for companion in companions:
        vcf = companion.with_suffix("")
        digest = hashlib.md5(vcf.read_bytes()).hexdigest()
        assert companion.read_text() == f"{digest}  {vcf.name}\n"


def test_the_assembly_checksum_holds(either_tree):
    digest = hashlib.md5(either_tree.fasta.read_bytes()).hexdigest()
    checksums = (either_tree.fasta.parent / "md5checksums.txt").read_text()
    assert checksums == f"{digest}  ./{either_tree.fasta.name}\n"


def test_releases_are_indexed_bgzf(tree):
    import pysam

    for vcf in tree.vcfs:
        rows = read_rows(vcf)
        with pysam.VariantFile(str(vcf)) as file:
            assert [(r.chrom, r.pos, r.id) for r in file.fetch("22")] == [
                (row.chrom, row.pos, row.variation_id) for row in rows if row.chrom == "22"
            ]
            assert len(list(file.fetch("MT", 0, 16_569))) == sum(row.chrom == "MT" for row in rows)


def test_the_decoy_shares_no_record_with_the_release(tree, rows, weekly):
    decoys = read_rows(tree.root / weekly / "clinvar_20251109_papu.vcf.gz")
    assert decoys
    assert not {row.key for row in decoys} & {row.key for row in rows}
    assert {row.chrom for row in decoys} == {"NT_113889.1", "NW_009646201.1"}


def test_every_file_says_that_it_is_synthetic(tree, weekly):
    for vcf in (tree.root / weekly).glob("*.vcf.gz"):
        assert sum("SYNTHETIC" in line for line in read_header(vcf)) == 1
    assert json.loads((tree.root / "demo_tree.json").read_text())["about"].startswith("SYNTHETIC")


def test_counts_are_those_of_the_files(either_tree):
    for name, vcf in zip(("older", "newer"), either_tree.vcfs, strict=True):
        found: dict[str, dict[str, int]] = {}
        for row in read_rows(vcf):
            counts = found.setdefault(row.chrom, {"records": 0, "pathogenic": 0, "benign": 0})
            counts["records"] += 1
            counts["pathogenic"] += row.label == 1
            counts["benign"] += row.label == 0
        assert either_tree.counts[name] == found


def test_sizes_and_classes_are_in_range(tree, tiny_tree):
    for counts in (tree.counts["older"], tree.counts["newer"]):
        chromosomes = [counts[name] for name in ("21", "22", "MT")]
        pathogenic, benign = (sum(c[label] for c in chromosomes) for label in ("pathogenic", "benign"))
        assert 800 <= pathogenic + benign <= 1200
        assert 0.35 <= pathogenic / (pathogenic + benign) <= 0.45
    tiny = [tiny_tree.counts["newer"][name] for name in ("21", "22")]
    assert 55 <= sum(c["pathogenic"] + c["benign"] for c in tiny) <= 80


def test_a_finished_tree_is_reused(tmp_path, monkeypatch):
    first = make_demo_tree(tmp_path / "tree", TINY_RECIPE)
    monkeypatch.setattr(tree_module, "_build", lambda *_: pytest.fail("built again"))
    assert make_demo_tree(tmp_path / "tree", TINY_RECIPE) == first


def test_a_tree_of_another_recipe_is_replaced(tmp_path):
    first = _content(make_demo_tree(tmp_path / "tree", TINY_RECIPE).root)
    second = _content(make_demo_tree(tmp_path / "tree", replace(TINY_RECIPE, seed=7)).root)
    assert set(first) == set(second)
    assert first != second


@pytest.mark.parametrize("name", ["test.csv", "pub/clinvar/vcf_GRCh38/weekly/clinvar_20251109.vcf.gz"])
def test_a_damaged_tree_is_made_again(tmp_path, tiny_tree, name):
    tree = make_demo_tree(tmp_path / "tree", TINY_RECIPE)
    content = bytearray((tree.root / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tree.root / name).write_bytes(content)
    assert _content(make_demo_tree(tmp_path / "tree", TINY_RECIPE).root) == _content(tiny_tree.root)


def test_an_interrupted_build_leaves_nothing_and_can_be_redone(tmp_path, tiny_tree, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tree_module, "write_test_csv", interrupt)
        with pytest.raises(KeyboardInterrupt):
            make_demo_tree(tmp_path / "tree", TINY_RECIPE)
    assert [path.name for path in tmp_path.iterdir()] == [".tree.lock"]
    assert _content(make_demo_tree(tmp_path / "tree", TINY_RECIPE).root) == _content(tiny_tree.root)


def test_an_interrupted_replacement_keeps_the_former_tree(tmp_path, tiny_tree, monkeypatch):
    make_demo_tree(tmp_path / "tree", TINY_RECIPE)
    monkeypatch.setattr(tree_module, "write_test_csv", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_demo_tree(tmp_path / "tree", replace(TINY_RECIPE, seed=7))
    assert _content(tmp_path / "tree") == _content(tiny_tree.root)


def test_what_a_killed_build_left_is_cleared_away(tmp_path, tiny_tree):
    (tmp_path / ".tree.partial" / "pub").mkdir(parents=True)
    (tmp_path / ".tree.partial" / "pub" / "half").write_bytes(b"half")
    assert _content(make_demo_tree(tmp_path / "tree", TINY_RECIPE).root) == _content(tiny_tree.root)
    assert not (tmp_path / ".tree.partial").exists()


def test_processes_at_once_make_one_whole_tree(tmp_path, tiny_tree):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_make_tiny, args=(tmp_path / "tree",)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert _content(tmp_path / "tree") == _content(tiny_tree.root)


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "thesis.txt").write_text("mine")
    with pytest.raises(DataRootError, match=r"no demo tree.*choose another folder"):
        make_demo_tree(tmp_path / "tree", TINY_RECIPE)
    assert _content(tmp_path / "tree") == {"thesis.txt": b"mine"}


def test_an_empty_folder_is_filled(tmp_path, tiny_tree):
    (tmp_path / "tree").mkdir()
    tree = make_demo_tree(tmp_path / "tree", TINY_RECIPE)
    assert isinstance(tree, DemoTree)
    assert _content(tree.root) == _content(tiny_tree.root)


def test_a_recipe_that_asks_for_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(collection, "_TRIES_PER_LABEL", 0)
    with pytest.raises(SettingsError, match=r"chromosome 21 has no room for 42 labelled records\..*fewer"):
        make_demo_tree(tmp_path / "tree", TINY_RECIPE)
    assert not (tmp_path / "tree").exists()


@pytest.mark.parametrize(("wrong", "message"), [({"genes": 2}, "2 genes"), ({"name": "chr21"}, "'chr21'")])
def test_a_recipe_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(SettingsError, match=message):
        replace(TINY_RECIPE.chromosomes[0], **wrong)


def test_a_tree_without_one_of_its_files_is_made_again(tmp_path, tiny_tree):
    tree = make_demo_tree(tmp_path / "tree", TINY_RECIPE)
    tree.fasta.unlink()
    assert _content(make_demo_tree(tmp_path / "tree", TINY_RECIPE).root) == _content(tiny_tree.root)


def test_a_tree_with_a_broken_record_is_made_again(tmp_path, tiny_tree):
    tree = make_demo_tree(tmp_path / "tree", TINY_RECIPE)
    (tree.root / "demo_tree.json").write_text("{")
    assert _content(make_demo_tree(tmp_path / "tree", TINY_RECIPE).root) == _content(tiny_tree.root)
