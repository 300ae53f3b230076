"""A minbpe model of METAGENE-1's size and the demo's folder, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from glm_assets.encoders.metagene.demo import make_metagene_demo
from glm_assets.encoders.tokenizers.minbpe import MinbpeTokenizer
from glm_assets.encoders.tokenizers.minbpe_file import MinbpeModel
from glm_assets_tests.encoders.tokenizers.reference import random_reads, train_minbpe


@pytest.fixture(scope="session")
def model() -> MinbpeModel:
    return train_minbpe(random_reads(40, seed=1), 768, {"<|eos|>": 1024})


@pytest.fixture(scope="session")
def minbpe(model) -> MinbpeTokenizer:
    return MinbpeTokenizer(model)


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory) -> Path:
    pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("models") / "metagene"
    make_metagene_demo(folder)
    return folder
