"""Encoders `hf:owner/name`: a tiny model that a server on this machine publishes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from glm_assets.encoders.huggingface.encoder import LAST
from glm_assets.encoders.registry import encoder_spec, make_encoder
from glm_assets.encoders.weights import resolve_weights
from glm_assets.errors import (
    DownloadError,
    EncoderError,
    IntegrityError,
    MissingUpstreamError,
    OfflineError,
)
from glm_assets_tests.encoders.conftest import random_windows
from glm_assets_tests.encoders.hub.server import COMMIT, NEWER, point_to, serve_hub
from glm_assets_tests.encoders.huggingface.tiny_models import divide, save_esm
from glm_assets_tests.lineage.studies import tiny_study

NAME = "hf:InstaDeepAI/tiny-esm"
FOREIGN = {
    "README.md": b"-",
    "modeling_esm.py": b"raise SystemExit",
    "pytorch_model.bin": b"-",
    "tf_model.h5": b"-",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_esm(tmp_path_factory.mktemp("models") / "tiny-esm")


def published(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hub(monkeypatch, model):
    files = published(model)
    plain = {name for name in files if not name.endswith(".safetensors")}
    with serve_hub(files=files | FOREIGN, plain=plain) as hub:
        point_to(monkeypatch, hub)
        yield hub


def resolve(folder, name=NAME, **options):
    options = {"local_file": None, "offline": False, "progress": lambda _: None} | options
    return resolve_weights(name, folder=folder, **options)


def spec_of(name, found):
    return encoder_spec(name, revision=found.sha256, layer=LAST, device="cpu", weights=found.path)


def test_a_repository_is_downloaded_once_and_equals_its_copy_in_a_folder(tmp_path, hub, model):
    found = resolve(tmp_path)
    assert found.revision == COMMIT
    assert found.source == f"https://huggingface.co/InstaDeepAI/tiny-esm at {COMMIT}"
    assert published(found.path.parent) == published(model)
    assert hub.requests[0] == "info InstaDeepAI/tiny-esm main"
    asked = len(hub.requests)

    hub.commit = NEWER
    assert resolve(tmp_path, offline=True) == found
    assert len(hub.requests) == asked

    local = resolve(tmp_path / "other", f"hf:{model}")
    assert spec_of(NAME, found).fingerprint == spec_of(f"hf:{model}", local).fingerprint
    windows = random_windows(3, 36)
    encoders = [make_encoder(spec_of(NAME, info), weights=info.path, device="cpu") for info in (found, local)]
    np.testing.assert_array_equal(encoders[0].embed(windows), encoders[1].embed(windows))


def test_divided_weights_are_downloaded_with_their_index(tmp_path, hub, model):
    copy = shutil.copytree(model, tmp_path / "tiny-esm")
    divide(copy)
    hub.files = published(copy) | FOREIGN
    found = resolve(tmp_path / "weights")
    assert found.path.name == "model.safetensors.index.json"
    assert published(found.path.parent) == published(copy)
    assert found.sha256 == resolve(tmp_path / "weights", f"hf:{copy}").sha256


def test_a_revision_can_stand_in_the_name_and_in_the_profile(tmp_path, hub):
    assert resolve(tmp_path, f"{NAME}@{NEWER}").revision == NEWER
    assert resolve(tmp_path, revision="refs/pr/1").revision == COMMIT
    assert [line for line in hub.requests if line.startswith("info")] == [
        f"info InstaDeepAI/tiny-esm {NEWER}",
        "info InstaDeepAI/tiny-esm refs/pr/1",
    ]


def test_a_folder_of_that_name_comes_first(tmp_path, hub, model, monkeypatch):
    shutil.copytree(model, tmp_path / "InstaDeepAI" / "tiny-esm")
    monkeypatch.chdir(tmp_path)
    assert resolve(tmp_path / "weights").revision == "local"
    assert not hub.requests


def test_an_interrupted_download_goes_on_with_the_commit_and_the_bytes_it_had(tmp_path, hub):
    right = hub.files.pop("tokenizer_config.json")
    hub.files["tokenizer_config.json"] = b"not JSON"
    with pytest.raises(EncoderError, match=r"tokenizer_config\.json cannot be read"):
        resolve(tmp_path)
    assert not [line for line in hub.requests if "safetensors" in line]
    assert not list(tmp_path.glob("[!.]*/"))

    hub.files["tokenizer_config.json"] = right
    hub.commit = NEWER
    shutil.rmtree(next(tmp_path.glob(".*.fetching")))
    hub.stated["model.safetensors"] = "0" * 64
    with pytest.raises(IntegrityError, match=r"model\.safetensors differs"):
        resolve(tmp_path)
    hub.stated.clear()
    sent = hub.sent["config.json"]
    assert resolve(tmp_path).revision == COMMIT
    assert hub.sent["config.json"] == sent


def test_two_runs_at_once_download_once(tmp_path, hub):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: resolve(tmp_path), range(2))
    assert first == second
    assert hub.sent["model.safetensors"] == first.size


def test_code_of_a_repository_is_refused_before_its_weights_are_downloaded(tmp_path, hub):
    config = json.loads(hub.files["config.json"])
    config["auto_map"] = {"AutoConfig": "esm_config.EsmConfig", "AutoModel": "modeling_esm.EsmModel"}
    hub.files["config.json"] = json.dumps(config).encode()
    with pytest.raises(EncoderError, match=r"needs Python code of its repository \(esm_config\.EsmConfig"):
        resolve(tmp_path)
    assert not [line for line in hub.requests if "safetensors" in line or ".py" in line]


def test_a_repository_without_safetensors_is_refused(tmp_path, hub):
    del hub.files["model.safetensors"]
    with pytest.raises(
        DownloadError, match=r"InstaDeepAI/tiny-esm at a+ publishes no model\.safetensors; pickled"
    ):
        resolve(tmp_path)


def test_a_repository_that_lacks_a_divided_file_is_refused(tmp_path, hub):
    del hub.files["model.safetensors"]
    hub.files["model.safetensors.index.json"] = b'{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'
    with pytest.raises(DownloadError, match=r"lacks model-00001-of-00002\.safetensors"):
        resolve(tmp_path)


def test_offline_the_error_says_what_to_bring_where(tmp_path, hub):
    with pytest.raises(OfflineError) as caught:
        resolve(tmp_path, offline=True)
    message = str(caught.value)
    assert "https://huggingface.co/InstaDeepAI/tiny-esm" in message
    assert "hf download InstaDeepAI/tiny-esm --revision main --local-dir <folder>" in message
    assert "GLM_ENCODER to hf:<folder>" in message
    assert not hub.requests


def test_a_checksum_in_the_profile_is_checked(tmp_path, hub, tiny_tree):
    from glm_assets.lineage.sources import make_glm_checkpoint
    from glm_assets.profiles.profile import read_profile

    sha256 = resolve(tmp_path / "elsewhere").sha256
    encoder = read_profile("demo")["encoder"] | {"name": NAME, "revision": "main", "layer": LAST}
    right = tiny_study(tmp_path / "right", tiny_tree, profile={"encoder": encoder | {"sha256": sha256}})
    assert make_glm_checkpoint(right, progress=lambda _: None).data_version == sha256
    wrong = tiny_study(tmp_path / "wrong", tiny_tree, profile={"encoder": encoder | {"sha256": "1" * 64}})
    with pytest.raises(IntegrityError, match="1" * 64):
        make_glm_checkpoint(wrong, progress=lambda _: None)
    later = tiny_study(tmp_path / "right", tiny_tree, profile={"encoder": encoder | {"sha256": "1" * 64}})
    with pytest.raises(MissingUpstreamError, match="glm_checkpoint is absent or out of date"):
        _ = later.encoder_spec


def test_a_study_reads_the_downloaded_folder_and_notices_a_changed_file_of_it(tmp_path, hub, model, tiny_tree):
    from glm_assets.lineage.sources import make_glm_checkpoint

    copy = shutil.copytree(model, tmp_path / "tiny-esm")
    divide(copy)
    hub.files = published(copy)
    study = tiny_study(tmp_path, tiny_tree, encoder=NAME)
    facts = make_glm_checkpoint(study, progress=lambda _: None).facts
    assert (facts["encoder"], facts["revision"]) == (NAME, COMMIT)
    assert (study.encoder_spec.name, study.encoder_spec.dimension) == ("hf:tiny-esm", 16)
    part = sorted((study.weights_folder).rglob("model-*.safetensors"))[-1]
    os.utime(part, ns=(0, 0))
    with pytest.raises(MissingUpstreamError, match="not the one that glm_checkpoint recorded"):
        _ = study.encoder_spec


STUDY = """
import sys
from pathlib import Path
from glm_assets.lineage.embeddings import make_variant_embeddings
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets_tests.lineage.studies import tiny_study

