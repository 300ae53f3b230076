"""The comparison of a study: who takes part, which rows judge, and what the figures are, worked out a second time."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from glm_assets.errors import MissingUpstreamError
from glm_assets.heads.apply import embed, load_head
from glm_assets.heads.pyfunc import head_card
from glm_assets.lineage.comparison import REPORT_FILE, make_head_comparison, move_champions
from glm_assets.lineage.contenders import find_contenders
from glm_assets.lineage.sealed import labelled_rows
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_split_audit, make_variant_windows
from glm_assets.storage.tables import read_part
from glm_assets.tracking import MlflowTracker, NullTracker
from glm_assets_tests.lineage.studies import tiny_study


def quiet(_: str) -> None:
    """Progress that nobody reads."""


@pytest.fixture(scope="module")
def made(lineage) -> tuple[Study, dict, Path]:
    """The study of the tiny lineage, the facts of its comparison, made when nobody was champion, and its folder."""
    study = lineage.study
    manifest, folder = make_head_comparison(study, NullTracker.registry, quiet)
    assert manifest.reused
    return study, manifest.facts, folder


def rows_of(study: Study, split: str) -> pl.DataFrame:
    """Windows of a split with the keys of their vectors, read without the platform's help."""
    parts = []
    for chrom in study.profile.chromosomes:
        folder = study.tables / "variant_windows" / f"chrom={chrom}"
        keys = pl.read_parquet(study.tables / "variant_embeddings" / f"chrom={chrom}" / "part.parquet")["key"]
        parts.append(pl.read_parquet(folder / "part.parquet").with_columns(keys))
    return pl.concat(parts).filter(pl.col("split") == split)


def table_row(folder: Path, name: str) -> dict:
    return read_part(folder).row(by_predicate=pl.col("name") == name, named=True)


def test_every_scorer_of_the_study_takes_part(made):
    _, facts, folder = made
    names = read_part(folder).group_by("kind").agg("name").sort("kind").rows()
    found = {kind: sorted(of_kind) for kind, of_kind in names}
    assert found["head"] == ["head_v0", "head_v1", "head_v2", "head_v3"]
    assert found["probe"] == ["covariance_probe", "linear_probe"]
    assert found["zero_shot"] == ["distance", "log_likelihood_ratio"]
    assert {"gene_rate", "consequence_rate", "gene_consequence_rate"} <= set(found["baseline"])
    assert facts["absent"] == []


def test_the_rows_that_judge_are_those_of_the_test_split(made):
    study, facts, folder = made
    test = rows_of(study, "test")
    assert facts["sealed"] is True
    assert facts["test_rows"] == test.height
    assert facts["pathogenic"] == test["label"].sum()
    assert facts["loci"] == test.select("chrom", "locus").n_unique()
    for row in read_part(folder).iter_rows(named=True):
        assert (row["rows"], row["pathogenic"]) == (test.height, test["label"].sum())


@pytest.mark.parametrize("name", ["head_v0", "head_v3"])
def test_a_heads_figures_are_those_of_its_weights_on_the_vectors_of_the_test(made, name):
    study, _, folder = made
    test = rows_of(study, "test")
    ref, delta = study.store().read(test["key"])
    head = load_head(study.root / "heads" / name)
    first, second = embed(head, ref).astype(np.float64), embed(head, ref + delta).astype(np.float64)
    distance = 1 - (first * second).sum(axis=1)
    label = test["label"].to_numpy()
    row = table_row(folder, name)
    assert row["auroc"] == pytest.approx(roc_auc_score(label, distance), abs=2e-3)
    assert row["auprc"] == pytest.approx(average_precision_score(label, distance), abs=5e-3)
    assert row["cd"] == pytest.approx(distance.mean(), rel=1e-4)
    assert row["cdd"] == pytest.approx(
        distance[label == 1].mean() - distance[label == 0].mean(), rel=1e-2, abs=1e-6
    )


def test_ladder_correlations_are_those_of_the_heads_distances_on_the_ladders_of_test(made):
    study, facts, folder = made
    rungs = pl.read_parquet(study.tables / "mutation_ladders" / "part.parquet").filter(pl.col("split") == "test")
    ref, delta = study.store().read(rungs["key"])
    head = load_head(study.root / "heads" / "head_v1")
    distance = 0.5 * np.square(embed(head, ref) - embed(head, ref + delta)).sum(axis=1)
    correlations = [
        np.corrcoef(rungs["substitutions"].to_numpy()[own], distance[own])[0, 1]
        for ladder in rungs["ladder"].unique()
        for own in [(rungs["ladder"] == ladder).to_numpy()]
    ]
    assert facts["ladders"] == len(correlations) > 0
    assert table_row(folder, "head_v1")["pcc_ladder"] == pytest.approx(np.mean(correlations), abs=1e-4)


