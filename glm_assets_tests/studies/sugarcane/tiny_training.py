"""A study whose tokens are an order-3 chain, and whose Evo2 is four blocks deep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from glm_assets.encoders.evo2 import config as evo2_config
from glm_assets.language.token_store import Segment, write_store
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.storage.products import Product
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.sugarcane.configuration import SugarcaneConfiguration
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets.studies.sugarcane.training import make_lora_adapter
from glm_assets.tracking import NullTracker
from glm_assets_tests.language.fakes import markov_genome

VARIETY = "R570"


def shallow_evo2(monkeypatch, blocks: int = 4) -> None:
    """Cut the demo's Evo2 off after some blocks: one of each kind in four."""
    demo = evo2_config.EVO2_MODELS["demo"]
    overrides = dict(demo.overrides or {}) | {"num_layers": blocks}
    monkeypatch.setitem(evo2_config.EVO2_MODELS, "demo", replace(demo, overrides=overrides))


class ToyStudy(SugarcaneStudy):
    """Products of it depend on nothing upstream."""

    def versions(self, *products: Product) -> dict[str, str]:
        return {product.asset: "made by hand" for product in products}

    def token_shards(self, variety: str) -> Product:
        return self._product("token_shards", variety, {}, {})


def toy_study(folder: Path, bases: int = 8_000, **changes) -> ToyStudy:
    """With tokens in place; `changes` are merged into the demo's sections."""
    demo = read_configuration(SugarcaneConfiguration, "glm_assets.studies.sugarcane", "GLM_SUGARCANE", "demo")
    values = demo.model_dump()
    values["varieties"] = {VARIETY: {"fasta": "none", "gff3": "none"}}
    values["training"] |= {
        "steps": 4,
        "validate_steps": 2,
        "warmup_steps": 1,
        "batch_size": 2,
        "validation_windows": 8,
    }
    for section, change in changes.items():
        values[section] |= change
    study = ToyStudy(
        Study(Settings(data_root=str(folder / "data"), device="cpu", cpu_threads=1)),
        SugarcaneConfiguration.model_validate(values),
    )
    study.token_shards(VARIETY).make(lambda work: _write(work, markov_genome(bases)))
    return study


def _write(work: Path, tokens: np.ndarray) -> dict[str, int]:
    cut = len(tokens) * 4 // 5
    parts = [("train", 0, tokens[:cut]), ("val", cut, tokens[cut:])]
    segments = [Segment("Chr1A", start, "+", split, [(part, None)]) for split, start, part in parts]
    store = write_store(segments, work, dtype=np.uint8, vocabulary_size=512, bases_per_token=1, end_id=0)
    return {"tokens": store.card.tokens}


def train(study: ToyStudy, tracker=None, progress=lambda _: None):
    """The manifest."""
    return make_lora_adapter(study, VARIETY, tracker or NullTracker(), progress, dagster_run_id="run")
