"""Embedding variants: the original pipeline's procedure against ours, on the same windows and model in one run.

Run `python benchmarks/embedding.py [--mirror FOLDER] [--device cuda:0]`; the last line is JSON. The windows are those
of consecutive labelled variants of BRCA2 (chromosome 13) in ClinVar. The original (GitHub
Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-) runs all 32 blocks and the unembedding, references and variants apart, in
batches of 32, and pools in bfloat16. Ours leaves after the hooked block, computes what a variant shares with its
reference once (`ratio_pair`, every pair with a reference of its own), and each distinct reference once (`ratio`). Both
take turns, and medians count.

On a CPU the model has the layer plan of Evo2 7B at hidden size 512 in float32; on a GPU it is Evo2 7B's shapes in
bfloat16 with random weights, with SDPA where flash-attn is absent. Random weights make speed and rounding comparable,
not vectors meaningful.

`errors` holds for each pooling and arithmetic the error of the variants' differences against vtx's forward in float64,
as a share of their norm. `original` are two independent forwards in bfloat16, pooled and stored as the original does
(`mean` only) or pooled in float32 (`two_forwards`). `enough` is the fastest arithmetic here whose error is at most a
tenth of the original's (mean pooling).

A GPU gets three more parts: `batches` (`--batch-variants`, ours by `encoder.batch_tokens`, with the peak of its
memory), `grid` (the same for `downstream:128` on a grid of windows), and `forwards` of vtx: plain, with its kernels,
and, where `--compile` asks for it, with torch.compile. A machine without the real windows reads them from a file:
`--save-windows FILE` where they are, `--windows FILE` there.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode

sys.path.insert(0, str(Path(__file__).parent))

from flops import DOWNSTREAM, GRID, LAYER, MEAN, MODEL, RECIPE, default_mirror, real_windows

from glm_assets.encoders.evo2.blocks import Arithmetic
from glm_assets.encoders.evo2.config import blocks_needed, evo2_spec, model_config
from glm_assets.encoders.evo2.cpu import has_flash_attention
from glm_assets.encoders.evo2.downstream import embed_downstream_batch
from glm_assets.encoders.evo2.flops import Evo2Flops
from glm_assets.encoders.evo2.model import build_model
from glm_assets.encoders.evo2.pairs import embed_pair_batch
from glm_assets.encoders.evo2.plan import PairBatch, next_batch
from glm_assets.encoders.evo2.tally import FlopTally
from glm_assets.encoders.pooling import Pooling
from glm_assets.encoders.reduction import fixed_directions, pool_outputs
from glm_assets.encoders.shards import window_matrix
from glm_assets.genome.windows import WindowRecipe

Pairs = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]

BATCH = 32
SMALL = {
    "hidden_size": 512,
    "num_filters": 512,
    "hcl_filter_groups": 512,
    "hcm_filter_groups": 32,
    "hcs_filter_groups": 32,
    "num_attention_heads": 4,
    "inner_mlp_size": 1408,
    "max_seqlen": 8192,
}
POOLINGS = ("mean", "downstream", "downstream:128", "centre:64", "covariance:64")
# By price on a GPU: the type of the weights, and how activations meet them. A CPU has no products of bfloat16 with
# results in float32, so that there `bfloat16x2` is as exact but costs what float32 does.
ARITHMETIC = {
    "bfloat16": (torch.bfloat16, Arithmetic()),
    "float32_residual": (torch.bfloat16, Arithmetic(wide_stream=True)),
    "bfloat16x2": (torch.bfloat16, Arithmetic(wide_stream=True, split=True)),
    "float32": (torch.float32, Arithmetic()),
}
BATCH_TOKENS = (8_192, 16_384, 32_768, 65_536, 131_072)
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}  # dense bfloat16, from NVIDIA's data sheets


class Widened(TorchFunctionMode):
    """Turns every cast to float32 into one to float64: vtx makes some whatever the type of its weights."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run one function of torch."""
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.float:
            return args[0].double()
        if func is torch.Tensor.to:
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
            if kwargs.get("dtype") is torch.float32:
                kwargs["dtype"] = torch.float64
        return func(*args, **kwargs)


