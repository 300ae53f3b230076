"""The real vtx code at the demo's size: early exit, invariances, refusals, side effects."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("vortex")

from glm_assets.encoders.demo import make_demo_checkpoint  # noqa: E402
from glm_assets.encoders.evo2 import encoder as encoder_module  # noqa: E402
from glm_assets.encoders.evo2 import hook  # noqa: E402
from glm_assets.encoders.evo2.config import evo2_spec, model_config  # noqa: E402
from glm_assets.encoders.evo2.encoder import Evo2Encoder  # noqa: E402
from glm_assets.encoders.evo2.model import build_model  # noqa: E402
from glm_assets.encoders.pooling import Pooling  # noqa: E402
from glm_assets.encoders.reduction import pool_outputs  # noqa: E402
from glm_assets.encoders.registry import encoder_spec, make_encoder  # noqa: E402
from glm_assets.errors import EncoderError  # noqa: E402
from glm_assets_tests.encoders.conftest import LAYER, random_windows  # noqa: E402


@pytest.fixture(scope="module")
def full_model(weights, tmp_path_factory):
    """The demo's 26 blocks and six random ones behind them, all float32."""
    from vortex.model.utils import load_checkpoint

    config = model_config("demo") | {"use_flash_attn": False, "use_fp8_input_projections": False}
    model = build_model(config, "cpu")
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    state |= torch.load(weights, weights_only=True)
    path = tmp_path_factory.mktemp("full") / "full.pt"
    torch.save(state, path)
    load_checkpoint(model, str(path))
    return model.float(), path


def hooked_output(model, windows, layer):
    kept = {}
    handle = model.get_submodule(layer).register_forward_hook(lambda module, inputs, out: kept.update(out=out))
    with torch.inference_mode():
        model.forward(torch.from_numpy(windows.astype(np.int64)))
    handle.remove()
    return kept["out"][0] if isinstance(kept["out"], tuple) else kept["out"]


@pytest.mark.parametrize("layer", [LAYER, "blocks.3.mlp.l3", "blocks.16", "blocks.6.projections"])
def test_early_exit_gives_exactly_the_full_models_hook_output(full_model, layer):
    model, path = full_model
    windows = random_windows(3)
    spec = encoder_spec("demo", revision="0" * 64, layer=layer, device="cpu")
    encoder = make_encoder(spec, weights=path, device="cpu")
    expected = pool_outputs(Pooling("mean"), hooked_output(model, windows, layer)).numpy()
    found = encoder.embed(windows)
    if encoder.spec.extras["pairs"] == "two_forwards":
        assert np.array_equal(found, expected)
    else:  # pooled before the last projection
        assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)
    assert encoder.spec.dimension == expected.shape[1]


def test_only_the_needed_blocks_are_built(spec, weights):
    shallow = replace(spec, layer="blocks.3.mlp.l3")
    assert len(Evo2Encoder(shallow, weights=weights, device="cpu")._model.blocks) == 4


def test_the_demo_has_all_four_mixers_of_the_real_layer_plan(encoder):
    model = encoder._model
    kinds = [model.block_idx_to_name(index) for index in range(len(model.blocks))]
    assert len(kinds) == 26
    assert set(kinds) == {"mha", "hcs", "hcm", "hcl"}
    assert [index for index, kind in enumerate(kinds) if kind == "mha"] == [3, 10, 17, 24]


def test_vectors_do_not_depend_on_batch_size_or_order(encoder):
    windows = random_windows(12)
    together = encoder.embed(windows)
    alone = np.concatenate([encoder.embed_batch(window[None]) for window in windows])
    order = np.random.default_rng(0).permutation(12)
    assert np.abs(together - alone).max() <= 1e-6 * np.abs(together).max()
    assert np.abs(encoder.embed(windows[order]) - together[order]).max() <= 1e-6 * np.abs(together).max()


