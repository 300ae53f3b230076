"""Vectors of genes: equal to what the network gives one gene at a time, each computed once, kept when killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from glm_assets.encoders.plant_lm.config import PlantLmConfig
from glm_assets.encoders.plant_lm.network import PlantLm
from glm_assets.studies.plant import segment_vectors
from glm_assets.studies.plant.segment_vectors import embed_segments


@pytest.fixture(scope="module")
def network() -> PlantLm:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    config = PlantLmConfig(
        species=("one", "two"), k=2, width=8, heads=2, layers=1, context=4, window=3, positions=4, tied=True,
        memory="none",
    )  # fmt: skip
    return PlantLm(config).eval()


@pytest.fixture
def tokens() -> np.ndarray:
    """(5, 3, 6): a segment is longer than the context of 4, and some are equal."""
    drawn = np.random.default_rng(0).integers(0, 16, (5, 3, 6)).astype(np.uint16)
    drawn[3] = drawn[0]
    return drawn


MASK = np.array([[True, True, True], [True, False, True], [True, True, True], [True, True, True], [False] * 3])


def _slow(network: PlantLm, segment: np.ndarray, species: int) -> np.ndarray:
    parts = []
    for start in (0, 4):
        ids = torch.from_numpy(segment[start : start + 4].astype(np.int64))[None]
        with torch.inference_mode():
            parts.append(network.hidden(ids, species=torch.tensor([species]))[0])
    return torch.cat(parts).mean(dim=0).numpy()


def test_is_the_mean_over_tokens_of_each_gene(tmp_path: Path, network: PlantLm, tokens: np.ndarray) -> None:
    found = embed_segments(tokens, MASK, network, 1, tmp_path, lambda _: None)
    vectors, mask = found.take(np.arange(5))
    np.testing.assert_array_equal(mask, MASK)
    for sample, gene in np.argwhere(MASK).tolist():
        np.testing.assert_allclose(vectors[sample, gene], _slow(network, tokens[sample, gene], 1), atol=1e-5)
    assert not vectors[~MASK].any()
    assert np.abs(vectors[0, 0] - _slow(network, tokens[0, 0], 0)).max() > 1e-3


def test_equal_genes_are_embedded_once(tmp_path: Path, network: PlantLm, tokens: np.ndarray) -> None:
    found = embed_segments(tokens, MASK, network, 0, tmp_path, lambda _: None)
    assert len(found.vectors) == int(MASK.sum()) - 3
    np.testing.assert_array_equal(found.index[3], found.index[0])


def test_goes_on_where_a_killed_run_was(
    tmp_path: Path, network: PlantLm, tokens: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = embed_segments(tokens, MASK, network, 0, tmp_path / "whole", lambda _: None)
    monkeypatch.setattr(segment_vectors, "_BATCH_TOKENS", 12)
    monkeypatch.setattr(segment_vectors, "_BATCHES_A_BLOCK", 1)
    calls = []
    embed = segment_vectors._embed

    def count(*args) -> np.ndarray:
        calls.append(len(args[1]))
        return embed(*args)

    def die(line: str) -> None:
        if line.startswith("4 of"):
            raise KeyboardInterrupt

    monkeypatch.setattr(segment_vectors, "_embed", count)
    with pytest.raises(KeyboardInterrupt):
        embed_segments(tokens, MASK, network, 0, tmp_path, die)
    assert sum(calls) == 4
    gone_on = embed_segments(tokens, MASK, network, 0, tmp_path, lambda _: None)
    assert sum(calls) == len(whole.vectors)
    np.testing.assert_allclose(gone_on.vectors, whole.vectors, atol=1e-6)
