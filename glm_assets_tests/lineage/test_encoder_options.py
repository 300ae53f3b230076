"""Studies with the options that the science asks for, from windows to vectors, against embedding each variant alone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

pytest.importorskip("vortex")

from glm_assets.encoders.shards import window_matrix
from glm_assets.errors import DataRootError
from glm_assets.genome.alphabet import reverse_complement
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.lineage.embeddings import (
    load_encoder,
    make_variant_embeddings,
    read_embeddings,
)
from glm_assets.lineage.layer_comparison import _judge, draw_sample, make_layer_comparison
from glm_assets.lineage.sources import (
    make_clinvar_release,
    make_glm_checkpoint,
    make_reference_genome,
)
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.profiles.profile import build_profile, read_profile
from glm_assets.sources.reference import FASTA
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage.studies import tiny_study

GRID = {"length": 128, "layout": "grid", "stride": 64, "reach": 32}


def silent(line: str) -> None:
    """Progress that nobody reads."""


def embedded(folder, tree, *chromosomes, windows=None, **encoder):
    values = read_profile("demo")["encoder"] | {"shard_rows": 16, "batch_tokens": 4096} | encoder
    study = tiny_study(folder, tree, {"encoder": values} | ({"windows": windows} if windows else {}))
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    for chrom in chromosomes:
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)
    return study, [make_variant_embeddings(study, chrom, silent) for chrom in chromosomes]


def assert_as_alone(study, pair_of):
    """Every fifth variant of chromosome 21 has the vectors that `pair_of` gives it by itself."""
    windows = read_part(study.variant_windows("21").folder)
    encoder = load_encoder(study, study.encoder_spec)
    ref, delta = read_embeddings(study, "21")
    assert len(ref) == windows.height > 20
    for row in range(0, windows.height, 5):
        expected = pair_of(encoder, windows.row(row, named=True))
        norm = np.linalg.norm(expected[0])
        assert np.linalg.norm(ref[row] - expected[0]) <= 2e-5 * norm
        assert np.linalg.norm(delta[row] - expected[1]) <= 2e-5 * norm


def plainly(encoder, row):
    windows = (window_matrix(pl.Series([row[name]])) for name in ("ref_seq", "var_seq"))
    return [part[0] for part in encoder.embed_pairs(*windows, np.array([row["variant_offset"]]))]


def test_a_grid_shares_windows_and_counts_what_that_saves(tmp_path, tiny_tree):
    study, (manifest,) = embedded(tmp_path, tiny_tree, "21", windows=GRID, pooling="downstream:32")
    windows = read_part(study.variant_windows("21").folder)
    start, offset = windows["window_start"].to_numpy(), windows["variant_offset"].to_numpy()
    assert set((start % 64).tolist()) == {0}
    assert (offset + 32 <= 128).all()
    assert (offset[start > 0] > 128 - 32 - 64).all()
    facts = manifest.facts
    assert facts["distinct_references"] == windows["ref_digest"].n_unique() < windows.height / 2
    assert facts["pairs"] == "downstream_only"
    saved = facts["flops_saved"]
    assert sum(saved.values()) > 0.5
    assert min(saved.values()) > 0
    assert_as_alone(study, plainly)


def test_a_covariance_is_as_long_as_its_name_says(tmp_path, tiny_tree):
    study, _ = embedded(tmp_path, tiny_tree, "21", pooling="covariance:6", sequence_pooling="covariance:6")
    assert read_embeddings(study, "21")[0].shape[1] == 21
    assert_as_alone(study, plainly)


def test_both_strands_are_averaged_and_the_other_one_is_read_from_the_genome(tmp_path, tiny_tree):
    """Oracle: the variant put into the whole contig as text, turned round, and cut where the other strand's starts."""
    study, (manifest,) = embedded(tmp_path, tiny_tree, "21", reverse_complement=True, pooling="downstream")
    contig = ReferenceGenome(study.reference_folder / FASTA).sequence("21").tobytes().decode()
    kinds = set()

    def on_both(encoder, row):
        kinds.add(row["kind"])
        pos, ref, alt = row["pos"], row["ref"], row["alt"]
        edited = contig[: pos - 1] + alt + contig[pos - 1 + len(ref) :]
        end = row["window_end"] + len(alt) - len(ref)
        texts = [row["ref_seq"], edited[end - 128 : end]]
        other = [reverse_complement(window_matrix(pl.Series([text]))) for text in texts]
        offset = np.array([128 - row["variant_offset"] - len(ref)])
        return [
            (this + that[0]) / 2
            for this, that in zip(plainly(encoder, row), encoder.embed_pairs(*other, offset), strict=True)
        ]

    assert_as_alone(study, on_both)
    assert len(kinds) > 1
    assert manifest.facts["windows_computed"] > 2 * manifest.facts["rows"]


