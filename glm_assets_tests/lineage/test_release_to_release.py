"""Two real BRCA2 releases one after the other: what the second embeds is what no digest of the first names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

pytest.importorskip("vortex")

from glm_assets.lineage.embeddings import make_variant_embeddings, read_embeddings
from glm_assets.lineage.sources import (
    make_clinvar_release,
    make_glm_checkpoint,
    make_reference_genome,
)
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.planning.plan import make_plan
from glm_assets.profiles.profile import read_profile
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage.studies import tiny_study

WORK = [
    "ref_digest",
    "var_digest",
    "variant_offset",
    pl.col("ref").str.len_bytes().alias("ref_bases"),
    pl.col("alt").str.len_bytes().alias("alt_bases"),
]


def silent(line: str) -> None:
    """Progress that nobody reads."""


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.real_data
@pytest.mark.system
@pytest.mark.parametrize(
    ("windows", "pooling"),
    [
        ({"length": 64, "anchor": 32}, "mean"),
        ({"length": 256, "layout": "grid", "stride": 128, "reach": 32}, "downstream:32"),
    ],
)
def test_a_new_release_embeds_only_what_no_digest_of_the_old_one_names(tmp_path, real_data, windows, pooling):
    encoder = read_profile("demo")["encoder"] | {"pooling": pooling, "shard_rows": 512, "batch_tokens": 32_768}
    changes = {"chromosomes": ["13"], "windows": windows, "encoder": encoder}

    def refreshed(cutoff):
        study = tiny_study(tmp_path, real_data / "ncbi_mirror", changes, clinvar_cutoff=cutoff, test_csv=None)
        ahead = make_plan(study, ["sources", "embed"])  # before the release is here
        make_clinvar_release(study, silent)
        make_reference_genome(study, silent)
        make_glm_checkpoint(study, silent)
        make_clinvar_variants(study, "13")
        make_variant_windows(study, "13")
        table = read_part(study.variant_windows("13").folder)
        planned = make_plan(study, ["embed"])
        facts = make_variant_embeddings(study, "13", silent).facts
        assert planned.cost.windows == facts["windows_computed"]
        assert all(work.exact for work, _ in planned.works)
        assert not any(work.exact for work, _ in ahead.works)
        assert abs(ahead.cost.windows - planned.cost.windows) <= 2 * table.height
        return study, table.select("chrom", "pos", "alt", *WORK), facts

    study, old, first = refreshed("2025-11-30")
    vectors = dict(zip(old.rows(), np.hstack(read_embeddings(study, "13")), strict=True))
    stored = contents(study.root / "embeddings")
    study, new, second = refreshed("2026-03-01")

    asked = ["ref_digest", "var_digest", "variant_offset", "ref_bases", "alt_bases"]
    known = set(old.select(asked).rows())
    unseen = [row for row in new.select(asked).rows() if row not in known]
    assert first["rows"] == old.height > 10_000
    assert second["rows"] == new.height > old.height
    assert 0 < len(unseen) < 500
    assert second["cache_hits"] == new.height - len(unseen)
    references = {row[0] for row in unseen}
    assert second["distinct_references"] == len(references)
    assert second["windows_computed"] <= len(set(unseen)) + len(references) + 1
    # Nothing that was there changed, and what both releases hold has the vectors it had.
    assert stored.items() <= contents(study.root / "embeddings").items()
    again = dict(zip(new.rows(), np.hstack(read_embeddings(study, "13")), strict=True))
    both = vectors.keys() & again.keys()
    assert len(both) > 10_000
    assert all(np.array_equal(vectors[row], again[row]) for row in both)

    _, table, third = refreshed("2025-11-30")  # going back embeds nothing
    assert (third["cache_hits"], third["windows_computed"]) == (table.height, 0)
