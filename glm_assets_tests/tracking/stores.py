"""Places where models are registered, and small models to register."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from glm_assets.tracking import MlflowTracker, ModelCard

CARD = ModelCard("head", 4, 2, "glm_assets_tests.tracking.stores", ("numpy",))


def register(tracker: MlflowTracker, folder: Path, name: str, weights: bytes) -> str:
    """Register two files as a version; a run of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "meta.json").write_text("{}")
    with tracker.run(name, tags={}, resume_file=folder / "run.json") as run:
        return run.register_model(name, [folder / "model.safetensors", folder / "meta.json"], CARD)


def artifacts_of(tracker: MlflowTracker, name: str, version: str) -> Path:
    """Where a version's files lie in the store of a database."""
    model = tracker.registry.resolve(name, version)
    (folder,) = Path(tracker.uri.removeprefix("sqlite:///")).parent.glob(
        f"artifacts/{model.run_id}/artifacts/model"
    )
    return folder


class Echo:
    """A model that gives the first byte of its weights for every row."""

    def __init__(self, weights: bytes) -> None:
        self.weights = weights

    def predict(self, model_input: np.ndarray) -> np.ndarray:
        return np.full((len(model_input), 2), self.weights[0], np.float32)


def _load_pyfunc(path: str) -> Echo:
    return Echo((Path(path) / "model.safetensors").read_bytes())
