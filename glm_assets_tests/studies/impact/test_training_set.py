"""The training set where chromosomes that are split one by one hold the same reads."""

from __future__ import annotations

import polars as pl
import pytest

pytest.importorskip("vortex")

from glm_assets.defs.checks.impact import training_set_results
from glm_assets.storage.tables import read_part
from glm_assets.studies.impact import training_set
from glm_assets_tests.studies.impact.persons import copy_of


def test_training_goes_on_without_what_another_chromosome_trains_with(made, tmp_path, monkeypatch):
    examples = training_set.read_all_examples(made.study)
    shared = examples.filter(chrom="21", split="train")["sequence"][0]
    held = (pl.col("chrom") == "22") & (pl.col("split") != "train")
    copied = examples.with_columns(sequence=pl.when(held).then(pl.lit(shared)).otherwise("sequence"))
    monkeypatch.setattr(training_set, "read_all_examples", lambda _: copied)
    study = copy_of(made.study, tmp_path, seed=7)
    manifest = training_set.make_training_set(study)
    dropped = copied.filter(held).height
    assert manifest.facts["dropped_shared_between_chromosomes"] == dropped > 0
    assert made.training_set.facts["dropped_shared_between_chromosomes"] == 0
    assert all(result.passed for result in training_set_results(manifest))
    kept = read_part(study.training_set().files())
    assert kept.height == examples.height - dropped
    assert kept.filter(split="train").height == examples.filter(split="train").height
