"""METAGENE-1's demo among the encoders, against a plain forward of the same model over the reads' tokens."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from glm_assets.encoders.embed import InProcess, embed_sequences
from glm_assets.encoders.huggingface.encoder import LAST
from glm_assets.encoders.registry import encoder_spec, make_encoder
from glm_assets.encoders.tokenizers.hf import HfTokenizer
from glm_assets.encoders.weights import resolve_weights
from glm_assets.errors import EncoderError, OfflineError
from glm_assets.genome.normalise import normalise
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.encoders.conftest import random_windows, text

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return resolve(tmp_path_factory.mktemp("weights"))


def resolve(folder, name="metagene_demo", local_file=None, **options):
    options = {"offline": True, "progress": lambda _line: None} | options
    return resolve_weights(name, local_file=local_file, folder=folder, **options)


def spec_of(weights, name="metagene_demo", layer=LAST, device="cpu", **options):
    path = weights.path
    return encoder_spec(name, revision=weights.sha256, layer=layer, device=device, weights=path, **options)


def load(weights, **options):
    return make_encoder(spec_of(weights, **options), weights=weights.path, device="cpu")


def hidden_of(weights, read, special_tokens=False):
    """(L, 64) last hidden states of one read by transformers' own class."""
    ids = HfTokenizer(weights.path.parent, special_tokens=special_tokens).encode([read])[0]
    model = transformers.LlamaModel.from_pretrained(weights.path.parent).eval()
    with torch.no_grad():
        return model(torch.from_numpy(ids.astype(np.int64))[None]).last_hidden_state[0].double().numpy()


def test_the_demo_is_made_once_and_found_again_without_a_network(tmp_path):
    lines = []
    first = resolve(tmp_path, progress=lines.append)
    written = first.path.stat().st_mtime_ns
    assert resolve(tmp_path) == first
    assert first.path.stat().st_mtime_ns == written
    assert first.source == "generated"
    assert any("making the demo's weights" in line for line in lines)


@pytest.mark.parametrize(
    ("pooling", "pool"), [("mean", np.mean), ("max", np.max), ("last", lambda hidden, axis: hidden[-1])]
)
def test_vectors_are_pooled_over_a_plain_forward_without_special_tokens(weights, pooling, pool):
    windows = random_windows(4, 90)
    vectors = load(weights, pooling=pooling).embed(windows)
    expected = [pool(hidden_of(weights, text(window)), axis=0) for window in windows]
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=2e-6)


def test_with_special_tokens_the_vectors_are_others_and_so_is_the_specification(weights):
    windows = random_windows(3, 90)
    framed = load(weights, special_tokens=True)
    expected = [hidden_of(weights, text(window), special_tokens=True)[1:-1].mean(axis=0) for window in windows]
    np.testing.assert_allclose(framed.embed(windows), expected, rtol=1e-4, atol=2e-6)
    plain = load(weights)
    assert np.abs(framed.embed(windows) - plain.embed(windows)).max() > 0.01
    assert plain.spec.extras["special_tokens"] is False
    assert plain.spec.fingerprint != framed.spec.fingerprint


def test_a_vector_does_not_depend_on_what_shares_its_batch(weights):
    windows = random_windows(30, 120).copy()
    windows[::4, 80:] = 0
    encoder = load(weights)
    together = encoder.embed(windows)
    alone = np.concatenate([encoder.embed(window[None]) for window in windows])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_reads_are_embedded_by_the_base_model_without_any_checkpoint(weights, tmp_path):
    reads = normalise(pl.Series(["acguacguACGGAT", "GATTACA" * 20, "ACGTACGTACGGAT"])).sequences
    encoder, store = load(weights), EmbeddingStore(tmp_path)
    keys, report = embed_sequences(
        reads,
        encoder.spec,
        InProcess(lambda: encoder, store),
        store,
        shard_rows=2,
        progress=lambda _line: None,
    )
    vectors = store.read_sequences(keys)
    expected = [hidden_of(weights, read).mean(axis=0) for read in ("ACGTACGTACGGAT", "GATTACA" * 20)]
    np.testing.assert_allclose(vectors, [*expected, expected[0]], rtol=1e-4, atol=2e-6)
    assert vectors.dtype == np.float32
    assert report.windows_computed == 2


