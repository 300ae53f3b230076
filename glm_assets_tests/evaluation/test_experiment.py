"""Experiments: how tables are read, joined and judged, against plain computations."""

from __future__ import annotations

import gzip

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.agreement import agreement
from glm_assets.evaluation.experiment import SCORES, join_experiment, read_experiment
from glm_assets.storage.schemas import SCORED_VARIANTS

TEXT = (
    "Chrom\tPOS\tRef\talt\tScore\tClass\n"
    "chr13\t10\ta\tC\t-1.5\tLOF\n"
    "13\t11\tA\tG\t0.5\tFunc\n"
    "NC_000013.11\t12\tA\tT\tNA\tFUNC\n"
    "13\t13\tA\tT\t1\tINT\n"
    "13\t10\tA\tC\t-0.5\tLOF\n"
)


@pytest.mark.parametrize("kind", ["tsv", "csv", "gz", "parquet"])
def test_tables_of_every_kind_give_the_same(tmp_path, kind):
    path = tmp_path / f"e.{kind}"
    if kind == "parquet":
        pl.read_csv(TEXT.encode(), separator="\t").write_parquet(path)
    elif kind == "gz":
        path.write_bytes(gzip.compress(TEXT.encode()))
    else:
        path.write_text(TEXT.replace("\t", "," if kind == "csv" else "\t"))
    found = read_experiment(path)
    assert found.rows.rows() == [
        ("13", 10, "A", "C", -1.0, 1),
        ("13", 11, "A", "G", 0.5, 0),
        ("13", 13, "A", "T", 1.0, None),
    ]
    assert (found.table_rows, found.without_score, found.duplicates) == (5, 1, 1)
    assert found.classes == {"lof": "positive", "func": "negative", "int": "neither"}


@pytest.mark.parametrize(
    ("names", "sides"),
    [
        (("1.0", "0.0"), {"1": "positive", "0": "negative"}),
        (("Likely pathogenic", "other"), {"likely_pathogenic": "positive", "other": "negative"}),
        (("a", "b2"), {"a": "neither", "b2": "neither"}),
    ],
)
def test_of_two_classes_one_known_name_tells_the_other(tmp_path, names, sides):
    path = tmp_path / "e.csv"
    rows = [f"1,{place},A,C,{place},{name}" for place, name in enumerate(names, 1)]
    path.write_text("\n".join(["chr,position,reference,alternate,score,class", *rows]))
    assert read_experiment(path).classes == sides


def test_an_absent_file_or_column_is_named(tmp_path):
    with pytest.raises(EvaluationError, match="GLM_EXPERIMENT"):
        read_experiment(tmp_path / "none.tsv")
    path = tmp_path / "e.csv"
    path.write_text("chrom,pos,ref,alt,value\n1,2,A,C,3\n")
    with pytest.raises(EvaluationError, match="no column score: its columns are chrom, pos, ref, alt, value"):
        read_experiment(path)


def scored(rows: int, seed: int = 0) -> pl.DataFrame:
    values = np.random.default_rng(seed).normal(size=(rows, 4))
    frame = [("13", 10 + i, "A", "C", i, 0, *values[i].tolist(), None) for i in range(rows)]
    return pl.DataFrame(frame, SCORED_VARIANTS.schema, orient="row")


def test_variants_join_once_and_unscored_ones_never(tmp_path):
    table = scored(4)
    twice = pl.concat([table, table[:1]])
    unscored = twice.with_columns(
        pl.when(pl.col("record") == 1).then(pl.lit("x")).otherwise("reason").alias("reason")
    )
    path = tmp_path / "e.csv"
    path.write_text("chrom,pos,ref,alt,score\n13,10,A,C,1\n13,11,A,C,2\n13,12,A,G,2\n")
    joined = join_experiment(read_experiment(path), unscored)
    assert joined.select("pos", "score").rows() == [(10, 1.0)]


@pytest.mark.parametrize("rows", ["", "GL000220.1,10,A,C,1\n", "13,,A,C,1\n"])
def test_a_table_without_a_usable_row_joins_nothing(tmp_path, rows):
    path = tmp_path / "e.csv"
    path.write_text("chrom,pos,ref,alt,score\n" + rows)
    found = read_experiment(path)
    assert found.without_score == found.table_rows == rows.count("\n")
    assert join_experiment(found, scored(3)).is_empty()


def test_figures_are_those_of_scipy_and_scikit_learn():
    stats = pytest.importorskip("scipy.stats")
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    table = scored(300, seed=1).with_columns(pl.col("log_likelihood_ratio").round(1))
    measured = table["log_likelihood_ratio"].to_numpy() + rng.normal(size=300).round(1)
    label = np.where(rng.random(300) < 0.2, -1, (measured < 0).astype(int))
    joined = table.with_columns(
        pl.Series("score", measured), pl.Series("label", label).replace(-1, None).cast(pl.Int8)
    )
    ours = table["log_likelihood_ratio"].to_numpy()
    found = agreement(joined, "log_likelihood_ratio", resamples=400, seed=5)
    assert found is not None
    assert found.pearson.value == pytest.approx(stats.pearsonr(ours, measured)[0])
    assert found.spearman.value == pytest.approx(stats.spearmanr(ours, measured)[0])
    known = label >= 0
    assert found.auroc is not None
    assert found.auroc.value == pytest.approx(metrics.roc_auc_score(label[known], -ours[known]))
    assert (found.positives, found.negatives) == (int((label == 1).sum()), int((label == 0).sum()))
    draws = np.random.default_rng(99)
    rows = [draws.integers(0, 300, 300) for _ in range(400)]
    plain = {
        "pearson": [stats.pearsonr(ours[own], measured[own])[0] for own in rows],
        "spearman": [stats.spearmanr(ours[own], measured[own])[0] for own in rows],
        "auroc": [metrics.roc_auc_score(label[own][known[own]], -ours[own][known[own]]) for own in rows],
    }
    for name, values in plain.items():
        low, high = getattr(found, name).interval()
        assert (low, high) == pytest.approx(np.percentile(values, [2.5, 97.5]), abs=0.02), name


def test_without_variation_classes_or_variants_there_is_no_figure():
    joined = scored(5).with_columns(score=pl.lit(1.0), label=pl.lit(None, pl.Int8))
    found = agreement(joined, "head_distance", resamples=20, seed=1)
    assert found is not None
    assert np.isnan(found.pearson.value)
    assert np.isnan(found.spearman.value)
    assert found.auroc is None
    nothing = joined.with_columns(head_distance=pl.lit(None, pl.Float64))
    assert agreement(nothing, "head_distance", resamples=20, seed=1) is None
    assert set(SCORES) <= set(SCORED_VARIANTS.schema.names())
