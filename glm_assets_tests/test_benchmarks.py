"""The benchmarks run, and the counts among their figures, which no machine changes, keep to what they promise."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.system


def run(repository, name, *options):
    command = [sys.executable, f"benchmarks/{name}.py", *options]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.real_data
def test_flops_per_variant_on_the_real_brca2_windows(repository, real_data):
    pytest.importorskip("vortex")
    figures = run(repository, "flops", "--mirror", str(real_data / "ncbi_mirror"))
    assert figures["pair"] <= 0.61
    assert figures["pair_dedup"] <= 0.48
    assert figures["downstream128_grid"] <= 0.07
    assert figures["n_variants"] == figures["n_variants_grid"] == 11_102
    assert figures["formula"] < 0.005


def test_the_embedding_benchmark_runs_on_a_cpu(repository, tmp_path):
    """On windows from a file: reading the real ones takes as long as all the rest, and `flops` reads them."""
    pytest.importorskip("vortex")
    reference = np.random.default_rng(1).choice(np.frombuffer(b"ACGT", np.uint8), (1, 1024))
    variants = np.repeat(reference, 2, axis=0)
    variants[[0, 1], [511, 512]] = ord("N")
    pairs = {"centred_0": reference.repeat(2, axis=0), "centred_1": variants, "centred_2": np.array([511, 512])}
    np.savez(tmp_path / "windows.npz", **pairs)
    few = ("--variants", "2", "--error-variants", "1", "--poolings", "mean", "downstream:128", "--threads", "1")
    figures = run(repository, "embedding", "--windows", str(tmp_path / "windows.npz"), *few)
    assert figures["distinct_references"] == 1
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


def test_the_tokenise_benchmark_cuts_the_originals_tokens(repository):
    figures = run(repository, "tokenise")
    # 6 records of 4,000,000 bases, less 5,000 N each, are 19 chunks of 1,200,000 bases.
    assert figures["tokens"] == 19 * 200_000
    assert figures["ratio_in_memory"] > 3


def test_a_context_of_one_token_learns_pairs_and_one_of_128_the_chain(repository):
    pytest.importorskip("vortex")
    figures = run(repository, "context_length")
    assert figures["context_1"] == pytest.approx(figures["pairs"], abs=0.02)
    assert figures["floor"] < figures["context_128"] < 1.0 < figures["pairs"] < figures["uniform"]