study = tiny_study(Path(sys.argv[1]), sys.argv[2], encoder=sys.argv[3], offline=sys.argv[4] == "offline")
for make in (make_clinvar_release, make_reference_genome, make_glm_checkpoint):
    make(study, progress=lambda _: None)
make_clinvar_variants(study, "22")
make_variant_windows(study, "22")
print(make_variant_embeddings(study, "22", lambda _: None).data_version)
"""


@pytest.mark.system
def test_a_whole_study_asks_the_hub_once_and_from_a_folder_never(tmp_path, hub, model, tiny_tree):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "GLM_"))}

    def run(folder, encoder, mode):
        done = subprocess.run(
            [sys.executable, "-c", STUDY, str(tmp_path / folder), str(tiny_tree), encoder, mode],
            env=environment | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]

    versions = {run("a", f"hf:{model}", "online"), run("b", f"hf:{model}", "offline"), run("c", "demo", "online")}
    assert hub.requests + hub.strange == []
    version = run("d", NAME, "online")
    assert version in versions
    assert [line for line in hub.requests if line.startswith("info")] == ["info InstaDeepAI/tiny-esm main"]
    asked = len(hub.requests + hub.strange)
    assert run("d", NAME, "offline") == version
    assert len(hub.requests + hub.strange) == asked