def make_model(device: str, layers: int, dtype: torch.dtype) -> Any:
    """The benchmark's model with its first `layers` blocks, the same weights at every depth and type.

    Args:
        device: Where it computes; a GPU gets Evo2 7B's own shapes.
        layers: Blocks.
        dtype: Of the weights; in bfloat16 poles and residues stay in float32.
    """
    config = model_config(MODEL) | (SMALL if device == "cpu" else {})
    config |= {"num_layers": layers, "use_fp8_input_projections": False}
    config["use_flash_attn"] = device != "cpu" and has_flash_attention()
    model = build_model(config, device).to(device)
    model.to_bfloat16_except_pr_lc(to_float32=True)  # so that every type has weights that bfloat16 can hold
    _draw(model, device)
    if dtype != torch.bfloat16:
        rotary = [block.inner_mha_cls.rotary_emb for block in model.blocks if hasattr(block, "inner_mha_cls")]
        frequencies = [module.inv_freq.clone() for module in rotary]
        model.to(dtype)
        for module, frequency in zip(rotary, frequencies, strict=True):
            module.inv_freq = frequency  # vtx makes others from any type but float32
    model.block_idx_to_device = dict.fromkeys(range(layers), device)
    return model


@torch.no_grad()
def _draw(model: Any, device: str) -> None:
    """Weights from a generator of each one's own, scaled so that activations stay near one."""
    for name, parameter in model.named_parameters():
        generator = torch.Generator(device).manual_seed(zlib.crc32(name.encode()))
        drawn = torch.randn(parameter.shape, generator=generator, device=device)
        if name.endswith("log_poles"):
            drawn = -(0.5 * drawn.abs().clamp(max=1) + 1e-3)  # positive ones would overflow
        elif name.endswith(".scale"):
            drawn = torch.ones_like(drawn)
        elif name.endswith((".residues", ".bias")):
            drawn = 0.1 * drawn
        elif not name.endswith(("embedding_layer.weight", "word_embeddings.weight", ".D")):
            drawn = drawn / math.sqrt(parameter.shape[-1])
        parameter.copy_(drawn)


@contextmanager
def hooked(model: Any) -> Iterator[dict[str, torch.Tensor]]:
    """Keeps the hooked layer's last output."""
    kept: dict[str, torch.Tensor] = {}
    handle = model.get_submodule(LAYER).register_forward_hook(lambda _, __, output: kept.update(output=output))
    try:
        yield kept
    finally:
        handle.remove()


def embed_original(model: Any, pairs: Pairs, device: str) -> NDArray[np.float32]:
    """The original's differences (n, d): whole forwards of references, then variants, pooled in bfloat16, float16."""
    vectors = []
    with torch.inference_mode(), hooked(model) as kept:
        for windows in pairs[:2]:
            batches = []
            for start in range(0, len(windows), BATCH):
                model(torch.from_numpy(windows[start : start + BATCH].astype(np.int64)).to(device))
                batches.append(pool_outputs(Pooling("mean_bf16"), kept["output"]).half().cpu())
            vectors.append(torch.cat(batches).float().numpy())
    return vectors[1] - vectors[0]


def embed_ours(
    model: Any, pairs: Pairs, pooling: Pooling, arithmetic: Arithmetic, budget: int = BATCH * RECIPE.length
) -> NDArray[np.float32]:
    """Our differences (n, dimension), in the encoder's own batches; equal references must be side by side."""
    embed = embed_downstream_batch if _takes_few(pooling) else embed_pair_batch
    deltas = []
    with torch.inference_mode():
        for batch in plan(pairs, pooling, budget):
            (found,) = embed(model, [LAYER], batch, pooling, arithmetic)
            deltas.append(found[1].cpu().numpy())
    return np.concatenate(deltas)


