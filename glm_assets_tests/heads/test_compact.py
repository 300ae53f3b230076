"""Heads without their identity blocks: smaller, and the same to the bit."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch

from glm_assets import cli
from glm_assets.errors import CheckpointError
from glm_assets.heads.apply import load_head
from glm_assets.heads.compact import compact, compact_file, identity_blocks
from glm_assets.heads.dormant import find_dormant
from glm_assets.heads.networks import Head, parameter_count
from glm_assets.heads.shapes import ORIGINAL_SHAPES, VERSIONS
from glm_assets.heads.weights import head_of, write_state
from glm_assets_tests.heads.original_tensors import original_tensors
from glm_assets_tests.heads.test_networks import shaken, small_shape
from glm_assets_tests.heads.trained import trained_head

LIVE = {"v2": {"high": 0, "low": 8, "rich": 0}, "v3": {"high": 0, "low": 8, "rich": 0}}
SMALL = {"hidden": 10, "out_dim": 6, "in_dim": 12}


def vectors(head: Head) -> torch.Tensor:
    return torch.randn(9, head.shape.in_dim, generator=torch.Generator().manual_seed(5))


def same_bits(one: Head, other: Head) -> bool:
    with torch.inference_mode():
        return torch.equal(one.eval()(vectors(one)), other.eval()(vectors(one)))


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_faithful_head_at_the_original_widths_keeps_its_live_blocks(version, tmp_path):
    head = trained_head(ORIGINAL_SHAPES[version])
    state = head.state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == original_tensors(version)

    small, shape = compact(state)
    assert shape == replace(head.shape, **LIVE[version])
    loaded = head_of(small)
    live = {"v2": 71_375_882, "v3": 71_371_786}[version]
    assert parameter_count(loaded) == sum(tensor.numel() for tensor in small.values()) == live
    assert find_dormant(loaded).blocks == () == identity_blocks(small)
    assert same_bits(head, loaded)

    if version == "v3":
        assert (len(state), parameter_count(head)) == (141, 230_894_618)
        write_state(loaded, tmp_path / "small.safetensors")
        assert (tmp_path / "small.safetensors").stat().st_size == pytest.approx(286e6, rel=0.01)


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize("seed", range(5))
def test_whatever_blocks_are_closed_the_vectors_stay(version, seed):
    rng = random.Random(seed)
    head = shaken(Head(small_shape(version)))
    closed = []
    with torch.no_grad():
        for name, block in head.head.named_modules():
            if name.startswith(("high.", "low.")) and hasattr(block, "alpha") and rng.random() < 0.5:
                closed.append(name)
                zero = [block.alpha] if rng.random() < 0.5 else [block.last_linear.weight, block.last_linear.bias]
                for tensor in zero:
                    tensor.zero_()
    keys = list(head.state_dict())
    rng.shuffle(keys)  # safetensors and strangers' files have orders of their own
    small, shape = compact({key: head.state_dict()[key] for key in keys})
    blocks = shape.high + shape.low + shape.rich
    assert blocks == head.shape.high + head.shape.low + head.shape.rich - len(closed)
    assert same_bits(head, head_of(small))


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_a_head_may_lose_all_its_blocks_and_still_loads(version, tmp_path):
    head = Head(small_shape(version))  # nothing was trained: every branch is silent
    small, shape = compact(head)
    assert (shape.high, shape.low, shape.rich) == (0, 0, 0)
    write_state(head_of(small), tmp_path / "model.safetensors")
    loaded = load_head(tmp_path)
    assert loaded.shape == shape
    assert same_bits(head, loaded)


def test_zeros_that_silence_no_block_are_kept():
    head = shaken(Head(small_shape("v3")))
    with torch.no_grad():
        head.head.low[0].linear.weight.zero_()  # the bias still speaks
        head.head.proj1.alpha.zero_()  # the straight path is needed
        head.head.low[12].fc1.weight.zero_()
    assert identity_blocks(head.state_dict()) == ()
    assert compact(head)[1] == head.shape


@pytest.mark.parametrize("version", VERSIONS)
def test_a_head_whose_blocks_all_work_stays_as_it_is(version):
    head = shaken(Head(small_shape(version)))
    small, shape = compact(head)
    assert shape == head.shape
    assert list(small) == list(head.state_dict())
    assert all(small[key] is not None and torch.equal(small[key], t) for key, t in head.state_dict().items())


def authors_file(tmp_path, version="v3"):
    head = trained_head(replace(ORIGINAL_SHAPES[version], **SMALL))
    torch.save(dict(head.state_dict()), tmp_path / "head_best_souped.pt")
    return head, tmp_path / "head_best_souped.pt"


@pytest.mark.parametrize("target", ["small.safetensors", "folder"])
def test_the_command_compacts_the_authors_file(tmp_path, capsys, target):
    head, path = authors_file(tmp_path)
    assert cli.main(["compact", str(path), str(tmp_path / target)]) == 0
    said = capsys.readouterr().out
    small = load_head(tmp_path / target)
    written = tmp_path / target if target.endswith("safetensors") else tmp_path / target / "model.safetensors"
    for words in (
        "16 identity blocks left out: high.0, high.1",
        "low.15\n",
        f"{path.stat().st_size:,} bytes before, {written.stat().st_size:,} after",
        "64 random vectors give the same bits",
        str(written),
    ):
        assert words in said
    assert small.shape == replace(head.shape, **LIVE["v3"])
    assert same_bits(head, small)


def test_outputs_that_differ_are_not_written(tmp_path, monkeypatch):
    _, path = authors_file(tmp_path)
    monkeypatch.setattr("glm_assets.heads.compact.identity_blocks", lambda state: ("low.0",))
    with pytest.raises(CheckpointError, match=r"head_best_souped\.pt gives other vectors"):
        compact_file(path, tmp_path / "small.safetensors")
    assert not (tmp_path / "small.safetensors").exists()


def test_nothing_is_written_over(tmp_path, capsys):
    _, path = authors_file(tmp_path)
    (tmp_path / "mine.safetensors").write_bytes(b"precious")
    assert cli.main(["compact", str(path), str(tmp_path / "mine.safetensors")]) == 1
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "mine.safetensors").read_bytes() == b"precious"


def test_a_file_that_is_no_head_is_named(tmp_path, capsys):
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pt")
    assert cli.main(["compact", str(tmp_path / "other.pt"), str(tmp_path / "out")]) == 1
    assert "other.pt is no head" in capsys.readouterr().err
