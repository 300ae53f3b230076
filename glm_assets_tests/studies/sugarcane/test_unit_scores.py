"""Scores of units by a plain loop, and a run that is interrupted."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from glm_assets.errors import EvaluationError
from glm_assets.storage.tables import read_part
from glm_assets.studies.sugarcane import unit_scores
from glm_assets.studies.sugarcane.unit_scores import make_unit_scores
from glm_assets_tests.language.markov_model import MarkovModel
from glm_assets_tests.studies.sugarcane.tiny_units import (
    ROWS,
    VARIETY,
    quiet,
    sequence_of,
    tiny_study,
    two_models,
)

OTHER = str.maketrans("ACGT", "TGCA")


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.setattr(unit_scores, "open_models", two_models)
    monkeypatch.setattr(unit_scores, "_TOGETHER", 5)


@pytest.fixture
def without_figures(monkeypatch):
    monkeypatch.setattr(unit_scores, "_save_figures", lambda *_: None)


def score(study):
    manifest = make_unit_scores(study, VARIETY, quiet)
    return manifest, read_part(study.files("unit_scores", VARIETY))


def test_every_unit_of_the_split_has_the_score_of_a_plain_loop_over_both_strands(tmp_path):
    manifest, table = score(tiny_study(tmp_path))
    expected_units = [row[0] for row in ROWS if row[-1] == "test" and row[0] != "unknown"]
    for name, model in two_models().items():
        rows = table.filter(model=name)
        assert rows["unit_id"].to_list() == expected_units
        for row in rows.iter_rows(named=True):
            forward = sequence_of(row["unit_id"])
            strands = [forward, forward[::-1].translate(OTHER)]
            terms = [
                model.expected(text, start_token=True)[np.array([letter in "ACGT" for letter in text])]
                for text in strands
            ]
            assert row["n_tokens"] == len(terms[0]) == sum(letter in "ACGT" for letter in forward)
            assert row["logprob_sum"] == pytest.approx(np.mean([each.sum() for each in terms]), rel=1e-5)
            assert row["logprob_mean"] == pytest.approx(np.mean([each.mean() for each in terms]), rel=1e-5)
    assert dict(table.filter(model="zero_shot").select("unit_id", "tiles").iter_rows())["long"] == 5
    assert manifest.facts["skipped_units"] == {
        "of another split": 4,
        "beyond max_units": 0,
        "without a known base": 1,
    }
    assert manifest.facts["units_in_tiles"] == 1
    assert manifest.facts["cut_at_the_ends_of_contigs"] == 1
    assert manifest.facts["bases_per_second"] > 0
    zero_shot = table.filter(model="zero_shot")
    of_a_base = zero_shot["logprob_sum"].sum() / zero_shot["n_tokens"].sum()
    assert manifest.facts["logprob_of_a_base"]["zero_shot"] == pytest.approx(of_a_base)
    assert manifest.facts["bits_of_a_base"]["zero_shot"] == pytest.approx(-of_a_base / np.log(2))
    assert {"histogram.png", "violins.png", "ranking.png"} <= set(manifest.files)


@pytest.mark.usefixtures("without_figures")
def test_types_share_the_units_that_are_scored(tmp_path):
    manifest, table = score(tiny_study(tmp_path, scoring={"max_units": 6}))
    of_one = table.filter(model="fine_tuned")
    assert of_one["unit_type"].value_counts()["count"].to_list() == [2, 2, 2]
    assert manifest.facts["skipped_units"]["beyond max_units"] == 13


class Interrupted(MarkovModel):
    """Someone presses Ctrl-C while it computes."""

    def logits(self, ids):
        if len(self.shapes) == 4:
            raise KeyboardInterrupt
        return super().logits(ids)


@pytest.mark.usefixtures("without_figures")
def test_an_interrupted_run_goes_on_and_gives_the_same_table(tmp_path, monkeypatch):
    _, whole = score(tiny_study(tmp_path / "whole"))
    study = tiny_study(tmp_path / "cut")
    monkeypatch.setattr(
        unit_scores,
        "open_models",
        lambda *_: {"zero_shot": MarkovModel(seed=0), "fine_tuned": Interrupted(seed=1)},
    )
    with pytest.raises(KeyboardInterrupt):
        score(study)
    monkeypatch.setattr(unit_scores, "open_models", two_models)
    manifest, table = score(study)
    assert table.equals(whole)
    assert 0 < manifest.facts["computed"] < 19  # all of the first model's and some of the second's were there


def test_a_variety_without_a_unit_to_score_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="tiny has no unit in val"):
        score(tiny_study(tmp_path, scoring={"splits": ["val"]}))


@pytest.mark.usefixtures("without_figures")
def test_how_units_are_batched_is_no_part_of_the_product(tmp_path):
    score(tiny_study(tmp_path))
    again, _ = score(tiny_study(tmp_path, scoring={"batch_tokens": 4_096}))
    assert again.reused
    assert not score(tiny_study(tmp_path, scoring={"start_token": False}))[0].reused
