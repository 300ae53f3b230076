"""Passwords and tokens of the environment reach no file, no log, no message and no metadata."""

from __future__ import annotations

import logging
import traceback

import pytest
import yaml

from glm_assets.encoders.engines.ray_actors import RayActors
from glm_assets.errors import GlmError
from glm_assets.lineage.sources import make_clinvar_release, make_reference_genome
from glm_assets.settings import Settings
from glm_assets.sources.reference import stated_md5
from glm_assets.storage.addresses import require_store
from glm_assets_tests.checkouts import make_checkout
from glm_assets_tests.lineage.studies import tiny_environment, tiny_study
from glm_assets_tests.sources.servers import QUICK, serve
from glm_assets_tests.tiny_run import MATERIALIZE

SECRET = "hunter2hunter2"


def holding_the_secret(*folders) -> list[str]:
    """The files below some folders that hold the secret, whole or encoded."""
    return [
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and SECRET.encode() in path.read_bytes()
    ]


@pytest.fixture(autouse=True)
def _direct(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def test_sources_behind_a_password(tmp_path, tiny_tree, caplog):
    caplog.set_level(logging.DEBUG, "glm_assets")
    said: list[str] = []
    with serve(tiny_tree) as site:
        study = tiny_study(
            tmp_path, site.url.replace("://", f"://user:{SECRET}@"), test_csv=tiny_tree / "test.csv"
        )
        study.claim()
        manifests = [make_clinvar_release(study, said.append), make_reference_genome(study, said.append)]
        assert any(SECRET in header for header in map(str, _decoded(site))), "the password was sent"
        site.faults, site.faulty = [], "."
    assert manifests[0].facts["url"].startswith("http://127.0.0.1")
    assert holding_the_secret(tmp_path) == []
    with pytest.raises(GlmError) as caught:  # the server is gone
        stated_md5(f"http://user:{SECRET}@127.0.0.1:1/x", progress=said.append, policy=QUICK)
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told + "".join(said) + caplog.text


def _decoded(site) -> list[str]:
    import base64

    given = [headers.get("Authorization", "") for headers in site.headers]
    return [base64.b64decode(text.removeprefix("Basic ")).decode() for text in given if text]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GLM_DATA_ROOT", f"ftp://user:{SECRET}@host/x"),
        ("GLM_DATA_ROOT", f"https://user:{SECRET}@host/x?token={SECRET}"),
        ("GLM_DEVICE", f"s3://user:{SECRET}@host"),
        ("GLM_CLINVAR_CUTOFF", f"https://user:{SECRET}@host?password={SECRET}"),
        ("GLM_ENGINE", f"https://{SECRET}@host"),
    ],
)
def test_a_refused_setting_is_not_repeated(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(GlmError) as caught:
        Settings.from_environment()
    assert variable.removeprefix("GLM_").lower() in str(caught.value).lower()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("key", ["ncbi_url", "layer"])
def test_a_refused_value_of_a_profile_is_not_repeated(tmp_path, key):
    from glm_assets.profiles.profile import read_profile

    values = read_profile("demo") | {"seed": f"https://user:{SECRET}@host?token={SECRET}"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(GlmError, match="seed") as caught:
        Settings(profile=str(tmp_path / "mine.yaml")).run_profile  # noqa: B018 - the property checks
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "address", [f"s3://user:{SECRET}@bucket/x", f"s3://bucket/x?token={SECRET}", f"s3://bucket/x#{SECRET}"]
)
def test_a_store_takes_credentials_from_the_environment_only(address):
    """What fsspec and its file systems say of an address is not ours to mask, so they never see one with a secret."""
    with pytest.raises(GlmError, match="AWS_SECRET_ACCESS_KEY") as caught:
        require_store(address, "GLM_EMBEDDINGS_URL")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.system
def test_a_ray_address(monkeypatch):
    pytest.importorskip("ray")
    from glm_assets.encoders.engines import ray_actors

    with pytest.raises(GlmError) as caught, ray_actors._cluster(f"ray://user:{SECRET}@127.0.0.1:1"):
        pass
    assert RayActors.__module__ == ray_actors.__name__
    assert SECRET not in str(caught.value)


@pytest.mark.system
def test_runs_of_the_lineage_and_their_failures(tmp_path, tiny_tree):
    """Dagster's whole history of runs that succeed, fail and cannot reach a store or a tracking server."""
    with serve(tiny_tree) as site:
        settings = tiny_environment(tmp_path / "study", tiny_tree)
        secrets = {
            "GLM_NCBI_URL": site.url.replace("://", f"://user:{SECRET}@"),
            "AWS_ACCESS_KEY_ID": f"AKIA{SECRET}",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_MAX_ATTEMPTS": "1",
            "MLFLOW_TRACKING_URI": f"http://user:{SECRET}@127.0.0.1:1",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "RAY_ADDRESS": f"ray://user:{SECRET}@127.0.0.1:1",
            "GLM_EMBEDDINGS_URL": "s3://bucket/x",
        }
        checkout = make_checkout(tmp_path / "checkout", settings | secrets)
        printed = checkout.run(f"{MATERIALIZE} 'group:sources'")
        failing = (
            "glm-assets champion head_v0 --show",
            f"GLM_NCBI_URL=$GLM_NCBI_URL/no GLM_DATA_ROOT={tmp_path}/other {MATERIALIZE} reference_genome",
        )
        for command in failing:
            printed += checkout.run(f"({command}) 2>&1 && exit 1 || true", timeout=300)
    assert "STEP_FAILURE" in printed
    assert "tracking at http://***@127.0.0.1:1 failed" in printed
    assert SECRET not in printed
    assert holding_the_secret(tmp_path / "study", tmp_path / "other", checkout.folder) == []
