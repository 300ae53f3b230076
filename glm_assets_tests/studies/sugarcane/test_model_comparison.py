"""Zero-shot beside fine-tuned: means by unit type and correlations, by other libraries."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

pytest.importorskip("torch")

from glm_assets.errors import EvaluationError
from glm_assets.storage.schemas_sugarcane import UNIT_SCORES
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.sugarcane import experiment_scores
from glm_assets.studies.sugarcane.experiment import Experiment
from glm_assets.studies.sugarcane.experiment_scores import judge_experiment
from glm_assets.studies.sugarcane.model_comparison import (
    by_unit_type,
    make_model_comparison,
    paired_scores,
    verdict,
)
from glm_assets_tests.studies.sugarcane.tiny_units import VARIETY, quiet, tiny_study, two_models


def scores(units: int, gain: float, split: str = "test", seed: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    before = generator.normal(-1.36, 0.05, units)
    rows = []
    for model, means in (("zero_shot", before), ("fine_tuned", before + gain + generator.normal(0, 0.01, units))):
        for number, mean in enumerate(means):
            kind = ("gene_only", "gene_cluster")[number % 3 == 0]
            rows.append((VARIETY, f"u{number}", kind, split, model, mean * 100, mean, 100, 1))
    return pl.DataFrame(rows, UNIT_SCORES.schema, orient="row")


def test_means_and_paired_intervals_are_those_of_plain_resampling():
    split, units = paired_scores(scores(40, 0.05))
    table = by_unit_type(units, resamples=800, seed=3)
    assert split == "test"
    assert table["name"].to_list() == ["all", "gene_only", "gene_cluster"]
    generator = np.random.default_rng(9)
    for row in table.iter_rows(named=True):
        own = units if row["name"] == "all" else units.filter(unit_type=row["name"])
        difference = (own["fine_tuned"] - own["zero_shot"]).to_numpy()
        assert row["rows"] == own.height
        assert row["zero_shot"] == pytest.approx(own["zero_shot"].to_numpy().mean())
        assert row["difference"] == pytest.approx(difference.mean())
        draws = [generator.choice(difference, len(difference)).mean() for _ in range(2000)]
        assert (row["low"], row["high"]) == pytest.approx(np.percentile(draws, [2.5, 97.5]), abs=0.002)
        # Of unpaired resamples the interval would be ten times as wide.
        assert row["high"] - row["low"] < 0.02
        assert verdict(row) == "better"


def test_units_of_one_model_alone_and_those_that_trained_are_left_out():
    both = pl.concat([scores(10, 0.1, "train"), scores(6, -0.1, "test", seed=1)])
    split, units = paired_scores(both)
    assert (split, units.height) == ("test", 6)
    assert verdict(by_unit_type(units, resamples=100, seed=0).row(0, named=True)) == "worse"
    assert paired_scores(both.filter(split="train"))[0] == "train"
    with pytest.raises(EvaluationError, match="no unit has a score of both models"):
        paired_scores(both.filter(model="zero_shot"))


def test_an_id_that_occurs_twice_is_two_units():
    one = scores(3, 0.1)
    twice = pl.concat([one, one.with_columns(logprob_mean=pl.col("logprob_mean") - 1)])
    units = paired_scores(twice)[1]
    assert units.height == 6
    assert (units["fine_tuned"] - units["zero_shot"]).abs().max() < 0.2


def test_correlations_are_those_of_scipy_and_of_each_model():
    generator = np.random.default_rng(1)
    value = generator.normal(size=60).round(1)
    frame = pl.DataFrame(
        {
            "line": np.arange(60),
            "sequence": [f"s{number // 2}" for number in range(60)],
            "value": value,
            "zero_shot": generator.normal(size=60),
            "fine_tuned": value + generator.normal(size=60),
        }
    )
    read = Experiment(frame, 60, 0, {}, 60)
    unscored = frame.with_columns(zero_shot=pl.when(pl.col("line") < 2).then(np.nan).otherwise("zero_shot"))
    assert judge_experiment("e", read, unscored, resamples=10, seed=0).scores.height == 58
    found = judge_experiment("e", read, frame, resamples=300, seed=0)
    oracle = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}
    for row in found.compared.iter_rows(named=True):
        for column, model in (("before", "zero_shot"), ("after", "fine_tuned")):
            assert row[column] == pytest.approx(oracle[row["figure"]](frame[model].to_numpy(), value)[0])
        assert row["difference"] == pytest.approx(row["after"] - row["before"])
        assert row["low"] < row["difference"] < row["high"]
    constant = frame.with_columns(zero_shot=pl.lit(-1.0))
    row = judge_experiment("e", read, constant, resamples=10, seed=0).compared.row(0, named=True)
    assert (row["before"], row["difference"], row["low"]) == (None, None, None)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment_scores, "open_models", two_models)
    path = tmp_path / "sites.csv"
    generator = np.random.default_rng(0)
    rows = [f"{''.join(generator.choice(list('ACGU'), 9))},{generator.normal()}" for _ in range(30)]
    path.write_text("sequence,value\n" + "\n".join(rows))
    return with_scores(tiny_study(tmp_path, experiment={"file": str(path), "max_rows": 25}, resamples=100))


def with_scores(study):
    UNIT_SCORES.write(scores(12, 0.1), study.folder("unit_scores", VARIETY) / PART)
    return study


def test_the_product_holds_table_figures_and_scores_of_every_sequence(study):
    manifest = make_model_comparison(study, VARIETY, quiet)
    folder = study.files("model_comparison", VARIETY)
    table = read_part(folder)
    assert table["slice"].unique(maintain_order=True).to_list() == ["all", "unit_type", "experiment"]
    written = pl.read_csv(folder / "experiment_scores.csv")
    assert written.height == 25 == table.filter(figure="spearman")["rows"].item()
    measured = stats.spearmanr(written["fine_tuned"], written["value"])[0]
    assert table.filter(figure="spearman")["fine_tuned"].item() == pytest.approx(measured)
    model = two_models(study, VARIETY)["zero_shot"]
    first = written.row(0, named=True)
    strands = [first["sequence"], first["sequence"][::-1].translate(str.maketrans("ACGT", "TGCA"))]
    expected = np.mean([model.expected(text, start_token=True).mean() for text in strands])
    assert first["zero_shot"] == pytest.approx(expected, rel=1e-5)
    ranked = pl.read_csv(folder / "ranking.csv")
    assert ranked["fine_tuned"].is_sorted(descending=True)
    assert ranked["rank"].to_list() == list(range(1, ranked.height + 1))
    pictures = {"unit_types.png", "scatter_zero_shot.png", "scatter_fine_tuned.png"}
    assert pictures == {name for name in manifest.files if name.endswith(".png")}
    assert all((folder / name).stat().st_size > 5_000 for name in pictures)
    assert manifest.facts["units"] == ranked.height
    assert manifest.facts["experiment_rows"] == 25


def test_without_an_experiment_the_units_are_compared(tmp_path):
    plain = with_scores(tiny_study(tmp_path / "plain", experiment=None, resamples=100))
    manifest = make_model_comparison(plain, VARIETY, quiet)
    assert "experiment_scores.csv" not in manifest.files
    assert "experiment" not in read_part(plain.files("model_comparison", VARIETY))["slice"]
