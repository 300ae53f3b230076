"""The door for notebooks: what it reads is what is on disk, and what is not today's comes with a warning."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import polars as pl
import pytest

import glm_assets
from glm_assets.errors import FormatError, MissingUpstreamError, SettingsError
from glm_assets.lineage.embeddings import read_embeddings
from glm_assets.notebook import StaleWarning
from glm_assets_tests.lineage.studies import write_tiny_profile


@pytest.fixture
def door(lineage, monkeypatch):
    """The environment of the finished lineage, in which a warning is an error."""
    settings = lineage.study.settings
    monkeypatch.setenv("GLM_PROFILE", settings.profile)
    monkeypatch.setenv("GLM_DATA_ROOT", str(lineage.study.root))
    monkeypatch.setenv("GLM_NCBI_URL", str(settings.ncbi_url))
    monkeypatch.setenv("GLM_TEST_CSV", str(settings.test_csv))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield lineage.study


def test_a_table_is_what_its_files_hold(door):
    parts = {
        chrom: pl.read_parquet(door.tables / "variant_windows" / f"chrom={chrom}" / "part.parquet")
        for chrom in ("21", "22")
    }
    assert glm_assets.load("variant_windows", chrom="22").equals(parts["22"])
    assert glm_assets.load("variant_windows").equals(pl.concat(parts.values()))
    some = glm_assets.load("variant_windows", chrom="21", columns=["pos", "label"])
    assert some.equals(parts["21"].select("pos", "label"))
    assert set(glm_assets.load("head_comparison")["name"]) >= {"head_v3", "linear_probe"}
    assert glm_assets.load("head_slices").height > 0  # a table of another table's product


def test_vectors_are_those_of_the_rows(door):
    for kind in ("pooled", "covariance", "likelihood"):
        for mine, theirs in zip(
            glm_assets.vectors("21", kind=kind), read_embeddings(door, "21", kind), strict=True
        ):
            assert np.array_equal(mine, theirs)
    with pytest.raises(SettingsError, match="pooled, covariance, likelihood"):
        glm_assets.vectors("21", kind="mean")


def test_what_is_not_there_says_what_to_do(door, tmp_path):
    with pytest.raises(SettingsError, match="variant_windows"):
        glm_assets.load("variant_window")
    with pytest.raises(SettingsError, match="leave chrom out"):
        glm_assets.load("split_audit", chrom="21")
    with pytest.raises(MissingUpstreamError, match="--select variant_windows --partition 13"):
        glm_assets.load("variant_windows", chrom="13")
    with pytest.raises(MissingUpstreamError, match="--select head_comparison"):
        glm_assets.load("head_slices", data_root=tmp_path / "nothing")
    with pytest.raises(FormatError, match="lacks a column"):
        glm_assets.load("variant_windows", columns=["chrom", "score"])
    assert not (tmp_path / "nothing").exists()


def test_what_would_be_made_otherwise_today_is_read_with_a_warning(door, monkeypatch, tmp_path):
    labels = door.profile.labels.model_dump() | {"min_stars": 2}
    monkeypatch.setenv("GLM_PROFILE", str(write_tiny_profile(tmp_path, labels=labels)))
    with pytest.warns(StaleWarning, match="chromosome 21, 22 is not what .* min_stars 1 then, 2 now") as told:
        assert glm_assets.load("clinvar_variants").height > 0
    assert (len(told), told[0].filename) == (1, __file__)
    with pytest.warns(StaleWarning, match="clinvar_variants of chromosome 21 is absent or out of date"):
        glm_assets.load("variant_windows", chrom="21")


def test_the_package_is_imported_without_its_libraries():
    code = "import sys, glm_assets; sys.exit(any(name in sys.modules for name in ('numpy', 'polars', 'pydantic')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
