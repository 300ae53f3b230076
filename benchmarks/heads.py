"""Training a head: the original pipeline's procedure (`heads_original.py`) against ours, in one run.

Run `python benchmarks/heads.py [--folder DIR] [--parts loss loader step]`; the last line is JSON.

- `loss_ratio` (also `ratio`): distances of a batch of unit vectors, their CDD, PCC and CD floor terms, and gradients of
  the vectors, on the CPU. Ours includes laying out the groups. `loss_ratio_of_distances` leaves out what is as dear for
  both, the way from vectors to distances and back.
- `loader_ratio`: all rows once, those of training shuffled, then those of validation, from files to float32 batches on
  the device. The original's lie in a compressed `.npz`, which is read whole for each split, and batches are put
  together row by row; ours lie in the embedding store. `loader_ratio_later` is a further pass, when both have read
  their files. The files are in the page cache.
- `step_ratio_v3_cpu` and, where there is a GPU, `step_ratio_v3_gpu`: a training step of a faithful v3 that was started
  from a v2, with dropout: passes of references and variants, losses, backward, clipping, AdamW. Ours leaves out blocks
  that cannot move, and includes gathering the batch and laying out its groups; the original's gets tensors. Both have
  float32, on a GPU with TF32; `step_gpu_bf16` has our step with bfloat16 products.

Rows fall into groups as they do in the original's batches: 4,096 rows meet some 3,300 of 8,900 groups, and 85 % are
SNVs. All contenders take turns after a warm-up, and medians count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

import heads_original as original

from glm_assets.heads import losses
from glm_assets.heads.data import HeadData
from glm_assets.heads.groups import lay_out_groups
from glm_assets.heads.losses import GroupTensors
from glm_assets.heads.networks import Head
from glm_assets.heads.pair_source import PairSource
from glm_assets.heads.pairs import PairSet, StoredPairs
from glm_assets.heads.recipes import ORIGINAL_RECIPES, HeadRecipe
from glm_assets.heads.sampler import in_order, shuffled
from glm_assets.heads.shapes import ORIGINAL_SHAPES
from glm_assets.heads.task import HeadTask
from glm_assets.heads.warm_start import warm_start
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.training.batches import Share
from glm_assets.training.means import Means
from glm_assets.training.settings import LoopSettings
from glm_assets.training.steps import Steps

PARTS = ("loss", "loader", "step")
CPU = torch.device("cpu")
GROUPS_PER_ROW = 8_900 / 4_096
SNV_SHARE = 0.85
BATCH = 4_096
SHARD_ROWS = 4_096
VAL_SHARE = 0.1
LAST_EPOCH = 150  # of v3: all terms but the distillation


@dataclass(frozen=True)
class Rows:
    """Labels, groups and variant lengths (n,)."""

    label: NDArray[np.int8]
    group: NDArray[np.int64]
    length: NDArray[np.int16]


def draw_rows(count: int, batch: int) -> Rows:
    """Rows of which a batch meets as many groups, and lengths in them, as the original's do."""
    generator = np.random.default_rng(0)
    indel = np.minimum(generator.geometric(0.25, count), 50)
    return Rows(
        label=generator.integers(0, 2, count).astype(np.int8),
        group=generator.integers(0, round(GROUPS_PER_ROW * batch), count),
        length=np.where(generator.random(count) < SNV_SHARE, 1, indel).astype(np.int16),
    )


def draw_vectors(count: int, dimension: int) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """References and differences (count, dimension)."""
    generator = np.random.default_rng(count)
    ref = generator.standard_normal((count, dimension), np.float32)
    return ref.astype(np.float16), (ref[::-1] * np.float32(0.05)).astype(np.float16)


