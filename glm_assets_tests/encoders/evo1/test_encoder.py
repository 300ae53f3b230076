"""Evo-1 against stripedhyena's own class, filled the plain way that evo fills it."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from glm_assets.encoders.embed import InProcess, embed_sequences
from glm_assets.encoders.evo1 import config as evo1_config_module
from glm_assets.encoders.evo1.config import DEMO, EVO1_MODELS, INSTALL, evo1_config
from glm_assets.encoders.registry import encoder_spec, make_encoder
from glm_assets.errors import EncoderError
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.encoders.conftest import LETTERS, random_windows, text

torch = pytest.importorskip("torch")
pytest.importorskip("stripedhyena", reason=INSTALL)
pytest.importorskip("evo", reason=INSTALL)
pytest.importorskip("vortex")

from glm_assets.encoders.evo1.demo import make_evo1_demo  # noqa: E402
from glm_assets.encoders.evo1.model import build_model  # noqa: E402

READ = 150
LOGITS = {"layer": "logits", "pooling": f"positions:{READ}"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("evo1") / "demo.safetensors"
    make_evo1_demo(path)
    return path


def spec_of(layer="blocks.24.mlp.l3", pooling="mean", **options):
    return encoder_spec(DEMO, revision="0" * 64, layer=layer, pooling=pooling, device="cpu", **options)


def load(weights, batch_tokens=None, **options):
    return make_encoder(spec_of(**options), weights=weights, device="cpu", batch_tokens=batch_tokens)


@pytest.fixture(scope="module")
def logits_encoder(weights):
    return load(weights, **LOGITS)


@pytest.fixture(scope="module")
def plain(weights):
    """stripedhyena's model with every tensor of the file, in float32, and the frequencies of the definition."""
    from safetensors.torch import load_file
    from stripedhyena.model import StripedHyena
    from stripedhyena.utils import dotdict

    build_model(evo1_config(DEMO), "cpu")  # makes attention importable
    model = StripedHyena(dotdict(evo1_config(DEMO))).eval().float()
    state = {name.removeprefix("backbone."): value for name, value in load_file(weights).items()}
    state["unembed.weight"] = state["embedding_layer.weight"]
    frequencies = 1 / 10_000 ** (torch.arange(0, 16, 2) / 16)
    state |= {f"blocks.{index}.inner_mha_cls.rotary_emb.inv_freq": frequencies for index in (8, 16, 24)}
    model.load_state_dict(state, strict=True)
    return model


def forward(model, windows):
    with torch.no_grad():
        return model(torch.from_numpy(windows.astype(np.int64)))[0].numpy()


def test_a_read_gives_its_logits_base_by_base(logits_encoder, plain):
    windows = random_windows(3, READ)
    vectors = logits_encoder.embed(windows)
    assert vectors.shape == (3, READ * 512) == (3, 76_800)
    assert np.isfinite(vectors).all()
    logits = vectors.reshape(3, READ, 512)
    np.testing.assert_allclose(logits, forward(plain, windows), rtol=1e-4, atol=1e-4)
    assert (logits[0] != logits[1]).any(axis=1).all()
    assert logits.std() > 0.5


def test_deeper_blocks_are_not_read(weights, monkeypatch):
    import safetensors

    read = []
    opening = safetensors.safe_open

    class Watched:
        def __init__(self, *arguments, **options):
            self.file = opening(*arguments, **options)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def keys(self):
            return self.file.keys()

        def get_tensor(self, name):
            read.append(name.removeprefix("backbone."))
            return self.file.get_tensor(name)

    monkeypatch.setattr(safetensors, "safe_open", Watched)
    load(weights, layer="blocks.3")
    assert {name.split(".")[1] for name in read if name.startswith("blocks.")} == {"0", "1", "2", "3"}


@pytest.mark.parametrize("layer", ["blocks.24", "blocks.8.mlp", "blocks.24.inner_mha_cls", "blocks.3.projections"])
def test_a_layer_is_what_a_hook_on_the_whole_model_shows(weights, plain, layer):
    windows, shown = random_windows(2, 40), []
    keep = plain.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, out: shown.append(out[0] if isinstance(out, tuple) else out)
    )
    forward(plain, windows)
    keep.remove()
    outputs = shown[0].numpy()
    whole = load(weights, layer=layer, pooling="positions:50").embed(windows).reshape(2, 50, -1)
    np.testing.assert_allclose(whole[:, :40], outputs, rtol=1e-4, atol=1e-4)
    assert not whole[:, 40:].any()
    means = load(weights, layer=layer).embed(windows)
    np.testing.assert_allclose(means, outputs.mean(axis=1), rtol=1e-4, atol=1e-4)


