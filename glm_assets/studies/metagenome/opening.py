"""Opening a trained classifier, with the language model it sits on. torch is imported then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.device import prepare_device, resolve_device
from glm_assets.encoders.registry import make_encoder
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.errors import CheckpointError
from glm_assets.studies.metagenome.classifiers import FrozenClassifier, ReadClassifier, TunedClassifier
from glm_assets.studies.metagenome.configuration import ModelSettings
from glm_assets.studies.metagenome.tokenizing import study_tokenizer
from glm_assets.studies.metagenome.training import ENCODER


def open_classifier(
    folder: Path, model: ModelSettings, weights: WeightsInfo, *, device: str, cpu_threads: int, batch_size: int
) -> ReadClassifier:
    """Open a trained classifier.

    Args:
        folder: Where it lies.
        model: The configuration it was trained with.
        weights: Of the language model.
        device: `auto`, `cpu` or `cuda:N`.
        cpu_threads: torch threads on a CPU.
        batch_size: Reads in a forward pass.

    Raises:
        CheckpointError: A file is missing or damaged, or the tokenizer is another one.
        IntegrityError: The language model is another one.
    """
    from glm_assets.training.classifier_files import load_classifier, load_head

    device = resolve_device(device)
    prepare_device(device, cpu_threads)
    if (folder / ENCODER).is_file():
        spec = EncoderSpec(**_spec_values(folder / ENCODER))
        head, card = load_head(folder, device=device, backbone_sha256=weights.sha256)
        encoder = make_encoder(spec, weights=weights.path, device=device, cpu_threads=cpu_threads)
        return FrozenClassifier(encoder, head, card.labels, weights=weights.path, device=device)
    classifier, card = load_classifier(folder, weights.path.parent, device=device, backbone_sha256=weights.sha256)
    tokenizer = study_tokenizer(model, weights)
    if tokenizer.digest != card.tokenizer:
        raise CheckpointError(
            f"{folder} was trained with another tokenizer than {tokenizer.name}",
            fix="set model.tokenizer as it was, or train again",
        )
    return TunedClassifier(
        classifier, card.labels, tokenizer, max_length=card.max_length, device=device, batch_size=batch_size
    )


def _spec_values(path: Path) -> dict[str, Any]:
    values = json.loads(path.read_text(encoding="utf-8"))
    return values | {"needs": tuple(values["needs"])}
