"""Profiles of units: each row in the files is that of its unit, and an interrupted run goes on."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from glm_assets.language.profiles import profile_sequence
from glm_assets.language.tiling import Tiling
from glm_assets.storage.tables import read_part
from glm_assets.studies.sugarcane import token_profiles, unit_scores
from glm_assets.studies.sugarcane.token_profiles import make_token_profiles
from glm_assets.studies.sugarcane.unit_scores import make_unit_scores
from glm_assets_tests.language.markov_model import MarkovModel
from glm_assets_tests.studies.sugarcane.tiny_units import (
    VARIETY,
    quiet,
    sequence_of,
    tiny_study,
    two_models,
)


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.setattr(token_profiles, "open_models", two_models)
    monkeypatch.setattr(unit_scores, "open_models", two_models)


@pytest.fixture
def without_figures(monkeypatch):
    monkeypatch.setattr(token_profiles, "_save_figures", lambda *_: None)
    monkeypatch.setattr(unit_scores, "_save_figures", lambda *_: None)


def profile(study):
    manifest = make_token_profiles(study, VARIETY, quiet)
    folder = study.files("token_profiles", VARIETY)
    return manifest, read_part(folder), np.load(folder / "logits.npy"), np.load(folder / "entropy.npy")


@pytest.mark.parametrize("start_token", [True, False])
def test_a_unit_s_rows_are_its_profile_under_its_model(tmp_path, start_token):
    names = ("u4", "long", "unknown")
    study = tiny_study(tmp_path, profiles={"units": names}, scoring={"start_token": start_token})
    manifest, table, logits, entropy = profile(study)
    models = two_models()
    assert table.select("model", "unit_id").rows() == [(model, name) for model in models for name in names]
    for row in table.iter_rows(named=True):
        text = sequence_of(row["unit_id"])
        rows = slice(row["first_row"], row["first_row"] + row["positions"])
        own, bits = profile_sequence(models[row["model"]], text, Tiling(start_token, 256, 64, 512))
        np.testing.assert_array_equal(logits[rows], own.astype(np.float16))
        np.testing.assert_array_equal(entropy[rows], bits.astype(np.float16))
        assert row["mean_entropy"] == pytest.approx(np.nanmean(bits), abs=1e-3)
        told = [(place, base) for place, base in enumerate(text) if base in "ACGT" and not np.isnan(bits[place])]
        hits = ["ACGT"[int(own[place].astype(np.float16).argmax())] == base for place, base in told]
        assert row["accuracy"] == (pytest.approx(np.mean(hits)) if hits else None)
    assert len(logits) == len(entropy) == 2 * sum(len(sequence_of(name)) for name in names)
    assert {"logits_zero_shot.png", "logits_fine_tuned.png", "entropy.png"} <= set(manifest.files)
    assert not [name for name in manifest.files if name.startswith(".")]


@pytest.mark.usefixtures("without_figures")
def test_without_names_some_of_the_scored_units_are_profiled(tmp_path):
    study = tiny_study(tmp_path, scoring={"max_units": 6}, profiles={"max_units": 3})
    make_unit_scores(study, VARIETY, quiet)
    scored = set(read_part(study.files("unit_scores", VARIETY))["unit_id"])
    table = profile(study)[1].filter(model="zero_shot")
    assert table["unit_type"].n_unique() == table.height == 3
    assert set(table["unit_id"]) <= scored


class Interrupted(MarkovModel):
    """Someone presses Ctrl-C when it begins its second unit."""

    def logits(self, ids):
        if self.shapes:
            raise KeyboardInterrupt
        return super().logits(ids)


@pytest.mark.usefixtures("without_figures")
def test_an_interrupted_run_goes_on_and_gives_the_same_files(tmp_path, monkeypatch):
    changes = {"profiles": {"units": ("u4", "u5", "u6")}}
    whole = profile(tiny_study(tmp_path / "whole", **changes))
    study = tiny_study(tmp_path / "cut", **changes)
    models = {"zero_shot": MarkovModel(seed=0), "fine_tuned": Interrupted(seed=1)}
    monkeypatch.setattr(token_profiles, "open_models", lambda *_: models)
    with pytest.raises(KeyboardInterrupt):
        profile(study)
    monkeypatch.setattr(token_profiles, "open_models", two_models)
    again = profile(study)
    assert again[0].facts["computed"] == 2
    assert again[1].equals(whole[1])
    assert again[0].files["logits.npy"].sha256 == whole[0].files["logits.npy"].sha256