def test_a_sequence_among_others_of_other_lengths_has_the_vector_it_has_alone(encoder):
    windows = random_windows(6)
    lengths = [128, 1, 127, 64, 128, 7]
    mixed = windows.copy()
    for row, length in enumerate(lengths):
        mixed[row, length:] = 0
    vectors = encoder.embed(mixed)
    alone = np.concatenate([encoder.embed(windows[row : row + 1, :n]) for row, n in enumerate(lengths)])
    assert np.abs(vectors - alone).max() <= 1e-6 * np.abs(alone).max()


def test_different_windows_have_clearly_different_vectors_and_a_variants_difference_is_no_rounding(encoder):
    ref = random_windows(16, 1024)
    var = ref.copy()
    var[:, 512] = np.where(ref[:, 512] == ord("A"), ord("G"), ord("A"))
    ref_vectors, delta = encoder.embed_pairs(ref, var, np.full(16, 512))
    norms = np.linalg.norm(ref_vectors, axis=1)
    assert np.isfinite(ref_vectors).all()
    assert np.isfinite(delta).all()
    assert (np.linalg.norm(delta, axis=1) / norms).min() > 1e-3
    assert np.linalg.norm(ref_vectors.std(axis=0)) / norms.mean() > 0.05


def test_the_same_window_twice_is_no_difference_at_all(encoder):
    windows = random_windows(4)
    _, delta = encoder.embed_pairs(windows, windows, np.full(4, 64))
    assert np.abs(delta).max() <= 1e-7


def test_pooling_is_float32_and_the_originals_is_coarser(spec, weights, encoder):
    original = encoder_spec("demo", revision="0", layer=LAYER, pooling="mean_bf16", device="cpu")
    coarse = make_encoder(original, weights=weights, device="cpu")
    windows = random_windows(4)
    fine, rounded = encoder.embed(windows), coarse.embed(windows)
    assert fine.dtype == rounded.dtype == np.float32
    assert np.array_equal(rounded, torch.from_numpy(rounded).bfloat16().float().numpy())
    assert not np.array_equal(fine, torch.from_numpy(fine).bfloat16().float().numpy())
    assert np.abs(fine - rounded).max() < 0.05


def test_pooling_is_not_under_the_models_autocast(weights, monkeypatch):
    """On a GPU autocast would sum bfloat16 in float32, and `mean_bf16` would not be the original's."""
    original = encoder_spec("demo", revision="0", layer=LAYER, pooling="mean_bf16", device="cpu")
    encoder = Evo2Encoder(original, weights=weights, device="cpu")
    casts = lambda _: torch.autocast("cpu", dtype=torch.bfloat16)  # noqa: E731
    monkeypatch.setattr(hook.LayerHook, "_original_casts", casts)
    seen = []
    encoder._model.get_submodule(LAYER).register_forward_hook(
        lambda module, inputs, out: seen.append(torch.is_autocast_enabled("cpu"))
    )
    pool = hook.pool_outputs

    def watched(*arguments):
        seen.append(torch.is_autocast_enabled("cpu"))
        return pool(*arguments)

    for module in (encoder_module, hook):
        monkeypatch.setattr(module, "pool_outputs", watched)
    windows = random_windows(1)
    encoder.embed(windows)
    encoder.embed_pairs(windows, windows, np.full(1, 64))
    assert seen == [True, False, True, True, False, False]


def test_poles_and_residues_are_float32_and_not_rounded(encoder, weights):
    state = torch.load(weights, weights_only=True)
    loaded = dict(encoder._model.named_parameters())
    names = [name for name in loaded if name.endswith(("log_poles", "residues"))]
    assert names
    assert all(torch.equal(loaded[name], state[name]) for name in names)


