"""Where weights come from; Hugging Face is a server on this machine."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

pytest.importorskip("vortex")
pytest.importorskip("huggingface_hub")

from glm_assets.encoders.weights import resolve_weights
from glm_assets.errors import DownloadError, EncoderError, IntegrityError, OfflineError
from glm_assets.storage import products
from glm_assets_tests.encoders.hub.server import COMMIT, NEWER, point_to, serve_hub


def resolve(name, folder, **options):
    options = {"local_file": None, "offline": False, "progress": lambda line: None} | options
    return resolve_weights(name, folder=folder, **options)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def hub(monkeypatch):
    with serve_hub(files={"README.md": b"-", "evo2_7b.pt": b"the weights"}) as hub:
        point_to(monkeypatch, hub)
        yield hub


def test_the_demos_weights_are_made_once_and_offline(tmp_path):
    lines: list[str] = []
    first = resolve("demo", tmp_path, offline=True, progress=lines.append)
    assert first.sha256 == sha256(first.path.read_bytes())
    assert first.size == first.path.stat().st_size
    assert first.source == "generated"
    stamp = first.path.stat().st_mtime_ns
    assert resolve("demo", tmp_path, offline=True) == first
    assert first.path.stat().st_mtime_ns == stamp
    assert len(lines) == 2


def test_a_local_file_is_used_and_its_checksum_is_read_once(tmp_path, monkeypatch):
    file = tmp_path / "mine" / "weights.pt"
    file.parent.mkdir()
    file.write_bytes(b"abc")
    found = resolve("evo2_7b", tmp_path / "folder", local_file=file, offline=True)
    assert (found.path, found.sha256, found.size, found.revision) == (file, sha256(b"abc"), 3, "local")
    assert list(file.parent.iterdir()) == [file]

    def must_not_read(path, *args):
        raise AssertionError(f"{path} was read again")

    with monkeypatch.context() as patch:
        patch.setattr(products, "file_digest", must_not_read)
        assert resolve("evo2_7b", tmp_path / "folder", local_file=file) == found
    file.write_bytes(b"abcd")
    assert resolve("evo2_7b", tmp_path / "folder", local_file=file).sha256 == sha256(b"abcd")


def test_a_local_file_that_is_not_there_is_an_error_that_names_it_and_the_setting(tmp_path):
    with pytest.raises(EncoderError, match=r"absent\.pt does not exist.*GLM_CHECKPOINT"):
        resolve("evo2_7b", tmp_path, local_file=tmp_path / "absent.pt")


def test_a_revision_is_resolved_to_a_commit_once_and_then_used_without_the_network(tmp_path, hub):
    found = resolve("evo2_7b", tmp_path)
    assert found.path.read_bytes() == b"the weights"
    assert (found.revision, found.sha256) == (COMMIT, sha256(b"the weights"))
    assert found.source == f"https://huggingface.co/arcinstitute/evo2_7b at {COMMIT}"
    assert hub.requests == ["info arcinstitute/evo2_7b main", f"get evo2_7b.pt {COMMIT}"]

    hub.commit = NEWER
    assert resolve("evo2_7b", tmp_path, offline=True) == found
    assert resolve("evo2_7b", tmp_path, revision=COMMIT, offline=True) == found
    assert len(hub.requests) == 2


def test_another_revision_is_fetched_beside_the_first(tmp_path, hub):
    first = resolve("evo2_7b", tmp_path)
    hub.commit, hub.files["evo2_7b.pt"] = NEWER, b"newer weights"
    second = resolve("evo2_7b", tmp_path, revision="refs/pr/1")
    assert (second.revision, second.path.read_bytes()) == (NEWER, b"newer weights")
    assert first.path.read_bytes() == b"the weights"


def test_pieces_are_joined_in_the_order_of_their_numbers_and_removed(tmp_path, hub):
    hub.files = {f"evo2_7b.pt.part{n}": b"%d;" % n for n in (10, 2, 0, 1, *range(3, 10))}
    found = resolve("evo2_7b", tmp_path)
    assert found.path.read_bytes() == b"0;1;2;3;4;5;6;7;8;9;10;"
    assert not [path for path in tmp_path.rglob("*") if ".part" in path.name or ".piece" in path.name]


def test_offline_the_error_says_which_file_to_put_where(tmp_path, hub):
    with pytest.raises(OfflineError) as caught:
        resolve("evo2_7b", tmp_path, offline=True)
    message = str(caught.value)
    assert "the file evo2_7b.pt of https://huggingface.co/arcinstitute/evo2_7b" in message
    assert f"{tmp_path / 'evo2_7b.pt'}" in message
    assert "GLM_CHECKPOINT" in message
    assert hub.requests == []


def test_a_file_that_differs_from_the_published_checksum_is_removed_and_refused(tmp_path, hub):
    hub.stated["evo2_7b.pt"] = "0" * 64
    with pytest.raises(IntegrityError, match=r"evo2_7b\.pt differs"):
        resolve("evo2_7b", tmp_path)
    assert not [path for path in tmp_path.rglob("*") if ".pt" in path.name]
    hub.stated.clear()
    assert resolve("evo2_7b", tmp_path).revision == COMMIT


def test_a_checksum_that_was_asked_for_is_checked(tmp_path, hub):
    right = sha256(b"the weights")
    assert resolve("evo2_7b", tmp_path, expected_sha256=right.upper()).sha256 == right
    with pytest.raises(IntegrityError, match=re.escape(right)):
        resolve("evo2_7b", tmp_path, expected_sha256="1" * 64)


def test_a_repository_without_the_checkpoint_is_an_error_that_names_what_was_sought(tmp_path, hub):
    hub.files = {"model.safetensors": b"-"}
    with pytest.raises(DownloadError, match=r"arcinstitute/evo2_7b has neither evo2_7b\.pt nor"):
        resolve("evo2_7b", tmp_path)


def test_no_connection_is_an_error_that_says_how_to_go_on(tmp_path, monkeypatch):
    with serve_hub() as gone:
        point_to(monkeypatch, gone)
    with pytest.raises(DownloadError, match=r"could not be fetched.*refused.*GLM_CHECKPOINT"):
        resolve("evo2_7b", tmp_path)


def test_a_revision_that_does_not_exist_is_named(tmp_path, hub):
    with pytest.raises(DownloadError, match=r"arcinstitute/evo2_7b \(revision gone\)"):
        resolve("evo2_7b", tmp_path, revision="gone")


def test_an_encoder_that_is_published_nowhere_is_an_error(tmp_path):
    with pytest.raises(EncoderError, match="'evo3'"):
        resolve("evo3", tmp_path)


def test_what_a_revision_meant_is_recorded(tmp_path, hub):
    resolve("evo2_7b", tmp_path, revision="refs/pr/1")
    record = json.loads((tmp_path / "evo2_7b-refs%2Fpr%2F1.json").read_text())
    assert record == {"repo": "arcinstitute/evo2_7b", "revision": "refs/pr/1", "commit": COMMIT}
