"""A trained classifier as a folder: what was trained, and which model it belongs to; never that model itself.

Importing this module imports torch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from safetensors.torch import save_file
from torch import nn

from glm_assets.encoders.device import CPU
from glm_assets.encoders.huggingface.folder import model_weights, weights_digest
from glm_assets.errors import CheckpointError, IntegrityError
from glm_assets.storage.atomic import atomic_path, file_digest, write_json
from glm_assets.training.adapter_files import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    read_adapter_settings,
    read_adapter_state,
    read_tensors,
    save_adapter,
)
from glm_assets.training.backbones import ADAPTED, Method, load_backbone
from glm_assets.training.sequence_classifier import SequenceClassifier, VectorClassifier
from glm_assets.training.states import load_part, trainable_state

if TYPE_CHECKING:
    from peft import PeftModel

CARD_FILE = "classifier.json"
HEAD_WEIGHTS = "head.safetensors"
BACKBONE_WEIGHTS = "backbone.safetensors"

_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ClassifierCard:
    """What must be known to use a trained classifier.

    Attributes:
        method: As of `load_backbone`.
        encoder: Name of the language model.
        encoder_sha256: Of its weights, as `encoders.weights.WeightsInfo` states it.
        dtype: Of its weights: `float32` or `bfloat16`.
        labels: Of the classes, by index.
        tokenizer: Digest of the tokenizer.
        max_length: Most tokens of a sequence.
    """

    method: Method
    encoder: str
    encoder_sha256: str
    dtype: str
    labels: tuple[str, ...]
    tokenizer: str
    max_length: int


def save_classifier(folder: Path, classifier: SequenceClassifier | VectorClassifier, card: ClassifierCard) -> None:
    """Write adapters, all weights or neither, as the method trained them, and the classifier's own layers.

    The card comes last: a folder with a card is whole.

    Args:
        folder: Made if needed.
        classifier: With a backbone of the card's method.
        card: What it was trained on.

    Raises:
        CheckpointError: Card and classifier do not belong together.
    """
    if len(card.labels) != classifier.classes or len(set(card.labels)) != classifier.classes:
        raise CheckpointError(
            f"{len(card.labels)} labels for {classifier.classes} classes", expected="a label of its own for each"
        )
    (folder / CARD_FILE).unlink(missing_ok=True)
    files = [*_save_backbone(folder, classifier.backbone, card), HEAD_WEIGHTS]
    with atomic_path(folder / HEAD_WEIGHTS) as temporary:
        save_file({name: value.contiguous() for name, value in classifier.head.state_dict().items()}, temporary)
    head = {key: getattr(classifier, key) for key in ("pooling", "dropout", "hidden_layer")}
    digests = {name: file_digest(folder / name) for name in files}
    write_json(folder / CARD_FILE, {"format": _FORMAT, **asdict(card), "head": head, "files": digests})


def load_classifier(
    folder: Path, backbone_folder: Path, *, device: str = CPU, backbone_sha256: str | None = None
) -> tuple[SequenceClassifier, ClassifierCard]:
    """Rebuild a trained classifier on the language model it was trained on.

    Args:
        folder: From `save_classifier`.
        backbone_folder: The language model, as transformers saves it.
        device: `cpu` or `cuda:N`.
        backbone_sha256: Of the model's weights where it is known, as from `resolve_weights`; computed otherwise.

    Returns:
        The classifier in evaluation mode, and its card.

    Raises:
        CheckpointError: A file is missing, damaged or does not fit.
        IntegrityError: The language model is another one.
        EncoderError: It cannot be loaded.
    """
    values = _read_card(folder)
    card = _card_of(values)
    _require_weights(folder, card, backbone_sha256 or weights_digest(model_weights(backbone_folder)))
    adapted = card.method in ADAPTED
    lora = read_adapter_settings(folder) if adapted else None
    backbone = load_backbone(backbone_folder, method=card.method, lora=lora, device=device, dtype=card.dtype)
    if adapted:
        load_part(backbone, read_adapter_state(folder))
    elif card.method == "full":
        load_part(backbone, read_tensors(folder / BACKBONE_WEIGHTS))
    classifier = SequenceClassifier(backbone, classes=len(card.labels), **values["head"])
    load_part(classifier.head, read_tensors(folder / HEAD_WEIGHTS))
    return classifier.eval(), card


def load_head(folder: Path, *, device: str = CPU, backbone_sha256: str) -> tuple[VectorClassifier, ClassifierCard]:
    """Rebuild a classifier on vectors of a language model that was not trained.

    Args:
        folder: From `save_classifier`.
        device: `cpu` or `cuda:N`.
        backbone_sha256: Of the weights of the model that makes the vectors.

    Returns:
        The classifier in evaluation mode, and its card.

    Raises:
        CheckpointError: A file is missing, damaged or does not fit.
        IntegrityError: The vectors would be those of another model.
    """
    values = _read_card(folder)
    card = _card_of(values)
    _require_weights(folder, card, backbone_sha256)
    if card.method != "frozen":
        raise CheckpointError(
            f"the language model of {folder} was trained too, by {card.method}", fix="load all of it"
        )
    state = read_tensors(folder / HEAD_WEIGHTS)
    width = state["hidden.weight" if "hidden.weight" in state else "out.weight"].shape[1]
    head = VectorClassifier(width, classes=len(card.labels), **values["head"])
    load_part(head.head, state)
    return head.to(device).eval(), card


_CARD_KEYS = tuple(ClassifierCard.__dataclass_fields__)


def _card_of(values: dict[str, Any]) -> ClassifierCard:
    return ClassifierCard(**{**{key: values[key] for key in _CARD_KEYS}, "labels": tuple(values["labels"])})


def _require_weights(folder: Path, card: ClassifierCard, found: str) -> None:
    if found != card.encoder_sha256:
        raise IntegrityError(
            f"the language model that is here has weights of SHA-256 {found}",
            expected=f"{card.encoder_sha256}, {card.encoder}, which {folder} was trained on",
            fix="bring that model here, or train on this one",
        )


def _save_backbone(folder: Path, backbone: nn.Module, card: ClassifierCard) -> list[str]:
    """Write what was trained of a language model; returns the files' names."""
    is_adapted = hasattr(backbone, "peft_config")
    if is_adapted != (card.method in ADAPTED):
        raise CheckpointError(
            f"the card says {card.method}, but the model has {'' if is_adapted else 'no '}adapters"
        )
    if is_adapted:
        save_adapter(cast("PeftModel", backbone), folder, base=card.encoder)
        return [ADAPTER_CONFIG, ADAPTER_WEIGHTS]
    state = trainable_state(backbone)
    if bool(state) != (card.method == "full"):
        raise CheckpointError(f"the card says {card.method}, but {len(state)} tensors of the model are trained")
    if not state:
        return []
    with atomic_path(folder / BACKBONE_WEIGHTS) as temporary:
        save_file(state, temporary)
    return [BACKBONE_WEIGHTS]


def _read_card(folder: Path) -> dict[str, Any]:
    """The card's values, after checking that the files it names are as they were written."""
    path = folder / CARD_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}", expected="a saved classifier") from error
    missing = {*_CARD_KEYS, "head", "files"} - values.keys()
    if values.get("format") != _FORMAT or missing:
        raise CheckpointError(f"{path} is of another format; missing: {sorted(missing)}", fix="train it again")
    for name, digest in values["files"].items():
        file = folder / Path(name).name
        if not file.is_file() or file_digest(file) != digest:
            raise CheckpointError(f"{file} is missing or damaged", fix="train it again, or copy the folder again")
    return values
