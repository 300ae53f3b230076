"""Damaged files: a rerun heals them, or an error names the file and what to do. Never a wrong result without a word.

Damaged products of one kind are in `storage/test_products.py`, vectors in `storage/test_embeddings.py` and
`lineage/test_durability.py`, checkpoints in `training/test_checkpoints.py`.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from glm_assets.errors import FormatError, MissingUpstreamError
from glm_assets.lineage.study import Study
from glm_assets.storage.data_root import IDENTITY
from glm_assets.storage.products import MANIFEST, Manifest
from glm_assets.storage.tables import PART
from glm_assets.storage.warehouse import open_warehouse
from glm_assets_tests.faults.kills import STAGES
from glm_assets_tests.lineage.studies import tiny_study

ABSENT = r"(absent or out of date|there is no).*Fix: dagster asset materialize"
TABLES = ("clinvar_release", "reference_genome", "clinvar_variants/21", "variant_windows/21")
NEXT = {
    "clinvar_release": "clinvar_variants/21",
    "reference_genome": "variant_windows/21",
    "clinvar_variants/21": "variant_windows/21",
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_tree) -> Study:
    """A data root up to windows. Tests must not change it."""
    study = tiny_study(tmp_path_factory.mktemp("whole"), tiny_tree, test_csv=None)
    study.claim()
    for stage in TABLES:
        STAGES[stage].make(study)
    study.refresh_warehouse()
    return study


@pytest.fixture
def study(whole, tiny_tree, tmp_path) -> Study:
    shutil.copytree(whole.root, tmp_path / "data")
    return tiny_study(tmp_path, tiny_tree, test_csv=None)


def flip(path: Path, *, keep_time: bool = False) -> None:
    """Turn over a byte in the middle of a file."""
    stat, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def largest(folder: Path) -> Path:
    files = [path for path in folder.iterdir() if path.is_file() and path.name != MANIFEST]
    return max(files, key=lambda path: path.stat().st_size)


@pytest.mark.system
@pytest.mark.parametrize("harm", [flip, truncate, Path.unlink])
@pytest.mark.parametrize("stage", TABLES)
def test_a_damaged_file_of_a_stage_is_told_by_the_next_and_healed_by_its_own(study, stage, harm):
    folder = STAGES[stage].folder(study)
    before = Manifest.read(folder)
    harm(largest(folder))
    if stage in NEXT:
        with pytest.raises(MissingUpstreamError, match=ABSENT):
            STAGES[NEXT[stage]].make(study)
    healed = STAGES[stage].make(study)
    assert (healed.reused, healed.data_version) == (False, before.data_version)
    for after in TABLES[TABLES.index(stage) + 1 :]:
        assert STAGES[after].make(study).reused  # equal content, so nothing below is made again


MANIFESTS = {
    "empty": b"",
    "cut": b'{"asset": "clinvar_variants", "files": {"part.par',
    "garbage": bytes(range(256)),
    "another type": b"[1, 2]",
    "files of another type": b'{"files": 3}',
}


@pytest.mark.parametrize("content", MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_damaged_manifest_makes_the_product_absent_and_the_rerun_heals_it(study, content):
    stage = "clinvar_variants/21"
    folder = STAGES[stage].folder(study)
    before = Manifest.read(folder)
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(MissingUpstreamError, match="clinvar_variants of chromosome 21 is absent"):
        STAGES["variant_windows/21"].make(study)
    assert STAGES[stage].make(study).data_version == before.data_version
    assert STAGES["variant_windows/21"].make(study).reused


@pytest.mark.parametrize(("key", "value"), [("files", {"part.parquet": 3}), ("input_digest", 7), ("facts", None)])
def test_a_manifest_with_a_value_of_another_type_is_no_manifest_of_this_product(study, key, value):
    stage = "clinvar_variants/21"
    folder = STAGES[stage].folder(study)
    stored = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(stored | {key: value}))
    made = STAGES[stage].make(study)
    assert made.data_version == stored["data_version"]
    assert made.facts is not None


def test_a_flip_that_keeps_size_and_time_is_caught_where_the_file_is_read(study):
    """Manifests trust size and time stamp, as checksums of everything would take minutes; Parquet has its own."""
    folder = STAGES["clinvar_variants/21"].folder(study)
    flip(folder / PART, keep_time=True)
    shutil.rmtree(STAGES["variant_windows/21"].folder(study))
    with pytest.raises(FormatError, match=rf"{folder / PART} cannot be read.*remove the file and materialise"):
        STAGES["variant_windows/21"].make(study)
    (folder / PART).unlink()
    assert not STAGES["clinvar_variants/21"].make(study).reused
    assert not STAGES["variant_windows/21"].make(study).reused


def test_a_damaged_table_is_named_when_the_warehouse_is_written(study):
    part = STAGES["clinvar_variants/21"].folder(study) / PART
    part.write_bytes(b"not Parquet at all")
    with pytest.raises(
        FormatError, match=rf"clinvar_variants cannot be shown.*{part}.*materialise clinvar_variants"
    ):
        study.refresh_warehouse()
    STAGES["clinvar_variants/21"].make(study)
    assert "clinvar_variants" in study.refresh_warehouse()


@pytest.mark.parametrize("harm", [truncate, lambda path: path.write_bytes(b"garbage" * 1000), Path.unlink])
def test_a_damaged_warehouse_says_so_and_the_next_materialisation_writes_it_anew(study, harm):
    harm(study.warehouse)
    with pytest.raises((FormatError, MissingUpstreamError), match="materialise"):
        open_warehouse(study.warehouse)
    study.refresh_warehouse()
    with open_warehouse(study.warehouse) as warehouse:
        assert warehouse.sql("select count(*) from clinvar_variants").fetchall()[0][0] > 0


def test_what_a_killed_refresh_of_the_warehouse_has_left_is_removed(study):
    left = study.root / ".0123456789ab.warehouse.duckdb"
    left.write_bytes(b"half")
    left.with_name(f"{left.name}.wal").write_bytes(b"half")
    study.refresh_warehouse()
    assert [path.name for path in study.root.glob(".*warehouse*")] == [".warehouse.duckdb.lock"]


def test_a_damaged_mark_of_the_data_root_is_named(study):
    (study.root / IDENTITY).write_text("{")
    with pytest.raises(Exception, match=rf"{IDENTITY} cannot be read.*restore it"):
        study.claim()
