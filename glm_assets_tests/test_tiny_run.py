"""The tiny lineage where it runs by default: history and data in the checkout's folder."""

from __future__ import annotations

import pytest

from glm_assets_tests.checkouts import make_checkout
from glm_assets_tests.lineage.studies import tiny_environment
from glm_assets_tests.tiny_run import CHROMOSOMES, content_versions, run_stages


@pytest.mark.system
def test_the_tiny_lineage_runs_on_sqlite_and_a_folder(tmp_path, tiny_tree):
    checkout = make_checkout(tmp_path / "checkout", tiny_environment(tmp_path / "checkout", tiny_tree))
    run_stages(checkout)
    versions = content_versions(checkout)
    assert len(versions) == 5 + 3 * len(CHROMOSOMES)
    assert (checkout.folder / "data/submission/submission.csv").is_file()
