"""Where Evo-1's weights come from; Hugging Face is a server on this machine."""

from __future__ import annotations

import json

import pytest

from glm_assets.encoders.evo1.config import CORRECTED, INSTALL
from glm_assets.encoders.weights import resolve_weights
from glm_assets.errors import EncoderError, IntegrityError, OfflineError
from glm_assets_tests.encoders.hub.server import COMMIT, point_to, serve_hub

pytest.importorskip("stripedhyena", reason=INSTALL)
pytest.importorskip("evo", reason=INSTALL)
pytest.importorskip("huggingface_hub")

PARTS = {"model-00001-of-00002.safetensors": b"one", "model-00002-of-00002.safetensors": b"two"}
INDEX = {"weight_map": dict(zip("abc", [*PARTS, min(PARTS)], strict=True))}
CODE = {
    "config.json": json.dumps({"auto_map": {"AutoModel": "model.StripedHyena"}}).encode(),
    "modeling_hyena.py": b"raise SystemExit",
    "pytorch_model.pt": b"-",
}


@pytest.fixture
def hub(monkeypatch):
    files = PARTS | CODE | {"model.safetensors.index.json": json.dumps(INDEX).encode()}
    with serve_hub(files=files, plain={*CODE, "model.safetensors.index.json"}) as hub:
        point_to(monkeypatch, hub)
        yield hub


def resolve(folder, name="evo1", **options):
    options = {"local_file": None, "offline": False, "progress": lambda _line: None} | options
    return resolve_weights(name, folder=folder, **options)


def test_the_corrected_safetensors_are_downloaded_once_and_no_code(tmp_path, hub):
    found = resolve(tmp_path)
    assert found.revision == COMMIT
    assert found.source == f"https://huggingface.co/togethercomputer/evo-1-8k-base at {COMMIT}"
    assert {path.name for path in found.path.parent.iterdir()} == {*PARTS, "model.safetensors.index.json"}
    assert hub.requests[0] == f"info togethercomputer/evo-1-8k-base {CORRECTED}"
    asked = len(hub.requests)
    assert resolve(tmp_path, offline=True) == found
    assert len(hub.requests) == asked


def test_another_revision_is_asked_for_as_it_is_named(tmp_path, hub):
    resolve(tmp_path, "evo1_131k", revision="1.1")
    assert hub.requests[0] == "info togethercomputer/evo-1-131k-base 1.1"


def test_offline_without_them_the_message_says_what_to_bring(tmp_path):
    with pytest.raises(OfflineError, match=rf"evo-1-8k-base --revision {CORRECTED} .*GLM_CHECKPOINT"):
        resolve(tmp_path, offline=True)


def test_the_demos_weights_are_made_once_and_are_checked(tmp_path):
    first = resolve(tmp_path, "evo1_demo", offline=True)
    assert (first.path.suffix, first.source) == (".safetensors", "generated")
    stamp = first.path.stat().st_mtime_ns
    assert resolve(tmp_path, "evo1_demo", offline=True) == first
    assert first.path.stat().st_mtime_ns == stamp
    with pytest.raises(IntegrityError):
        resolve(tmp_path, "evo1_demo", offline=True, expected_sha256="0" * 64)


def test_a_local_file_is_taken_as_it_is(tmp_path):
    file = tmp_path / "mine.safetensors"
    with pytest.raises(EncoderError, match="does not exist"):
        resolve(tmp_path, local_file=file)
    file.write_bytes(b"abc")
    assert resolve(tmp_path, local_file=file, offline=True).path == file