def test_each_option_has_a_fingerprint_of_its_own(tmp_path, tiny_tree):
    study, _ = embedded(tmp_path, tiny_tree)
    seen = {study.encoder_spec.fingerprint}
    options = [
        {"pooling": "downstream"},
        {"pooling": "downstream:32"},
        {"pooling": "centre:32"},
        {"pooling": "mean_bf16"},
        {"pooling": "covariance:4", "sequence_pooling": "covariance:4"},
        {"layer": "blocks.20"},
        {"reverse_complement": True},
        {"precision": "bfloat16"},
        {"precision": "float32_residual"},
        {"precision": "bfloat16x2"},
    ]
    for change in options:
        other = tiny_study(tmp_path, tiny_tree, {"encoder": read_profile("demo")["encoder"] | change})
        seen.add(other.encoder_spec.fingerprint)
    assert len(seen) == 1 + len(options)


def test_another_window_recipe_is_another_data_root(tmp_path, tiny_tree):
    study, _ = embedded(tmp_path, tiny_tree)
    study.claim()
    with pytest.raises(DataRootError, match="windows"):
        tiny_study(tmp_path, tiny_tree, {"windows": GRID}).claim()


def test_variants_at_two_places_of_a_clamped_window_do_not_share_vectors(tmp_path):
    """At a contig's start windows are clamped: one reference window, two offsets, two spans of pooling."""
    from glm_assets.encoders.embed import InProcess, embed_variants, read_vectors
    from glm_assets.encoders.registry import encoder_spec, make_encoder
    from glm_assets.encoders.weights import resolve_weights
    from glm_assets.genome.splits import SplitRule
    from glm_assets.genome.windows import WindowRecipe
    from glm_assets.storage.embeddings import EmbeddingStore
    from glm_assets.variants.windows import build_variant_windows
    from glm_assets_tests.encoders.conftest import random_windows

    contig = random_windows(1, 3000)[0]
    letters = contig.tobytes().decode()
    rows = [(pos, letters[pos - 1], "ACGT"[("ACGT".index(letters[pos - 1]) + 1) % 4]) for pos in (100, 300)]
    variants = pl.DataFrame(
        {
            "variation_id": [1, 2],
            "chrom": ["21", "21"],
            "pos": [row[0] for row in rows],
            "ref": [row[1] for row in rows],
            "alt": [row[2] for row in rows],
            "kind": ["snv", "snv"],
            "var_len": pl.Series([1, 1], dtype=pl.Int16),
            "label": pl.Series([0, 1], dtype=pl.Int8),
            "clnsig": ["Benign", "Pathogenic"],
            "review_stars": pl.Series([1, 1], dtype=pl.Int8),
            "gene": ["G", "G"],
            "consequence": ["SO:1", "SO:1"],
            "keep": [True, True],
            "genes": ["G", "G"],
        }
    )
    windows, _ = build_variant_windows(variants, contig, "NC_1", WindowRecipe(), SplitRule())
    assert windows["ref_digest"].n_unique() == 1
    weights = resolve_weights("demo", local_file=None, folder=tmp_path, offline=True, progress=silent)
    found = {}
    for pooling in ("downstream:16", "mean"):
        spec = encoder_spec(
            "demo", revision=weights.sha256, layer="blocks.25.mlp.l3", pooling=pooling, device="cpu"
        )
        store = EmbeddingStore(tmp_path / pooling)
        engine = InProcess(lambda spec=spec: make_encoder(spec, weights=weights.path, device="cpu"), store)
        index, report = embed_variants(windows, spec, engine, store, {}, shard_rows=8, progress=silent)
        assert index["key"].n_unique() == 2
        assert report.windows_computed == 1 + 2
        found[pooling] = read_vectors(index, store)[0]
    assert not np.allclose(*found["downstream:16"], rtol=1e-2)
    assert np.array_equal(*found["mean"])


