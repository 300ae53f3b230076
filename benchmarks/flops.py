"""FLOPs per variant of our ways to embed, as shares of the original pipeline's two full forwards.

Run `python benchmarks/flops.py [--mirror FOLDER]`; the last line is JSON. vtx's own modules with the shapes of Evo2 7B
run on the meta device, where nothing is computed, under torch's FLOP counter; FFTs, which it does not know, count as
5 n log2 n each. The original (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-) runs the reference and the variant of
each pair through all 32 blocks and the unembedding, in batches of 32. `pair` is a single-base variant in the middle
of its own window; `pair_dedup` are the labelled variants of BRCA2 (chromosome 13) in ClinVar, as they come, in windows
of 1,024 around them; `downstream128_grid` are the same variants, pooled over 128 positions from the variant on, in
windows of 1,024 every 512 bases. Both are null where the mirror of NCBI (by default that of REAL_DATA, or of
../shared/data) is not found. Attention counts as full squares on both sides. `formula` is the largest difference, as a
share, between the counter and the formula by which the platform states savings.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from glm_assets.encoders.evo2.blocks import Arithmetic
from glm_assets.encoders.evo2.config import blocks_needed, model_config
from glm_assets.encoders.evo2.downstream import embed_downstream_batch
from glm_assets.encoders.evo2.flops import Evo2Flops
from glm_assets.encoders.evo2.model import build_model
from glm_assets.encoders.evo2.pairs import embed_pair_batch
from glm_assets.encoders.evo2.plan import PairBatch, first_difference, next_batch
from glm_assets.encoders.pooling import Pooling
from glm_assets.encoders.shards import window_matrix
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.splits import SplitRule
from glm_assets.genome.windows import WindowRecipe
from glm_assets.sources.clinvar import fetch_release
from glm_assets.sources.reference import fetch_reference
from glm_assets.sources.vcf import parse_records
from glm_assets.variants.labels import FAITHFUL
from glm_assets.variants.variants import build_variants
from glm_assets.variants.windows import build_variant_windows

MODEL = "evo2_7b"
LAYER = "blocks.25.mlp.l3"
RECIPE = WindowRecipe()
REACH = 128
GRID = WindowRecipe(layout="grid", stride=512, reach=REACH)
MEAN, DOWNSTREAM = Pooling("mean"), Pooling("downstream", REACH)
GPU_TOKENS = 32_768  # of a batch, as in the profile full
BATCH = 32  # windows, the original's; ours takes as many tokens at a time
META = "meta"


class OnMeta(TorchFunctionMode):
    """Makes and keeps every tensor on the meta device, whatever vtx asks for."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a torch function with its device replaced."""
        del types
        named = dict(kwargs or {})
        if named.get("device") is not None:
            named["device"] = META
        if func is torch.Tensor.to:
            args = tuple(META if isinstance(one, str | torch.device) else one for one in args)
        return func(*args, **named)


def meta_model(layers: int | None = None) -> Any:
    """Evo2 7B without numbers, whole or only as deep as `layers`, in bfloat16."""
    config = model_config(MODEL) | {"use_flash_attn": False, "use_fp8_input_projections": False}
    with OnMeta():
        model = build_model(config | ({"num_layers": layers} if layers else {}), "cpu")
    model.block_idx_to_device = dict.fromkeys(model.block_idx_to_device, META)
    return model.bfloat16()


def count_flops(compute: Callable[[], object]) -> int:
    """FLOPs of a computation on meta tensors, with 5 n log2 n for each FFT."""

    def transforms(shape: tuple[int, ...], dim: list[int], n: int) -> int:
        return round(math.prod(shape) / shape[dim[0]] * 5 * n * math.log2(n))

    def from_real(shape: tuple[int, ...], dim: list[int], *_: Any, **__: Any) -> int:
        return transforms(shape, dim, shape[dim[0]])

    def to_real(shape: tuple[int, ...], dim: list[int], _: int, n: int, **__: Any) -> int:
        return transforms(shape, dim, n)

    aten = torch.ops.aten
    ffts = {aten._fft_r2c: from_real, aten._fft_c2c: from_real, aten._fft_c2r: to_real}
    counter = FlopCounterMode(display=False, custom_mapping=ffts)
    no_device = patch("torch.cuda.device", lambda _: contextlib.nullcontext())
    with counter, no_device, torch.inference_mode():
        compute()
    return counter.get_total_flops()


