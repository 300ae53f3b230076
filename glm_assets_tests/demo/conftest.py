"""One default and one tiny tree, made once, and what plain readers find in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from glm_assets.demo.genome import Contig, make_genome
from glm_assets.demo.recipe import DEFAULT_RECIPE, TINY_RECIPE
from glm_assets.demo.tree import DemoTree, make_demo_tree
from glm_assets_tests.demo.oracle import Row, read_fasta, read_rows


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> DemoTree:
    return make_demo_tree(tmp_path_factory.mktemp("default") / "tree", DEFAULT_RECIPE)


@pytest.fixture(scope="session")
def tiny_tree(tmp_path_factory: pytest.TempPathFactory) -> DemoTree:
    return make_demo_tree(tmp_path_factory.mktemp("tiny") / "tree", TINY_RECIPE)


@pytest.fixture(scope="session", params=["default", "tiny"])
def either_tree(request: pytest.FixtureRequest, tree: DemoTree, tiny_tree: DemoTree) -> DemoTree:
    return tree if request.param == "default" else tiny_tree


@pytest.fixture(scope="session")
def genome() -> dict[str, Contig]:
    return {contig.name: contig for contig in make_genome(DEFAULT_RECIPE)}


@pytest.fixture(scope="session")
def sequences(tree: DemoTree, genome: dict[str, Contig]) -> dict[str, str]:
    """VCF name to upper-case sequence, read from the FASTA."""
    shown = read_fasta(tree.fasta)
    return {name: shown[contig.accession].upper() for name, contig in genome.items()}


@pytest.fixture(scope="session")
def rows(tree: DemoTree) -> list[Row]:
    """The newer release."""
    return read_rows(tree.vcfs[1])


@pytest.fixture(scope="session")
def weekly() -> Path:
    return Path("pub/clinvar/vcf_GRCh38/weekly")
