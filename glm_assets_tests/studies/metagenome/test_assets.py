"""The study `metagenome` through Dagster: what is shown, what its checks say, and what stops it."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
import pytest

from glm_assets.defs.assets import metagenome
from glm_assets.defs.checks.metagenome import (
    classifier_results,
    evaluation_results,
    prediction_results,
    read_results,
    split_results,
)
from glm_assets.studies.metagenome.prediction import make_predictions
from glm_assets.tracking import NullTracker
from glm_assets_tests.studies.metagenome.tiny import copy_of, quiet

ASSETS = {asset.key.path[-1]: asset for asset in metagenome.GROUP.build()}
CHECKS = {
    "reads": {"labels_have_reads", "classes_are_known", "declared_lengths_agree"},
    "splits": {"no_genome_on_two_sides", "no_shared_sequence", "every_label_everywhere"},
    "classifier": {"tokens_are_known", "holds_no_base_model"},
    "evaluation": {"beats_kmer_counts", "reads_were_set_aside"},
    "predictions": {"probabilities_sum_to_one"},
}
FIGURES = {
    "reads": {"lengths"},
    "splits": {"splits"},
    "classifier": {"training"},
    "evaluation": {"confusion", "classes", "calibration", "lengths", "baseline"},
    "predictions": {"abundance"},
}


@pytest.fixture(scope="module")
def finished(trained, tmp_path_factory):
    study = copy_of(trained[0], tmp_path_factory.mktemp("finished"))
    make_predictions(study, None, quiet)
    return study


@pytest.mark.parametrize("name", CHECKS)
def test_what_is_made_is_shown_and_checked(finished, name):
    resources = {"metagenome": finished, "tracker": NullTracker()}
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([ASSETS[name]], resources=resources, instance=instance)
    (event,) = done.asset_materializations_for_node(ASSETS[name].node_def.name)
    assert event.asset_key.path == ["metagenome", name]
    assert event.metadata["reused"].value is True
    checks = {check.check_name: check for check in done.get_asset_check_evaluations()}
    assert set(checks) == CHECKS[name]
    failed = {name for name, check in checks.items() if not check.passed}
    # The demo's reads hold wrong lengths and an unknown class, and its model has learned for seconds.
    assert failed <= {"declared_lengths_agree", "classes_are_known", "beats_kmer_counts", "every_label_everywhere"}
    for figure in FIGURES[name]:
        assert event.metadata[figure].value.startswith("![")


def test_checks_fail_where_the_facts_are_bad(finished):
    study = finished

    def bad(product, **facts):
        manifest = study.main.require(product)
        return replace(manifest, facts=manifest.facts | facts)

    dropped = study.main.require(study.reads()).facts["dropped"] | {"unknown_class": 9}
    reads = bad(
        study.reads(),
        per_label={"a": 5, "b": 0},
        dropped=dropped,
        unknown_classes={"7": 9},
        wrong_lengths=7,
        declared_lengths=9,
    )
    results = [
        *read_results(reads),
        *split_results(
            bad(study.splits(), genomes_on_two_sides=1, leak_share=0.01, max_leak=0.0, warnings=["b: no genome"])
        ),
        *classifier_results(bad(study.classifier(), unknown_token_share=0.02, saved_bytes=10, model_bytes=10)),
        *evaluation_results(bad(study.evaluation(), macro_f1_over_baseline=-0.1, judged_split="val")),
        *prediction_results(bad(study.predictions(), largest_sum_error=0.01)),
    ]
    assert len(results) == sum(map(len, CHECKS.values()))
    assert not any(result.passed for result in results)
    lengths = next(result for result in results if result.check_name == "declared_lengths_agree")
    assert lengths.metadata["wrong_share"].value == pytest.approx(7 / 9)


def test_leaks_stop_what_follows():
    blocking = {
        (spec.asset_key.path[-1], spec.name)
        for asset in ASSETS.values()
        for spec in asset.check_specs
        if spec.blocking
    }
    assert blocking == {("splits", "no_genome_on_two_sides"), ("splits", "no_shared_sequence")}
