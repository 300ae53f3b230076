"""Real genomes, from the files to a language model beside its baselines: what a user's values file does."""

from __future__ import annotations

from pathlib import Path

import pytest

from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.storage.tables import read_part
from glm_assets.studies.plant.evaluation import make_evaluation
from glm_assets.studies.plant.generations import make_generations
from glm_assets.studies.plant.genome import make_genome
from glm_assets.studies.plant.study import PlantStudy
from glm_assets.studies.plant.tokens import make_tokens
from glm_assets.studies.plant.training import make_lm
from glm_assets.tracking.protocol import NullTracker
from glm_assets_tests.studies.plant.toys import quiet

VALUES = Path(__file__).with_name("arabidopsis.yaml")


@pytest.mark.system
@pytest.mark.real_data
def test_the_model_beats_markov_chains_on_blocks_it_has_not_seen(
    real_data, tmp_path, monkeypatch, record_property
):
    monkeypatch.chdir(real_data)
    study = PlantStudy(Study(Settings(data_root=str(tmp_path), device="cpu", plant=str(VALUES))))
    for species in study.species:
        assert make_genome(study, species, quiet).facts["bases"] == 2_000_000
        make_tokens(study, species, quiet)
    trained = make_lm(study, NullTracker(), quiet, dagster_run_id="test")
    judged = make_evaluation(study, quiet)
    table = read_part(study.files("evaluation")).filter(figure="bits_per_base")
    figures = {(row["species"], row["predictor"]): row["value"] for row in table.iter_rows(named=True)}
    record_property("bits_per_base", {" ".join(key): round(value, 4) for key, value in figures.items()})
    assert trained.facts["steps"] == 150
    for species in (*study.species, "all"):
        bits = {predictor: value for (of, predictor), value in figures.items() if of == species}
        assert 1.85 < bits["model"] < bits["markov_2"] < bits["markov_1"] < bits["markov_0"] < 2
        assert bits["uniform"] == pytest.approx(2)
    assert judged.facts["over_markov_2_low"] > 0.005
    assert judged.facts["over_best_markov"] > -0.005
    make_generations(study, quiet)
    drawn = read_part(study.files("generations"))
    assert set("".join(drawn["sequence"])) == set("ACGT")
    assert drawn["gc"].mean() == pytest.approx(0.366, abs=0.1)  # of the genomes
