"""Probes, scorers and the submission's score of a tiny study, against plain computations."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glm_assets.heads.probes import load_probe
from glm_assets.heads.scorers import CosineDistance, LikelihoodRatio
from glm_assets.lineage.embeddings import (
    make_covariance_embeddings,
    make_test_embeddings,
    make_variant_embeddings,
    read_embeddings,
)
from glm_assets.lineage.head_data import read_labelled_pairs
from glm_assets.lineage.heads import make_head
from glm_assets.lineage.ladders import make_mutation_ladders
from glm_assets.lineage.probes import make_probe, probe_product
from glm_assets.lineage.scorers import load_scorers, study_scorers, vectors_for
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.submission import make_submission, make_test_sequences
from glm_assets.lineage.submission_score import make_submission_score
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.tables import read_part
from glm_assets.tracking import NullTracker
from glm_assets_tests.lineage.studies import tiny_study

CHROMOSOMES = ("21", "22")


def silent(line: str) -> None:
    """Progress that nobody reads."""


def probe(study: Study, name: str = "linear_probe", **options):
    return make_probe(study, name, NullTracker(), silent, dagster_run_id="test", **options)


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_tree) -> Study:
    """Windows, pooled and covariance-pooled vectors of two chromosomes."""
    pytest.importorskip("torch")
    pytest.importorskip("vortex")
    study = tiny_study(tmp_path_factory.mktemp("judges"), tiny_tree)
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    for chrom in CHROMOSOMES:
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)
        make_variant_embeddings(study, chrom, silent)
        make_covariance_embeddings(study, chrom, silent)
    return study


def rows_of(study: Study, chrom: str) -> pl.DataFrame:
    return read_part(study.variant_windows(chrom).folder)


@pytest.mark.parametrize(("name", "kind"), [("linear_probe", "pooled"), ("covariance_probe", "covariance")])
def test_a_probe_is_fitted_to_the_train_rows_and_judged_on_rows_of_val(study, name, kind):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    manifest = probe(study, name)
    facts, folder = manifest.facts, study.head_folder(name)
    split = np.concatenate([rows_of(study, chrom)["split"].to_numpy() for chrom in CHROMOSOMES])
    label = np.concatenate([rows_of(study, chrom)["label"].to_numpy() for chrom in CHROMOSOMES])
    delta = np.concatenate([read_embeddings(study, chrom, kind)[1] for chrom in CHROMOSOMES])
    assert facts["rows_used"] == facts["rows_there"] == int((split == "train").sum())
    assert sum(facts["pairs"].values()) == int((split == "val").sum())
    assert facts["dimension"] == delta.shape[1]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=facts["C"], max_iter=5000, tol=1e-8))
    model.fit(delta[split == "train"].astype(np.float64), label[split == "train"])
    expected = model.predict_proba(delta.astype(np.float64))[:, 1]
    assert load_probe(folder).probability(delta, delta) == pytest.approx(expected, abs=5e-3)
    assert 0 <= facts["metrics"]["auroc"] <= 1
    assert roc_auc_score(label[split == "train"], expected[split == "train"]) > 0.5
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["encoder_fingerprint"] == facts["encoder_fingerprint"]
    assert (folder / "validation.png").read_bytes().startswith(b"\x89PNG")
    assert probe(study, name).reused


def test_no_test_row_s_vector_is_read_for_a_probe(study, monkeypatch):
    asked: list[str] = []
    original = EmbeddingStore.open_pairs
    monkeypatch.setattr(
        EmbeddingStore, "open_pairs", lambda self, keys: asked.extend(keys.to_list()) or original(self, keys)
    )
    read_labelled_pairs(study, list(CHROMOSOMES))
    sealed = set()
    for chrom in CHROMOSOMES:
        keys = read_part(study.variant_embeddings(chrom).folder)["key"]
        sealed |= set(keys.filter(rows_of(study, chrom)["split"] == "test").to_list())
    seen = set(asked)
    assert sealed
    assert seen
    assert len(sealed & seen) == 0


def test_a_tracked_probe_records_its_figures_and_its_model(study, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    from glm_assets.tracking.mlflow import MlflowTracker

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    untracked = probe(study)
    (study.head_folder("linear_probe") / "manifest.json").unlink()
    manifest = make_probe(study, "linear_probe", MlflowTracker(uri), silent, dagster_run_id="run-1")
    client = mlflow.MlflowClient(uri)
    run = client.get_run(manifest.facts["mlflow_run_id"])
    assert run.data.metrics["val/auroc"] == pytest.approx(manifest.facts["metrics"]["auroc"])
    assert run.data.params["C"] == str(manifest.facts["C"])
    assert run.data.tags["dagster/run_id"] == "run-1"
    assert manifest.facts["registered_version"] == "1"
    assert manifest.data_version == untracked.data_version  # the tracked run is no part of the probe


def test_scorers_are_those_that_are_up_to_date_and_the_others_have_a_reason(study):
    probe(study)
    present, absent = load_scorers(study)
    assert {"distance", "linear_probe"} <= present.keys()
    assert "head_v3" in absent
    assert "head_v3 (faithful)" not in absent  # nobody has asked for it
    assert "variant_likelihoods" in absent["log_likelihood_ratio"]
    assert "log_likelihood_ratio" in load_scorers(study, with_vectors=False)[0]
    assert not present.keys() & absent.keys()
    full, _ = study_scorers(study)
    assert full["linear_probe"].manifest == study.require(probe_product(study, "linear_probe"))
    assert full["distance"].manifest is None


def test_a_scorer_gets_the_vectors_it_takes_of_the_rows_asked_for(study):
    probe(study, "covariance_probe")
    present, _ = load_scorers(study)
    rows = np.array([3, 0, 5])
    for name, kind in (("distance", "pooled"), ("covariance_probe", "covariance")):
        ref, delta = vectors_for(study, present[name], "21", rows)
        whole_ref, whole_delta = read_embeddings(study, "21", kind)
        assert np.array_equal(ref, whole_ref[rows])
        assert np.array_equal(delta, whole_delta[rows])
        assert np.isfinite(present[name].score(ref, delta)).all()


def random_head(study: Study, folder: Path, seed: int) -> str:
    import torch

    from glm_assets.heads.networks import Head
    from glm_assets.heads.weights import write_state
    from glm_assets.lineage.recipes import head_recipe

    torch.manual_seed(seed)
    recipe = head_recipe(study.profile, "head_v0", study.encoder_spec.dimension)
    path = folder / "random.safetensors"
    write_state(Head(recipe.shape), path)
    return str(path)


@pytest.fixture(scope="module")
def scored(study, tmp_path_factory):
    make_test_sequences(study)
    make_test_embeddings(study, silent)
    head = random_head(study, tmp_path_factory.mktemp("head"), seed=1)
    make_submission(study, NullTracker.registry, head=head)
    manifest = make_submission_score(study, silent)
    folder = study.tables / "submission_score"
    return manifest, read_part(folder), pl.read_parquet(folder / "structure.parquet")


def truth_of(tree: Path) -> dict[str, tuple[str, int, int | None]]:
    """ID to group, substitutions and label, as the demo tells them."""
    [path] = tree.rglob("*truth*.csv")
    with path.open() as stream:
        return {
            row["ID"]: (row["group"], int(row["substitutions"]), int(row["label"]) if row["label"] else None)
            for row in csv.DictReader(stream)
        }


def plain_distance(u, v) -> float:
    dot = sum(a * b for a, b in zip(u, v, strict=True))
    return 1 - dot / (sum(a * a for a in u) ** 0.5 * sum(b * b for b in v) ** 0.5)


def test_the_demo_s_pairs_and_ladders_are_found_to_the_letter(scored, study):
    manifest, _, structure = scored
    truth = truth_of(study.settings.test_csv.parent)
    pairs = {name for name, (group, _, _) in truth.items() if group.startswith("pair")}
    found = {frozenset(row) for row in structure.filter(role="pair").select("base", "other").iter_rows()}
    groups: dict[str, set[str]] = {}
    for name in pairs:
        groups.setdefault(truth[name][0], set()).add(name)
    assert found == {frozenset(group) for group in groups.values()}
    rungs = structure.filter(role="rung").select("base", "other", "substitutions").rows()
    assert {(truth[base][0], truth[other][:2]) for base, other, _ in rungs} == {
        (group, (group, count)) for group, count, _ in truth.values() if group.startswith("ladder") and count
    }
    assert all(truth[other][1] == count for _, other, count in rungs)
    assert manifest.facts["sequences_in_neither"] == 0


def test_the_figures_are_those_of_plain_python(scored, study):
    manifest, table, structure = scored
    submission = pl.read_csv(study.submission_csv)
    vector = {row[0]: row[1:] for row in submission.iter_rows()}
    value = dict(table.select("name", "value").iter_rows())
    pairs = structure.filter(role="pair").select("base", "other", "label").rows()
    distance = {(base, other): plain_distance(vector[base], vector[other]) for base, other, _ in pairs}
    assert value["CD"] == pytest.approx(sum(distance.values()) / len(distance), abs=1e-7)
    rungs: dict[int, list[tuple[float, float]]] = {}
    for family, base, other, count in (
        structure.filter(role="rung").select("family", "base", "other", "substitutions").rows()
    ):
        rungs.setdefault(family, []).append((count, plain_distance(vector[base], vector[other])))
    r = [np.corrcoef(*zip(*points, strict=True))[0, 1] for points in rungs.values()]
    assert value["PCC"] == pytest.approx(np.mean(r), abs=1e-5)
    by_label = {label: [distance[base, other] for base, other, own in pairs if own == label] for label in (0, 1)}
    if all(by_label.values()):
        cdd = np.mean(by_label[1]) - np.mean(by_label[0])
        assert value["CDD"] == pytest.approx(cdd, abs=1e-7)
        assert value["raw_sum"] == pytest.approx(value["CD"] + cdd + value["PCC"], abs=1e-6)
        terms = (value["CD"] / 2, (cdd / 2 + 1) / 2, (value["PCC"] + 1) / 2)
        assert value["normalised_mean"] == pytest.approx(sum(terms) / 3, abs=1e-6)
    assert manifest.facts["figures"]["CD"] == value["CD"]
    assert "not published" in manifest.facts["assumptions"]


def test_labels_are_those_the_demo_gave_and_the_reference_is_known(scored, study):
    manifest, _, structure = scored
    truth = truth_of(study.settings.test_csv.parent)
    labelled = structure.filter(role="pair").filter(pl.col("label").is_not_null())
    assert len(labelled) == manifest.facts["pairs_with_a_label"] > 0
    for base, other, label in labelled.select("base", "other", "label").iter_rows():
        assert truth[base][1] == 0
        assert truth[other][2] == label
    assert labelled["oriented"].all()
    splits = labelled["split"].value_counts().sort("split").rows()
    assert sum(count for _, count in splits) == sum(manifest.facts["pairs_by_split"].values())


def test_a_score_is_made_anew_when_the_submission_is(scored, study, tmp_path):
    assert make_submission_score(study, silent).reused
    make_submission(study, NullTracker.registry, head=random_head(study, tmp_path, seed=2))
    again = make_submission_score(study, silent)
    assert not again.reused
    assert again.facts["figures"]["CD"] != scored[0].facts["figures"]["CD"]


def value_and_note(study: Study, name: str) -> tuple[float | None, str]:
    return read_part(study.tables / "submission_score").filter(name=name).select("value", "note").row(0)


def test_without_clinvar_the_figures_that_need_no_labels_are_there(tmp_path, tiny_tree, scored, study):
    bare = tiny_study(tmp_path, tiny_tree)
    make_glm_checkpoint(bare, silent)
    make_test_sequences(bare)
    make_test_embeddings(bare, silent)
    make_submission(bare, NullTracker.registry, head=random_head(bare, tmp_path, seed=1))
    manifest = make_submission_score(bare, silent)
    assert {name: manifest.facts["figures"][name] for name in ("CD", "PCC")} == pytest.approx(
        {name: scored[0].facts["figures"][name] for name in ("CD", "PCC")}
    )
    assert (manifest.facts["pairs_with_a_label"], manifest.facts["pairs_by_split"]) == (0, {})
    for name in ("CDD", "CDD_held_out", "AUROC"):
        value, note = value_and_note(bare, name)
        assert value is None
        assert "there are no variant_windows" in note
    assert "Without any windows of ClinVar no pair has a label" in manifest.facts["assumptions"]


def test_pairs_of_test_rows_that_were_trained_on_are_not_held_out(tmp_path, tiny_tree):
    merged = tiny_study(tmp_path, tiny_tree, {"split": {"rule": "faithful", "merge_test_into_train": True}})
    make_clinvar_release(merged, silent)
    make_reference_genome(merged, silent)
    make_glm_checkpoint(merged, silent)
    for chrom in CHROMOSOMES:
        make_clinvar_variants(merged, chrom)
        make_variant_windows(merged, chrom)
    make_test_sequences(merged)
    make_test_embeddings(merged, silent)
    make_submission(merged, NullTracker.registry, head=random_head(merged, tmp_path, seed=1))
    manifest = make_submission_score(merged, silent)
    assert manifest.facts["pairs_by_split"]["test"] > 0
    assert manifest.facts["figures"]["CDD"] is not None
    for name in ("CDD_held_out", "AUROC_held_out"):
        value, note = value_and_note(merged, name)
        assert value is None
        assert "split.merge_test_into_train" in note


def test_a_head_from_elsewhere_has_a_split_that_is_not_known(scored, study):
    make_submission(study, NullTracker.registry, head=random_head(study, study.root, seed=1))
    make_submission_score(study, silent)
    assert "split of head" in value_and_note(study, "CDD_held_out")[1]
    assert "split" not in value_and_note(study, "CDD")[1]
    make_mutation_ladders(study, silent)
    make_head(study, "head_v0", NullTracker(), silent, dagster_run_id="test")
    make_submission(study, NullTracker.registry, head="head_v0")
    make_submission_score(study, silent)
    assert "split" not in value_and_note(study, "CDD_held_out")[1]


def test_zero_shot_scorers_need_no_study():
    ref, delta = np.ones((2, 1), np.float32), np.array([[1.0], [-2.0]], np.float32)
    assert LikelihoodRatio().score(ref, delta).tolist() == [-1.0, 2.0]
    assert CosineDistance().score(np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)).tolist() == [0, 0]
