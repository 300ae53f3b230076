"""The shape of the graph is a contract: keys, groups, dependencies, partitions, checks, jobs, sensors."""

from __future__ import annotations

import json
from importlib.resources import files

import dagster as dg
import pytest

from glm_assets.defs.build import build_defs
from glm_assets.tracking import NullTracker
from glm_assets_tests.lineage.studies import tiny_study

TRAINED_ON = {"variant_embeddings", "mutation_ladders", "split_audit"}
SCORED_BY = {"reference_genome", "glm_checkpoint", "head_v3", "linear_probe", "covariance_probe"}
IMPACT = {
    "impact/individual_alignments": {"reference_genome"},
    "impact/individual_variants": {"clinvar_release", "impact/individual_alignments"},
    "impact/read_examples": {"impact/individual_variants", "impact/individual_alignments"},
    "impact/read_embeddings": {"impact/read_examples"},
    "impact/training_set": {"impact/read_examples", "impact/read_embeddings"},
    "impact/head": {"impact/training_set"},
    "impact/report": {"impact/head", "impact/training_set"},
    "impact/predictions": {"impact/head", "reference_genome"},
}
METAGENOME = {
    "metagenome/reads": set(),
    "metagenome/splits": {"metagenome/reads"},
    "metagenome/classifier": {"metagenome/splits"},
    "metagenome/evaluation": {"metagenome/classifier"},
    "metagenome/predictions": {"metagenome/classifier"},
}
SUGARCANE = {
    "sugarcane/genome": set(),
    "sugarcane/annotation": {"sugarcane/genome"},
    "sugarcane/genome_profile": {"sugarcane/genome", "sugarcane/annotation"},
    "sugarcane/units": {"sugarcane/genome", "sugarcane/annotation"},
    "sugarcane/token_shards": {"sugarcane/genome", "sugarcane/units"},
    "sugarcane/lora_adapter": {"sugarcane/token_shards"},
    "sugarcane/search": {"sugarcane/token_shards"},
    "sugarcane/unit_scores": {"sugarcane/units", "sugarcane/lora_adapter"},
    "sugarcane/token_profiles": {"sugarcane/unit_scores"},
    "sugarcane/generations": {"sugarcane/units", "sugarcane/lora_adapter"},
    "sugarcane/model_comparison": {"sugarcane/unit_scores"},
    "sugarcane/report": {
        *("sugarcane/genome_profile", "sugarcane/token_profiles"),
        *("sugarcane/generations", "sugarcane/model_comparison"),
    },
}
PLANT = {
    "plant/genome": set(),
    "plant/tokens": {"plant/genome"},
    "plant/lm": {"plant/tokens"},
    "plant/evaluation": {"plant/lm"},
    "plant/generations": {"plant/lm"},
    "plant/phenotypes": set(),
    "plant/phenotype_head": {"plant/phenotypes", "plant/lm"},
    "plant/report": {"plant/evaluation", "plant/generations", "plant/phenotype_head"},
}
DEPENDENCIES = {
    "clinvar_release": set(),
    "reference_genome": set(),
    "glm_checkpoint": set(),
    "clinvar_release_diff": {"clinvar_release"},
    "clinvar_variants": {"clinvar_release"},
    "variant_windows": {"clinvar_variants", "reference_genome"},
    "split_audit": {"variant_windows"},
    "variant_embeddings": {"variant_windows", "glm_checkpoint"},
    "covariance_embeddings": {"variant_windows", "glm_checkpoint"},
    "variant_likelihoods": {"variant_windows", "glm_checkpoint"},
    "mutation_ladders": {"variant_windows", "glm_checkpoint"},
    "layer_comparison": {"variant_windows", "glm_checkpoint"},
    "head_v0": TRAINED_ON,
    "head_v1": TRAINED_ON | {"head_v0"},
    "head_v2": TRAINED_ON | {"head_v1"},
    "head_v3": TRAINED_ON | {"head_v2"},
    "head_search": TRAINED_ON | {"head_v0", "head_v1", "head_v2"},
    "linear_probe": {"variant_embeddings", "split_audit"},
    "covariance_probe": {"covariance_embeddings", "split_audit"},
    "head_comparison": {
        *("head_v0", "head_v1", "head_v2", "head_v3", "linear_probe", "covariance_probe"),
        *("variant_likelihoods", "mutation_ladders", "split_audit"),
    },
    "test_sequences": set(),
    "test_embeddings": {"test_sequences", "glm_checkpoint"},
    "submission": {"test_embeddings", "head_v3"},
    "submission_score": {"submission", "test_sequences", "variant_windows"},
    "scored_variants": SCORED_BY,
    **IMPACT,
    **METAGENOME,
    **SUGARCANE,
    **PLANT,
}
GROUPS = {
    "sources": {"clinvar_release", "reference_genome", "glm_checkpoint"},
    "variants": {"clinvar_variants", "variant_windows", "split_audit"},
    "embeddings": {"variant_embeddings", "covariance_embeddings", "variant_likelihoods", "mutation_ladders"},
    "evaluation": {
        *("clinvar_release_diff", "layer_comparison", "head_comparison", "submission_score", "scored_variants"),
    },
    "heads": {"head_v0", "head_v1", "head_v2", "head_v3", "linear_probe", "covariance_probe", "head_search"},
    "submission": {"test_sequences", "test_embeddings", "submission"},
    "impact": set(IMPACT),
    "metagenome": set(METAGENOME),
    "sugarcane": set(SUGARCANE),
    "plant": set(PLANT),
}
JOBS = (
    *("sources", "embed", "embed_for_evaluation", "layer_sweep", "train", "search", "evaluate", "submit"),
    *(
        "score_variants",
        "impact_embed",
        "impact_train",
        "impact_predict",
        "metagenome_train",
        "metagenome_predict",
        "sugarcane_prepare",
        "sugarcane_train",
        "sugarcane_evaluate",
        "sugarcane_search",
        "plant_prepare",
        "plant_train",
        "plant_phenotypes",
    ),
)
PARTITIONED_JOBS = {
    *("embed", "embed_for_evaluation", "impact_embed", "plant_prepare"),
    *("sugarcane_prepare", "sugarcane_train", "sugarcane_evaluate", "sugarcane_search"),
}
VECTORS = {"variant_embeddings", "covariance_embeddings", "variant_likelihoods"}
IMPACT_VECTORS = "impact/read_embeddings"
IMPACT_PARTITIONED = {
    *("impact/individual_alignments", "impact/individual_variants", "impact/read_examples", IMPACT_VECTORS),
}
BY_CHROMOSOME = {"clinvar_variants", "variant_windows"} | VECTORS | IMPACT_PARTITIONED
BY_SPECIES = {"plant/genome", "plant/tokens"}
PARTITIONED = BY_CHROMOSOME | {*SUGARCANE} | BY_SPECIES
HEADS = {"head_v0", "head_v1", "head_v2", "head_v3"}
GPU = {
    *VECTORS,
    *HEADS,
    *("layer_comparison", "mutation_ladders", "head_search", "test_embeddings", "scored_variants"),
    *(IMPACT_VECTORS, "impact/head", "impact/predictions"),
    *("metagenome/classifier", "metagenome/evaluation", "metagenome/predictions"),
    *("sugarcane/lora_adapter", "sugarcane/unit_scores", "sugarcane/token_profiles", "sugarcane/generations"),
    *("sugarcane/model_comparison", "sugarcane/search"),
    *("plant/lm", "plant/evaluation", "plant/generations", "plant/phenotype_head"),
}


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("defs")
    return build_defs(tiny_study(folder, folder), NullTracker())


