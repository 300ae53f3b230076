from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glm_assets.errors import CheckpointError, MissingUpstreamError
from glm_assets.heads.apply import embed, load_head
from glm_assets.heads.networks import Head
from glm_assets.heads.shapes import ORIGINAL_SHAPES, VERSIONS
from glm_assets.heads.weights import read_head, write_state


def small(version: str) -> Head:
    torch.manual_seed(0)
    head = Head(replace(ORIGINAL_SHAPES[version], in_dim=12, hidden=10, out_dim=6))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(0, 0.3)
    return head.eval()


@pytest.mark.parametrize("version", VERSIONS)
def test_both_file_formats_load_strictly_and_give_the_same_vectors(version, tmp_path):
    head = small(version)
    write_state(head, tmp_path / "ours" / "model.safetensors")
    torch.save(head.state_dict(), tmp_path / "theirs.pt")
    vectors = torch.randn(7, 12).numpy()
    expected = embed(head, vectors)
    for path in (tmp_path / "ours", tmp_path / "ours" / "model.safetensors", tmp_path / "theirs.pt"):
        loaded = load_head(path)
        assert loaded.shape == head.shape
        assert (embed(loaded, vectors) == expected).all()


def test_half_precision_weights_become_float32(tmp_path):
    torch.save({key: value.half() for key, value in small("v1").state_dict().items()}, tmp_path / "half.pt")
    assert {p.dtype for p in read_head(tmp_path / "half.pt").parameters()} == {torch.float32}


def broken(tmp_path: Path, change) -> Path:
    state = small("v1").state_dict()
    change(state)
    torch.save(state, tmp_path / "broken.pt")
    return tmp_path / "broken.pt"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("head.refine.3.ln.bias"), r"Missing key.*head\.refine\.3\.ln\.bias"),
        (lambda state: state.update({"head.extra": torch.zeros(1)}), r"Unexpected key.*head\.extra"),
        (
            lambda state: state.update({"head.out_ln.bias": torch.zeros(7)}),
            r"size mismatch for head\.out_ln\.bias",
        ),
        (lambda state: state.clear(), "no known head"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, change, message):
    path = broken(tmp_path, change)
    with pytest.raises(CheckpointError, match=rf"(?s)broken\.pt.*{message}"):
        read_head(path)


def test_a_pickled_module_is_never_run(tmp_path):
    torch.save(small("v1"), tmp_path / "module.pt")
    with pytest.raises(CheckpointError, match=r"module\.pt"):
        read_head(tmp_path / "module.pt")


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pt"])
def test_a_damaged_file_is_named(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".pt":
        torch.save(small("v0").state_dict(), path)
    else:
        write_state(small("v0"), path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match=name):
        read_head(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingUpstreamError, match=r"model\.safetensors"):
        load_head(tmp_path)


def test_vectors_of_another_width_are_refused():
    with pytest.raises(CheckpointError, match=r"\(2, 5\)"):
        embed(small("v0"), torch.zeros(2, 5).numpy())


def test_rows_have_unit_norm_and_keep_their_order():
    head = small("v3")
    vectors = torch.randn(10, 12).numpy()
    rows = embed(head, vectors, batch=4)
    assert rows.dtype == "float32"
    assert rows.shape == (10, 6)
    assert abs((rows.astype("float64") ** 2).sum(1) - 1).max() < 1e-6
    assert abs(rows[9] - embed(head, vectors[9:])[0]).max() < 1e-6
    assert embed(head, vectors[:0]).shape == (0, 6)
