"""The plant language model among the encoders, against a plain forward of the same network over a window's words."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from glm_assets.encoders.plant_lm.files import save_plant_lm
from glm_assets.encoders.registry import encoder_spec, make_encoder
from glm_assets.encoders.tokenizers.kmer import KmerTokenizer
from glm_assets.encoders.weights import link_weights, resolve_weights
from glm_assets.errors import EncoderError
from glm_assets_tests.encoders.conftest import random_windows, text
from glm_assets_tests.encoders.plant_lm.conftest import small_network

torch = pytest.importorskip("torch")

LAST = "last_hidden_state"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("plant") / "lm"
    save_plant_lm(small_network(k=2), path)
    return path


def resolve(place, cache, name="plant_lm"):
    return resolve_weights(name, local_file=place, folder=cache, offline=True, progress=lambda _line: None)


@pytest.fixture(scope="module")
def weights(folder, tmp_path_factory):
    return resolve(folder, tmp_path_factory.mktemp("cache"))


def describe(weights, layer=LAST, **options):
    return encoder_spec(
        "plant_lm", revision=weights.sha256, weights=weights.path, layer=layer, device="cpu", **options
    )


def embed(weights, windows, **options):
    return make_encoder(describe(weights, **options), weights=weights.path, device="cpu").embed(windows)


def hidden(window, **options):
    """Activations (n, 16) at the words of a window."""
    words = KmerTokenizer(2).encode([text(window)])[0]
    with torch.no_grad():
        return small_network(k=2).hidden(torch.from_numpy(words.astype(np.int64))[None], **options)[0].numpy()


@pytest.mark.parametrize("layer", [None, 0, 1])
def test_vectors_are_means_over_words_of_a_layer(weights, layer):
    windows = random_windows(3, 20)
    name = LAST if layer is None else f"layers.{layer}"
    expected = [hidden(window, layer=layer).mean(axis=0) for window in windows]
    assert np.allclose(embed(weights, windows, layer=name), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("last", lambda states: states[-1]),
        ("max", lambda states: states.max(axis=0)),
        ("positions:3", lambda states: states[:3].reshape(-1)),
        ("positions:12", lambda states: np.concatenate([states.reshape(-1), np.zeros(2 * 16)])),
    ],
)
def test_other_poolings_are_of_words_too(weights, pooling, pool):
    windows = random_windows(2, 20)
    vectors = embed(weights, windows, pooling=pooling)
    assert vectors.shape == (2, describe(weights, pooling=pooling).dimension)
    assert np.allclose(vectors, [pool(hidden(window)) for window in windows], atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(weights):
    windows = random_windows(5, 22)
    windows[1, 15:] = 0
    windows[2, 4] = ord("N")
    alone = np.concatenate([embed(weights, windows[[row]]) for row in range(5)])
    assert np.allclose(embed(weights, windows), alone, atol=1e-5)


def test_words_with_other_letters_are_left_out_and_those_after_keep_their_positions(weights):
    gapped = np.frombuffer(b"ACGTNAGTCC", np.uint8)[None]
    tokens = torch.tensor([[1, 11, 11, 5]])  # AC GT .. GT CC
    with torch.no_grad():
        states = small_network(k=2).hidden(tokens, torch.tensor([[0, 1, 3, 4]]))[0].numpy()
    assert np.allclose(embed(weights, gapped), states.mean(axis=0), atol=1e-5)


def test_bases_that_make_no_whole_word_are_not_read(weights):
    windows = random_windows(2, 21)
    assert np.array_equal(embed(weights, windows), embed(weights, windows[:, :20]))


def test_species_and_memory_are_part_of_what_a_vector_is(weights):
    windows = random_windows(2, 20)
    options = [{}, {"species": "a"}, {"species": "b"}, {"memory": False}]
    vectors = [embed(weights, windows, **each) for each in options]
    prints = [describe(weights, **each).fingerprint for each in options]
    assert prints[0] == prints[1]
    assert np.array_equal(vectors[0], vectors[1])
    assert len(set(prints)) == 3
    assert not np.allclose(vectors[0], vectors[2], atol=1e-3)
    assert not np.allclose(vectors[0], vectors[3], atol=1e-3)


def test_windows_beyond_the_context_are_refused(weights):
    assert describe(weights).context == 24
    with pytest.raises(EncoderError, match=r"has 26 bases.*at most 24"):
        embed(weights, random_windows(1, 26))


@pytest.mark.parametrize("window", [b"NNNN", b"A", b"ANNA"])
def test_a_window_without_a_word_is_refused(weights, window):
    with pytest.raises(EncoderError, match="no word of 2 letters"):
        embed(weights, np.frombuffer(window, np.uint8)[None])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "layers.2"}, r"unknown layer 'layers\.2'.*layers\.0 to layers\.1"),
        ({"layer": "blocks.1"}, r"unknown layer 'blocks\.1'"),
        ({"pooling": "downstream"}, "words of 2 bases"),
        ({"pooling": "log_likelihood"}, "words of 2 bases"),
        ({"species": "rice"}, "species 'rice'"),
        ({"fp8": True}, "FP8"),
    ],
)
def test_what_it_does_not_offer_is_refused(weights, options, message):
    with pytest.raises(EncoderError, match=message):
        describe(weights, **options)


def test_a_folder_and_its_weights_file_are_the_same_checkpoint(folder, tmp_path):
    by_folder, by_file = (resolve(place, tmp_path) for place in (folder, folder / "model.safetensors"))
    assert by_folder == by_file
    with pytest.raises(EncoderError, match=r"does not exist.*GLM_CHECKPOINT"):
        resolve(tmp_path / "absent", tmp_path)
    with pytest.raises(EncoderError, match=r"trained here.*GLM_CHECKPOINT"):
        resolve(None, tmp_path)


def test_weights_are_carried_with_their_configuration(weights, tmp_path):
    carried = tmp_path / link_weights(weights.path, tmp_path)
    windows = random_windows(2, 20)
    moved = encoder_spec("plant_lm", revision=weights.sha256, weights=carried, layer=LAST, device="cpu")
    assert moved.fingerprint == describe(weights).fingerprint
    assert np.array_equal(make_encoder(moved, weights=carried).embed(windows), embed(weights, windows))


def test_another_configuration_beside_the_weights_is_noticed(weights, tmp_path):
    spec = describe(weights)
    shutil.copytree(weights.path.parent, tmp_path / "lm")
    config = tmp_path / "lm" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"window": 3}))
    with pytest.raises(EncoderError, match="not the specified one"):
        make_encoder(spec, weights=tmp_path / "lm" / "model.safetensors", device="cpu")


def test_a_specification_needs_the_weights_place_and_no_torch(weights):
    with pytest.raises(EncoderError, match="GLM_CHECKPOINT"):
        encoder_spec("plant_lm", revision="0" * 64, layer=LAST, device="cpu")
    code = (
        "import sys; from pathlib import Path; from glm_assets.encoders.registry import encoder_spec;"
        f"encoder_spec('plant_lm', revision='0', layer='{LAST}', device='cpu', weights=Path(sys.argv[1]));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(weights.path)], check=False).returncode == 0
