"""Registered heads and probes as MLflow itself loads them, in this process and in one that knows nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from glm_assets.heads.apply import embed, load_head
from glm_assets.heads.probes import load_probe
from glm_assets.heads.pyfunc import head_card, probe_card
from glm_assets.heads.weights import write_state
from glm_assets.storage.atomic import write_json
from glm_assets.tracking import MlflowTracker
from glm_assets_tests.heads.test_weights import small

mlflow = pytest.importorskip("mlflow")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

VECTORS = np.random.default_rng(5).normal(size=(300, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def tracker(folder) -> MlflowTracker:
    """Has a champion of `head_v3` and the probes `delta` and `ref_delta`."""
    tracker = MlflowTracker(f"sqlite:///{folder / 'mlflow' / 'mlflow.db'}")
    head = small("v3")
    write_state(head, folder / "head_v3" / "model.safetensors")
    write_json(folder / "head_v3" / "meta.json", {})
    register(tracker, folder / "head_v3", head_card(head.shape))
    for features, width in (("delta", 12), ("ref_delta", 24)):
        save_probe(folder / features, features, width)
        register(tracker, folder / features, probe_card(load_probe(folder / features)))
    tracker.registry.set_alias("head_v3", "champion", "1", reason="for the test")
    return tracker


def save_probe(folder: Path, features: str, width: int) -> None:
    from safetensors.numpy import save_file

    draw = np.random.default_rng(width)
    folder.mkdir()
    tensors = {name: draw.normal(size=width) for name in ("mean", "weight")}
    tensors |= {"scale": draw.uniform(1, 2, width), "bias": np.array([0.25])}
    save_file(tensors, folder / "model.safetensors", metadata={"kind": "linear_probe", "features": features})
    write_json(folder / "meta.json", {"kind": "linear_probe"})


def register(tracker: MlflowTracker, folder: Path, card) -> None:
    with tracker.run(folder.name, tags={}, resume_file=folder / "run.json") as run:
        run.register_model(folder.name, [folder / "model.safetensors", folder / "meta.json"], card)


@pytest.fixture
def load(tracker, monkeypatch):
    """MLflow's own loader, pointed at the tracking server the way its documentation says."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracker.uri)
    yield mlflow.pyfunc.load_model
    mlflow.set_tracking_uri(before)


def test_a_loaded_head_gives_the_bits_of_the_folder_it_came_from(load, folder):
    model = load("models:/head_v3@champion")
    expected = embed(load_head(folder / "head_v3"), VECTORS)
    given = model.predict(VECTORS)
    assert given.dtype == np.float32
    assert given.tobytes() == expected.tobytes()
    np.testing.assert_allclose(np.linalg.norm(given, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("features", "width"), [("delta", 12), ("ref_delta", 24)])
def test_a_loaded_probe_gives_its_probabilities(load, folder, features, width):
    values = np.hstack([VECTORS, VECTORS * 2])[:, :width]
    expected = load_probe(folder / features).probability(VECTORS, values[:, -12:])
    given = load(f"models:/{features}/1").predict(values)
    assert given.shape == (300,)
    np.testing.assert_array_equal(given, expected)


def test_the_signature_says_widths_and_types_and_is_enforced(load):
    model = load("models:/head_v3/1")
    signature = model.metadata.signature
    assert [(spec.type.name, spec.shape) for spec in signature.inputs] == [("float32", (-1, 12))]
    assert [(spec.type.name, spec.shape) for spec in signature.outputs] == [("float32", (-1, 6))]
    probe = load("models:/delta/1").metadata.signature
    assert [(spec.type.name, spec.shape) for spec in probe.outputs] == [("float64", (-1,))]
    for wrong in (VECTORS[:, :11], VECTORS[0], VECTORS.astype(np.float64)):
        with pytest.raises(mlflow.exceptions.MlflowException, match=r"does not match expected"):
            model.predict(wrong)


def test_nothing_that_was_uploaded_is_a_pickle(tracker, folder):
    """Neither by name nor by content: torch's zip files and protocol 2 and later announce themselves."""
    files = [path for path in (folder / "mlflow" / "artifacts").rglob("*") if path.is_file()]
    assert {path.name for path in files} - {"registered_model_meta"} == {  # left there by MLflow's own loader
        "MLmodel",
        "meta.json",
        "model.safetensors",
        "python_env.yaml",
        "requirements.txt",
    }
    assert not [path for path in files if path.read_bytes()[:2] in {b"PK", b"\x80\x02", b"\x80\x04", b"\x80\x05"}]
    assert not [path for path in files if b"pickle" in path.read_bytes()]


ELSEWHERE = """
import sys
import mlflow, numpy
vectors = numpy.load(sys.argv[1])
numpy.save(sys.argv[2], mlflow.pyfunc.load_model("models:/head_v3@champion").predict(vectors))
"""


@pytest.mark.system
def test_a_process_that_has_only_the_tracking_uri_loads_it(tracker, folder, repository, tmp_path):
    np.save(tmp_path / "vectors.npy", VECTORS)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GLM_", "MLFLOW_"))}
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, tmp_path / "vectors.npy", tmp_path / "given.npy"],
        check=True,
        cwd=tmp_path,
        env=kept | threads | {"MLFLOW_TRACKING_URI": tracker.uri, "PYTHONPATH": str(repository)},
        timeout=120,
    )
    expected = embed(load_head(folder / "head_v3"), VECTORS)
    assert np.load(tmp_path / "given.npy").tobytes() == expected.tobytes()