@pytest.mark.parametrize("layer", ["blocks.25.mlp.l9", "blocks.25.inner_mha_cls"])
def test_a_submodule_that_a_block_lacks_is_an_error_that_lists_what_it_has(spec, weights, layer):
    with pytest.raises(EncoderError, match=rf"{layer}.*filter.*mlp\.l3"):
        make_encoder(replace(spec, layer=layer), weights=weights, device="cpu")


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("blocks.25.mlp.act", "puts out arrays of shape"),
        ("blocks.3.inner_mha_cls.inner_cross_attn", "takes no part"),
    ],
)
def test_a_submodule_that_has_no_vector_for_each_position_is_an_error(weights, layer, reason):
    hooked = encoder_spec("demo", revision="0", layer=layer, device="cpu")
    encoder = make_encoder(hooked, weights=weights, device="cpu")
    with pytest.raises(EncoderError, match=rf"{layer}.*{reason}"):
        encoder.embed(random_windows(1))


class _Bomb:
    def __reduce__(self):
        return (os.mkdir, (os.environ["GLM_TEST_BOMB"],))


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_code_in_a_weights_file_is_not_run(spec, tmp_path, monkeypatch, save):
    monkeypatch.setenv("GLM_TEST_BOMB", str(tmp_path / "exploded"))
    save({"blocks.0.pre_norm.scale": _Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(EncoderError, match=r"bomb\.pt cannot be loaded as demo"):
        make_encoder(spec, weights=tmp_path / "bomb.pt", device="cpu")
    assert not (tmp_path / "exploded").exists()


def test_weights_of_another_model_are_an_error_that_names_both(spec, tmp_path):
    torch.save({"layer.weight": torch.zeros(2, 2)}, tmp_path / "other.pt")
    with pytest.raises(EncoderError, match=r"other\.pt cannot be loaded as demo .*GLM_CHECKPOINT"):
        make_encoder(spec, weights=tmp_path / "other.pt", device="cpu")


@pytest.mark.parametrize("content", [b"", b"not a zip file"])
def test_a_broken_weights_file_is_an_error_that_names_it(spec, tmp_path, content):
    (tmp_path / "broken.pt").write_bytes(content)
    with pytest.raises(EncoderError, match=r"broken\.pt"):
        make_encoder(spec, weights=tmp_path / "broken.pt", device="cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error_that_names_the_setting(weights):
    spec = encoder_spec("demo", revision="0" * 64, layer=LAYER, device="cuda:0")
    with pytest.raises(EncoderError, match=r"sees no GPU.*GLM_DEVICE=cpu"):
        make_encoder(spec, weights=weights, device="cuda:0")


class _SmallGpu(Evo2Encoder):
    """Runs out of memory with more than three windows."""

    def _forward(self, windows):
        if len(windows) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super()._forward(windows)


def test_out_of_memory_halves_the_batch_and_changes_no_vector(spec, weights, encoder):
    small = _SmallGpu(spec, weights=weights, device="cpu")
    windows = random_windows(10)
    assert np.abs(small.embed(windows) - encoder.embed(windows)).max() <= 1e-6
    assert small.batch_tokens <= 3 * 128


def test_a_single_window_that_does_not_fit_is_an_error(spec, weights):
    class Tiny(Evo2Encoder):
        def _forward(self, windows):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(EncoderError, match="one window of 128 bases"):
        Tiny(spec, weights=weights, device="cpu").embed(random_windows(2))


def test_making_an_encoder_leaves_the_callers_random_numbers_alone(spec, weights):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    make_encoder(spec, weights=weights, device="cpu")
    assert torch.equal(torch.rand(3), expected)


def test_the_threads_asked_for_are_set(spec, weights):
    before = torch.get_num_threads()
    try:
        make_encoder(spec, weights=weights, device="cpu", cpu_threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_loading_and_embedding_write_nothing_to_the_current_folder_and_add_no_root_handler(weights, tmp_path):
    code = f"""
import logging
from pathlib import Path
import numpy as np
from glm_assets.encoders.registry import encoder_spec, make_encoder
spec = encoder_spec("demo", revision="0", layer="{LAYER}", device="cpu")
encoder = make_encoder(spec, weights=Path({str(weights)!r}), device="cpu")
encoder.embed(np.full((1, 16), ord("A"), np.uint8))
assert not logging.getLogger().handlers, logging.getLogger().handlers
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_a_cpu_is_used_on_a_host_with_gpu_kernels_and_transformer_engine(weights, tmp_path):
    """Both packages compute on GPUs only; here they are stand-ins that cannot be used."""
    (tmp_path / "flash_attn_2_cuda.py").write_text("raise ImportError('no GPU')")
    engine = tmp_path / "transformer_engine"
    for name in ("", "pytorch", "common", "common/recipe"):
        (engine / name).mkdir()
        (engine / name / "__init__.py").write_text("class Format: pass\nDelayedScaling = _FormatHelper = Format\n")
    (engine / "pytorch" / "__init__.py").write_text(
        "class Linear:\n    def __init__(self, **_): raise RuntimeError"
    )
    code = f"""
from pathlib import Path
import numpy as np
from glm_assets.encoders.registry import encoder_spec, make_encoder
spec = encoder_spec("demo", revision="0", layer="{LAYER}", device="cpu")
encoder = make_encoder(spec, weights=Path({str(weights)!r}), device="cpu")
assert np.isfinite(encoder.embed(np.full((1, 16), ord("A"), np.uint8))).all()
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_demo_checkpoint_is_the_same_every_time(weights, tmp_path):
    torch.manual_seed(123)
    make_demo_checkpoint(tmp_path / "again.pt")
    assert (tmp_path / "again.pt").read_bytes() == weights.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.pt", "again.yml"]


def test_rotary_turns_pairs_of_entries_by_an_angle_that_grows_with_position():
    from glm_assets.encoders.evo2.cpu import apply_rotary

    angle = torch.arange(5.0)[:, None] * torch.tensor([[1.0, 0.1]])
    x = torch.randn(1, 5, 1, 6, generator=torch.Generator().manual_seed(0))
    turned = apply_rotary(x, angle.cos(), angle.sin())
    as_complex = torch.complex(x[..., :2].double(), x[..., 2:4].double()) * torch.polar(
        torch.ones_like(angle).double(), angle.double()
    ).unsqueeze(1)
    assert torch.allclose(turned[..., :2].double(), as_complex.real, atol=1e-6)
    assert torch.allclose(turned[..., 2:4].double(), as_complex.imag, atol=1e-6)
    assert torch.equal(turned[..., 4:], x[..., 4:])
    assert torch.allclose(apply_rotary(turned, angle.cos(), angle.sin(), conjugate=True), x, atol=1e-6)
    late = apply_rotary(x[:, 3:], angle.cos(), angle.sin(), 3)
    assert torch.equal(late, turned[:, 3:])


def test_on_a_gpu_each_way_of_computing_is_a_fingerprint_of_its_own():
    """Nothing of a GPU is needed to say what its vectors would be."""
    options = [
        {},
        {"cast_all_bf16": True},
        {"precision": "float32"},
        {"precision": "float32_residual"},
        {"precision": "bfloat16x2"},
        {"reverse_complement": True},
        {"pooling": "mean_bf16"},
    ]
    specs = [
        evo2_spec("evo2_7b", revision="0", layer=LAYER, device="cuda:0", **{"pooling": "mean"} | option)
        for option in options
    ]
    assert len({spec.fingerprint for spec in specs}) == len(options)
    assert specs[0].dtype == "bfloat16"
    assert specs[1].extras == {"cast_all_bf16": True, "pairs": "two_forwards"}


@pytest.mark.parametrize("layer", ["blocks.025.mlp.l3", "blocks.32", "blocks.-1", "layers.3"])
def test_a_layer_that_is_no_block_is_an_error_that_says_what_there_is(layer):
    with pytest.raises(EncoderError, match=r"unknown layer.*blocks\.0 to blocks\.31"):
        encoder_spec("demo", revision="0", layer=layer, device="cpu")
