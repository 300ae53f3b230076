"""The benchmarks run, and the counts among their figures, which no machine changes, keep to what they promise."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("vortex")

pytestmark = [pytest.mark.system, pytest.mark.real_data]


def run(repository, real_data, name, *options):
    command = [sys.executable, f"benchmarks/{name}.py", "--mirror", str(real_data / "ncbi_mirror"), *options]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_flops_per_variant_on_the_real_brca2_windows(repository, real_data):
    figures = run(repository, real_data, "flops")
    assert figures["pair"] <= 0.61
    assert figures["pair_dedup"] <= 0.48
    assert figures["downstream128_grid"] <= 0.07
    assert figures["n_variants"] == figures["n_variants_grid"] == 11_102
    assert figures["formula"] < 0.005


def test_the_embedding_benchmark_runs_on_a_cpu(repository, real_data):
    figures = run(repository, real_data, "embedding", "--variants", "2", "--error-variants", "1")
    assert figures["prefix_ours"] == 0 < figures["prefix_original"]
    assert {"ratio_pair", "ratio", "enough"} <= set(figures)
    assert figures["errors"]["mean"]["float32"] < figures["errors"]["mean"]["original"] / 10