def count_original() -> float:
    """FLOPs of one variant in the original's procedure: two windows through the whole model."""
    model = meta_model()
    tokens = torch.zeros(BATCH, RECIPE.length, dtype=torch.long, device=META)
    return 2 * count_flops(lambda: model(tokens)) / BATCH


def count_terms() -> NDArray[np.float64]:
    """FLOPs of ours for each distinct token, each window that the mixers see, and each batch.

    They are solved from three batches and must give the FLOPs of a fourth.
    """
    config = model_config(MODEL)
    model = meta_model(blocks_needed(LAYER, config))

    def count(refs: int, variants: int, first: int) -> tuple[list[int], int]:
        ref = np.repeat(np.arange(refs, dtype=np.uint8)[:, None], RECIPE.length, axis=1)
        var = ref[np.arange(variants) % refs].copy()
        order = np.argsort(var[:, 0], kind="stable")
        ref, var = ref[var[order, 0]], var[order]
        var[:, first:] += 100
        batch = PairBatch.of(ref, var, np.full(variants, first), MEAN)
        flops = count_flops(lambda: embed_pair_batch(model, [LAYER], batch, MEAN, Arithmetic()))
        return [batch.ref.size + sum(batch.suffix_lengths), len(batch.ref) + len(batch.var), 1], flops

    sizes, flops = zip(
        *(count(*batch) for batch in [(1, 1, 512), (1, 3, 512), (2, 2, 100), (5, 9, 700)]), strict=True
    )
    terms = np.linalg.solve(np.array(sizes[:3], float), np.array(flops[:3], float))
    np.testing.assert_allclose(np.dot(sizes[3], terms), flops[3], rtol=1e-9)
    return terms


def count_downstream(windows: pl.DataFrame) -> float:
    """FLOPs of all variants in windows on the grid, in the encoder's own batches, each of which is counted."""
    model = meta_model(blocks_needed(LAYER, model_config(MODEL)))
    ref, var = window_matrix(windows["ref_seq"]), window_matrix(windows["var_seq"])
    offset = windows["variant_offset"].to_numpy()
    reference = windows["ref_digest"].rank("dense").cast(pl.Int64).to_numpy()
    total, rows = 0.0, np.arange(len(windows))
    while rows.size:
        taken = rows[: next_batch(reference[rows], RECIPE.length, REACH, GPU_TOKENS)]
        batch = PairBatch.of(ref[taken], var[taken], offset[taken], DOWNSTREAM)
        total += count_flops(lambda: embed_downstream_batch(model, [LAYER], batch, DOWNSTREAM, Arithmetic()))  # noqa: B023
        rows = rows[taken.size :]
    return total


def formula_error(original: float, terms: NDArray[np.float64]) -> float:
    """Largest difference between what was counted and `Evo2Flops`, as a share."""
    config = model_config(MODEL)
    full, early = Evo2Flops(config, config["num_layers"]), Evo2Flops(config, blocks_needed(LAYER, config))
    length = RECIPE.length
    by_formula = 2 * (length * (full.token + full.unembedding) + full.mixers(length))
    ours = replace(early, last_projection=False)
    pair = 1.5 * length * ours.token + 2 * ours.mixers(length)
    return max(abs(by_formula / original - 1), abs(pair / (terms @ [1.5 * length, 2, 0]) - 1))


@cache
def real_variants(mirror: Path) -> tuple[pl.DataFrame, NDArray[np.uint8], str]:
    """The labelled variants of chromosome 13 in the mirror's newest ClinVar release, its bases and its name."""

    def quiet(_: str) -> None:
        return

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        release = fetch_release(str(mirror), None, folder, offline=True, progress=quiet)
        parse_records(release.vcf, folder / "records.parquet", progress=quiet)
        variants, _ = build_variants(folder / "records.parquet", "13", policy=FAITHFUL)
        genome = ReferenceGenome(fetch_reference(str(mirror), folder, offline=True, progress=quiet).fasta)
        return variants, genome.sequence("13"), genome.fasta_name("13")


def real_windows(mirror: Path, recipe: WindowRecipe) -> pl.DataFrame:
    """Windows of those variants."""
    return build_variant_windows(*real_variants(mirror), recipe, SplitRule())[0].sort("ref_digest")


