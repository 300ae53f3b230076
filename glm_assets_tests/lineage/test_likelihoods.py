"""Log-likelihoods, covariances and ladders of a tiny study, from windows to tables, against evo2's own scorer."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

pytest.importorskip("vortex")

from glm_assets.encoders.embed import read_vectors
from glm_assets.encoders.shards import window_matrix
from glm_assets.genome.alphabet import reverse_complement
from glm_assets.lineage.embeddings import (
    embeddable_windows,
    load_encoder,
    make_covariance_embeddings,
    make_variant_embeddings,
    other_strand_facts,
    read_embeddings,
    with_other_strand,
)
from glm_assets.lineage.ladders import make_mutation_ladders, read_ladders
from glm_assets.lineage.likelihoods import make_variant_likelihoods
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.profiles.profile import read_profile
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage.studies import tiny_study

CHROM = "21"


def silent(line: str) -> None:
    """Progress that nobody reads."""


def windowed(folder, tree, **encoder):
    """A study whose windows are there."""
    values = read_profile("demo")["encoder"] | {"shard_rows": 16, "batch_tokens": 4096} | encoder
    study = tiny_study(folder, tree, {"encoder": values, "ladders": {"windows": 12}})
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    for chrom in study.profile.chromosomes:
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)
    return study


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_tree):
    """Its vectors are stored in float16, its heads take one strand."""
    return windowed(tmp_path_factory.mktemp("study"), tiny_tree, store_dtype="float16")


def evo2_scores(model, sequences):
    from evo2.models import CharLevelTokenizer
    from evo2.scoring import score_sequences

    return np.array(
        score_sequences(list(sequences), model, CharLevelTokenizer(512), reduce_method="sum", device="cpu"),
        np.float64,
    )


def turned(sequences):
    return [row.tobytes().decode() for row in reverse_complement(window_matrix(sequences))]


def test_the_table_has_what_evo2_scores_as_the_mean_over_both_strands(study):
    manifest = make_variant_likelihoods(study, CHROM, silent)
    table = read_part(study.variant_likelihoods(CHROM).folder)
    windows = embeddable_windows(study, CHROM, study.likelihood_spec)
    assert table["key"].n_unique() == table.height == windows.height > 20
    assert table.select("variation_id", "pos", "alt").equals(windows.select("variation_id", "pos", "alt"))
    model = load_encoder(study, study.likelihood_spec)._model
    of_ref = (evo2_scores(model, windows["ref_seq"]) + evo2_scores(model, turned(windows["ref_seq"]))) / 2
    of_var = (evo2_scores(model, windows["var_seq"]) + evo2_scores(model, windows["reverse_var_seq"])) / 2
    assert np.abs(table["log_likelihood_ref"].to_numpy() / of_ref - 1).max() < 1e-6
    assert np.abs(table["log_likelihood_ratio"].to_numpy() - (of_var - of_ref)).max() < 2e-6 * np.abs(of_ref).max()
    assert set(windows["kind"].unique()) == {"snv", "ins", "del"}
    assert manifest.facts["nats_per_base"] == pytest.approx(np.median(of_ref / 127), rel=1e-6)
    assert (study.variant_likelihoods(CHROM).folder / "ratios.png").stat().st_size > 8_000


def test_likelihoods_are_kept_in_float32_whatever_the_profile_says(study):
    make_variant_likelihoods(study, CHROM, silent)
    product = study.variant_likelihoods(CHROM)
    keys = read_part(product.folder, ["key"])["key"]
    assert not study.store("float32").missing(keys).any()
    ref, delta = read_embeddings(study, CHROM, "likelihood")
    table = read_part(product.folder)
    assert np.array_equal(ref[:, 0].astype(float), table["log_likelihood_ref"].to_numpy())
    assert np.array_equal(delta[:, 0].astype(float), table["log_likelihood_ratio"].to_numpy())
    again = make_variant_likelihoods(study, CHROM, silent)
    assert again.reused


def test_rows_with_unknown_sequence_in_the_other_strand_alone_are_counted(study):
    contig = np.frombuffer(b"ACGTTGCAAGNCCGTATTACGGATC", np.uint8)
    rows = [(11, 4, "ATT", "A"), (11, 4, "A", "C"), (13, 4, "TAC", "T"), (7, 4, "C", "G"), (0, 1, "CG", "C")]
    frame = pl.DataFrame(rows, ["window_start", "variant_offset", "ref", "alt"], orient="row")
    text = contig.tobytes().decode()
    own = [
        text[start : start + 4] + alt + text[start + 4 + len(ref) :][: 4 - len(alt)] for start, _, ref, alt in rows
    ]
    windows = frame.with_columns(pl.Series("var_seq", own))
    assert other_strand_facts(windows) == {}
    assert other_strand_facts(with_other_strand(windows, contig, 8)) == {"reverse_windows_with_n": 2}
    manifest, spec = make_variant_likelihoods(study, CHROM, silent), study.likelihood_spec
    found = embeddable_windows(study, CHROM, spec)
    drawn = sum("N" in row["reverse_var_seq"] and "N" not in row["var_seq"] for row in found.to_dicts())
    assert manifest.facts["reverse_windows_with_n"] == drawn


def test_facts_say_nothing_of_the_test_split(study):
    manifest = make_variant_likelihoods(study, CHROM, silent)
    windows = read_part(study.variant_windows(CHROM).folder)
    ratio = read_part(study.variant_likelihoods(CHROM).folder)["log_likelihood_ratio"].to_numpy()
    label, unsealed = windows["label"].to_numpy(), (windows["split"] != "test").to_numpy()
    assert 0 < unsealed.sum() < len(unsealed)
    found = manifest.facts["train_and_val"]
    assert found["rows"] == unsealed.sum()
    assert found["auroc"] == pytest.approx(roc_auc_score(label[unsealed], -ratio[unsealed]))
    assert found["auroc"] != pytest.approx(roc_auc_score(label, -ratio))
    assert found["median_pathogenic"] == pytest.approx(np.median(ratio[unsealed & (label == 1)]))


def test_covariances_have_an_index_of_their_own_beside_the_heads_vectors(study):
    make_variant_embeddings(study, CHROM, silent)
    manifest = make_covariance_embeddings(study, CHROM, silent)
    width = study.profile.probes.covariance
    ref, delta = read_embeddings(study, CHROM, "covariance")
    assert ref.shape == delta.shape == (manifest.facts["rows"], width * (width + 1) // 2)
    pooled, _ = read_embeddings(study, CHROM)
    assert pooled.shape == (manifest.facts["rows"], study.encoder_spec.dimension)
    row = read_part(study.variant_windows(CHROM).folder).head(1)
    pair = (window_matrix(row[name]) for name in ("ref_seq", "var_seq"))
    alone = load_encoder(study, study.covariance_spec).embed_pairs(*pair, row["variant_offset"].to_numpy())
    for mine, expected in zip((ref, delta), alone, strict=True):
        assert np.linalg.norm(mine[0] - expected[0]) < 2e-3 * np.linalg.norm(expected[0])
    assert make_covariance_embeddings(study, CHROM, silent).reused
    assert (study.covariance_embeddings(CHROM).folder / "distances.png").is_file()


def test_ladders_are_embedded_like_variants_and_read_without_the_test_split(study):
    manifest = make_mutation_ladders(study, silent)
    table = read_part(study.mutation_ladders().folder)
    assert manifest.facts["ladders"] == table["ladder"].n_unique() == 12
    assert sum(manifest.facts["splits"].values()) == 12
    unsealed = read_ladders(study)
    assert set(unsealed["split"].unique()) <= {"train", "val"}
    assert read_ladders(study, ("test",)).height + unsealed.height == table.height
    model = load_encoder(study, study.sequence_spec)
    ref, delta = read_vectors(table, study.store())
    of_ref, of_var = (model.embed(window_matrix(table[name])) for name in ("ref_seq", "var_seq"))
    size = np.linalg.norm(of_ref, axis=1)
    assert (np.linalg.norm(ref - of_ref, axis=1) / size).max() < 2e-3  # float16
    assert (np.linalg.norm(delta - (of_var - of_ref), axis=1) / size).max() < 2e-3
    rows = unsealed.with_columns(distance=pl.Series(_cosine_distances(table, of_ref, of_var, unsealed)))
    by_ladder = rows.group_by("ladder").agg(pl.corr("substitutions", "distance"))
    assert manifest.facts["mean_pearson"] == pytest.approx(by_ladder["substitutions"].mean(), abs=2e-3)
    assert make_mutation_ladders(study, silent).reused
    assert (study.mutation_ladders().folder / "ladders.png").stat().st_size > 8_000


def _cosine_distances(table, of_ref, of_var, rows):
    unit = [vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (of_ref, of_var)]
    distance = dict(zip(table["key"], 1 - (unit[0] * unit[1]).sum(axis=1), strict=True))
    return [float(distance[key]) for key in rows["key"]]


def test_ladders_of_a_study_that_pools_from_the_variant_on_begin_at_it(tmp_path, tiny_tree):
    study = windowed(tmp_path, tiny_tree, pooling="downstream:16", reverse_complement=True)
    make_mutation_ladders(study, silent)
    table = read_part(study.mutation_ladders().folder)
    assert set(table["substitutions"]) == {1, 2, 4, 8, 16}
    places = pl.concat([read_part(study.variant_windows(chrom).folder) for chrom in study.profile.chromosomes])
    # At a contig's start one window has variants at several offsets: the first is taken.
    offset = dict(places.group_by("ref_digest").agg(pl.col("variant_offset").min()).iter_rows())
    assert all(offset[row["ref_digest"]] == row["variant_offset"] for row in table.to_dicts())
    ref, delta = read_vectors(table, study.store())
    encoder = load_encoder(study, study.encoder_spec)
    row = table.filter(pl.col("substitutions") == 8).head(1)
    windows = [window_matrix(row[name]) for name in ("ref_seq", "var_seq")]
    (differ,) = np.nonzero(windows[0][0] != windows[1][0])
    this = encoder.embed_pairs(*windows, differ[:1])
    other = encoder.embed_pairs(*map(reverse_complement, windows), np.array([127 - differ[-1]]))
    at = table["key"].index_of(row["key"][0])
    for mine, one, two in zip((ref, delta), this, other, strict=True):
        mean = (one[0] + two[0]) / 2
        assert np.linalg.norm(mine[at] - mean) < 1e-5 * np.linalg.norm(this[0])
