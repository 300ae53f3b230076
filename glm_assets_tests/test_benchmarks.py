"""The benchmarks run, and the counts among their figures, which no machine changes, keep to what they promise."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.system


def run(repository, name, *options):
    command = [sys.executable, f"benchmarks/{name}.py", *options]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def run_on_windows(repository, real_data, name, *options):
    pytest.importorskip("vortex")
    return run(repository, name, "--mirror", str(real_data / "ncbi_mirror"), *options)


@pytest.mark.real_data
def test_flops_per_variant_on_the_real_brca2_windows(repository, real_data):
    figures = run_on_windows(repository, real_data, "flops")
    assert figures["pair"] <= 0.61
    assert figures["pair_dedup"] <= 0.48
    assert figures["downstream128_grid"] <= 0.07
    assert figures["n_variants"] == figures["n_variants_grid"] == 11_102
    assert figures["formula"] < 0.005


@pytest.mark.real_data
def test_the_embedding_benchmark_runs_on_a_cpu(repository, real_data):
    figures = run_on_windows(repository, real_data, "embedding", "--variants", "2", "--error-variants", "1")
    assert figures["prefix_ours"] == 0 < figures["prefix_original"]
    assert {"ratio_pair", "ratio", "enough"} <= set(figures)
    assert figures["errors"]["mean"]["float32"] < figures["errors"]["mean"]["original"] / 10


def test_the_heads_benchmark_compares_like_with_like(repository, tmp_path):
    small = (
        "--widths",
        "64",
        "32",
        "16",
        "--rows",
        "2000",
        "--batch",
        "512",
        "--cpu-batch",
        "64",
        "--repeats",
        "1",
    )
    figures = run(repository, "heads", *small, "--folder", str(tmp_path))
    assert figures["ratio"] == figures["loss_ratio"]
    assert figures["loss_values"]["ours"] == pytest.approx(figures["loss_values"]["original"], rel=1e-5)
    assert 380 < figures["loss_groups"] < 440  # of 512 rows, the share that the original's batches of 4,096 meet
    assert figures["loader_rows"] == 2000
    assert figures["step_cpu"]["skipped_share"] > 0.6
    assert {"loss_ratio_of_distances", "loader_ratio", "step_ratio_v3_cpu", "step_ratio_v3_gpu"} <= set(figures)
    assert not list(tmp_path.iterdir())  # what it wrote is gone


def test_the_capacity_benchmark_agrees_with_arithmetic_where_nothing_waits(repository):
    figures = run(repository, "capacity", "--load-seconds", "0", "--hours-between-deaths", "1e9")
    pair_hours = figures["own_tflop_per_pair"] / figures["tflops"] / 3600
    one, many = figures["own_labelled_1gpus_4096rows"], figures["own_labelled_64gpus_512rows"]
    assert one["at_once_hours"] == pytest.approx(1.5e6 * pair_hours, rel=0.08)
    assert many["at_once_hours"] == pytest.approx(1.5e6 * pair_hours / 64, rel=0.1)
    assert many["hours"] > 1.3 * many["at_once_hours"]  # 25 chromosomes, each of which waits for its last shard