def plan(pairs: Pairs, pooling: Pooling, budget: int) -> Iterator[PairBatch]:
    """The encoder's own batches."""
    ref, var, offset = pairs
    reference = np.cumsum(np.append(True, (ref[1:] != ref[:-1]).any(axis=1)))
    own = pooling.width if _takes_few(pooling) and pooling.width else ref.shape[1]
    rows = np.arange(len(ref))
    while rows.size:
        taken = rows[: next_batch(reference[rows], ref.shape[1], own, budget)]
        yield PairBatch.of(ref[taken], var[taken], offset[taken], pooling)
        rows = rows[taken.size :]


def _takes_few(pooling: Pooling) -> bool:
    return pooling.kind == "downstream" and pooling.width is not None


def outputs(model: Any, windows: NDArray[np.uint8], device: str) -> torch.Tensor:
    """The hooked layer's outputs (n, L, d) of vtx's own forward, window by window."""
    found = []
    with torch.inference_mode(), hooked(model) as kept:
        for window in windows:
            tokens = torch.from_numpy(window[None].astype(np.int64)).to(device)
            model.stateless_forward(model.embedding_layer(tokens))
            found.append(kept["output"])
    return torch.cat(found)


def pooled_differences(
    ref: torch.Tensor, var: torch.Tensor, offset: NDArray[np.int64], pooling: Pooling
) -> NDArray[np.float64]:
    """A pooling of the differences of outputs (n, L, d), by its definition in float64."""
    vectors = []
    first, end = pooling.span(offset, ref.shape[1])
    for row, (begin, stop) in enumerate(zip(first.tolist(), end.tolist(), strict=True)):
        change = (var[row, begin:stop].double() - ref[row, begin:stop].double()).cpu().numpy()
        if pooling.kind == "covariance":
            x = change @ fixed_directions(change.shape[1], pooling.width or 0).T.astype(np.float64)
            moments = x.T @ x / len(x)
            upper = np.triu_indices(len(moments))
            vectors.append(moments[upper] * np.where(upper[0] == upper[1], 1.0, math.sqrt(2)))
        else:
            vectors.append(change.mean(axis=0))
    return np.stack(vectors)


def measure_errors(pairs: Pairs, device: str, names: Sequence[str]) -> dict[str, Any]:
    """Errors of differences by pooling and arithmetic, and of the prefix that reference and variant share."""
    ref, var, offset = pairs
    blocks = blocks_needed(LAYER, model_config(MODEL))
    with Widened():
        exact = make_model(device, blocks, torch.float64)
        truth_ref, truth_var = outputs(exact, ref, device), outputs(exact, var, device)
    poolings = [Pooling.parse(name) for name in names]
    truth = {pooling.name: pooled_differences(truth_ref, truth_var, offset, pooling) for pooling in poolings}
    del exact
    coarse = make_model(device, blocks, torch.bfloat16)
    apart_ref, apart_var = (outputs(coarse, windows, device) for windows in (ref, var))
    prefix = max(
        float((apart_var[row, :at] - apart_ref[row, :at]).abs().max()) for row, at in enumerate(offset.tolist())
    )
    original = embed_original_of(apart_ref, apart_var)
    errors: dict[str, dict[str, float]] = {
        pooling.name: {
            "two_forwards": share(pooled_differences(apart_ref, apart_var, offset, pooling), truth[pooling.name])
        }
        for pooling in poolings
    }
    errors["mean"]["original"] = share(original, truth["mean"])
    fine = make_model(device, blocks, torch.float32)
    for name, (dtype, arithmetic) in ARITHMETIC.items():
        model = coarse if dtype == torch.bfloat16 and (device != "cpu" or not arithmetic.split) else fine
        for pooling in poolings:
            errors[pooling.name][name] = share(embed_ours(model, pairs, pooling, arithmetic), truth[pooling.name])
    return {
        "prefix_original": prefix,
        "prefix_ours": prefix_of_ours(coarse, pairs),
        "errors": {
            pooling: {name: float(f"{value:.3g}") for name, value in row.items()}
            for pooling, row in errors.items()
        },
    }


def embed_original_of(ref: torch.Tensor, var: torch.Tensor) -> NDArray[np.float32]:
    """Differences of outputs as the original pools and stores them."""
    of_ref, of_var = (pool_outputs(Pooling("mean_bf16"), part).half().float().cpu().numpy() for part in (ref, var))
    return of_var - of_ref


