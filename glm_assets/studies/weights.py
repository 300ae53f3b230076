"""The weights of a study's own encoder, which need not be the main study's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glm_assets.encoders.huggingface.encoder import PREFIX
from glm_assets.encoders.metagene.config import METAGENE_MODELS
from glm_assets.encoders.weights import WeightsInfo, resolve_weights
from glm_assets.lineage.study import Study


def study_weights(
    study: Study,
    name: str,
    *,
    checkpoint: str | None,
    revision: str = "main",
    sha256: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> WeightsInfo:
    """Bring an encoder's weights to this machine; those that are there are found without asking the network.

    Args:
        study: Whose folder of weights is used, and whose `GLM_OFFLINE` holds.
        name: A name of the encoder registry, or `hf:`.
        checkpoint: A local weights file, or the folder of a transformers model.
        revision: Of a repository.
        sha256: Refuse other weights.
        progress: Called with a line now and then.

    Raises:
        EncoderError: There is no such encoder, file or folder.
        OfflineError: They would have to be fetched.
    """
    local = Path(checkpoint).expanduser() if checkpoint else None
    if local and local.is_dir() and name not in METAGENE_MODELS:
        name, local = f"{PREFIX}{local}", None
    return resolve_weights(
        name,
        local_file=local,
        folder=study.weights_folder,
        offline=study.settings.offline,
        progress=progress,
        revision=revision,
        expected_sha256=sha256,
    )
