"""One small study, made once; tests must not change it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from glm_assets.demo.individual import DemoIndividual, make_demo_individual
from glm_assets.storage.products import Manifest
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets_tests.studies.impact.persons import embed, person, silent, small


@pytest.fixture(scope="session")
def demo_person(tmp_path_factory, tiny_tree) -> DemoIndividual:
    """The generated person on the tiny tree."""
    return make_demo_individual(tmp_path_factory.mktemp("person") / "person", tiny_tree)


@dataclass(frozen=True)
class Made:
    """A finished study, and what its products said when they were made."""

    study: ImpactStudy
    head: Manifest
    training_set: Manifest
    report: Manifest
    predictions: Manifest


@pytest.fixture(scope="session")
def made(tmp_path_factory, tiny_tree, demo_person) -> Made:
    """Everything, of two chromosomes, without Dagster."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("vortex")
    torch.set_num_threads(1)
    from glm_assets.studies.impact.head import make_head
    from glm_assets.studies.impact.predictions import make_predictions
    from glm_assets.studies.impact.report import make_report
    from glm_assets.studies.impact.training_set import make_training_set
    from glm_assets.tracking import NullTracker

    study = person(tmp_path_factory.mktemp("impact"), tiny_tree, **small(demo_person))
    for chrom in study.chromosomes:
        embed(study, chrom)
    training_set = make_training_set(study)
    head = make_head(study, NullTracker(), silent, dagster_run_id="test")
    return Made(study, head, training_set, make_report(study, silent), make_predictions(study, silent))
