"""What embedding will take, against numbers worked out by hand and against what an encoder counted."""

from __future__ import annotations

from typing import Any

import pytest

from glm_assets.encoders.evo2.flops import Evo2Flops
from glm_assets.errors import EncoderError
from glm_assets.lineage.capacity import CARDS, INDEX_BYTES, PairCost, Throughput, embedding_estimate, pair_cost

pytest.importorskip("vortex")

from glm_assets.encoders.evo2.config import evo2_spec, model_config

SLOW = Throughput("one that does 2 TFLOP a second", 2.0, "made up")


def estimate(**changes):
    chosen: dict[str, Any] = {
        "pairs": 1000,
        "distinct_references": 400,
        "vector_bytes": 10**8 - INDEX_BYTES,  # a second of writing
        "card": SLOW,
        "shard_rows": 100,
        "load_seconds": 60.0,
    }
    return embedding_estimate(PairCost(reference=5e12, variant=8e12), **(chosen | changes))


def spec(**changes):
    chosen: dict[str, Any] = {"layer": "blocks.25.mlp.l3", "pooling": "mean", "device": "cpu"}
    return evo2_spec("evo2_7b", revision="0" * 64, **(chosen | changes))


def test_one_gpu_computes_writes_and_waits_for_nothing():
    found = estimate()
    assert found.windows == 1400
    assert found.tflop == 1000 * 8 + 400 * 5 == 10_000
    assert found.disk_bytes == 10**11
    seconds = 60 + 10_000 / 2 + 1000  # weights, products, disk
    assert found.hours == pytest.approx(seconds / 3600)
    assert found.gpu_hours == pytest.approx(seconds / 3600)
    assert found.price(3.0) == pytest.approx(seconds / 1200)


def test_gpus_wait_for_the_last_shard():
    found = estimate(gpus=4)  # 10 shards of 600 s: 3, 3, 2 and 2 of them
    assert found.hours == pytest.approx((60 + 3 * 600) / 3600)
    assert found.gpu_hours == pytest.approx(4 * (60 + 3 * 600) / 3600)


def test_gpus_that_find_no_shard_cost_nothing():
    assert estimate(gpus=64) == estimate(gpus=10)


def test_nothing_to_embed_takes_nothing():
    found = estimate(pairs=0, distinct_references=0)
    assert (found.windows, found.tflop, found.hours, found.gpu_hours, found.disk_bytes) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("changes", [{"gpus": 0}, {"shard_rows": 0}, {"distinct_references": 1001}])
def test_impossible_numbers_are_refused(changes):
    with pytest.raises(EncoderError, match="1000 pairs"):
        estimate(**changes)


def test_a_pair_of_evo2_7b_costs_its_reference_and_its_own_suffix():
    flops = Evo2Flops(model_config("evo2_7b"), 26, last_projection=False)
    cost = pair_cost(spec(), model_config("evo2_7b"), 1024, 512)
    assert cost.reference == pytest.approx(1024 * flops.token + flops.mixers(1024))
    assert cost.variant == pytest.approx(512 * flops.token + flops.mixers(1024))
    # benchmarks/flops.py counts 16.4 TFLOP a pair with a reference of its own on the modules themselves
    assert cost.total(1, 1) / 1e12 == pytest.approx(16.45, rel=0.01)


def test_few_positions_after_the_variant_cost_little():
    config = model_config("evo2_7b")
    few = pair_cost(spec(pooling="downstream:128"), config, 1024, 512)
    assert few.variant / 1e12 == pytest.approx(1.38, rel=0.05)  # 128 of 1,024 tokens of 11.0 TFLOP


def test_both_strands_cost_twice():
    config = model_config("evo2_7b")
    one, both = (pair_cost(spec(reverse_complement=strands), config, 1024, 512) for strands in (False, True))
    assert (both.reference, both.variant) == (2 * one.reference, 2 * one.variant)
    windows = embedding_estimate(both, pairs=3, distinct_references=1, vector_bytes=1, card=SLOW, shard_rows=9)
    assert windows.windows == 8


def test_an_offset_outside_the_window_is_refused():
    with pytest.raises(EncoderError, match="outside a window of 64"):
        pair_cost(spec(), model_config("evo2_7b"), 64, 64)


def test_every_card_says_where_its_speed_comes_from():
    assert all(card.tflops > 0 and card.source for card in CARDS.values())