def take_turns(
    contenders: Mapping[str, Callable[[], object]], repeats: int, device: torch.device
) -> dict[str, float]:
    """Median milliseconds of each after a warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats + 1):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: round(1000 * statistics.median(times), 2) for name, times in seconds.items()}


def ratio(ms: Mapping[str, float]) -> float:
    """How many times as long the original takes."""
    return round(ms["original"] / ms["ours"], 2)


def measure_loss(batch: int, width: int, repeats: int) -> dict[str, Any]:
    """The losses and their gradients."""
    rows = draw_rows(batch, batch)
    generator = torch.Generator().manual_seed(0)
    ref = torch.nn.functional.normalize(torch.randn(batch, width, generator=generator), dim=-1).requires_grad_()
    move = 0.5 * torch.randn(batch, width, generator=generator) * batch**-0.5
    var = torch.nn.functional.normalize(ref.detach() + move, dim=-1).requires_grad_()
    label, group, length = (torch.from_numpy(part) for part in (rows.label, rows.group, rows.length))

    d = losses.cosine_distance(ref, var).detach().requires_grad_()

    def theirs() -> Tensor:
        return original.losses(original.cosine_distance(ref, var), label, group, length.float())

    def theirs_of_distances() -> Tensor:
        return original.losses(d, label, group, length.float())

    def ours(distance: Tensor | None = None) -> Tensor:
        groups = GroupTensors.of(lay_out_groups(rows.group, rows.length), CPU)
        distance = losses.cosine_distance(ref, var) if distance is None else distance
        terms = (losses.cdd_loss(distance, label.float()), losses.pcc_loss(distance, groups))
        return sum(terms, losses.cd_floor_loss(distance))

    def backward(loss: Callable[[], Tensor]) -> None:
        ref.grad = var.grad = d.grad = None
        loss().backward()

    found, expected = ours().item(), theirs().item()
    if abs(found - expected) > 1e-4 * abs(expected):  # the original's distances lose digits where it subtracts
        raise AssertionError(f"our loss is {found}, the original's {expected}")
    ms = take_turns({"original": partial(backward, theirs), "ours": partial(backward, ours)}, repeats, CPU)
    terms = take_turns(
        {"original": partial(backward, theirs_of_distances), "ours": partial(backward, partial(ours, d))},
        repeats,
        CPU,
    )
    members = np.unique(rows.group, return_counts=True)[1]
    return {
        "ratio": ratio(ms),
        "loss_ratio": ratio(ms),
        "loss_ms": ms,
        "loss_ratio_of_distances": ratio(terms),
        "loss_of_distances_ms": terms,
        "loss_batch": batch,
        "loss_groups": len(members),
        "loss_groups_of_two": int((members >= 2).sum()),
        "loss_values": {"original": expected, "ours": found},
    }


def measure_loader(count: int, batch: int, dimension: int, device: torch.device, folder: Path) -> dict[str, Any]:
    """From files to batches."""
    rows = draw_rows(count, batch)
    keys = pl.Series([hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)])
    ref, delta = draw_vectors(count, dimension)
    split = (np.random.default_rng(1).random(count) < VAL_SHARE).astype(np.int8)
    archive, store = folder / "embeddings.npz", folder / "store"
    np.savez_compressed(
        archive,
        ref_emb=ref,
        var_emb=ref + delta,
        label=rows.label,
        group=rows.group,
        var_len=rows.length,
        split=split,
    )
    for start in range(0, count, SHARD_ROWS):
        part = slice(start, start + SHARD_ROWS)
        EmbeddingStore(store, "float16").append(keys[part], ref[part], delta[part])
    del ref, delta

    def our_splits() -> list[PairSource]:
        opened = EmbeddingStore(store, "float16")
        return [PairSource(pairs, device) for pairs in (stored(opened, 0), stored(opened, 1))]

    def stored(opened: EmbeddingStore, part: int) -> StoredPairs:
        at = np.flatnonzero(split == part)
        vectors, known = opened.open_pairs(keys[at]), (rows.label[at], rows.length[at], rows.group[at])
        return StoredPairs(vectors, keys[at], np.dtype(np.float16), *known)

    def ours(splits: list[PairSource] | None = None) -> int:
        train, val = splits or our_splits()
        taken = chain(train.stream(shuffled(len(train.pairs), batch)), val.stream(in_order(len(val.pairs), batch)))
        return sum(len(part.ref) for part in taken)

    def their_splits() -> list[original.Archive]:
        return [original.Archive(archive, part) for part in (0, 1)]

    def theirs(splits: list[original.Archive] | None = None) -> int:
        train, val = splits or their_splits()
        taken = chain(
            original.batches(train, batch, device, shuffle=True),
            original.batches(val, batch, device, shuffle=False),
        )
        return sum(len(ref) for ref, *_ in taken)

    if not ours() == theirs() == count:
        raise AssertionError("some rows were not in the batches")
    ms = take_turns({"original": theirs, "ours": ours}, 3, device)
    opened, loaded = our_splits(), their_splits()
    later = take_turns({"original": partial(theirs, loaded), "ours": partial(ours, opened)}, 3, device)
    return {
        "loader_ratio": ratio(ms),
        "loader_ms": ms,
        "loader_ratio_later": ratio(later),
        "loader_later_ms": later,
        "loader_rows": count,
        "loader_place": opened[0].place,
    }


def measure_step(recipe: HeadRecipe, device: torch.device, repeats: int) -> dict[str, Any]:
    """A step of v3."""
    rows = draw_rows(recipe.batch_size, recipe.batch_size)
    ref, delta = draw_vectors(recipe.batch_size, recipe.shape.in_dim)
    pairs = PairSet(ref, delta, rows.label, rows.length, rows.group)
    plain = warm_head(recipe).to(device).train()
    task = HeadTask(deepcopy(plain), None, recipe, HeadData(pairs, pairs), device)
    task.model.train()
    settings = LoopSettings(
        recipe.epochs,
        recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        mixed_precision=recipe.mixed_precision,
    )
    steps, means = Steps(task, settings), Means()
    plain_optimizer = torch.optim.AdamW(
        plain.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    known = (rows.label, rows.group, rows.length.astype(np.float32))
    tensors = [torch.from_numpy(part).to(device) for part in known]
    vectors = [torch.from_numpy(part).float().to(device) for part in (ref, ref + delta)]

    def theirs() -> None:
        original.step(plain, plain_optimizer, (*vectors, *tensors))

    def ours() -> None:
        (batch,) = task.train_pairs.batches(shuffled(len(pairs), len(pairs)))
        steps.take([Share(batch)], LAST_EPOCH, recipe.learning_rate, means)

    torch.set_float32_matmul_precision("high" if device.type == "cuda" else "highest")
    ms = take_turns({"original": theirs, "ours": ours}, repeats, device)
    return {
        "ratio": ratio(ms),
        "ms": ms,
        "batch": recipe.batch_size,
        "parameters": sum(parameter.numel() for parameter in plain.parameters()),
        "skipped_share": round(task.dormant.parameter_share, 3),
    }


def warm_head(recipe: HeadRecipe) -> Head:
    """A fresh v3 with what it takes from a v2 whose live blocks have been trained."""
    torch.manual_seed(0)
    widths = {name: getattr(recipe.shape, name) for name in ("in_dim", "hidden", "out_dim")}
    teacher = Head(replace(ORIGINAL_SHAPES["v2"], **widths)).state_dict()
    for key, tensor in teacher.items():
        live = "proj" in key or (
            key.startswith("head.low.") and int(key.split(".")[2]) < ORIGINAL_SHAPES["v1"].low
        )
        if live and ".linear.weight" in key:
            tensor.normal_(std=tensor.shape[1] ** -0.5)
    student = Head(recipe.shape, recipe.dropout)
    warm_start(student, teacher)
    return student


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--widths", nargs=3, type=int, default=(4096, 3072, 2048), metavar=("IN", "HIDDEN", "OUT"))
    parser.add_argument("--batch", type=int, default=BATCH, help="rows of a batch")
    parser.add_argument("--cpu-batch", type=int, default=512, help="rows of a batch of a step on the CPU")
    parser.add_argument("--rows", type=int, default=50_000, help="rows that are loaded")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="work in a temporary folder below this one")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    recipe = ORIGINAL_RECIPES["v3"].scaled(in_dim=options.widths[0], widths=options.widths[1:])
    figures: dict[str, Any] = {
        "name": "heads",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }
    if "loss" in options.parts:
        figures |= measure_loss(options.batch, options.widths[2], options.repeats)
    if "loader" in options.parts:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            figures |= measure_loader(options.rows, options.batch, options.widths[0], device, Path(folder))
    if "step" in options.parts:
        for name, place, size in (("cpu", CPU, options.cpu_batch), ("gpu", device, options.batch)):
            if name == device.type.replace("cuda", "gpu") or name == "cpu":
                step = measure_step(recipe.scaled(batch_size=size), place, min(3, options.repeats))
                figures |= {f"step_ratio_v3_{name}": step.pop("ratio"), f"step_{name}": step}
                if place.type == "cuda":
                    mixed = recipe.scaled(batch_size=size, mixed_precision=True)
                    figures["step_gpu_bf16"] = measure_step(mixed, place, min(3, options.repeats))
            else:
                figures[f"step_ratio_v3_{name}"] = None
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
