"""The encoder of docs/adding_an_encoder.md, as it stands there: it embeds a chromosome and a head learns from it."""

from __future__ import annotations

import dagster as dg
import numpy as np
import pytest

from glm_assets.encoders.registry import ENCODERS
from glm_assets.lineage.embeddings import read_embeddings
from glm_assets.storage.tables import read_part
from glm_assets_tests.conftest import REPOSITORY
from glm_assets_tests.defs.conftest import Lineage, open_lineage
from glm_assets_tests.readme import blocks

DOCUMENT = REPOSITORY / "docs" / "adding_an_encoder.md"
K = 3


@pytest.fixture
def snippet():
    """Run the page's Python; afterwards the registry is as before."""
    (block,) = [block for block in blocks(DOCUMENT.read_text(encoding="utf-8")) if block.language == "python"]
    before = dict(ENCODERS)
    exec(compile(block.text, str(DOCUMENT), "exec"), {"__name__": "kmers"})
    yield block.text
    ENCODERS.clear()
    ENCODERS.update(before)


@pytest.fixture
def lineage(tmp_path, tiny_tree, snippet):
    (tmp_path / "kmers.txt").write_text("k-mers\n")
    from glm_assets.profiles.profile import read_profile

    encoder = read_profile("demo")["encoder"] | {"name": "kmers", "layer": f"kmers.{K}", "shard_rows": 16}
    profile = {"encoder": encoder}
    with dg.DagsterInstance.ephemeral() as instance:
        yield open_lineage(tmp_path, tiny_tree, instance, profile=profile, checkpoint=tmp_path / "kmers.txt")


def frequencies(window: str) -> np.ndarray:
    """Relative frequencies of a window's k-mers, counted one by one."""
    found = np.zeros(4**K)
    for start in range(len(window) - K + 1):
        found[sum("ACGT".index(base) * 4**i for i, base in enumerate(window[start : start + K]))] += 1
    return found / (len(window) - K + 1)


def test_its_snippet_is_about_25_lines(snippet):
    code = [
        line for line in snippet.splitlines() if line.strip() and not line.startswith(('"""', "import", "from"))
    ]
    assert len(code) <= 25


def test_it_embeds_a_chromosome_and_a_head_learns_from_it(lineage: Lineage):
    lineage.run("clinvar_release", "reference_genome", "glm_checkpoint")
    for chrom in ("21", "22"):
        assert lineage.run("clinvar_variants", "variant_windows", "variant_embeddings", partition=chrom).success
    windows = read_part(lineage.study.variant_windows("21").folder)
    reference, delta = read_embeddings(lineage.study, "21")
    for row, window in enumerate(windows.iter_rows(named=True)):
        expected = frequencies(window["ref_seq"])
        np.testing.assert_allclose(reference[row], expected, atol=1e-6)
        np.testing.assert_allclose(reference[row] + delta[row], frequencies(window["var_seq"]), atol=1e-6)
    assert lineage.run("split_audit", "mutation_ladders", "head_v0").success
