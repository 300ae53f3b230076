"""Opening the language model as it was published and as it was trained. torch is imported then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from glm_assets.encoders.device import prepare_device, resolve_device
from glm_assets.encoders.evo2.config import model_config
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.evaluation.model_styles import FINE_TUNED, ZERO_SHOT
from glm_assets.language.evo2 import Evo2LanguageModel, load_evo2
from glm_assets.studies.sugarcane.configuration import ModelSettings
from glm_assets.studies.sugarcane.study import SugarcaneStudy

if TYPE_CHECKING:
    from peft import PeftModel

    from glm_assets.language.evo2_network import Evo2Network


def open_models(study: SugarcaneStudy, variety: str) -> dict[str, Evo2LanguageModel]:
    """The study's language model before and after training on a variety, under these names.

    Adapters sit on a copy that shares the weights, so that a model with them takes little memory besides that without.
    Where weights are float32 the adapters are added to them, which is quicker: then the layers that have some are
    there twice.

    Args:
        study: The study.
        variety: Name of the variety.

    Raises:
        CheckpointError: What was trained is damaged or does not fit.
        IntegrityError: It belongs to other weights.
        EncoderError: The model is refused on this device.
    """
    settings = study.main.settings
    device = resolve_device(settings.device)
    prepare_device(device, settings.cpu_threads)
    folder = study.files("lora_adapter", variety)
    before, after = load_networks(study.values.model, study.weights(), folder, device)
    name, context = study.values.model.encoder, model_config(study.values.model.encoder)["max_seqlen"]
    return {
        ZERO_SHOT: Evo2LanguageModel(before, name=name, device=device, context=context),
        FINE_TUNED: Evo2LanguageModel(after, name=f"{name}, {variety}", device=device, context=context),
    }


def load_networks(
    model: ModelSettings, weights: WeightsInfo, folder: Path, device: str
) -> tuple[Evo2Network, Evo2Network]:
    """The model before and after training.

    Args:
        model: The study's.
        weights: Of the model as it was published.
        folder: Of the product `lora_adapter`.
        device: `cpu` or `cuda:N`.
    """
    import torch

    from glm_assets.language.evo2_files import load_trained, read_card
    from glm_assets.language.evo2_network import Evo2Network, copy_sharing_weights
    from glm_assets.training.merging import merge_adapters

    card = read_card(folder, encoder_sha256=weights.sha256)
    before = load_evo2(card.encoder, weights.path, device=device, without_fp8=model.without_fp8)
    if card.method == "full":
        after = load_evo2(card.encoder, weights.path, device=device, without_fp8=model.without_fp8)
        return before, load_trained(after, folder, card)
    after = load_trained(Evo2Network(copy_sharing_weights(before.model)), folder, card)
    if before.dtype == torch.float32:
        merge_adapters(cast("PeftModel", after.model))
    return before, after
