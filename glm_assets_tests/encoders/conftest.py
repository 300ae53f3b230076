"""The demo's weights and encoder, made once, and windows to embed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from glm_assets.encoders.base import Encoder, EncoderSpec
from glm_assets.encoders.demo import make_demo_checkpoint
from glm_assets.encoders.registry import encoder_spec, make_encoder
from glm_assets.storage.atomic import file_digest

LAYER = "blocks.25.mlp.l3"
LETTERS = np.frombuffer(b"ACGT", np.uint8)


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    pytest.importorskip("torch")
    path = tmp_path_factory.mktemp("weights") / "demo.pt"
    make_demo_checkpoint(path)
    return path


@pytest.fixture(scope="session")
def spec(weights) -> EncoderSpec:
    return encoder_spec("demo", revision=file_digest(weights), layer=LAYER, device="cpu")


@pytest.fixture(scope="session")
def encoder(spec, weights) -> Encoder:
    return make_encoder(spec, weights=weights, device="cpu")


def random_windows(count: int, length: int = 128, seed: int = 0) -> NDArray[np.uint8]:
    """(count, length) random bases."""
    return LETTERS[np.random.default_rng(seed).integers(0, 4, (count, length))]


def text(window: NDArray[np.uint8]) -> str:
    return window.tobytes().decode()


def variant_frame(sites: int, length: int = 128, seed: int = 0) -> pl.DataFrame:
    """Rows as in `variant_windows`: two single-base variants at each site, in the middle of one shared window."""

    def digest(sequence: str) -> str:
        return hashlib.sha256(sequence.encode()).hexdigest()[:32]

    rows = []
    middle = length // 2
    for site, window in enumerate(random_windows(sites, length, seed)):
        ref_seq = text(window)
        for alt in [base for base in "ACGT" if base != ref_seq[middle]][:2]:
            var_seq = ref_seq[:middle] + alt + ref_seq[middle + 1 :]
            rows.append(
                {
                    "variation_id": len(rows),
                    "chrom": "21",
                    "pos": 1000 + site,
                    "ref": ref_seq[middle],
                    "alt": alt,
                    "variant_offset": middle,
                    "ref_seq": ref_seq,
                    "var_seq": var_seq,
                    "ref_digest": digest(ref_seq),
                    "var_digest": digest(var_seq),
                }
            )
    return pl.DataFrame(rows, schema_overrides={"variant_offset": pl.Int16})
