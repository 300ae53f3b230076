"""A data root with windows, and the original's arrays for it: made once, copied for each test."""

from __future__ import annotations

import pytest

from glm_assets_tests.lineage.pasts import Past, copy_of, make_past


@pytest.fixture(scope="session")
def made_past(tmp_path_factory, tiny_tree) -> Past:
    """Tests must not change it."""
    pytest.importorskip("torch")
    pytest.importorskip("vortex")
    return make_past(tmp_path_factory.mktemp("past"), tiny_tree)


@pytest.fixture
def past(made_past, tmp_path) -> Past:
    return copy_of(made_past, tmp_path / "own")
