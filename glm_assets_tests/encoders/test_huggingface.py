"""Encoders of transformers models: a tiny ESM with 6-mers and a tiny BERT with characters, saved to a folder."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys

import numpy as np
import pytest

from glm_assets.encoders.huggingface import LAST
from glm_assets.encoders.registry import encoder_spec, make_encoder
from glm_assets.encoders.weights import resolve_weights
from glm_assets.errors import EncoderError
from glm_assets_tests.encoders.conftest import random_windows, text

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SPECIAL = ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>"]
SIX = ["".join(letters) for letters in itertools.product("ACGT", repeat=6)]
SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def save_esm(folder):
    """As the Nucleotide Transformer: 6-mers, then single bases, a cls token in front."""
    folder.mkdir()
    tokens = [*SPECIAL, *SIX, *"ATCGN"]
    (folder / "vocab.txt").write_text("\n".join(tokens))
    transformers.EsmTokenizer(str(folder / "vocab.txt"), eos_token=None).save_pretrained(folder)
    config = transformers.EsmConfig(
        vocab_size=len(tokens),
        pad_token_id=1,
        mask_token_id=2,
        max_position_embeddings=66,
        token_dropout=False,
        **SIZES,
    )
    torch.manual_seed(0)
    transformers.EsmModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def save_bert(folder):
    """Single characters between [CLS] and [SEP]; N is unknown."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"ACGT"]
    core = Tokenizer(models.WordLevel({token: index for index, token in enumerate(names)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(1)
    config = transformers.BertConfig(vocab_size=len(names), max_position_embeddings=64, **SIZES)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[save_esm, save_bert])
def folder(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


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
    found = resolve_weights(
        f"hf:{folder}", local_file=None, folder=tmp_path, offline=True, progress=lambda _line: None
    )
    assert found.path == folder / "model.safetensors"
    assert len(found.sha256) == 64


def test_pickled_weights_are_refused(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(EncoderError, match=r"no model\.safetensors; pickled"):
        spec_of(copy)


def test_a_repository_that_is_not_here_is_refused_with_the_way_to_get_it(tmp_path):
    with pytest.raises(EncoderError, match=r"no folder some/repo.*hf download"):
        resolve_weights(
            "hf:some/repo", local_file=None, folder=tmp_path, offline=True, progress=lambda _line: None
        )


@pytest.mark.parametrize("layer", ["hidden_states.4", "hidden_states.-1", "hidden_states.", "blocks.25"])
def test_an_unknown_layer_is_refused_by_name(folder, layer):
    with pytest.raises(EncoderError, match=rf"{layer}.*hidden_states\.0 to hidden_states\.3"):
        spec_of(folder, layer)


def test_options_that_are_not_offered_are_refused(folder):
    for options in ({"pooling": "mean_bf16"}, {"fp8": True}, {"cast_all_bf16": True}):
        with pytest.raises(EncoderError, match="pooling mean, fp8 false"):
            spec_of(folder, **options)


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