def test_a_vector_does_not_depend_on_what_shares_its_batch(weights, logits_encoder):
    windows = random_windows(7, READ).copy()
    windows[2, 100:] = 0
    alone = load(weights, batch_tokens=1, **LOGITS).embed(windows)
    np.testing.assert_allclose(logits_encoder.embed(windows), alone, rtol=1e-5, atol=2e-5)
    assert not alone.reshape(7, READ, 512)[2, 100:].any()


def test_no_base_changes_what_is_before_it_and_those_after_the_last_position_are_not_read(logits_encoder):
    window = random_windows(1, READ + 30)
    changed = window.copy()
    changed[0, 90] = LETTERS[(np.flatnonzero(changed[0, 90] == LETTERS)[0] + 1) % 4]
    changed[0, READ:] = ord("A")
    before, after = (logits_encoder.embed(rows).reshape(READ, 512) for rows in (window, changed))
    np.testing.assert_allclose(before[:90], after[:90], atol=4e-4)
    assert np.abs(before[90:] - after[90:]).max(axis=1).min() > 1e-3
    np.testing.assert_array_equal(before, logits_encoder.embed(window[:, :READ]).reshape(READ, 512))


def test_likelihoods_are_those_of_the_plain_models_logits(weights, plain):
    windows = random_windows(2, 60)
    found = load(weights, layer="logits", pooling="log_likelihood").embed(windows)
    terms = torch.from_numpy(forward(plain, windows)).double().log_softmax(dim=-1).numpy()
    expected = [sum(row[i, window[i + 1]] for i in range(59)) for row, window in zip(terms, windows, strict=True)]
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5)


def test_pairs_are_two_forwards(weights):
    with pytest.raises(EncoderError, match="no meaning for a single sequence"):
        load(weights, pooling="centre:5").embed(random_windows(1, 64))
    encoder, ref = load(weights), random_windows(2, 64)
    var = ref.copy()
    var[:, 32] = np.where(var[:, 32] == ord("A"), ord("C"), ord("A"))
    vectors, delta = encoder.embed_pairs(ref, var, np.full(2, 32))
    np.testing.assert_allclose(vectors + delta, encoder.embed(var), atol=1e-5)
    assert (np.abs(delta).max(axis=1) > 1e-4).all()
    positions = load(weights, pooling="positions:40")
    vectors, delta = positions.embed_pairs(ref, var, np.full(2, 32))
    np.testing.assert_allclose(vectors + delta, positions.embed(var), atol=1e-5)
    delta = np.abs(delta.reshape(2, 40, 16))
    assert delta[:, :32].max() < 1e-4 < delta[:, 32].max(axis=1).min()


def test_rounding_to_bfloat16_spares_poles_and_residues(weights):
    coarse, fine = load(weights, precision="bfloat16"), load(weights)
    types = {name: parameter.dtype for name, parameter in coarse._model.named_parameters()}
    assert {types[name] for name in types if "poles" in name or "residues" in name} == {torch.float32}
    assert {types[name] for name in types if not ("poles" in name or "residues" in name)} == {torch.bfloat16}
    windows = random_windows(4, READ)
    error = np.linalg.norm(coarse.embed(windows) - fine.embed(windows)) / np.linalg.norm(fine.embed(windows))
    assert 1e-5 < error < 0.15
    assert coarse.spec.fingerprint != fine.spec.fingerprint


def test_the_long_model_stretches_its_rotary_positions_sixteenfold():
    size = EVO1_MODELS[DEMO].overrides or {}
    blocks = build_model({**evo1_config("evo1_131k"), **size}, "cpu").blocks
    assert blocks[8].inner_mha_cls.rotary_emb._linear_scaling_factor == 16
    assert not hasattr(
        build_model(evo1_config(DEMO), "cpu").blocks[8].inner_mha_cls.rotary_emb, "_linear_scaling_factor"
    )


