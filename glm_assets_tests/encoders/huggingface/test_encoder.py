"""Encoders of transformers models: a tiny ESM with 6-mers and a tiny BERT with characters, saved to a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from glm_assets.encoders.huggingface.encoder import LAST, hf_spec
from glm_assets.encoders.registry import encoder_spec, make_encoder
from glm_assets.encoders.weights import resolve_weights
from glm_assets.errors import EncoderError, IntegrityError
from glm_assets_tests.encoders.conftest import random_windows, text
from glm_assets_tests.encoders.huggingface.tiny_models import divide, save_bert, save_esm

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module", params=[save_esm, save_bert])
def folder(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def resolve(name, folder, **options):
    options = {"local_file": None, "offline": True, "progress": lambda _line: None} | options
    return resolve_weights(name, folder=folder, **options)


def spec_of(folder, layer=LAST, **options):
    return encoder_spec(f"hf:{folder}", revision="0" * 64, layer=layer, device="cpu", **options)


def load(folder, layer=LAST, **options):
    return make_encoder(spec_of(folder, layer), weights=folder / "model.safetensors", device="cpu", **options)


def plain(folder, sequence, layer=None):
    """Vector of one sequence by transformers alone, its special tokens taken off by hand."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        out = model(**tokenizer(sequence, return_tensors="pt"), output_hidden_states=True)
    hidden = out.hidden_states[-1 if layer is None else layer][0]
    inner = hidden[1:-1] if model.config.model_type == "bert" else hidden[1:]
    return inner.double().mean(dim=0).numpy()


@pytest.mark.parametrize(("layer", "index"), [(LAST, None), ("hidden_states.1", 1), ("hidden_states.0", 0)])
def test_vectors_are_the_mean_over_a_plain_forward_without_special_tokens(folder, layer, index):
    windows = random_windows(5, 38).copy()
    windows[3, 10] = ord("N")
    vectors = load(folder, layer).embed(windows)
    expected = [plain(folder, text(window), index) for window in windows]
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=2e-6)


