"""Fixtures of the classification study."""

from __future__ import annotations

import pytest

from glm_assets_tests.studies.metagenome.tiny import judge, tiny_metagenome, train


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """Folder of the generated reads."""
    return tmp_path_factory.mktemp("generated") / "reads"


@pytest.fixture(scope="session")
def trained(tmp_path_factory, generated):
    """A study with adapters trained and judged, and the manifests; tests must not change it."""
    study = tiny_metagenome(tmp_path_factory.mktemp("study"), generated)
    return study, train(study), judge(study)
