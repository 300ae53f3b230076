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
from glm_assets.lineage.study import Study
from glm_assets.notebook import StaleWarning
from glm_assets_tests.lineage.studies import write_tiny_profile

SLOW_KINDS = ("covariance", "likelihood")


@pytest.fixture
def enter(monkeypatch):
    """Makes a study's the environment, in which a warning is an error."""

    def enter(study: Study) -> Study:
        for name in ("profile", "data_root", "ncbi_url", "test_csv"):
            monkeypatch.setenv(f"GLM_{name.upper()}", str(getattr(study.settings, name)))
        return study

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield enter


@pytest.fixture
def door(enter, embedded) -> Study:
    """Two chromosomes with vectors for heads."""
    return enter(embedded)


def test_a_table_is_what_its_files_hold(door):
    parts = {
        chrom: pl.read_parquet(door.tables / "variant_windows" / f"chrom={chrom}" / "part.parquet")
        for chrom in ("21", "22")
    }
    assert glm_assets.load("variant_windows", chrom="22").equals(parts["22"])
    assert glm_assets.load("variant_windows").equals(pl.concat(parts.values()))
    some = glm_assets.load("variant_windows", chrom="21", columns=["pos", "label"])
    assert some.equals(parts["21"].select("pos", "label"))
    assert glm_assets.load("split_audit").height > 0


@pytest.mark.system
def test_the_tables_of_a_comparison_come_with_it(enter, lineage):
    enter(lineage.study)
    assert set(glm_assets.load("head_comparison")["name"]) >= {"head_v3", "linear_probe"}
    assert glm_assets.load("head_slices").height > 0  # a table of another table's product


@pytest.mark.parametrize("kind", ["pooled", *(pytest.param(k, marks=pytest.mark.system) for k in SLOW_KINDS)])
def test_vectors_are_those_of_the_rows(enter, request, kind):
    study = enter(
        request.getfixturevalue("lineage").study if kind in SLOW_KINDS else request.getfixturevalue("embedded")
    )
    for mine, theirs in zip(glm_assets.vectors("21", kind=kind), read_embeddings(study, "21", kind), strict=True):
        assert np.array_equal(mine, theirs)


def test_a_kind_of_vectors_that_is_none_is_refused(door):
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
