"""What was trained of an Evo2 model as a folder: adapters or all weights, and which model they belong to.

Importing this module imports torch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from safetensors.torch import save_file

from glm_assets.errors import CheckpointError, IntegrityError
from glm_assets.language.evo2_network import Evo2Network
from glm_assets.storage.atomic import atomic_path, write_json
from glm_assets.training.adapter_files import read_adapter_settings, read_adapter_state, read_tensors, save_adapter
from glm_assets.training.states import load_part, trainable_state

if TYPE_CHECKING:
    from peft import PeftModel

CARD = "language_model.json"
MODEL_WEIGHTS = "model.safetensors"
"""Of a model that was trained whole; in vtx's layout in memory, and not in that of its checkpoints."""


@dataclass(frozen=True, kw_only=True)
class TrainedCard:
    """What must be known to use what was trained.

    Attributes:
        method: `lora` or `full`.
        encoder: Name of the model.
        encoder_sha256: Of its weights.
        context: Tokens of a window that it was trained on.
    """

    method: Literal["lora", "full"]
    encoder: str
    encoder_sha256: str
    context: int


def save_trained(folder: Path, network: Evo2Network, card: TrainedCard) -> None:
    """Write what was trained, and never the model it sits on; the card comes last.

    Args:
        folder: Made if needed.
        network: With adapters, or with parameters of its own that are trainable.
        card: What it was trained on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if card.method == "lora":
        save_adapter(cast("PeftModel", network.model), folder, base=card.encoder)
    else:
        with atomic_path(folder / MODEL_WEIGHTS) as temporary:
            save_file(
                {name: value.contiguous() for name, value in trainable_state(network.model).items()}, temporary
            )
    write_json(folder / CARD, asdict(card))


def read_card(folder: Path, *, encoder_sha256: str) -> TrainedCard:
    """What lies in a folder.

    Raises:
        CheckpointError: There is no card, or it cannot be read.
        IntegrityError: It belongs to other weights.
    """
    path = folder / CARD
    try:
        card = TrainedCard(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", expected="a trained language model") from error
    if card.encoder_sha256 != encoder_sha256:
        raise IntegrityError(
            f"the language model that is here has weights of SHA-256 {encoder_sha256}",
            expected=f"{card.encoder_sha256}, {card.encoder}, which {folder} was trained on",
            fix="bring that model here, or train on this one",
        )
    return card


def load_trained(network: Evo2Network, folder: Path, card: TrainedCard) -> Evo2Network:
    """Bring a model as it was published to what it was trained to be, in place.

    Raises:
        CheckpointError: A file is missing, damaged or does not fit.
    """
    if card.method == "lora":
        network.adapt(read_adapter_settings(folder))
        load_part(network.model, read_adapter_state(folder))
    else:
        network.requires_grad_(True)
        load_part(network.model, read_tensors(folder / MODEL_WEIGHTS))
        network.requires_grad_(False)
    return network.eval()