@pytest.fixture(scope="module")
def graph(defs):
    return defs.resolve_asset_graph()


def node(graph, name: str):
    return graph.get(dg.AssetKey.from_user_string(name))


def test_the_definitions_load(defs):
    dg.Definitions.validate_loadable(defs)


def test_keys_and_dependencies(graph):
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.materializable_asset_keys
    }
    assert found == DEPENDENCIES


def test_groups_partitions_and_gpu_marks(graph):
    for group, names in GROUPS.items():
        assert {name for name in DEPENDENCIES if node(graph, name).group_name == group} == names
    assert {name for name in DEPENDENCIES if node(graph, name).partitions_def} == PARTITIONED
    chromosomes = [*map(str, range(1, 23)), "X", "Y", "MT"]
    expected = {
        **dict.fromkeys(BY_CHROMOSOME, chromosomes),
        **{key: ["SYN22", "SYN570"] for key in SUGARCANE},
        **{key: ["fictaria", "mockoryza", "phantobrassica"] for key in BY_SPECIES},
    }
    assert {name: node(graph, name).partitions_def.get_partition_keys() for name in PARTITIONED} == expected
    for name in DEPENDENCIES:
        assert (node(graph, name).pools == {"gpu"}) == (name in GPU), name
        assert (node(graph, name).tags.get("glm/resource") == "gpu") == (name in GPU), name


def test_gpu_steps_ask_kubernetes_and_ray_for_a_gpu(defs):
    for name in GPU:
        tags = defs.resolve_assets_def(dg.AssetKey.from_user_string(name)).op.tags
        container = json.loads(tags["dagster-k8s/config"])["container_config"]
        assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
        assert json.loads(tags["dagster-ray/config"]) == {"num_gpus": 1}