@pytest.mark.parametrize("change", ["as published", "without the prefix", "a zip of tensors", "divided"])
def test_the_same_tensors_in_another_file_give_the_same_vectors(weights, logits_encoder, tmp_path, change):
    from safetensors.torch import load_file, save_file

    state = load_file(weights)
    assert all(name.startswith("backbone.") for name in state)
    path = tmp_path / "model.safetensors"
    if change == "as published":  # with what evo's class keeps besides, in other types
        extra = {"backbone.blocks.8.inner_mha_cls.rotary_emb.inv_freq": torch.zeros(8, dtype=torch.bfloat16)}
        save_file(state | extra, path)
    elif change == "without the prefix":
        save_file({name.removeprefix("backbone."): value for name, value in state.items()}, path)
    elif change == "a zip of tensors":
        path = tmp_path / "model.pt"
        torch.save(state, path)
    else:
        names = sorted(state)
        halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
        for file, own in halves.items():
            save_file({name: state[name] for name in own}, tmp_path / file)
        path = tmp_path / "model.safetensors.index.json"
        where = ", ".join(f'"{name}": "{file}"' for file, own in halves.items() for name in own)
        path.write_text(f'{{"weight_map": {{{where}}}}}')
    windows = random_windows(2, READ)
    np.testing.assert_array_equal(load(path, **LOGITS).embed(windows), logits_encoder.embed(windows))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: state.pop("backbone.blocks.3.mlp.l1.weight"),
            "1 tensors are missing, such as blocks.3.mlp.l1",
        ),
        (lambda state: state.update(other=torch.zeros(1)), "1 tensors belong to another model, such as other"),
        (
            lambda state: state.update({"backbone.norm.scale": torch.zeros(3)}),
            r"size mismatch for norm.scale",
        ),
    ],
)
def test_weights_of_another_model_are_refused_with_the_tensor(weights, tmp_path, change, said):
    from safetensors.torch import load_file, save_file

    state = load_file(weights)
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(EncoderError, match=said):
        load(tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_file_that_holds_no_tensors_is_refused_and_never_unpickled(tmp_path, name):
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(EncoderError, match=f"{name} cannot be loaded as evo1_demo"):
        load(tmp_path / name)


def test_each_distinct_read_is_computed_once_and_kept_in_float16(logits_encoder, tmp_path):
    reads = [text(window) for window in random_windows(5, READ)]
    asked = pl.Series([reads[row] for row in (0, 1, 0, 2, 3, 4, 4, 4)])

    def run():
        store = EmbeddingStore(tmp_path, sequence_dtype="float16")
        engine = InProcess(lambda: logits_encoder, store)
        keys, report = embed_sequences(
            asked, logits_encoder.spec, engine, store, shard_rows=2, progress=lambda _line: None
        )
        return store, keys, report

    _, _, first = run()
    assert (first.windows_computed, first.cache_hits) == (5, 0)
    store, keys, again = run()
    assert (again.windows_computed, again.cache_hits) == (0, 8)
    expected = logits_encoder.embed(np.stack([np.frombuffer(read.encode(), np.uint8) for read in asked]))
    np.testing.assert_allclose(store.read_sequences(keys), expected, rtol=1e-3, atol=1e-3)
    some = np.empty((2, 1, 76_800), np.float16)
    reader = store.open_sequences(keys)
    reader.read_into(some, np.array([7, 2]))
    np.testing.assert_array_equal(some[:, 0], store.read_sequences(keys)[[7, 2]])
    assert sum(path.stat().st_size for path in tmp_path.glob("*.npy")) < 5 * 76_800 * 2 + 2_000


def test_the_specification_says_what_is_offered_and_refuses_the_rest():
    spec = encoder_spec("evo1", revision="0", layer="logits", pooling="positions:150", device="cuda:0")
    assert (spec.dimension, spec.context, spec.dtype) == (76_800, 8_192, "bfloat16")
    long = encoder_spec("evo1_131k", revision="0", layer="blocks.31.mlp.l1", pooling="mean", device="cpu")
    assert (long.dimension, long.context, long.dtype) == (10_928, 131_072, "float32")
    with pytest.raises(EncoderError, match=r"unknown layer.*blocks\.0 to blocks\.31"):
        spec_of("blocks.32")
    with pytest.raises(EncoderError, match=r"'logits' does not go with pooling 'mean'"):
        spec_of("logits")
    with pytest.raises(EncoderError, match="neither FP8"):
        spec_of(fp8=True)
    with pytest.raises(EncoderError, match="no precision 'bfloat16x2'"):
        spec_of(precision="bfloat16x2")


def test_missing_packages_are_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(evo1_config_module, "find_spec", lambda _name: None)
    with pytest.raises(EncoderError, match=re.escape(INSTALL)):
        spec_of()


def test_the_demo_is_the_same_bytes_every_time(weights, tmp_path):
    make_evo1_demo(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == weights.read_bytes()


def test_it_describes_itself_without_torch_and_loads_without_touching_folder_or_logging(weights, tmp_path):
    code = (
        "import sys, logging; from pathlib import Path;"
        "from glm_assets.encoders.registry import encoder_spec, make_encoder;"
        "s = encoder_spec('evo1_demo', revision='0', layer='logits', pooling='positions:9', device='cpu');"
        "print([n for n in ('torch', 'evo', 'stripedhyena', 'vortex') if n in sys.modules]);"
        f"make_encoder(s, weights=Path({str(weights)!r}), device='cpu');"
        "print(logging.getLogger().handlers, logging.getLogger().level, 'evo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["[]", f"[] {logging.WARNING} False"]
    assert list(tmp_path.iterdir()) == []
