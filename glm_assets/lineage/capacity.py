"""How long embedding takes, and how much disk: plain arithmetic over measured speeds, for plans and for the docs.

The time of a GPU goes into the model's products: a shard of 4,096 variants takes minutes to compute and less than a
second to write. So hours follow from floating-point operations and the rate that a card was seen to keep up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.evo2.plan import PairBatch
from glm_assets.encoders.evo2.tally import FlopTally
from glm_assets.encoders.pooling import Pooling
from glm_assets.errors import EncoderError

LOAD_SECONDS = 120.0
"""Seconds until a worker computes: Python, torch, and 14 GB of weights from a disk of 200 MB/s and more."""

WRITE_BYTES_PER_SECOND = 100e6
"""What an embedding store takes in on a plain disk (`benchmarks/store.py` saw more on two busy cores)."""

INDEX_BYTES = 36
"""What a variant takes in the store besides its numbers (`docs/embedding_store.md`)."""


@dataclass(frozen=True)
class Throughput:
    """What a card keeps up over an embedding run.

    Attributes:
        name: For people.
        tflops: Floating-point operations a second of the model as `Evo2Flops` counts them, in 10^12.
        source: Where the number comes from.
    """

    name: str
    tflops: float
    source: str


_MEASURED = (
    "benchmarks/embedding.py on one card: Evo2 7B to blocks.25, bfloat16, SDPA, 1,024 bases, 32,768 a batch"
)

CARDS: dict[str, Throughput] = {
    "h100": Throughput("NVIDIA H100 80GB HBM3", 300.0, f"{_MEASURED}; 303 for mean, 297 for downstream:128"),
    "h200": Throughput("NVIDIA H200", 310.0, f"{_MEASURED}; 320 for mean, 307 for downstream:128"),
}


@dataclass(frozen=True)
class PairCost:
    """Floating-point operations of pairs of windows, both strands where both are embedded.

    Attributes:
        reference: Of one reference window.
        variant: Of each variant of it besides.
        strands: How many strands that are.
    """

    reference: float
    variant: float
    strands: int = 1

    def total(self, pairs: int, distinct_references: int) -> float:
        """Of so many pairs with so many distinct reference windows among them."""
        return pairs * self.variant + distinct_references * self.reference


@dataclass(frozen=True)
class Estimate:
    """What embedding takes.

    Attributes:
        windows: Windows that go through the model, reference and variant windows alike.
        tflop: 10^12 floating-point operations.
        hours: From the start to the last vector.
        gpu_hours: Hours of all cards together; one that waits for the last shard counts.
        disk_bytes: What the vectors take in the store.
    """

    windows: int
    tflop: float
    hours: float
    gpu_hours: float
    disk_bytes: int

    def price(self, per_hour: float) -> float:
        """What that costs where a card costs so much an hour."""
        return self.gpu_hours * per_hour


def pair_cost(spec: EncoderSpec, config: Mapping[str, Any], length: int, offset: int) -> PairCost:
    """What a pair costs an Evo2 encoder, by its own count.

    Args:
        spec: The encoder's.
        config: `model_config` of its name.
        length: Bases of a window.
        offset: 0-based index of the first base that differs; the mean one of many pairs serves too.

    Raises:
        EncoderError: The offset lies outside the window.
    """
    if not 0 <= offset < length:
        raise EncoderError(
            f"offset {offset} lies outside a window of {length} bases", expected=f"0 to {length - 1}"
        )
    tally, pooling = FlopTally(spec, config), Pooling.parse(spec.pooling)

    def of(variants: int) -> float:
        ref = np.zeros((variants, length), np.uint8)
        var = ref.copy()
        var[:, offset] = 1
        return tally.pairs(PairBatch.of(ref, var, np.full(variants, offset), pooling))[1].computed

    strands = 2 if spec.reverse_complement else 1
    one, two = of(1), of(2)
    return PairCost(strands * (2 * one - two), strands * (two - one), strands)


def embedding_estimate(
    cost: PairCost,
    *,
    pairs: int,
    distinct_references: int,
    vector_bytes: int,
    card: Throughput,
    shard_rows: int,
    gpus: int = 1,
    load_seconds: float = LOAD_SECONDS,
) -> Estimate:
    """How long pairs take that no store has yet.

    Every card takes the next shard when it has finished one, and all wait for the last: with S shards on G cards of
    one speed that is the time of S / G shards, rounded up, after the weights are read. Cards beyond the number of
    shards are not used.

    Args:
        cost: Of a pair, from `pair_cost`.
        pairs: Variants to embed.
        distinct_references: Different reference windows among their pairs.
        vector_bytes: Of a variant's two vectors: 2 x dimension x bytes of a number.
        card: What the cards keep up.
        shard_rows: Variants of a shard, `encoder.shard_rows` of the profile.
        gpus: Cards of that kind.
        load_seconds: Until a worker computes.

    Raises:
        EncoderError: A number is not positive, or there are more references than pairs.
    """
    if min(shard_rows, gpus) < 1 or card.tflops <= 0 or not 0 <= distinct_references <= pairs:
        raise EncoderError(
            f"{pairs} pairs with {distinct_references} references in shards of {shard_rows} on {gpus} GPUs",
            expected="at least one GPU and one row a shard, and no more references than pairs",
        )
    tflop = cost.total(pairs, distinct_references) / 1e12
    disk_bytes = pairs * (vector_bytes + INDEX_BYTES)
    shards = math.ceil(pairs / shard_rows)
    used = min(gpus, shards)
    seconds = 0.0
    if shards:
        of_a_shard = (tflop / card.tflops + disk_bytes / WRITE_BYTES_PER_SECOND) / shards
        seconds = load_seconds + math.ceil(shards / used) * of_a_shard
    return Estimate(
        windows=cost.strands * (pairs + distinct_references),
        tflop=tflop,
        hours=seconds / 3600,
        gpu_hours=used * seconds / 3600,
        disk_bytes=disk_bytes,
    )
