"""The meaning of the device setting."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from glm_assets.encoders import device
from glm_assets.encoders.device import out_of_memory_suppressed, resolve_device
from glm_assets.errors import EncoderError


@pytest.mark.parametrize(("setting", "found"), [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:3", "cuda:3")])
def test_a_named_device_is_taken_at_its_word(setting, found):
    assert resolve_device(setting) == found


@pytest.mark.parametrize(
    ("files", "visible", "found"),
    [
        ([], None, False),
        (["nvidiactl", "nvidia-uvm"], None, False),
        (["nvidiactl", "nvidia0"], None, True),
        (["nvidia7"], "7", True),
        (["nvidia0"], "", False),
        (["nvidia0"], "-1", False),
    ],
)
def test_auto_is_a_gpu_where_there_is_a_visible_one(tmp_path, monkeypatch, files, visible, found):
    for name in files:
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device._has_nvidia_gpu(tmp_path) is found
    monkeypatch.setattr(device, "_has_nvidia_gpu", lambda: found)
    assert resolve_device("auto") == ("cuda:0" if found else "cpu")


@pytest.mark.parametrize("setting", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_another_name_is_an_error_that_lists_the_allowed(setting):
    with pytest.raises(EncoderError, match="auto, cpu, cuda or cuda:N"):
        resolve_device(setting)


def out_of_memory():
    torch = pytest.importorskip("torch")
    return torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    "error", [out_of_memory, lambda: RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED")], ids=["torch", "cufft"]
)
def test_an_attempt_without_memory_leaves_nothing_behind_for_the_next(error):
    def attempt(held):
        tensor = np.zeros(3)
        held.append(weakref.ref(tensor))
        raise error()

    def attempted(held):
        with out_of_memory_suppressed():
            return attempt(held)
        return held[0]()

    pytest.importorskip("torch")
    gc.disable()  # what only the collector frees is still there when the next attempt begins
    try:
        assert attempted([]) is None
    finally:
        gc.enable()


def test_other_errors_are_not_suppressed():
    pytest.importorskip("torch")
    with pytest.raises(RuntimeError, match="an illegal memory access"), out_of_memory_suppressed():
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
