"""Trainings and models of tests compute on one thread."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def demo_weights(tmp_path_factory) -> Path:
    from glm_assets.encoders.demo import make_demo_checkpoint

    path = tmp_path_factory.mktemp("weights") / "demo.pt"
    make_demo_checkpoint(path)
    return path
