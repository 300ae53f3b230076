import gzip
import math

import numpy as np
import polars as pl
import pytest

from glm_assets.evaluation.model_styles import FINE_TUNED, ZERO_SHOT
from glm_assets.storage.tables import read_part
from glm_assets.studies.sugarcane.annotation import make_annotation
from glm_assets.studies.sugarcane.experiment_scores import SCATTER, SCORES_FILE
from glm_assets.studies.sugarcane.genome import make_genome
from glm_assets.studies.sugarcane.model_comparison import make_model_comparison
from glm_assets.studies.sugarcane.token_shards import make_token_shards
from glm_assets.studies.sugarcane.training import make_lora_adapter
from glm_assets.studies.sugarcane.unit_scores import make_unit_scores
from glm_assets.studies.sugarcane.units import make_units
from glm_assets.tracking import NullTracker
from glm_assets_tests.studies.sugarcane.test_units import quiet, study_in

VARIETY = "thaliana"


@pytest.fixture(scope="module")
def made(real_data, tmp_path_factory):
    """Arabidopsis by blocks of a chromosome, the demo's model, and a splice-site assay, at a small size."""
    files = real_data / "plants" / "arabidopsis_thaliana"
    study = study_in(
        tmp_path_factory.mktemp("study"),
        varieties={VARIETY: {"fasta": str(files / "chr1.fna.gz"), "gff3": str(files / "chr1.gff3.gz")}},
        split={"by": "block", "block_bases": 100_000, "gap_bases": 10_000, "val": 10, "test": 15},
        training={"steps": 40, "validate_steps": 20, "validation_windows": 16},
        scoring={"max_units": 3},
        experiment={"file": str(real_data / "mave" / "mpsa_brca2_5ss.csv.gz"), "sequence": "x", "value": "y"},
        resamples=200,
    )
    for make in (make_genome, make_annotation, make_units, make_token_shards):
        make(study, VARIETY, quiet)
    adapter = make_lora_adapter(study, VARIETY, NullTracker(), quiet, dagster_run_id="run")
    make_unit_scores(study, VARIETY, quiet)
    return study, adapter, make_model_comparison(study, VARIETY, quiet)


pytestmark = [pytest.mark.real_data, pytest.mark.system]


def test_fine_tuning_on_a_real_genome_beats_zero_shot_and_four_equally_likely_bases(made):
    study, adapter, _ = made
    assert adapter.facts["best_loss"] < math.log(4)
    assert adapter.facts["best_loss"] < adapter.facts["zero_shot_loss"]
    assert adapter.facts["unchanged_tensors"] == 0
    units = read_part(study.files("model_comparison", VARIETY)).filter(slice="all")
    assert units[FINE_TUNED].item() > units[ZERO_SHOT].item()


def test_scores_are_set_against_the_real_assay(made, real_data):
    from scipy import stats

    study, _, compared = made
    folder = study.files("model_comparison", VARIETY)
    scores = pl.read_csv(folder / SCORES_FILE)
    assert scores.height == compared.facts["experiment_rows"] == 100
    with gzip.open(real_data / "mave" / "mpsa_brca2_5ss.csv.gz", "rt") as stream:
        lines = stream.read().splitlines()
    site, value = (lines[0].split(",").index(column) for column in "xy")
    for line, sequence, measured in scores.select("line", "sequence", "value").iter_rows():
        fields = lines[line - 1].split(",")
        assert (sequence, measured) == (fields[site].replace("U", "T"), float(fields[value]))
    for model in (ZERO_SHOT, FINE_TUNED):
        assert (folder / SCATTER.format(model)).stat().st_size > 5_000
        for figure, function in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
            expected = function(scores[model].to_numpy(), scores["value"].to_numpy())[0]
            assert np.isclose(compared.facts[f"experiment_{figure}"][model], expected)
