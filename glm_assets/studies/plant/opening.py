"""Opening the trained plant language model. torch is imported then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glm_assets.encoders.device import prepare_device, resolve_device
from glm_assets.encoders.plant_lm.files import load_plant_lm
from glm_assets.studies.plant.study import PlantStudy

if TYPE_CHECKING:
    from glm_assets.encoders.plant_lm.network import PlantLm


def open_lm(study: PlantStudy) -> PlantLm:
    """The trained network on the device of the settings, in evaluation mode; its shape is `network.config`.

    Raises:
        MissingUpstreamError: It is absent or out of date.
        EncoderError: A file is damaged.
    """
    study.main.require(study.lm())
    device = resolve_device(study.main.settings.device)
    prepare_device(device, study.main.settings.cpu_threads)
    return load_plant_lm(study.files("lm"), device)
