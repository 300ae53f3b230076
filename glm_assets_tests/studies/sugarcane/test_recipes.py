import shutil

import pytest

from glm_assets.errors import MissingUpstreamError
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets_tests.lineage.studies import tiny_study as lineage_study
from glm_assets_tests.studies.sugarcane.tiny_units import VARIETY, TinySugarcane, tiny_study

# What changes of itself; what it is made from is the same, for nothing upstream is looked at.
CHANGES = [
    (
        "units",
        {"coordinates": "faithful"},
        {"units", "token_shards", "unit_scores", "token_profiles", "generations"},
    ),
    ("units", {"upstream": 150}, {"units"}),
    ("scoring", {"tile": 128}, {"unit_scores", "token_profiles", "model_comparison"}),
    ("scoring", {"reverse_complement": False}, {"unit_scores", "model_comparison"}),
    ("scoring", {"max_units": 3}, {"unit_scores"}),
    ("scoring", {"batch_tokens": 1024}, set()),
    ("training", {"context": 64}, set()),
    ("profiles", {"figure_bases": 50}, {"token_profiles"}),
    ("experiment", {"max_rows": 50}, {"model_comparison"}),
    ("resamples", 200, {"model_comparison"}),
]
PRODUCTS = (
    *("genome", "annotation", "units", "token_shards", "unit_scores", "token_profiles", "generations"),
    *("genome_profile", "model_comparison", "report"),
)


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "measured.csv"
    path.write_text("sequence,value\nACGT,1\n")
    return {"file": str(path)}


def digests(study: SugarcaneStudy):
    return {name: getattr(study, name)(VARIETY).input_digest for name in PRODUCTS}


def differing(one, other):
    before, after = digests(one), digests(other)
    return {name for name in PRODUCTS if before[name] != after[name]}


@pytest.mark.parametrize(("section", "change", "expected"), CHANGES)
def test_a_value_changes_what_it_has_a_part_in_and_nothing_else(tmp_path, experiment, section, change, expected):
    one = tiny_study(tmp_path, experiment=experiment)
    merged = {"experiment": experiment} | {section: experiment | change if section == "experiment" else change}
    assert differing(one, tiny_study(tmp_path, **merged)) == expected


def test_files_count_by_content_and_by_name_where_it_is_shown(tmp_path, experiment):
    one = tiny_study(tmp_path, experiment=experiment)
    variety = one.values.varieties[VARIETY].model_copy(update={"fasta": str(tmp_path / "other.fa")})
    shutil.copy(one.fasta(VARIETY), variety.fasta)
    shutil.copy(experiment["file"], tmp_path / "renamed.csv")
    changes = {
        "varieties": {VARIETY: variety},
        "experiment": one.values.experiment.model_copy(update={"file": str(tmp_path / "renamed.csv")}),
    }
    renamed = TinySugarcane(one.main, one.values.model_copy(update=changes))
    assert differing(one, renamed) == {"report", "model_comparison"}


def test_what_is_absent_says_how_it_is_made_for_its_variety(tmp_path):
    study = SugarcaneStudy(lineage_study(tmp_path, tmp_path))
    with pytest.raises(MissingUpstreamError, match="sugarcane/genome of SYN22 is absent") as raised:
        study.main.require(study.main.product("sugarcane/genome", tmp_path / "none", {}, {}, "SYN22"))
    assert str(raised.value.fix).endswith("--select sugarcane/genome --partition SYN22")
