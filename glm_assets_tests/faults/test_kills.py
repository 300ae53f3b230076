"""kill -9 in the middle of each stage of the lineage: the rerun gives what an undisturbed run gives, and no more work.

What is killed is a process that makes the stage as a step does. Embeddings in several processes, commands and their
pool slots are killed in `lineage/test_durability.py`, `defs/test_ownership.py` and `encoders/engines`.
"""

from __future__ import annotations

import shutil
import signal

import pytest
from filelock import FileLock

from glm_assets.lineage.study import Study
from glm_assets.storage.products import Manifest
from glm_assets_tests.faults.kills import STAGES, kill_in, leftovers
from glm_assets_tests.lineage.studies import tiny_study

pytestmark = pytest.mark.system

SHARD = (
    "glm_assets.storage.shards:Shard.to_bytes"  # the vectors are written, the index is not; first comes a probe
)
# Stage, what is called when the process dies, and at which call.
MOMENTS = [
    ("clinvar_release", "pyarrow.parquet:ParquetWriter.write_table", 2),
    ("reference_genome", "glm_assets.sources.reference:index_fasta", 1),
    ("glm_checkpoint", "glm_assets.storage.products:write_json", 1),
    ("clinvar_variants/21", "glm_assets.lineage.variants:save_figure", 1),
    ("variant_windows/21", "glm_assets.lineage.variants:save_figure", 1),
    ("split_audit", "glm_assets.lineage.variants:save_figure", 2),
    ("variant_embeddings/21", SHARD, 3),
    ("variant_likelihoods/21", SHARD, 3),
    ("covariance_embeddings/21", SHARD, 3),
    ("layer_comparison", SHARD, 3),
    ("mutation_ladders", SHARD, 3),
    ("head_v0", "torch.optim:AdamW.step", 3),
    ("head_v1", "torch.optim:AdamW.step", 3),
    ("head_v2", "torch.optim:AdamW.step", 3),
    ("head_v3", "glm_assets.heads.weights:write_state", 1),
    ("linear_probe", "glm_assets.lineage.probes:save_probe", 1),
    ("covariance_probe", "glm_assets.storage.products:write_json", 1),
    ("head_search", "glm_assets.heads.search:train_head", 3),
    ("test_sequences", "glm_assets.storage.products:write_json", 1),
    ("test_embeddings", SHARD, 2),
    ("submission", "glm_assets.lineage.submission:save_figure", 1),
    ("submission_score", "glm_assets.storage.products:write_json", 1),
    ("head_comparison", "glm_assets.lineage.comparison:write_report", 1),
    ("scored_variants", "glm_assets.storage.products:write_json", 1),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_tree) -> Study:
    """A whole lineage; each test takes one stage out and leaves it whole again."""
    pytest.importorskip("vortex")
    profile = {"chromosomes": ["21", "22"], "search": {"head": "v1", "trials": 4, "epochs": 2}}
    study = tiny_study(tmp_path_factory.mktemp("study"), tiny_tree, profile, region="22:11990-12000")
    for stage in STAGES.values():
        stage.make(study)
    return study


def assert_no_lock_is_held(study: Study) -> None:
    for path in study.root.rglob("*.lock"):
        with FileLock(path, timeout=0):
            pass


@pytest.fixture
def fresh_store(study, tmp_path) -> Study:
    """The same study with nothing embedded."""
    return Study(study.settings.model_copy(update={"embeddings_url": str(tmp_path / "store")}))


def files_of(manifest: Manifest) -> set[str]:
    return set(manifest.files)


def test_every_stage_is_killed():
    assert {stage.replace("/22", "/21") for stage in STAGES} == {stage for stage, _, _ in MOMENTS}


@pytest.mark.parametrize(("stage", "moment", "count"), MOMENTS, ids=[stage for stage, _, _ in MOMENTS])
def test_a_killed_stage_is_made_as_if_nothing_had_happened(study, fresh_store, monkeypatch, stage, moment, count):
    embeds = moment == SHARD
    killed = fresh_store if embeds else study
    folder = STAGES[stage].folder(study)
    before = Manifest.read(folder)
    shutil.rmtree(folder)

    assert kill_in(stage, killed, moment, count) == -signal.SIGKILL
    assert Manifest.read(folder) is None
    assert_no_lock_is_held(study)
    steps = count_steps(monkeypatch)

    manifest = STAGES[stage].make(killed)
    assert not manifest.reused
    assert manifest.data_version == before.data_version
    assert files_of(manifest) == files_of(before)
    assert Manifest.read(folder).data_version == manifest.data_version
    assert leftovers(study) == []
    assert STAGES[stage].make(killed).reused
    if embeds and count > 2:
        assert manifest.facts.get("cache_hits", 1) > 0  # the shards that were finished
    if stage == "head_search":
        assert steps["trials"] == 4 - (count - 1)
    if stage in ("head_v0", "head_v1", "head_v2"):
        assert 0 < steps["steps"] < 3 * 10


def count_steps(monkeypatch) -> dict[str, int]:
    """Counts trials of a search and steps of an optimiser from now on."""
    import torch

    from glm_assets.heads import search

    counted = {"trials": 0, "steps": 0}
    train_head, step = search.train_head, torch.optim.AdamW.step

    def counting_train(*arguments, **options):
        counted["trials"] += 1
        return train_head(*arguments, **options)

    def counting_step(*arguments, **options):
        counted["steps"] += 1
        return step(*arguments, **options)

    monkeypatch.setattr(search, "train_head", counting_train)
    monkeypatch.setattr(torch.optim.AdamW, "step", counting_step)
    return counted
