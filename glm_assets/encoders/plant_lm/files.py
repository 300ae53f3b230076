"""A plant language model as files: safetensors and a JSON configuration beside them, nothing pickled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.encoders.huggingface.folder import CONFIG, WEIGHTS, read_json
from glm_assets.encoders.plant_lm.config import PlantLmConfig
from glm_assets.errors import EncoderError
from glm_assets.storage.atomic import atomic_path, write_json

if TYPE_CHECKING:
    from glm_assets.encoders.plant_lm.network import PlantLm


def save_plant_lm(network: PlantLm, folder: Path) -> None:
    """Write parameters, bucket matrices and configuration.

    Args:
        network: On any device.
        folder: Is made if need be.
    """
    from safetensors.torch import save

    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(state))
    write_json(folder / CONFIG, network.config.as_dict())


def read_config(folder: Path) -> PlantLmConfig:
    """The configuration in a folder; torch is not loaded.

    Raises:
        EncoderError: There is none, or it is no plant language model's.
    """
    return PlantLmConfig.from_dict(read_json(folder / CONFIG))


def load_plant_lm(folder: Path, device: str = "cpu") -> PlantLm:
    """The network in a folder, in evaluation mode and float32.

    Args:
        folder: As `save_plant_lm` wrote it.
        device: `cpu` or `cuda:N`.

    Raises:
        EncoderError: The files are absent or damaged, or the tensors are not those of the configuration.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from glm_assets.encoders.plant_lm.network import PlantLm

    with torch.device("meta"):
        network = PlantLm(read_config(folder))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS, device=device), assign=True)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
        raise EncoderError(
            f"{folder / WEIGHTS} cannot be loaded as a plant language model ({reason})",
            expected=f"the tensors of the network that {CONFIG} beside it describes",
            fix="keep the two files of one training together",
        ) from error
    return network.eval()
