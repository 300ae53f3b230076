"""How long all of ClinVar takes on 1, 8 and 64 GPUs: a simulation of shards that workers take from a queue.

Run `python benchmarks/capacity.py`; the last line is JSON. Nothing is computed: the hours follow from the model's
floating-point operations and the rate that `benchmarks/embedding.py` measured (`lineage.capacity.CARDS`). Assumed are

- 1.5 million labelled pairs, or 4 million when every record is embedded, in centred windows of 1,024 bases with the
  variant in the middle, Evo2 7B up to blocks.25, mean pooling. `own`: every pair has a reference window of its own,
  the most there can be. `shared`: there are as many pairs a reference window as among BRCA2's labelled variants, which
  lie closer than most. `grid128` has `downstream:128` on a grid, with BRCA2's pairs a window.
- chromosomes with pairs as they have bases, one after the other, as the pool `gpu` admits them; each starts its
  workers anew and waits for its last shard. `at_once` leaves that out: one queue of all shards.
- a worker is ready after `--load-seconds` and up to a minute more; GPUs differ in speed by 3 % and shards by 5 % (one
  standard deviation); a shard is written at 100 MB/s; a worker dies once in `--hours-between-deaths`, its shard is
  lost, found three minutes later and taken by the next.

Every figure is the median of nine draws. `gpu_hours` counts GPUs that wait.
"""

from __future__ import annotations

import argparse
import heapq
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glm_assets.encoders.evo2.config import evo2_spec, model_config
from glm_assets.lineage.capacity import CARDS, INDEX_BYTES, LOAD_SECONDS, WRITE_BYTES_PER_SECOND, pair_cost

GPUS = (1, 8, 64)
SHARD_ROWS = (4096, 512)
PAIRS = {"labelled": 1_500_000, "all": 4_000_000}
VECTOR_BYTES = 2 * 4096 * 2  # float16
# Of BRCA2's labelled variants (benchmarks/flops.py): reference windows computed, centred and on the grid.
SHARED_REFERENCES = 7_140 / 11_102
GRID_REFERENCES = 182 / 11_102
LEASE_SECONDS = 180.0
DRAWS = 9
# Millions of bases of chromosomes 1 to 22, X, Y and the mitochondrion (GRCh38).
CHROMOSOMES = (
    *(249, 242, 198, 190, 182, 171, 159, 145, 138, 134, 135, 133, 114, 107, 102, 90, 83, 80, 59, 64, 47, 51),
    *(156, 57, 0.02),
)


@dataclass(frozen=True)
class Way:
    """A way to embed: its pooling and how many distinct reference windows a pair has."""

    pooling: str
    references: float


WAYS = {
    "own": Way("mean", 1.0),
    "shared": Way("mean", SHARED_REFERENCES),
    "grid128": Way("downstream:128", GRID_REFERENCES),
}


@dataclass(frozen=True)
class Workers:
    """Who computes: how many GPUs, and what their workers do besides computing."""

    gpus: int
    load_seconds: float
    hours_between_deaths: float


def seconds_of(shards: Sequence[float], workers: Workers, generator: np.random.Generator) -> float:
    """When the last of some shards is done that workers take from a queue.

    Args:
        shards: Seconds that each takes on a GPU of middle speed.
        workers: Who takes them.
        generator: Draws speeds, starts and deaths.
    """
    used = min(workers.gpus, len(shards))
    speed = generator.normal(1, 0.03, used)
    free = [(workers.load_seconds + generator.uniform(0, 60), number) for number in range(used)]
    heapq.heapify(free)
    waiting = [(0.0, seconds) for seconds in reversed(shards)]
    done = 0.0
    while waiting:
        since, seconds = waiting.pop()
        at, worker = heapq.heappop(free)
        took = seconds / speed[worker]
        death = generator.exponential(3600 * workers.hours_between_deaths)
        began = max(at, since)
        if death < took:
            waiting.append((began + death + LEASE_SECONDS, seconds))
            heapq.heappush(free, (began + death + workers.load_seconds, worker))
            continue
        done = max(done, began + took)
        heapq.heappush(free, (began + took, worker))
    return done


def simulate(pairs: int, seconds_per_pair: float, rows: int, workers: Workers) -> dict[str, float]:
    """Hours for all chromosomes, one after the other and as one queue."""
    per_chromosome = [max(1, round(pairs * length / sum(CHROMOSOMES))) for length in CHROMOSOMES]
    in_turn, at_once = [], []
    for draw in range(DRAWS):
        generator = np.random.default_rng(draw)

        def shards(count: int, generator: np.random.Generator = generator) -> list[float]:
            sizes = [min(rows, count - start) for start in range(0, count, rows)]
            return [size * seconds_per_pair * max(0.5, generator.normal(1, 0.05)) for size in sizes]

        in_turn.append(sum(seconds_of(shards(count), workers, generator) for count in per_chromosome))
        at_once.append(seconds_of(shards(pairs), workers, generator))
    hours = statistics.median(in_turn) / 3600
    return {
        "hours": round(hours, 2),
        "gpu_hours": round(hours * workers.gpus, 1),
        "at_once_hours": round(statistics.median(at_once) / 3600, 2),
    }


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", choices=sorted(CARDS), default="h100")
    parser.add_argument("--load-seconds", type=float, default=LOAD_SECONDS)
    parser.add_argument("--hours-between-deaths", type=float, default=100.0, help="of one worker")
    options = parser.parse_args()
    card = CARDS[options.card]
    figures: dict[str, object] = {"name": "capacity", "card": card.name, "tflops": card.tflops}
    write_seconds = (VECTOR_BYTES + INDEX_BYTES) / WRITE_BYTES_PER_SECOND
    for name, way in WAYS.items():
        spec = evo2_spec("evo2_7b", revision="", layer="blocks.25.mlp.l3", pooling=way.pooling, device="cuda:0")
        cost = pair_cost(spec, model_config("evo2_7b"), 1024, 512)
        tflop = (cost.variant + way.references * cost.reference) / 1e12
        figures[f"{name}_tflop_per_pair"] = round(tflop, 2)
        for which, pairs in PAIRS.items():
            for gpus in GPUS:
                workers = Workers(gpus, options.load_seconds, options.hours_between_deaths)
                for rows in SHARD_ROWS if gpus > 1 else SHARD_ROWS[:1]:
                    seconds = tflop / card.tflops + write_seconds
                    figures[f"{name}_{which}_{gpus}gpus_{rows}rows"] = simulate(pairs, seconds, rows, workers)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
