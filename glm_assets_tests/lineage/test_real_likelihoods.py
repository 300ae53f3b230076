"""Log-likelihoods and ladders of real variants of BRCA2 on real GRCh38."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

pytest.importorskip("vortex")

from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.lineage.embeddings import embeddable_windows, load_encoder
from glm_assets.lineage.ladders import make_mutation_ladders
from glm_assets.lineage.likelihoods import make_variant_likelihoods
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.sources.reference import FASTA
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.lineage.test_likelihoods import evo2_scores, silent, turned
from glm_assets_tests.lineage.test_real_data import mirror  # noqa: F401


@pytest.mark.system
@pytest.mark.real_data
def test_real_variants_have_evo2s_scores_and_real_windows_become_ladders(tmp_path, mirror, tiny_tree):  # noqa: F811
    profile = {"chromosomes": ["13"], "ladders": {"windows": 10}}
    study = tiny_study(tmp_path, mirror, profile, clinvar_cutoff="2026-03-01", test_csv=tiny_tree / "test.csv")
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    make_clinvar_variants(study, "13")
    make_variant_windows(study, "13")

    facts = make_variant_likelihoods(study, "13", silent).facts
    assert (facts["finite"], facts["zero_delta_share"]) == (True, 0)
    table = read_part(study.variant_likelihoods("13").folder)
    windows = embeddable_windows(study, "13", study.likelihood_spec)
    indels = np.flatnonzero(windows["kind"] != "snv")[:4].tolist()
    rows = windows[[0, 50, 100, *indels]]
    model = load_encoder(study, study.likelihood_spec)._model
    ref, var = (
        (evo2_scores(model, rows[this]) + evo2_scores(model, other)) / 2
        for this, other in (("ref_seq", turned(rows["ref_seq"])), ("var_seq", rows["reverse_var_seq"]))
    )
    mine = table[[0, 50, 100, *indels]]["log_likelihood_ratio"].to_numpy()
    assert np.abs(mine - (var - ref)).max() < 2e-6 * np.abs(ref).max()

    make_mutation_ladders(study, silent)
    ladders = read_part(study.mutation_ladders().folder)
    contig = ReferenceGenome(study.reference_folder / FASTA).sequence("13")
    for row in ladders.to_dicts():
        start = row["window_start"]
        assert contig[start : start + 128].tobytes().decode() == row["ref_seq"]
        differ = sum(old != new for old, new in zip(row["ref_seq"], row["var_seq"], strict=True))
        assert differ == row["substitutions"]
    split = dict(windows.select("window_start", "split").iter_rows())
    assert all(split[row["window_start"]] == row["split"] for row in ladders.to_dicts())
    assert ladders.filter(pl.col("substitutions") == 64).height == 10