def plan_sizes(reference: NDArray[np.int64], suffixes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Tokens, windows and batches that pairs take in the encoder's own plan.

    Args:
        reference: (n,) which reference window each pair has, equal ones side by side.
        suffixes: (n,) tokens from the first difference on.
    """
    sizes = np.zeros(3)
    while len(reference):
        count = next_batch(reference, 1, 1, BATCH)
        refs = np.unique(reference[:count]).size
        sizes += [refs * RECIPE.length + suffixes[:count].sum(), refs + count, 1]
        reference, suffixes = reference[count:], suffixes[count:]
    return sizes


def count_real(mirror: Path, terms: NDArray[np.float64]) -> dict[str, float]:
    """FLOPs per variant of the real windows with and without sharing reference windows, and what explains them."""
    windows = real_windows(mirror, RECIPE)
    ref, var = window_matrix(windows["ref_seq"]), window_matrix(windows["var_seq"])
    suffixes = RECIPE.length - first_difference(ref, var)
    reference = windows["ref_digest"].rank("dense").cast(pl.Int64).to_numpy()
    shared = plan_sizes(reference, suffixes)
    alone = plan_sizes(np.arange(len(windows)), suffixes)
    return {
        "n_variants": len(windows),
        "distinct_references": np.unique(reference).size,
        "references_computed": int(shared[1]) - len(windows),
        "mean_suffix_tokens": float(suffixes.mean()),
        "alone": float(alone @ terms) / len(windows),
        "shared": float(shared @ terms) / len(windows),
    }


def count_grid(mirror: Path) -> dict[str, float]:
    """FLOPs per variant of the real variants in windows on the grid, and what explains them."""
    windows = real_windows(mirror, GRID)
    return {
        "grid": count_downstream(windows) / len(windows),
        "grid_variants": len(windows),
        "grid_windows": windows["ref_digest"].n_unique(),
        "mean_left_context": float(windows["variant_offset"].cast(pl.Float64).to_numpy().mean()),
        "smallest_left_context": int(windows["variant_offset"].to_numpy().min()),
    }


def default_mirror() -> Path:
    """Where the tests look for real data too."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("REAL_DATA", beside)) / "ncbi_mirror"


def main() -> None:
    """Count both procedures and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, default=default_mirror(), help="folder laid out like NCBI's server")
    mirror = parser.parse_args().mirror
    began = time.perf_counter()
    original, terms = count_original(), count_terms()
    middle = np.full(BATCH // 2, RECIPE.length - RECIPE.anchor)
    pair = float(plan_sizes(np.arange(BATCH // 2), middle) @ terms) / (BATCH // 2)
    whole = np.full(BATCH // 2, RECIPE.length)
    early_exit = float(plan_sizes(np.arange(BATCH // 2), whole) @ terms) / (BATCH // 2)
    real = count_real(mirror, terms) | count_grid(mirror) if mirror.is_dir() else {}
    figures = {
        "name": "flops",
        "pair": round(pair / original, 4),
        "pair_dedup": round(real["shared"] / original, 4) if real else None,
        "downstream128_grid": round(real["grid"] / original, 4) if real else None,
        "n_variants": real.get("n_variants"),
        "n_variants_grid": real.get("grid_variants"),
        "grid_windows": real.get("grid_windows"),
        "mean_left_context": round(real["mean_left_context"], 1) if real else None,
        "smallest_left_context": real.get("smallest_left_context"),
        "early_exit_alone": round(early_exit / original, 4),
        "pair_real_windows": round(real["alone"] / original, 4) if real else None,
        "distinct_references": real.get("distinct_references"),
        "references_computed": real.get("references_computed"),
        "mean_suffix_tokens": round(real["mean_suffix_tokens"], 1) if real else None,
        "original_tflop_per_variant": round(original / 1e12, 3),
        "pair_tflop_per_variant": round(pair / 1e12, 3),
        "pair_dedup_tflop_per_variant": round(real["shared"] / 1e12, 3) if real else None,
        "gflop_per_token": round(terms[0] / 1e9, 3),
        "gflop_per_window_in_mixers": round(terms[1] / 1e9, 3),
        "gflop_per_batch": round(terms[2] / 1e9, 3),
        "downstream128_grid_tflop_per_variant": round(real["grid"] / 1e12, 3) if real else None,
        "formula": round(formula_error(original, terms), 5),
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(f"original: {original / 1e12:.2f} TFLOP a variant; a pair of ours: {pair / 1e12:.2f}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