def test_the_baseline_is_what_a_plain_loop_over_all_rows_gives(made):
    """Gene x consequence from the train rows alone: counts, smoothed by one towards each parent."""
    study, _, folder = made
    train, test = rows_of(study, "train"), rows_of(study, "test")
    counts: dict[tuple, list[int]] = defaultdict(lambda: [0, 0])
    for row in train.iter_rows(named=True):
        for key in ((), (row["consequence"],), (row["gene"], row["consequence"])):
            counts[key][0] += row["label"]
            counts[key][1] += 1
    scores = []
    for row in test.iter_rows(named=True):
        rate = 0.5
        for key in ((), (row["consequence"],), (row["gene"], row["consequence"])):
            rate = (counts[key][0] + rate) / (counts[key][1] + 1)
        scores.append(rate)
    found = table_row(folder, "gene_consequence_rate_train")
    assert found["auroc"] == pytest.approx(roc_auc_score(test["label"].to_numpy(), scores))


def test_the_page_and_the_other_tables_lie_beside(made):
    _, facts, folder = made
    page = (folder / REPORT_FILE).read_text(encoding="utf-8")
    assert "head_v3" in page
    assert "tiny model with random weights" in page
    assert facts["recommendation"].split(":")[0].split("(")[0].strip() in page
    slices = pl.read_parquet(folder / "slices.parquet")
    assert set(slices["by"]) >= {"kind", "consequence", "stars", "chromosome", "gene_rows"}
    whole = slices.filter(pl.col("name") == "head_v3").group_by("by").agg(pl.col("rows").sum())
    totals = dict(whole.iter_rows())
    assert totals["chromosome"] == totals["stars"] == totals["consequence"] == facts["test_rows"]


def test_what_was_not_made_is_absent_with_its_reason_and_the_rest_is_compared(made, tmp_path):
    study, _, _ = made
    shutil.copytree(study.root, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "heads" / "head_v3")
    shutil.rmtree(tmp_path / "data" / "tables" / "variant_likelihoods" / "chrom=22")
    moved = tiny_study(tmp_path, study.profile.ncbi_url)
    contenders = find_contenders(moved, NullTracker.registry)
    assert "head_v3" in contenders.absent["head_v3"]
    assert "chromosome 22" in contenders.absent["log_likelihood_ratio"]
    assert "head_v2" in contenders.present
    manifest, folder = make_head_comparison(moved, NullTracker.registry, quiet)
    assert {"head_v3", "log_likelihood_ratio"} <= set(manifest.facts["absent"])
    assert "head_v3" not in read_part(folder)["name"].to_list()


def test_nothing_to_compare_is_an_error_that_says_what_to_make(tmp_path, tiny_tree):
    with pytest.raises(MissingUpstreamError, match="nothing is there to compare"):
        make_head_comparison(tiny_study(tmp_path, tiny_tree), NullTracker.registry, quiet)


def test_a_study_that_trains_on_its_test_rows_is_judged_on_val_and_says_so(made, tmp_path):
    """Of its products only the split's use differs, so the vectors can be taken from the other study."""
    study, _, _ = made
    shutil.copytree(study.root, tmp_path / "data")
    split = {"rule": "locus", "merge_test_into_train": True}
    merged = tiny_study(tmp_path, study.profile.ncbi_url, {"split": split})
    make_split_audit(merged)
    manifest, folder = make_head_comparison(merged, NullTracker.registry, quiet)
    assert not manifest.reused
    val = rows_of(study, "val")
    assert manifest.facts["sealed"] is False
    assert manifest.facts["test_rows"] == val.height
    assert table_row(folder, "distance")["brier"] is None  # no rows are left to calibrate on
    assert "trains on its test rows" in (folder / REPORT_FILE).read_text(encoding="utf-8")
    won = {"candidate": "1", "against": None, "estimate": 0.9, "low": 0.8, "high": 1.0}
    facts = dict(manifest.facts) | {"champions": {"head_v0": won}}
    registry = MlflowTracker(f"sqlite:///{study.root.parent / 'mlflow' / 'mlflow.db'}").registry
    assert "no sealed test" in move_champions(replace(manifest, facts=facts), registry, quiet)["head_v0"]
    assert not any("champion" in version.aliases for version in registry.versions("head_v0"))