def prefix_of_ours(model: Any, pairs: Pairs) -> float:
    """What our forward says a variant changes before itself, pooled over those positions."""
    ref, var, offset = pairs
    batch = PairBatch.of(ref, var, offset, Pooling("mean"))
    batch = replace(batch, span=(np.zeros_like(batch.first), batch.first))
    with torch.inference_mode():
        ((_, delta),) = embed_pair_batch(model, [LAYER], batch, Pooling("downstream"), Arithmetic())
    return float(delta.abs().max())


def share(found: NDArray[Any], truth: NDArray[np.float64]) -> float:
    """Median over variants of the error's norm, as a share of the truth's."""
    return float(np.median(np.linalg.norm(found - truth, axis=1) / np.linalg.norm(truth, axis=1)))


def seconds_of(action: Callable[[], object], device: str) -> float:
    """Wall time of one run."""
    if device != "cpu":
        torch.cuda.synchronize()
    began = time.perf_counter()
    action()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def measure_speed(pairs: Pairs, device: str, repeats: int) -> dict[str, float]:
    """Seconds of the original's procedure and ours, in turns of one batch of the original's each."""
    config = model_config(MODEL)
    blocks = blocks_needed(LAYER, config)
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    full, ours = make_model(device, config["num_layers"], dtype), make_model(device, blocks, dtype)
    mean, plain = Pooling("mean"), Arithmetic()
    ways: dict[str, Callable[[Pairs], object]] = {
        "original": lambda part: embed_original(full, part, device),
        "pair": lambda part: [_alone(ours, half, mean) for half in _pieces(part, BATCH // 2)],
        "dedup": lambda part: embed_ours(ours, part, mean, plain),
        "downstream128": lambda part: embed_ours(ours, part, Pooling("downstream", 128), plain),
    }
    if device != "cpu":
        for name in ("float32_residual", "bfloat16x2"):
            ways[name] = partial(_with_arithmetic, ours, mean, ARITHMETIC[name][1])
        for way in ways.values():  # a GPU's first run compiles and allocates
            way(pairs)
    seconds = {name: [0.0] * repeats for name in ways}
    for turn in range(repeats):
        for part in _pieces(pairs, BATCH):
            for name, way in ways.items():
                seconds[name][turn] += seconds_of(partial(way, part), device)
    return {name: statistics.median(found) for name, found in seconds.items()}


def _pieces(pairs: Pairs, count: int) -> list[Pairs]:
    """Consecutive pairs, so many at a time."""
    ref, var, offset = pairs
    cuts = range(0, len(ref), count)
    return [(ref[at : at + count], var[at : at + count], offset[at : at + count]) for at in cuts]


def _with_arithmetic(model: Any, pooling: Pooling, arithmetic: Arithmetic, pairs: Pairs) -> None:
    embed_ours(model, pairs, pooling, arithmetic)


def _alone(model: Any, pairs: Any, pooling: Pooling) -> None:
    """One batch of pairs, each with a reference of its own even where references are equal."""
    ref, var, offset = pairs
    batch = PairBatch.of(ref, var, offset, pooling)
    batch = replace(batch, ref=ref, reference=np.arange(len(ref)))
    with torch.inference_mode():
        embed_pair_batch(model, [LAYER], batch, pooling, Arithmetic())[0][1].cpu()


def price_of_arithmetic(pairs: Pairs, device: str) -> dict[str, float]:
    """Windows per second of each arithmetic on this device, mean pooling with deduplication."""
    blocks = blocks_needed(LAYER, model_config(MODEL))
    rates = {}
    for name, (dtype, arithmetic) in ARITHMETIC.items():
        wide = device == "cpu" and arithmetic.split
        model = make_model(device, blocks, torch.float32 if wide else dtype)
        run = partial(embed_ours, model, pairs, Pooling("mean"), arithmetic)
        took = min(seconds_of(run, device) for _ in range(2))
        rates[name] = round(2 * len(pairs[0]) / took, 2)
    return rates


def batch_figures(model: Any, pairs: Pairs, pooling: Pooling, device: str) -> dict[str, Any]:
    """Ours by the tokens of a batch, in bfloat16: speed, share of the GPU's peak, and memory."""
    tally = FlopTally(
        evo2_spec(MODEL, revision="", layer=LAYER, pooling=pooling.name, device=device), model_config(MODEL)
    )
    found: dict[str, Any] = {"n_variants": len(pairs[0]), "distinct_references": count_references(pairs)}
    for budget in BATCH_TOKENS:
        tokens, flops = zip(*map(tally.pairs, plan(pairs, pooling, budget)), strict=True)
        computed = sum(one.computed for one in flops)
        run = partial(embed_ours, model, pairs, pooling, Arithmetic(), budget)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        found[str(budget)] = _rate(run, sum(tokens), computed, device) | {
            "pairs_per_second": None,
            "peak_memory_gb": round(torch.cuda.max_memory_allocated(device) / 1e9, 1),
        }
        if took := found[str(budget)].get("seconds"):
            found[str(budget)]["pairs_per_second"] = round(len(pairs[0]) / took, 2)
    return found


def forward_figures(model: Any, pairs: Pairs, device: str, *, compiled: bool) -> dict[str, Any]:
    """Whole forwards of vtx by windows in a batch: plain, with vtx's kernels, with torch.compile."""
    flops = Evo2Flops(model_config(MODEL), blocks_needed(LAYER, model_config(MODEL)))
    found: dict[str, Any] = {}
    for windows in (1, 8, 32, 64):
        tokens = np.resize(pairs[0], (windows, RECIPE.length)).astype(np.int64)
        ids = torch.from_numpy(tokens).to(device)
        done = windows * (RECIPE.length * flops.token + flops.mixers(RECIPE.length))
        for label in ("plain", "kernels", *(("compiled",) if compiled else ())):
            _use_kernels(model, on=label == "kernels")
            run = torch.compile(model.stateless_forward) if label == "compiled" else model.stateless_forward
            found[f"{label}_batch{windows}"] = _rate(partial(_forward, model, run, ids), ids.numel(), done, device)
    _use_kernels(model, on=False)
    return found


@torch.inference_mode()
def _forward(model: Any, run: Callable[[torch.Tensor], object], ids: torch.Tensor) -> None:
    run(model.embedding_layer(ids))


def _rate(run: Callable[[], object], tokens: int, flops: float, device: str) -> dict[str, Any]:
    """What a computation reaches, or why it does not run."""
    try:
        first = seconds_of(run, device)
        took = min(seconds_of(run, device) for _ in range(3 if first < 2 else 1))
    except Exception as error:  # noqa: BLE001 - kernels and compilers fail in ways of their own
        return {"error": f"{type(error).__name__}: {str(error)[:120]}"}
    tflops = flops / took / 1e12
    name = torch.cuda.get_device_name(device) if device != "cpu" else device
    peak = next((value for known, value in PEAK_TFLOPS.items() if known in name), None)
    return {
        "seconds": round(took, 3),
        "tokens_per_second": round(tokens / took),
        "tflops": round(tflops, 1),
        "share_of_peak": round(tflops / peak, 3) if peak else None,
    }


def _use_kernels(model: Any, *, on: bool = True) -> None:
    """Switch vtx's fused Triton kernels of the Hyena mixers."""
    for block in model.blocks:
        if hasattr(block, "filter"):
            engine = block.filter.engine
            engine.use_hcs_kernel = engine.use_hcm_kernel = engine.use_hcl_kernel = on


def take_pairs(mirror: Path, recipe: WindowRecipe, first: int, count: int) -> Pairs:
    """Consecutive labelled variants by position, ordered so that equal references are side by side."""
    windows = (
        real_windows(mirror, recipe).sort("pos")[first : first + count].sort("window_start", maintain_order=True)
    )
    return (
        window_matrix(windows["ref_seq"]),
        window_matrix(windows["var_seq"]),
        windows["variant_offset"].to_numpy().astype(np.int64),
    )


def count_references(pairs: Pairs) -> int:
    """Distinct reference windows."""
    return len(np.unique(pairs[0], axis=0))


def save_pairs(file: Path, sets: dict[str, Pairs]) -> None:
    """Keep pairs for a machine without the data they come from."""
    arrays = {f"{name}_{part}": array for name, pairs in sets.items() for part, array in enumerate(pairs)}
    np.savez_compressed(file, allow_pickle=False, **arrays)


def read_pairs(file: Path, name: str, count: int) -> Pairs:
    """The first of the pairs that were kept under a name."""
    with np.load(file) as arrays:
        ref, var, offset = (arrays[f"{name}_{part}"][:count] for part in range(3))
    return ref, var, offset


def main() -> None:
    """Measure speed and errors and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mirror", type=Path, default=default_mirror(), help="folder laid out like NCBI's server")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--variants", type=int, default=64)
    parser.add_argument("--first", type=int, default=5000, help="the first of the consecutive variants")
    parser.add_argument("--error-variants", type=int, default=6, help="0 to leave the errors out")
    parser.add_argument(
        "--poolings", nargs="+", default=POOLINGS, help="whose errors are measured, `mean` among them"
    )
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--batch-variants", type=int, default=256, help="for `batches` and `grid`, on a GPU")
    parser.add_argument("--compile", action="store_true", help="time torch.compile too, on a GPU: minutes")
    parser.add_argument("--windows", type=Path, help="read the windows from a file that --save-windows wrote")
    parser.add_argument("--save-windows", type=Path, help="write windows to a file, measure nothing")
    options = parser.parse_args()
    if options.save_windows:
        count = max(options.variants, options.batch_variants)
        recipes = {"centred": RECIPE, "grid": GRID}
        sets = {name: take_pairs(options.mirror, recipe, options.first, count) for name, recipe in recipes.items()}
        save_pairs(options.save_windows, sets)
    else:
        print(json.dumps(measure(options)))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures that are asked for."""
    torch.set_num_threads(options.threads)
    began = time.perf_counter()

    def pairs_of(name: str, recipe: WindowRecipe, count: int) -> Pairs:
        if options.windows:
            return read_pairs(options.windows, name, count)
        return take_pairs(options.mirror, recipe, options.first, count)

    pairs = pairs_of("centred", RECIPE, options.variants)
    seconds = measure_speed(pairs, options.device, options.repeats)
    figures = {
        "name": "embedding",
        "ratio_pair": round(seconds["original"] / seconds["pair"], 2),
        "ratio": round(seconds["original"] / seconds["dedup"], 2),
        "ratio_downstream128": round(seconds["original"] / seconds["downstream128"], 2),
        "device": options.device if options.device == "cpu" else torch.cuda.get_device_name(options.device),
        "n_variants": options.variants,
        "distinct_references": count_references(pairs),
        "seconds": {name: round(took, 2) for name, took in seconds.items()},
        "original_windows_per_second": round(2 * options.variants / seconds["original"], 2),
    }
    if options.error_variants:
        few = _pieces(pairs, options.error_variants)[0]
        figures |= measure_errors(few, options.device, options.poolings)
        rates = price_of_arithmetic(few, options.device)
        errors = figures["errors"]["mean"]
        good = [name for name in ARITHMETIC if errors[name] <= errors["original"] / 10]
        figures |= {"windows_per_second": rates, "enough": max(good, key=rates.__getitem__, default=None)}
    if options.device != "cpu":
        model = make_model(options.device, blocks_needed(LAYER, model_config(MODEL)), torch.bfloat16)
        figures |= {"torch": torch.__version__, "flash_attn": has_flash_attention()}
        for name, recipe, pooling in (("batches", RECIPE, MEAN), ("grid", GRID, DOWNSTREAM)):
            many = pairs_of("centred" if recipe is RECIPE else "grid", recipe, options.batch_variants)
            figures[name] = batch_figures(model, many, pooling, options.device)
        figures["forwards"] = forward_figures(model, pairs, options.device, compiled=options.compile)
    figures["total_seconds"] = round(time.perf_counter() - began)
    return figures


if __name__ == "__main__":
    main()