def test_a_sweep_judges_each_layer_on_a_sample_without_the_test_split(tmp_path, tiny_tree):
    sweep = {"layers": ["blocks.3.mlp.l3", "blocks.25.mlp.l3"], "variants": 40}
    study = tiny_study(tmp_path, tiny_tree, {"sweep": sweep, "encoder": read_profile("demo")["encoder"]})
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    for chrom in ("21", "22"):
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)
    manifest = make_layer_comparison(study, silent)
    table = read_part(study.layer_comparison().folder)
    assert table["layer"].to_list() == sweep["layers"]
    sample = draw_sample(study)
    assert set(sample["split"].unique()) <= {"train", "val"}
    assert sample.equals(draw_sample(study))
    assert manifest.facts["variants"] == sample.height <= 40
    assert table["auroc_distance"].is_between(0, 1).all()
    assert (study.layer_comparison().folder / "layers.png").stat().st_size > 10_000
    assert make_layer_comparison(study, silent).reused
    # The study's own layer finds the sample's vectors there.
    facts = make_variant_embeddings(study, "21", silent).facts
    assert facts["cache_hits"] == sample.filter(pl.col("chrom") == "21").height > 0


@pytest.mark.parametrize("name", ["demo", "full", "faithful"])
def test_a_built_in_profile_says_what_a_sweep_compares_and_how_precisely(name):
    profile = build_profile(read_profile(name), name)
    assert profile.encoder.precision == "auto"
    assert not profile.encoder.reverse_complement
    assert profile.encoder.layer in profile.sweep.layers


def test_a_layers_ridge_is_judged_by_variants_it_did_not_see():
    """The classes lie the other way round in val: a ridge that had seen val would still rank it right."""
    generator = np.random.default_rng(0)
    label = np.tile([0, 1], 40)
    in_val = np.arange(80) >= 60
    delta = generator.normal(0, 0.1, (80, 5)).astype(np.float32)
    delta[:, 0] += np.where(label == 1, 1, -1) * np.where(in_val, -1, 1)
    sample = pl.DataFrame({"label": label, "split": np.where(in_val, "val", "train")})
    judged = _judge(sample, np.ones((80, 5), np.float32), delta)
    assert judged["auroc_probe"] == 0
    assert (judged["variants"], judged["probe_variants"]) == (80, 20)


def test_a_sample_is_spread_over_the_chromosome(tmp_path, tiny_tree):
    sweep = {"layers": ["blocks.3"], "variants": 10}
    study, _ = embedded(tmp_path, tiny_tree, "21")
    study = tiny_study(tmp_path, tiny_tree, {"sweep": sweep, "chromosomes": ["21"]})
    windows = read_part(study.variant_windows("21").folder).filter(pl.col("split") != "test")
    sample = draw_sample(study)
    assert sample.height == 10
    assert sample["label"].sum() == 5
    assert sample["pos"].max() > windows["pos"].median() > sample["pos"].min()
