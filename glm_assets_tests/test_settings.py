"""Settings and profiles: what they give, and errors that name the key and what is allowed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
import yaml

from glm_assets.errors import DataRootError, SettingsError
from glm_assets.profiles.profile import BUILT_IN, build_profile, read_profile
from glm_assets.settings import Settings
from glm_assets.storage import data_root
from glm_assets.storage.atomic import write_json
from glm_assets.storage.data_root import claim_data_root


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("GLM_") or name == "MLFLOW_TRACKING_URI"]:
        monkeypatch.delenv(name)


def test_without_any_variable_the_demo_runs_in_data():
    settings = Settings.from_environment()
    assert settings.run_profile.name == "demo"
    assert settings.root.name == "data"
    assert settings.tracking_uri.startswith("sqlite:////")


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_profile_has_the_same_keys(name):
    def keys(values, prefix=""):
        if not isinstance(values, dict):
            return {prefix}
        return set().union(*(keys(value, f"{prefix}.{key}") for key, value in values.items()))

    assert keys(read_profile(name)) == keys(read_profile("demo"))


@pytest.mark.parametrize(
    ("text", "expected"), [("2026-03-01", date(2026, 3, 1)), ("20251109", date(2025, 11, 9)), ("", None)]
)
def test_the_cutoff_overrides_the_profile_and_empty_means_the_newest(monkeypatch, text, expected):
    monkeypatch.setenv("GLM_PROFILE", "faithful")
    assert Settings.from_environment().run_profile.clinvar_cutoff == date(2025, 11, 9)
    monkeypatch.setenv("GLM_CLINVAR_CUTOFF", text)
    assert Settings.from_environment().run_profile.clinvar_cutoff == expected


def test_chromosomes_come_in_genome_order(monkeypatch):
    monkeypatch.setenv("GLM_CHROMOSOMES", "X, 2,13")
    assert Settings.from_environment().run_profile.chromosomes == ("2", "13", "X")


@pytest.mark.parametrize(
    ("variable", "value", "named", "allowed"),
    [
        ("GLM_PROFIL", "demo", "GLM_PROFIL", "GLM_PROFILE"),
        ("GLM_PROFILE", "nosuch", "nosuch", "faithful"),
        ("GLM_DEVICE", "gpu", "device", "cuda:N"),
        ("GLM_CPU_THREADS", "0", "cpu_threads", "greater than or equal to 1"),
        ("GLM_ENGINE", "gpus", "engine", "'local', 'workers', 'pipes' or 'ray'"),
        ("GLM_WORKERS", "0", "workers", "greater than or equal to 1"),
        ("GLM_CLINVAR_CUTOFF", "09.11.2025", "clinvar_cutoff", "YYYY-MM-DD"),
        ("GLM_CHROMOSOMES", "13,chr17", "chr17", "MT"),
        ("GLM_OFFLINE", "perhaps", "offline", "boolean"),
        ("GLM_DATA_ROOT", " ", "data_root", "a folder"),
        ("GLM_PROFILE", "long" * 1000, "long", "faithful"),
    ],
)
def test_a_bad_variable_is_named_with_what_is_allowed(monkeypatch, variable, value, named, allowed):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        _ = Settings.from_environment().run_profile
    assert named in str(error.value)
    assert allowed in str(error.value)


@pytest.mark.parametrize(
    ("change", "named", "allowed"),
    [
        (lambda p: p["windows"].update(lenght=3), "windows.lenght", "length"),
        (lambda p: p.update(window={}), "window", "windows"),
        (lambda p: p["labels"].update(policy="seed"), "labels.policy", "'strict' or 'faithful'"),
        (lambda p: p["windows"].update(anchor=1024), "windows.anchor", "anchor < length"),
        (lambda p: p["windows"].update(stride=64), "windows.stride", "windows.layout to grid"),
        (lambda p: p.update(windows={"length": 64, "layout": "grid", "stride": 32}), "reach None", "at least 1"),
        (
            lambda p: p.update(windows={"length": 64, "layout": "grid", "stride": 32, "reach": 33}),
            "stride 32 and reach 33",
            "stride + reach <= length",
        ),
        (lambda p: p["encoder"].update(pooling="min"), "encoder.pooling", "covariance:WIDTH"),
        (lambda p: p["encoder"].update(sequence_pooling="downstream"), "encoder.sequence_pooling", "mean_bf16"),
        (
            lambda p: p["encoder"].update(sequence_pooling="positions:9"),
            "encoder.sequence_pooling",
            "no vectors for heads",
        ),
        (lambda p: p["encoder"].update(pooling="covariance:8"), "encoder", "must be the same"),
        (
            lambda p: p["encoder"].update(pooling="centre:400"),
            "takes 200 positions before",
            "at least 128 and 128",
        ),
        (
            lambda p: (
                p.update(windows={"length": 256, "layout": "grid", "stride": 128, "reach": 100}),
                p["encoder"].update(pooling="downstream:100", reverse_complement=True),
            ),
            "takes 100 positions before",
            "at least 29 and 100",
        ),
        (lambda p: p["sweep"].update(layers=["blocks.3", "blocks.3"]), "sweep.layers", "named twice"),
        (lambda p: p["sweep"].update(layers=["blocks.6.projections"]), "sweep.layers", "blocks.N.mlp.l3"),
        (lambda p: p["encoder"].update(precision="half"), "encoder.precision", "float32_residual"),
        (lambda p: p["encoder"].update(sha256="abc"), "encoder.sha256", "pattern"),
        (
            lambda p: (
                p.update(windows={"length": 64, "layout": "grid", "stride": 32, "reach": 16}),
                p["encoder"].update(pooling="downstream:17"),
            ),
            "and 17 from it on",
            "at least 17 and 16",
        ),
        (lambda p: p["heads"].pop("v2"), "heads", "v2"),
        (lambda p: p.pop("seed"), "seed", "missing"),
        (lambda p: p["labels"].update(policy="faithful"), "labels.min_stars", "allowed is 0"),
        (lambda p: p.update(seed=-1), "seed", "greater than or equal to 0"),
        (lambda p: p.update(clinvar_cutoff=91125), "clinvar_cutoff", "YYYYMMDD"),
        (lambda p: p["labels"].update(indel_max=40_000), "labels.indel_max", "32767"),
        (lambda p: p["heads"]["v0"].update(widths=[0, 8]), "heads.v0.widths", "greater than 0"),
    ],
)
def test_a_bad_profile_key_is_named_with_what_is_allowed(monkeypatch, tmp_path, change, named, allowed):
    values = read_profile("demo")
    change(values)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    monkeypatch.setenv("GLM_PROFILE", str(path))
    with pytest.raises(SettingsError) as error:
        _ = Settings.from_environment().run_profile
    assert named in str(error.value)
    assert allowed in str(error.value)


def test_a_data_root_refuses_another_window_recipe_and_says_how_to_go_on(tmp_path):
    claim_data_root(tmp_path / "root", {"profile": "demo", "windows": {"length": 1024}})
    claim_data_root(tmp_path / "root", {"profile": "demo", "windows": {"length": 1024}})
    with pytest.raises(DataRootError, match=r"1024.*512.*GLM_DATA_ROOT"):
        claim_data_root(tmp_path / "root", {"profile": "demo", "windows": {"length": 512}})


def test_a_profile_in_another_encoding_is_named(monkeypatch, tmp_path):
    (tmp_path / "mine.yaml").write_bytes("name: Ähre".encode("latin-1"))
    monkeypatch.setenv("GLM_PROFILE", str(tmp_path / "mine.yaml"))
    with pytest.raises(SettingsError, match=r"mine\.yaml.*UTF-8"):
        _ = Settings.from_environment().run_profile


@pytest.mark.parametrize("written", [20251109, "20251109", "2025-11-09", date(2025, 11, 9)])
def test_a_profile_may_write_the_cutoff_as_the_environment_does(monkeypatch, tmp_path, written):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(read_profile("demo") | {"clinvar_cutoff": written}))
    monkeypatch.setenv("GLM_PROFILE", str(path))
    assert Settings.from_environment().run_profile.clinvar_cutoff == date(2025, 11, 9)


def test_a_source_folder_is_the_same_from_every_working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLM_NCBI_URL", "mirror/")
    assert Settings.from_environment().run_profile.ncbi_url == str(tmp_path / "mirror")
    monkeypatch.setenv("GLM_NCBI_URL", "https://example.org/mirror")
    assert Settings.from_environment().run_profile.ncbi_url == "https://example.org/mirror"


def test_a_data_root_that_cannot_be_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataRootError, match=r"file/root cannot be used \(Not a directory\).*GLM_DATA_ROOT"):
        claim_data_root(tmp_path / "file" / "root", {"profile": "demo"})


@pytest.mark.parametrize("content", [b"[1]", b"{", b"\xff"])
def test_a_data_root_with_a_broken_mark_is_named(tmp_path, content):
    (tmp_path / "platform.json").write_bytes(content)
    with pytest.raises(DataRootError, match=r"platform\.json cannot be read"):
        claim_data_root(tmp_path, {"profile": "demo"})


def test_of_studies_that_claim_a_data_root_at_once_one_gets_it(tmp_path, monkeypatch):
    def write_slowly(path: Path, value: object) -> None:
        time.sleep(0.1)
        write_json(path, value)

    monkeypatch.setattr(data_root, "write_json", write_slowly)

    def claim(profile: str) -> bool:
        try:
            claim_data_root(tmp_path / "root", {"profile": profile})
        except DataRootError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(claim, [f"p{number}" for number in range(8)]))
    assert claimed.count(True) == 1


@pytest.mark.parametrize("name", ["hf:/models/nucleotide-transformer", "metagene1", "plant_lm"])
def test_a_hugging_face_encoder_brings_the_values_it_needs(monkeypatch, name):
    monkeypatch.setenv("GLM_PROFILE", "faithful")
    monkeypatch.setenv("GLM_ENCODER", name)
    encoder = Settings.from_environment().run_profile.encoder
    assert (encoder.layer, encoder.pooling, encoder.fp8) == ("last_hidden_state", "mean", False)
    monkeypatch.setenv("GLM_ENCODER", "evo2_7b_base")
    assert Settings.from_environment().run_profile.encoder.layer == "blocks.25.mlp.l3"


def test_another_encoder_does_not_keep_the_profiles_revision_and_checksum(monkeypatch, tmp_path):
    values = read_profile("demo")
    values["encoder"]["sha256"] = "0" * 64
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    monkeypatch.setenv("GLM_PROFILE", str(path))
    assert Settings.from_environment().run_profile.encoder.sha256 == "0" * 64
    monkeypatch.setenv("GLM_ENCODER", "demo")
    assert Settings.from_environment().run_profile.encoder.sha256 == "0" * 64
    monkeypatch.setenv("GLM_ENCODER", "evo2_7b")
    encoder = Settings.from_environment().run_profile.encoder
    assert (encoder.name, encoder.revision, encoder.sha256) == ("evo2_7b", "main", None)


def test_an_anchor_in_the_middle_is_the_same_recipe_said_or_not(tmp_path):
    recipes = []
    for windows in ({"length": 256, "anchor": 128}, {"length": 256}, {"length": 256, "layout": "centred"}):
        profile = build_profile(read_profile("demo") | {"windows": windows}, "mine")
        recipes.append(profile.windows.as_dict())
    assert recipes == [{"length": 256, "anchor": 128}] * 3