def test_positions_are_the_first_bases_where_a_token_is_one(tmp_path):
    folder = save_bert(tmp_path / "bert")
    windows = random_windows(3, 30).copy()
    windows[1, 20:] = 0
    windows[2, 4] = ord("N")
    spec = encoder_spec(f"hf:{folder}", revision="0" * 64, layer=LAST, pooling="positions:25", device="cpu")
    assert spec.dimension == 25 * 16
    found = (
        make_encoder(spec, weights=folder / "model.safetensors", device="cpu").embed(windows).reshape(3, 25, 16)
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    for window, rows in zip(windows, found, strict=True):
        letters = text(window[window != 0])
        with torch.no_grad():
            hidden = model(**tokenizer(letters, return_tensors="pt")).last_hidden_state[0, 1:-1].numpy()
        taken = min(25, len(letters))
        np.testing.assert_allclose(rows[:taken], hidden[:25], rtol=1e-5, atol=2e-6)
        assert not rows[taken:].any()


def test_positions_are_refused_where_a_token_is_six_bases(tmp_path):
    folder = save_esm(tmp_path / "esm")
    with pytest.raises(EncoderError, match="offers no pooling 'positions:9': its tokens are not single bases"):
        encoder_spec(f"hf:{folder}", revision="0" * 64, layer=LAST, pooling="positions:9", device="cpu")


def test_the_tiny_nucleotide_transformer_reads_six_bases_a_token_and_single_ones_around_n(tmp_path):
    tokenizer = load(save_esm(tmp_path / "esm"))._tokenizer
    assert tokenizer.tokenize("ACGTACGGGGGGNTA") == ["ACGTAC", "GGGGGG", "N", "T", "A"]


def test_a_vector_does_not_depend_on_what_shares_its_batch(folder):
    windows = random_windows(12, 36).copy()
    windows[::3, 7] = ord("N")  # other numbers of tokens in 6-mers
    windows[5, 20:] = 0
    together, alone = load(folder), load(folder, batch_tokens=1)
    np.testing.assert_allclose(together.embed(windows), alone.embed(windows), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(together.embed(windows), load(folder).embed(windows))


def test_pairs_are_two_forwards_and_say_so(folder):
    encoder, ref = load(folder), random_windows(3, 36)
    var = ref.copy()
    var[:, 18] = np.where(var[:, 18] == ord("A"), ord("C"), ord("A"))
    vectors, delta = encoder.embed_pairs(ref, var, np.full(3, 18))
    np.testing.assert_allclose(vectors + delta, encoder.embed(var), atol=1e-6)
    assert (np.abs(delta).max(axis=1) > 1e-4).all()
    assert encoder.spec.extras["pairs"] == "two_forwards"


def test_the_specification_follows_from_the_folder_and_not_from_its_place(folder, tmp_path):
    spec = spec_of(folder)
    six = (folder / "vocab.txt").is_file()
    assert (spec.dimension, spec.context, spec.dtype) == (16, 64 * (6 if six else 1), "float32")
    moved = shutil.copytree(folder, tmp_path / folder.name)
    assert spec_of(moved).fingerprint == spec.fingerprint
    (moved / "tokenizer_config.json").write_text("{}")
    assert spec_of(moved).fingerprint != spec.fingerprint
    with pytest.raises(EncoderError, match="not the specified one"):
        make_encoder(spec, weights=moved / "model.safetensors", device="cpu")


def test_a_folder_is_resolved_to_its_weights_without_a_network(folder, tmp_path):
    found = resolve(f"hf:{folder}", tmp_path)
    assert found.path == folder / "model.safetensors"
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()


def test_divided_weights_give_the_same_vectors_and_are_known_by_all_their_files(copy, tmp_path):
    windows = random_windows(3, 36)
    expected = load(copy).embed(windows)
    index = divide(copy)
    parts = sorted(copy.glob("model-*.safetensors"))
    assert len(parts) > 2
    found = resolve(f"hf:{copy}", tmp_path)
    assert found.path == index
    assert found.size == index.stat().st_size + sum(part.stat().st_size for part in parts)
    vectors = make_encoder(spec_of(copy), weights=found.path, device="cpu").embed(windows)
    np.testing.assert_array_equal(vectors, expected)

    content = parts[1].read_bytes()
    parts[1].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert resolve(f"hf:{copy}", tmp_path).sha256 != found.sha256
    with pytest.raises(IntegrityError, match=found.sha256):
        resolve(f"hf:{copy}", tmp_path, expected_sha256=found.sha256)
    parts[1].unlink()
    with pytest.raises(EncoderError, match=f"has no {parts[1].name}"):
        resolve(f"hf:{copy}", tmp_path)


def test_an_index_that_names_files_elsewhere_is_refused(copy, tmp_path):
    index = divide(copy)
    index.write_text(json.dumps({"weight_map": {"a": "../other/model.safetensors"}}))
    with pytest.raises(EncoderError, match="no index of weights beside it"):
        resolve(f"hf:{copy}", tmp_path)


def test_pickled_weights_are_refused(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"no model\.safetensors; pickled"):
        spec_of(copy)


@pytest.mark.parametrize(
    ("file", "key", "code"),
    [
        ("config.json", "AutoModelForMaskedLM", "modeling_esm.EsmForMaskedLM"),
        ("config.json", "AutoConfig", "esm_config.EsmConfig"),
        ("tokenizer_config.json", "AutoTokenizer", ["tokenization.DnaTokenizer", None]),
    ],
)
def test_a_model_that_needs_code_of_its_repository_is_refused_and_the_code_not_run(
    copy, tmp_path, file, key, code
):
    values = json.loads((copy / file).read_text())
    (copy / file).write_text(json.dumps(values | {"auto_map": {key: code}}))
    for name in ("modeling_esm.py", "esm_config.py", "tokenization.py"):
        (copy / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    name = code if isinstance(code, str) else code[0]
    with pytest.raises(EncoderError, match=rf"needs Python code of its repository .*{name}.*auto_map"):
        spec_of(copy)
    with pytest.raises(EncoderError, match="never run"):
        resolve(f"hf:{copy}", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_neither_a_folder_nor_a_repository_is_refused_with_the_way_to_get_one(tmp_path):
    for name in (f"hf:{tmp_path}/absent", "hf:./some/repo", "hf:plain"):
        with pytest.raises(EncoderError, match=r"there is no folder .*hf download"):
            resolve(name, tmp_path, offline=False)


@pytest.mark.parametrize("layer", ["hidden_states.4", "hidden_states.-1", "hidden_states.", "blocks.25"])
def test_an_unknown_layer_is_refused_by_name(folder, layer):
    with pytest.raises(EncoderError, match=rf"{layer}.*hidden_states\.0 to hidden_states\.3"):
        spec_of(folder, layer)


def test_log_likelihoods_are_refused_with_the_reason(folder):
    with pytest.raises(
        EncoderError, match=r"gives no log-likelihoods: a masked model predicts .* from both sides"
    ):
        spec_of(folder, layer="logits", pooling="log_likelihood")


@pytest.mark.parametrize("pooling", ["mean_bf16", "downstream", "centre:8", "covariance:4"])
def test_poolings_over_bases_are_refused_with_the_reason(folder, pooling):
    with pytest.raises(EncoderError, match=rf"{pooling}'.*tokens are not single bases.*Expected: mean"):
        spec_of(folder, pooling=pooling)


def test_options_that_are_not_offered_are_refused(folder):
    for options in ({"fp8": True}, {"cast_all_bf16": True}):
        with pytest.raises(EncoderError, match="fp8 false"):
            spec_of(folder, **options)


@pytest.mark.parametrize("precision", ["float32_residual", "float16", ""])
def test_an_unknown_precision_is_refused(folder, precision):
    with pytest.raises(EncoderError, match=f"{precision!r}.*auto, float32 or bfloat16"):
        spec_of(folder, precision=precision)


def test_the_precision_is_the_devices_unless_it_is_stated(folder):
    def dtype(device, precision):
        options = {"revision": "0", "layer": LAST, "pooling": "mean", "device": device}
        return hf_spec(f"hf:{folder}", precision=precision, **options).dtype

    assert [dtype("cpu", "auto"), dtype("cuda:0", "auto")] == ["float32", "bfloat16"]
    assert [dtype("cpu", "bfloat16"), dtype("cuda:0", "float32")] == ["bfloat16", "float32"]


def test_bfloat16_on_a_cpu_computes_in_it(folder):
    windows = random_windows(4, 36)
    spec = spec_of(folder, precision="bfloat16")
    assert spec.fingerprint != spec_of(folder).fingerprint
    coarse = make_encoder(spec, weights=folder / "model.safetensors", device="cpu").embed(windows)
    exact = load(folder).embed(windows)
    assert np.isfinite(coarse).all()
    assert 1e-4 < np.abs(coarse - exact).max() / np.abs(exact).max() < 0.05


def test_both_strands_are_part_of_the_specification(folder):
    both = spec_of(folder, reverse_complement=True)
    assert both.reverse_complement
    assert both.fingerprint != spec_of(folder).fingerprint


def test_too_long_a_sequence_is_refused_by_name(folder):
    encoder = load(folder)
    with pytest.raises(EncoderError, match=f"{encoder.spec.name}"):
        encoder.embed(random_windows(1, encoder.spec.context + 1))
    unknown = np.full((1, 65), ord("N"), np.uint8)
    with pytest.raises(EncoderError, match=f"at most 64.* of encoder {encoder.spec.name}"):
        encoder.embed(unknown)


def test_weights_that_lack_a_tensor_are_refused_instead_of_filled_with_random_numbers(copy):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    gone = next(name for name in tensors if "layer.1" in name)
    del tensors[gone]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(EncoderError, match="lack 1 tensors"):
        load(copy)


@pytest.mark.parametrize("positions", ["absolute", "rotary"])
def test_a_language_model_is_read_as_it_is_published_with_its_head_and_without_what_is_not_used(
    tmp_path, positions
):
    from safetensors.torch import load_file, save_file

    folder = save_esm(tmp_path / "lm")
    config = transformers.AutoConfig.from_pretrained(folder)
    config.position_embedding_type = positions
    torch.manual_seed(2)
    model = transformers.EsmForMaskedLM(config).eval()
    model.save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in tensors.items() if "contact_head" not in key and "inv_freq" not in key}
    assert len(kept) < len(tensors)
    assert any(key.startswith("lm_head") for key in kept)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})

    [window] = random_windows(1, 36)
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(text(window), return_tensors="pt")
    with torch.no_grad():
        hidden = model.esm(**tokens).last_hidden_state[0, 1:]
    np.testing.assert_allclose(load(folder).embed(window[None])[0], hidden.mean(dim=0), rtol=1e-5, atol=1e-6)


def test_describing_an_encoder_loads_neither_torch_nor_transformers(folder):
    code = (
        "import sys; from glm_assets.encoders.registry import encoder_spec;"
        f"encoder_spec('hf:{folder}', revision='0', layer='last_hidden_state', device='cpu').fingerprint;"
        "print([name for name in ('torch', 'transformers', 'tokenizers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_study_embeds_its_variants_with_it(tmp_path, tiny_tree):
    from glm_assets.lineage.embeddings import make_variant_embeddings, read_embeddings
    from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
    from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
    from glm_assets_tests.lineage.studies import tiny_study

    study = tiny_study(tmp_path, tiny_tree, encoder=f"hf:{save_esm(tmp_path / 'model')}")
    for make in (make_clinvar_release, make_reference_genome, make_glm_checkpoint):
        make(study, progress=lambda _: None)
    make_clinvar_variants(study, "22")
    rows = make_variant_windows(study, "22").facts["rows"]
    facts = make_variant_embeddings(study, "22", lambda _: None).facts
    ref, delta = read_embeddings(study, "22")
    assert ref.shape == delta.shape == (rows, 16)
    assert facts["finite"]
    assert facts["zero_delta_share"] == 0
