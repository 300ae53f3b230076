"""Small plant language models."""

from __future__ import annotations

import pytest

from glm_assets.encoders.plant_lm.config import PlantLmConfig

torch = pytest.importorskip("torch")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def small_config(**changes) -> PlantLmConfig:
    shape = {"width": 16, "heads": 2, "layers": 2, "dropout": 0.0, "context": 12, "window": 4, "positions": 40}
    kinds = {"species": ("a", "b"), "k": 2, "tied": True, "memory": "content", "normalise_steps": 100}
    return PlantLmConfig(**(shape | kinds | changes))


def small_network(seed: int = 0, **changes):
    from glm_assets.encoders.plant_lm.network import PlantLm

    torch.manual_seed(seed)
    network = PlantLm(small_config(**changes)).eval()
    if network.memory is not None:
        with torch.no_grad():
            network.memory.matrix.normal_()
    return network


def small_batch(sequences: int = 3, length: int = 10, seed: int = 1):
    """Tokens, positions and species that alternate."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 16, (sequences, length), generator=generator)
    positions = torch.arange(length) + torch.arange(sequences)[:, None]
    return tokens, positions, torch.arange(sequences) % 2
