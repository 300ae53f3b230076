"""Where pairs lie changes no batch; the thread that prepares them runs a little ahead and ends with its user."""

from __future__ import annotations

import threading
import time
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from glm_assets.heads import memory
from glm_assets.heads.groups import GroupRule
from glm_assets.heads.pair_source import AHEAD, PairSource, prefetched
from glm_assets.heads.validation import KeptBatches
from glm_assets_tests.heads.planted import planted_data, stored

CPU = torch.device("cpu")
ORDERS = [np.array([5, 3, 3, 80, 41]), np.arange(60, 20, -1), np.array([7])]


def tensors(batch) -> list[torch.Tensor]:
    groups = [getattr(batch.groups, field.name) for field in fields(batch.groups)]
    return [batch.ref, batch.var, batch.pathogenic, *groups]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_batches_are_the_same_wherever_the_pairs_lie(tmp_path, dtype):
    pairs = planted_data().train
    kept = stored(planted_data(), tmp_path, dtype).train
    rounded = replace(pairs, ref=pairs.ref.astype(dtype), delta=pairs.delta.astype(dtype))
    sources = [
        PairSource(rounded, CPU),
        *(PairSource(kept, CPU, place=place) for place in ("memory", "store", "device")),
    ]
    assert [source.place for source in sources] == ["memory", "memory", "store", "device"]
    batches = [[tensors(batch) for batch in source.batches(ORDERS)] for source in sources]
    for ours in batches[1:]:
        for mine, theirs in zip(batches[0], ours, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))
    ref, var = batches[0][0][:2]
    assert ref.dtype == torch.float32
    assert (ref.numpy() == rounded.ref[ORDERS[0]].astype(np.float32)).all()
    assert (var.numpy() == ref.numpy() + rounded.delta[ORDERS[0]].astype(np.float32)).all()


@pytest.mark.parametrize("place", ["memory", "store", "device"])
def test_a_stream_has_the_same_batches_in_memory_that_it_uses_again(tmp_path, place):
    pairs = stored(planted_data(), tmp_path, "float16").train
    orders = [np.random.default_rng(seed).permutation(len(pairs))[: 40 - seed] for seed in range(12)]
    source = PairSource(pairs, CPU, place=place)
    kept = [tensors(batch) for batch in source.batches(orders)]
    for _ in range(2):
        homes = set()
        for batch, known in zip(source.stream(orders), kept, strict=True):
            time.sleep(0.002)  # the thread is as far ahead as it may be
            homes.add(batch.ref.data_ptr())
            assert all(torch.equal(mine, theirs) for mine, theirs in zip(tensors(batch), known, strict=True))
        assert len(homes) == 1


def test_pairs_stay_in_the_store_when_half_of_the_memory_is_too_small(tmp_path, monkeypatch):
    pairs = stored(planted_data(), tmp_path).train
    size = 2 * len(pairs) * pairs.dim * 4
    monkeypatch.setattr(memory, "free_memory", lambda device: 2 * size)
    assert PairSource(pairs, CPU).place == "memory"
    monkeypatch.setattr(memory, "free_memory", lambda device: 2 * size - 1)
    assert PairSource(pairs, CPU).place == "store"


def test_free_memory_is_of_this_machine():
    assert 2**20 < memory.free_memory(CPU) < 2**50


def test_validation_batches_are_prepared_once_if_they_fit(tmp_path, monkeypatch):
    pairs = stored(planted_data(), tmp_path).val
    kept = KeptBatches(pairs, CPU, 20, GroupRule(min_members=4))
    assert all(a is b for a, b in zip(kept, kept, strict=True))
    monkeypatch.setattr(memory, "free_memory", lambda device: 0)
    streamed = KeptBatches(pairs, CPU, 20, GroupRule(min_members=4))
    for a, b in zip(kept, streamed, strict=True):
        assert a is not b
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(tensors(a), tensors(b), strict=True))


def test_results_come_in_order_and_only_a_little_ahead():
    made: list[int] = []

    def prepare(job: int) -> int:
        made.append(job)
        return job * job

    results = prefetched(range(20), prepare)
    for number, result in enumerate(results):
        assert result == number * number
        assert len(made) <= number + 1 + AHEAD
    assert made == list(range(20))


def preparing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("pairs")]


def test_the_thread_ends_with_the_one_who_takes():
    results = prefetched(range(1000), lambda job: time.sleep(0.001))
    next(results)
    assert preparing()
    results.close()
    assert not preparing()


def test_what_goes_wrong_in_the_thread_comes_up():
    def prepare(job: int) -> int:
        return 1 // (3 - job)

    results = prefetched(range(10), prepare)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not preparing()