def test_another_file_of_a_predictor_or_another_split_makes_the_comparison_anew(made, tmp_path):
    study, _, _ = made
    shutil.copytree(study.root, tmp_path / "data")
    test = rows_of(study, "test").select("chrom", "pos", "ref", "alt", score=pl.col("label") * 1.0)
    test.write_csv(tmp_path / "cadd.tsv", separator="\t")
    asked = tiny_study(tmp_path, study.profile.ncbi_url, predictors=f"cadd={tmp_path / 'cadd.tsv'}")
    manifest, folder = make_head_comparison(asked, NullTracker.registry, quiet)
    assert table_row(folder, "cadd")["auroc"] == 1
    assert make_head_comparison(asked, NullTracker.registry, quiet)[0].reused
    test.with_columns(score=-pl.col("score")).write_csv(tmp_path / "cadd.tsv", separator="\t")
    manifest, folder = make_head_comparison(asked, NullTracker.registry, quiet)
    assert not manifest.reused
    assert table_row(folder, "cadd")["auroc"] == 0

    other = tiny_study(
        tmp_path, study.profile.ncbi_url, {"labels": {"policy": "strict", "min_stars": 2, "indel_max": 50}}
    )
    for chrom in ("21", "22"):
        make_clinvar_variants(other, chrom)
        make_variant_windows(other, chrom)
    with pytest.raises(MissingUpstreamError):
        make_head_comparison(other, NullTracker.registry, quiet)


def test_a_genes_rows_in_train_are_counted(made):
    study, _, _ = made
    train = rows_of(study, "train")
    rows = labelled_rows(study, [])
    assert rows.height == sum(rows_of(study, split).height for split in ("train", "val", "test"))
    for row in rows.unique("gene").iter_rows(named=True):
        assert row["train_rows_of_gene"] == train.filter(pl.col("gene") == row["gene"]).height, row["gene"]


def test_without_the_registry_all_is_compared_and_nobody_is_champion(made, tmp_path):
    study, _, _ = made
    shutil.copytree(study.root, tmp_path / "data")
    away = MlflowTracker("http://127.0.0.1:9").registry  # the port of `discard`, which nobody serves
    manifest, where = make_head_comparison(tiny_study(tmp_path, study.profile.ncbi_url), away, quiet)
    assert manifest.facts["champions"] == {}
    assert "head_v0 champion" in manifest.facts["absent"]
    assert 0 <= table_row(where, "head_v0")["auroc"] <= 1


def test_a_champion_of_another_version_is_judged_beside_its_head(made, tmp_path):
    """The champion here is head_v0's own file under a new version: the two must score alike, and nothing moves."""
    study, _, _ = made
    tracker = MlflowTracker(f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")
    folder = study.head_folder("head_v0")
    shape = load_head(folder).shape
    with tracker.run("head_v0", tags={}, resume_file=tmp_path / "run.json") as run:
        version = run.register_model(
            "head_v0", [folder / "model.safetensors", folder / "meta.json"], head_card(shape)
        )
    tracker.registry.set_alias("head_v0", "champion", version, reason="by hand", figures={})
    with tracker.run("head_v0", tags={}, resume_file=tmp_path / "other.json") as run:
        run.register_model("head_v0", [folder / "model.safetensors", folder / "meta.json"], head_card(shape))
    tracker.registry.set_alias("head_v0", "champion", "2", reason="by hand", figures={})
    shutil.copytree(study.root, tmp_path / "data")
    moved = tiny_study(tmp_path, study.profile.ncbi_url)
    manifest, where = make_head_comparison(moved, tracker.registry, quiet)
    own, champion = table_row(where, "head_v0"), table_row(where, "head_v0 champion")
    assert own["auroc"] == champion["auroc"]
    evidence = manifest.facts["champions"]["head_v0"]
    assert (evidence["candidate"], evidence["against"], evidence["estimate"]) == ("1", "2", 0)
    reasons = move_champions(manifest, tracker.registry, quiet)
    assert "version 1 is not this head_v0" in reasons["head_v0"]  # of the same number, by another run
    assert "no version 1" in reasons["head_v1"]  # this registry has only head_v0
    assert tracker.registry.resolve("head_v0", "champion").version == "2"
    assert json.loads(json.dumps(manifest.facts["champions"])) == manifest.facts["champions"]
