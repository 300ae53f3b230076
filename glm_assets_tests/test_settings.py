"""Settings and profiles: what they give, and errors that name the key and what is allowed."""

from __future__ import annotations

from datetime import date

import pytest
import yaml

from glm_assets.errors import DataRootError, SettingsError
from glm_assets.profiles.profile import BUILT_IN, read_profile
from glm_assets.settings import Settings
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
        ("GLM_CLINVAR_CUTOFF", "09.11.2025", "clinvar_cutoff", "YYYY-MM-DD"),
        ("GLM_CHROMOSOMES", "13,chr17", "chr17", "MT"),
        ("GLM_OFFLINE", "perhaps", "offline", "boolean"),
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
        (lambda p: p["windows"].update(anchor=1024), "windows.anchor", "less than windows.length"),
        (lambda p: p["heads"].pop("v2"), "heads", "v2"),
        (lambda p: p.pop("seed"), "seed", "missing"),
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
