"""A phenotype head as files: safetensors, and JSON beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from glm_assets.errors import CheckpointError
from glm_assets.heads.files import META_FILE, MODEL_FILE, read_arrays
from glm_assets.storage.atomic import atomic_path, write_json
from glm_assets.studies.plant.phenotype_fitting import PhenotypeHead, Standard

_KIND: Final = "phenotype head"


@dataclass(frozen=True)
class StoredHead:
    """A head and what is needed to use it.

    Attributes:
        head: The classifier.
        labels: Phenotype of each class.
        meta: All that was stored about it: `labels`, `species`, `lm_data_version`, `pooling`, `genes` (columns in
            order), `k` and `segment_tokens`.
    """

    head: PhenotypeHead
    labels: tuple[str, ...]
    meta: dict[str, Any]


def save_phenotype_head(head: PhenotypeHead, meta: dict[str, Any], folder: Path) -> None:
    """Write a head.

    Args:
        head: The classifier.
        meta: What `StoredHead.meta` says, as JSON values.
        folder: That of the product.
    """
    from safetensors.numpy import save_file

    state = {name: value.detach().numpy().copy() for name, value in head.network.state_dict().items()}
    state |= {"centre": head.standard.centre, "scale": head.standard.scale}
    with atomic_path(folder / MODEL_FILE) as temporary:
        save_file(state, temporary)
    write_json(folder / META_FILE, meta | {"pooling": head.network.pooling})


def load_phenotype_head(folder: Path) -> StoredHead:
    """Read a head back; it gives the very probabilities it gave when it was fitted.

    Raises:
        MissingUpstreamError: There is none.
        CheckpointError: A file is damaged or is no phenotype head.
    """
    import torch

    from glm_assets.training.set_classifier import SetClassifier

    _, arrays = read_arrays(folder, _KIND)
    try:
        meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        labels = tuple(meta["labels"])
        standard = Standard(arrays.pop("centre"), arrays.pop("scale"))
        network = SetClassifier(len(standard.scale), classes=len(labels), pooling=meta["pooling"])
        network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder} holds no {_KIND} ({error})", fix="materialise plant/phenotype_head again"
        ) from error
    return StoredHead(PhenotypeHead(standard, network.eval()), labels, meta)