def test_the_specification_says_what_the_weights_are(weights):
    spec = spec_of(weights)
    assert (spec.name, spec.dimension, spec.dtype, spec.revision) == (
        "metagene_demo",
        64,
        "float32",
        weights.sha256,
    )
    assert spec_of(weights, device="cuda:0").dtype == "bfloat16"
    with pytest.raises(EncoderError, match="described from the files beside its weights"):
        encoder_spec("metagene_demo", revision="0", layer=LAST, device="cpu")


def test_other_models_are_not_taken_for_metagene_1(weights):
    with pytest.raises(EncoderError, match=r"is not metagene1: its hidden_size is 64.*Expected: 4096.*hf:"):
        spec_of(weights, name="metagene1")


def test_metagene_1_is_taken_from_a_folder_or_file_that_is_named(weights, tmp_path):
    folder = weights.path.parent
    for local in (folder, weights.path):
        found = resolve(tmp_path, "metagene1", local)
        assert (found.path, found.sha256, found.revision) == (weights.path, weights.sha256, "local")
    with pytest.raises(EncoderError, match=r"absent\.safetensors does not exist"):
        resolve(tmp_path, "metagene1", folder / "absent.safetensors")


def test_metagene_1_offline_says_what_to_fetch(tmp_path):
    message = (
        r"metagene-ai/METAGENE-1 \(revision v1\).*hf download metagene-ai/METAGENE-1 --revision v1.*GLM_CHECKPOINT"
    )
    with pytest.raises(OfflineError, match=message):
        resolve(tmp_path, "metagene1", revision="v1")


def test_a_read_of_too_many_tokens_is_refused(weights):
    with pytest.raises(EncoderError, match="at most 512, the positions of encoder metagene_demo"):
        load(weights).embed(np.full((1, 513), ord("N"), np.uint8))


@pytest.mark.parametrize("pooling", ["mean_bf16", "downstream", "centre:8", "positions:4"])
def test_poolings_over_bases_are_refused(weights, pooling):
    with pytest.raises(EncoderError, match=r"tokens are not single bases.*mean, last, max"):
        spec_of(weights, pooling=pooling)


def test_evo2_offers_no_pooling_of_tokens():
    with pytest.raises(EncoderError, match=r"'blocks\.25\.mlp\.l3' does not go with pooling 'last'"):
        encoder_spec("demo", revision="0", layer="blocks.25.mlp.l3", pooling="last", device="cpu")


def test_a_tokenizer_that_transformers_would_remake_is_refused(weights, tmp_path):
    """The file cuts single letters; the class named beside it brings another way to cut and takes its merges only."""
    copy = shutil.copytree(weights.path.parent, tmp_path / "copy")
    content = json.loads((copy / "tokenizer.json").read_text())
    single = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
    (copy / "tokenizer.json").write_text(json.dumps(content | {"pre_tokenizer": single}))
    load(resolve(tmp_path, local_file=copy))
    stated = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps(stated | {"tokenizer_class": "LlamaTokenizer"}))
    changed = resolve(tmp_path, local_file=copy)
    with pytest.raises(EncoderError, match=r"does not cut DNA into tokens as .*PreTrainedTokenizerFast"):
        load(changed)


def test_describing_the_encoder_loads_neither_torch_nor_transformers(weights):
    code = (
        "import sys; from pathlib import Path; from glm_assets.encoders.registry import encoder_spec;"
        f"encoder_spec('metagene_demo', revision='0', layer='{LAST}', device='cpu', weights=Path('{weights.path}'));"
        "print([name for name in ('torch', 'transformers', 'tokenizers', 'regex') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_study_of_variants_can_name_it(tmp_path, tiny_tree):
    from glm_assets.lineage.embeddings import make_variant_embeddings, read_embeddings
    from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
    from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
    from glm_assets_tests.lineage.studies import tiny_study

    study = tiny_study(tmp_path, tiny_tree, encoder="metagene_demo")
    for make in (make_clinvar_release, make_reference_genome, make_glm_checkpoint):
        make(study, progress=lambda _: None)
    make_clinvar_variants(study, "22")
    rows = make_variant_windows(study, "22").facts["rows"]
    facts = make_variant_embeddings(study, "22", lambda _: None).facts
    ref, delta = read_embeddings(study, "22")
    assert ref.shape == delta.shape == (rows, 64)
    assert facts["finite"]
    assert facts["zero_delta_share"] == 0
