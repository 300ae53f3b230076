"""The files that make a folder with weights a model which MLflow loads by itself, and their checksums.

MLflow's flavour `python_function` names a module; its function `_load_pyfunc` gets the folder. So nothing has to be
pickled, and whoever loads the model needs this package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.storage.atomic import file_digest
from glm_assets.tracking.models import ModelCard

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

MODEL_FOLDER = "model"
_DIGEST_TAG = "sha256/"
_REQUIREMENTS = "requirements.txt"
_ENVIRONMENT = "python_env.yaml"
_PYTHON = "3.11"


def write_model_files(card: ModelCard, folder: Path, run_id: str) -> list[Path]:
    """Write `MLmodel`, `requirements.txt` and `python_env.yaml`.

    Args:
        card: What the model takes and gives, and who loads it.
        folder: Where the files go.
        run_id: The run that the model is from.

    Returns:
        Their paths.
    """
    from mlflow.models import Model
    from mlflow.pyfunc import add_to_model

    model = Model(artifact_path=MODEL_FOLDER, run_id=run_id, signature=signature_of(card))
    add_to_model(model, card.loader, python_env=_ENVIRONMENT)
    model.save(folder / "MLmodel")
    (folder / _REQUIREMENTS).write_text("".join(f"{line}\n" for line in _pinned(card.requirements)))
    # JSON is YAML
    environment = {"python": _PYTHON, "build_dependencies": [], "dependencies": [f"-r {_REQUIREMENTS}"]}
    (folder / _ENVIRONMENT).write_text(json.dumps(environment, indent=2) + "\n")
    return [folder / "MLmodel", folder / _REQUIREMENTS, folder / _ENVIRONMENT]


def signature_of(card: ModelCard) -> ModelSignature:
    """Rows of `in_dim` float32 numbers to unit vectors of a head, or to one float64 number a row."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    given = (
        TensorSpec(np.dtype(np.float64), (-1,))
        if card.out_dim is None
        else TensorSpec(np.dtype(np.float32), (-1, card.out_dim))
    )
    taken = TensorSpec(np.dtype(np.float32), (-1, card.in_dim))
    return ModelSignature(Schema([taken]), Schema([given]))


def digest_tags(files: Iterable[Path]) -> dict[str, str]:
    """A tag `sha256/<name>` for each file."""
    return {_DIGEST_TAG + file.name: file_digest(file) for file in files}


def recorded_digests(tags: Mapping[str, str]) -> dict[str, str]:
    """File name to SHA-256, from a version's tags."""
    return {key.removeprefix(_DIGEST_TAG): digest for key, digest in tags.items() if key.startswith(_DIGEST_TAG)}


def _pinned(names: Iterable[str]) -> list[str]:
    """Requirements with the versions that are installed here, without their local part (`+cpu`)."""
    lines = []
    for name in names:
        try:
            lines.append(f"{name}=={version(name).split('+')[0]}")
        except PackageNotFoundError:
            lines.append(name)
    return lines
