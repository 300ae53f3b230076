"""A plan says what a run would do: nothing for what is made, the reason for what is not, and as many windows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import dagster as dg
import pytest

from glm_assets import cli
from glm_assets.defs.build import build_defs
from glm_assets.errors import SettingsError
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.embeddings import (
    make_covariance_embeddings,
    make_test_embeddings,
    make_variant_embeddings,
)
from glm_assets.lineage.ladders import make_mutation_ladders
from glm_assets.lineage.likelihoods import make_variant_likelihoods
from glm_assets.lineage.study import Study
from glm_assets.lineage.submission import make_test_sequences
from glm_assets.planning import graph
from glm_assets.planning.plan import Plan, make_plan
from glm_assets.profiles.profile import read_profile
from glm_assets.settings import Settings
from glm_assets.tracking import NullTracker
from glm_assets_tests.data_roots import copied, listing, with_settings
from glm_assets_tests.defs.conftest import make_windows, silent
from glm_assets_tests.lineage.studies import tiny_environment, tiny_study, write_tiny_profile

CHROMOSOMES = ("21", "22")
MADE = [*graph.SOURCES, "embed", "split_audit"]
OF_STUDIES = {*graph.IMPACT, *graph.METAGENOME, *graph.SUGARCANE, *graph.PLANT}
NOT_ASKED_FOR = {"scored_variants", *OF_STUDIES}
NO_RELEASE = "there is no ClinVar release in ROOT/data/sources/clinvar"
MAKERS: dict[str, Callable] = {
    "variant_embeddings": make_variant_embeddings,
    "variant_likelihoods": make_variant_likelihoods,
    "covariance_embeddings": make_covariance_embeddings,
}


def states(plan: Plan) -> dict[str, str]:
    return {f"{one.asset}/{one.partition}".rstrip("/"): one.state for one in plan.findings}


def reason(plan: Plan, asset: str, partition: str = "") -> str:
    (found,) = [one.reason for one in plan.findings if (one.asset, one.partition) == (asset, partition)]
    return found


def windows(plan: Plan, asset: str, partition: str = "") -> int:
    (found,) = [work for work, _ in plan.works if (work.asset, work.partition) == (asset, partition)]
    assert found.exact
    return found.windows


@pytest.fixture(scope="module")
def defs(tmp_path_factory, tiny_tree) -> dg.Definitions:
    """Definitions over a data root that is not there."""
    return build_defs(tiny_study(tmp_path_factory.mktemp("defs"), tiny_tree), NullTracker())


def test_a_plan_knows_the_graph_and_the_jobs_of_dagster(defs):
    dagster_graph = defs.resolve_asset_graph()
    keys = {key.to_user_string(): dagster_graph.get(key) for key in dagster_graph.get_all_asset_keys()}
    assert {name: set(asset.upstream) for name, asset in graph.ASSETS.items()} == {
        name: {parent.to_user_string() for parent in node.parent_keys} for name, node in keys.items()
    }
    assert {name for name, asset in graph.ASSETS.items() if asset.keys} == {
        name for name, node in keys.items() if node.is_partitioned
    }
    repository = defs.get_repository_def()
    jobs = {job.name: job for job in repository.get_all_jobs() if not job.name.startswith("__")}
    assert {name: set(assets) for name, assets in graph.JOBS.items()} == {
        name: {key.to_user_string() for key in job.asset_layer.executable_asset_keys} for name, job in jobs.items()
    }
    above: set[str] = set()
    for name, asset in graph.ASSETS.items():
        assert set(asset.upstream) <= above, f"{name} comes before what it is made from"
        above.add(name)


def test_studies_are_planned_where_they_are_asked_for(tmp_path):
    """Their generated files are not there and do not appear."""
    study = Study(Settings(profile="demo", data_root=str(tmp_path / "data"), offline=True))
    assert all(graph.ASSETS[name].optional for name in OF_STUDIES)
    assert not {one.asset for one in make_plan(study).findings} & NOT_ASKED_FOR
    plan = make_plan(study, [job for job, assets in graph.JOBS.items() if OF_STUDIES.issuperset(assets)])
    assert {one.asset for one in plan.findings} == OF_STUDIES
    assert set(states(plan).values()) == {"absent"}
    assert list(tmp_path.iterdir()) == []


def test_what_is_made_needs_nothing_and_stays_as_it_is(embedded):
    before = listing(embedded.root)
    plan = make_plan(embedded, MADE)
    assert set(states(plan).values()) == {"current"}
    assert (plan.works, plan.cost.windows, plan.cost.disk_bytes, plan.cost.gpu_hours) == ([], 0, 0, 0.0)
    assert listing(embedded.root) == before


@pytest.mark.system
def test_a_finished_lineage_needs_nothing_and_stays_as_it_is(lineage):
    before = listing(lineage.study.root)
    plan = make_plan(lineage.study)
    assert set(states(plan).values()) == {"current"}
    assert {one.asset for one in plan.findings} == set(graph.ASSETS) - NOT_ASKED_FOR
    assert (plan.works, plan.cost.windows, plan.cost.disk_bytes, plan.cost.gpu_hours) == ([], 0, 0, 0.0)
    assert listing(lineage.study.root) == before


def test_a_data_root_that_is_not_there_is_all_absent_and_stays_away(tmp_path, tiny_tree):
    study = tiny_study(tmp_path / "work", tiny_tree)
    before = listing(tmp_path)
    plan = make_plan(study)
    assert {state for name, state in states(plan).items() if name != "test_sequences"} == {"absent"}
    assert plan.cost.windows > 0
    assert not any(work.exact for work, _ in plan.works if work.asset != "test_embeddings")
    assert listing(tmp_path) == before


def test_another_label_policy_is_the_reason_and_what_is_below_follows(embedded, tmp_path):
    labels = read_profile("demo")["labels"] | {"min_stars": 2}
    study = with_settings(embedded, profile=str(write_tiny_profile(tmp_path, labels=labels)))
    plan = make_plan(study, MADE)
    assert reason(plan, "clinvar_variants", "21") == "min_stars 1 then, 2 now"
    follow = {name.split("/")[0] for name, state in states(plan).items() if state == "follows"}
    assert follow == {"variant_windows", "variant_embeddings", "split_audit"}
    assert reason(plan, "variant_embeddings", "22") == "after variant_windows"


@pytest.mark.system
def test_another_label_policy_is_followed_to_the_submission(lineage, tmp_path):
    labels = read_profile("demo")["labels"] | {"min_stars": 2}
    study = with_settings(lineage.study, profile=str(write_tiny_profile(tmp_path, labels=labels)))
    plan = make_plan(study)
    follow = {name for name, state in states(plan).items() if state == "follows"}
    unaffected = {*graph.SOURCES, "test_sequences", "test_embeddings"}
    assert {name.split("/")[0] for name in follow} == (
        set(graph.ASSETS) - unaffected - NOT_ASKED_FOR - {"clinvar_variants", "clinvar_release_diff"}
    )


def test_what_is_not_selected_is_a_reason_to_wait_for_not_a_thing_to_make(embedded, tmp_path):
    labels = read_profile("demo")["labels"] | {"min_stars": 2}
    study = with_settings(embedded, profile=str(write_tiny_profile(tmp_path, labels=labels)))
    plan = make_plan(study, ["variant_windows"])
    assert states(plan) == {"variant_windows/21": "blocked", "variant_windows/22": "blocked"}
    assert reason(plan, "variant_windows", "21") == "clinvar_variants of chromosome 21 is absent or out of date"


@pytest.mark.system
def test_a_raised_code_version_and_another_encoder_are_reasons(lineage, monkeypatch, tmp_path):
    monkeypatch.setitem(CODE_VERSIONS, "split_audit", "99")
    encoder = read_profile("demo")["encoder"] | {
        "shard_rows": 16,
        "batch_tokens": 4096,
        "layer": "blocks.21.mlp.l3",
    }
    study = with_settings(lineage.study, profile=str(write_tiny_profile(tmp_path, encoder=encoder)))
    plan = make_plan(study)
    assert reason(plan, "split_audit") == f"code version {lineage.study.split_audit().current() or 3} then, 99 now"
    assert "encoder.layer blocks.25.mlp.l3 then, blocks.21.mlp.l3 now" in reason(plan, "variant_embeddings", "21")
    # The sweep has embedded its sample at that layer already; the rest of the variants is missing.
    rows = lineage.study.variant_embeddings("21").current().facts["rows"]
    (work,) = [work for work, _ in plan.works if (work.asset, work.partition) == ("variant_embeddings", "21")]
    assert work.exact
    assert work.pairs < work.rows == rows


def test_damage_is_seen_and_named(embedded, tmp_path):
    study = copied(embedded, tmp_path / "data")
    (study.tables / "clinvar_variants" / "chrom=21" / "part.parquet").write_bytes(b"PAR1")
    (study.tables / "split_audit" / "manifest.json").write_text("{")
    plan = make_plan(study)
    found = states(plan)
    assert reason(plan, "clinvar_variants", "21").startswith("part.parquet lost or not as its checksum says")
    assert (found["clinvar_variants/22"], found["variant_windows/22"]) == ("current", "current")
    assert found["variant_windows/21"] == "follows"
    plan = make_plan(study, ["split_audit"])
    assert plan.findings[0].state == "blocked"  # the windows that it is made from are damaged


def test_vectors_that_are_lost_are_counted_and_computed_again(embedded, tmp_path):
    study = copied(embedded, tmp_path / "data")
    shards = sorted((study.root / "embeddings").glob("*.npy"), key=lambda path: path.stat().st_size)
    shards[-1].unlink()
    plan = make_plan(study, MADE)
    damaged = [name for name, state in states(plan).items() if state == "damaged"]
    assert damaged
    for name in damaged:
        asset, _, chrom = name.partition("/")
        assert windows(plan, asset, chrom) == MAKERS[asset](study, chrom, silent).facts["windows_computed"]


@pytest.mark.system
def test_the_planned_windows_are_those_that_are_then_computed(tmp_path, tiny_tree):
    study = tiny_study(tmp_path, tiny_tree, {"chromosomes": ["22"], "ladders": {"windows": 3}})
    make_windows(study)
    make_test_sequences(study)
    plan = make_plan(study)
    assert {work.exact for work, _ in plan.works} == {True}
    for asset, make in MAKERS.items():
        assert windows(plan, asset, "22") == make(study, "22", silent).facts["windows_computed"] > 0
    assert windows(plan, "test_embeddings") == make_test_embeddings(study, silent).facts["windows_computed"] > 0
    assert windows(plan, "mutation_ladders") == make_mutation_ladders(study, silent).facts["windows_computed"] > 0
    assert make_plan(study, ["embed", "embed_for_evaluation", "mutation_ladders"]).cost.windows == 0


@pytest.mark.system
def test_a_reference_window_of_many_variants_is_planned_as_often_as_it_is_computed(tmp_path, tiny_tree):
    """300 bases hold a window of 128 and one variant of it."""
    encoder = read_profile("demo")["encoder"] | {"shard_rows": 16, "batch_tokens": 300}
    study = tiny_study(tmp_path, tiny_tree, {"encoder": encoder, "chromosomes": ["22"]})
    make_windows(study)
    (work,) = [work for work, _ in make_plan(study, ["variant_embeddings"]).works]
    assert work.windows > work.pairs + work.references
    assert work.windows == make_variant_embeddings(study, "22", silent).facts["windows_computed"]


@pytest.mark.system
def test_a_newer_release_is_seen_estimated_and_then_counted(tmp_path, tiny_tree):
    older = tiny_study(tmp_path, tiny_tree, clinvar_cutoff="2025-11-02")
    make_windows(older)
    for chrom in CHROMOSOMES:
        make_variant_embeddings(older, chrom, silent)
    study = tiny_study(tmp_path, tiny_tree)
    ahead = make_plan(study, ["sources", "embed"])
    assert "the source offers" in reason(ahead, "clinvar_release")
    assert states(ahead)["variant_embeddings/21"] == "follows"
    assert not any(work.exact for work, _ in ahead.works)
    make_windows(study)
    exact = make_plan(study, ["sources", "embed"])
    computed = [make_variant_embeddings(study, chrom, silent).facts["windows_computed"] for chrom in CHROMOSOMES]
    assert exact.cost.windows == sum(computed) > 0
    rows = sum(work.rows for work, _ in exact.works)
    assert (
        abs(ahead.cost.windows - exact.cost.windows) < rows / 4
    )  # what is embedded is known, what is new a guess


def test_a_source_that_is_down_or_forbidden_is_a_note(embedded):
    plan = make_plan(with_settings(embedded, ncbi_url="http://127.0.0.1:9"), ["variant_windows"])
    assert "the source was not asked" in plan.notes[0]


def test_more_cards_cost_as_much_and_take_less(tmp_path):
    study = tiny_study(tmp_path, tmp_path, read_profile("full") | {"ncbi_url": "http://127.0.0.1:9"}, offline=True)
    one, eight = (
        make_plan(study, ["embed"], gpus=count, card_name="h100", price_per_hour=2.0) for count in (1, 8)
    )
    assert one.device == "cuda:0"
    assert 15 < one.cost.gpu_hours < 40  # the original reports 32 for twice the operations
    assert one.money == 2 * one.cost.gpu_hours
    assert one.cost.hours / 8 < eight.cost.hours < one.cost.hours / 4  # chromosome by chromosome
    assert one.cost.disk_bytes == pytest.approx(1_500_000 * 2 * 4096 * 2, rel=0.05)


@pytest.fixture
def environment(tmp_path, tiny_tree, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GLM_")]:
        monkeypatch.delenv(name)
    for name, value in tiny_environment(tmp_path, tiny_tree).items():
        monkeypatch.setenv(name, value)


def test_the_command_shows_a_table_and_json(environment, tmp_path, capsys):
    assert cli.main(["plan", "--select", "sources,embed", "--price-per-hour", "3"]) == 0
    shown = [line.split() for line in capsys.readouterr().out.replace(str(tmp_path), "ROOT").splitlines()]
    assert shown[:7] == [
        ["asset", "state", "windows", "GPU", "hours", "why"],
        ["clinvar_release", "absent", *NO_RELEASE.split()],
        ["reference_genome", "absent", "never", "made"],
        ["glm_checkpoint", "absent", "never", "made"],
        ["clinvar_release_diff", "absent", "after", "clinvar_release"],
        ["clinvar_variants", "[21,22]", "absent", "after", "clinvar_release"],
        ["variant_windows", "[21,22]", "absent", "after", "clinvar_variants,", "reference_genome"],
    ]
    assert shown[7][:3] == ["variant_embeddings", "[21,22]", "absent"]
    assert shown[7][3].startswith("~")
    assert shown[9] == ["10", "of", "10", "products", "to", "make"]
    assert cli.main(["plan", "--select", "sources,embed", "--price-per-hour", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["asset"] for one in told["assets"]][:3] == list(graph.SOURCES)
    assert told["total"]["money"] == pytest.approx(3 * told["total"]["gpu_hours"])
    assert not (tmp_path / "data").exists()


def test_an_unknown_name_or_card_is_refused(environment, capsys):
    assert cli.main(["plan", "--select", "embedd"]) == 1
    assert "there is no asset or job embedd" in capsys.readouterr().err
    assert cli.main(["plan", "--card", "abacus"]) == 1
    assert "the speed of card 'abacus' is not known" in capsys.readouterr().err
    with pytest.raises(SettingsError):
        graph.selected(["embed", "nothing"])


@pytest.mark.system
def test_planning_loads_no_torch(embedded):
    environment = os.environ | {
        "GLM_PROFILE": embedded.settings.profile,
        "GLM_DATA_ROOT": str(embedded.root),
        "GLM_NCBI_URL": str(embedded.settings.ncbi_url),
    }
    code = "import sys; from glm_assets.cli import main; main(['plan']); sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_plan_of_dagster_assets_is_complete(defs):
    assert {dg.AssetKey.from_user_string(name) for name in graph.ASSETS} == set(
        defs.resolve_asset_graph().get_all_asset_keys()
    )
