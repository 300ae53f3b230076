"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# Hypothesis would otherwise keep its examples in the checkout.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(tempfile.gettempdir()) / "glm_assets_hypothesis"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files here, which run the whole platform: begun last, they would keep one process waiting."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real ClinVar, GRCh38 and other cuts; the test is skipped where it is absent."""
    folder = Path(os.environ.get("REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "ncbi_mirror").is_dir():
        pytest.skip(f"no real data at {folder}; set REAL_DATA to a folder that holds ncbi_mirror/")
    return folder


@pytest.fixture(scope="session")
def tiny_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated NCBI-like tree of test size; tests must not change it."""
    from glm_assets.demo.recipe import TINY_RECIPE
    from glm_assets.demo.tree import make_demo_tree

    return make_demo_tree(tmp_path_factory.mktemp("tree") / "tree", TINY_RECIPE).root


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server without databases of its own."""
    from glm_assets_tests.postgres import serve_postgres

    with serve_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("no browser: apt-get install -y chromium")
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()