def test_every_asset_is_described_owned_and_versioned(graph):
    for name in DEPENDENCIES:
        asset = node(graph, name)
        assert len(asset.description) > 30, name
        assert asset.owners == ["team:genomics"]
        assert asset.kinds
        assert asset.code_version


def test_tables_show_their_columns(graph):
    for name in (
        *("clinvar_variants", "variant_windows", "variant_embeddings", "test_sequences", "split_audit"),
        *("variant_likelihoods", "mutation_ladders", "head_search", "head_comparison", "submission_score"),
        "clinvar_release_diff",
        *IMPACT_PARTITIONED,
        *("impact/training_set", "impact/report", "impact/predictions"),
        *("metagenome/reads", "metagenome/splits", "metagenome/evaluation", "metagenome/predictions"),
        *(SUGARCANE.keys() - {"sugarcane/token_shards", "sugarcane/lora_adapter", "sugarcane/report"}),
        *(PLANT.keys() - {"plant/tokens", "plant/lm", "plant/report"}),
    ):
        schema = node(graph, name).metadata["dagster/column_schema"]
        assert all(column.description for column in schema.columns)


def test_checks_of_partitioned_assets_carry_the_partitions(defs, graph):
    specs = {key: defs.resolve_asset_graph().get_check_spec(key) for key in graph.asset_check_keys}
    checked = {key.asset_key.to_user_string() for key in specs}
    unchecked = {
        *("impact/individual_alignments", "plant/genome"),
        *(f"sugarcane/{name}" for name in ("genome_profile", "token_profiles", "search", "report")),
    }
    assert checked >= (PARTITIONED - unchecked) | {"submission", "head_v3", *METAGENOME, "plant/evaluation"}
    for key, spec in specs.items():
        assert bool(spec.partitions_def) == (key.asset_key.to_user_string() in PARTITIONED), key
    blocking = {(key.asset_key.to_user_string(), key.name) for key, spec in specs.items() if spec.blocking}
    assert blocking == {
        ("clinvar_release", "rows_do_not_drop"),
        ("variant_windows", "reference_matches"),
        ("variant_windows", "windows_hold_their_alleles"),
        *(("split_audit", name) for name in ("no_shared_bases", "no_shared_genes", "no_duplicate_windows")),
        ("impact/read_examples", "splits_apart"),
        ("impact/training_set", "splits_apart"),
        ("metagenome/splits", "no_genome_on_two_sides"),
        ("metagenome/splits", "no_shared_sequence"),
        ("sugarcane/units", "no_group_on_two_sides"),
        ("plant/tokens", "splits_do_not_overlap"),
    }


def test_no_job_makes_an_unpartitioned_asset_once_per_partition(defs):
    for name in JOBS:
        job = defs.resolve_job_def(name)
        kinds = {bool(job.asset_layer.get(key).partitions_def) for key in job.asset_layer.selected_asset_keys}
        assert len(kinds) == 1, name
        assert kinds == {name in PARTITIONED_JOBS}
    everything = set().union(*(defs.resolve_job_def(name).asset_layer.selected_asset_keys for name in JOBS))
    assert {key.to_user_string() for key in everything} == set(DEPENDENCIES)


def test_sensors_and_schedule_are_off_by_default(defs):
    repository = defs.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "clinvar_release_sensor", "embed_sensor", "train_sensor", "submit_sensor", "automation_sensor",
    }  # fmt: skip
    assert all(s.default_status == dg.DefaultSensorStatus.STOPPED for s in repository.sensor_defs)
    assert all(s.default_status == dg.DefaultScheduleStatus.STOPPED for s in repository.schedule_defs)


def test_a_study_s_own_names_are_its_partitions(tmp_path):
    values = "varieties: demo"
    text = (files("glm_assets.studies.sugarcane") / "demo.yaml").read_text()
    own = tmp_path / "own.yaml"
    own.write_text(
        text.replace(values, "varieties: {ZZ1: {fasta: a.fa, gff3: a.gff3}, R570: {fasta: b.fa, gff3: b.gff3}}")
    )
    defs = build_defs(tiny_study(tmp_path, tmp_path, sugarcane=str(own)), NullTracker())
    graph = defs.resolve_asset_graph()
    key = dg.AssetKey(["sugarcane", "units"])
    assert graph.get(key).partitions_def.get_partition_keys() == ["ZZ1", "R570"]
    checks = [graph.get_check_spec(check) for check in graph.get_check_keys_for_assets({key})]
    assert {tuple(check.partitions_def.get_partition_keys()) for check in checks} == {("ZZ1", "R570")}
