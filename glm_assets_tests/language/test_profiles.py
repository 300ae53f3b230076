"""Profiles: whose logits a row has, entropies that are known, and files that a killed writer goes on with."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from glm_assets.errors import EncoderError  # noqa: E402
from glm_assets.language.profiles import ProfileFiles, entropy_bits, profile_sequence, write_profiles  # noqa: E402
from glm_assets.language.tiling import Tiling  # noqa: E402
from glm_assets_tests.language.markov_model import START, MarkovModel, PairModel  # noqa: E402
from glm_assets_tests.language.test_scoring import sequences  # noqa: E402

TILING = Tiling(start_token=True, tile=32, overlap=8, batch_tokens=64)


def test_entropies_that_are_known():
    one_hot, certain = [0.0, 1e4, 0.0, 0.0], [0.0, -np.inf, -np.inf, -np.inf]
    logits = np.array([[3.0] * 4, one_hot, certain, [1.0, 1.0, -1e4, -1e4], [np.nan] * 4])
    np.testing.assert_allclose(entropy_bits(logits), [2, 0, 0, 1, np.nan], atol=1e-12)


def test_entropies_are_those_of_the_definition():
    logits = np.random.default_rng(0).normal(0, 3, (50, 4))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = -(shares * np.log2(shares)).sum(axis=1)
    np.testing.assert_allclose(entropy_bits(logits), expected, atol=1e-12)


@pytest.mark.parametrize("start_token", [True, False])
def test_a_row_is_the_prediction_of_its_own_base_in_the_order_of_the_bases(start_token):
    model, (text,) = MarkovModel(), sequences(100)
    tiling = Tiling(start_token, 32, 8, 64)
    logits, entropy = profile_sequence(model, text.lower(), tiling)
    ids = [START, *text.encode()] if start_token else list(text.encode())
    first = 0 if start_token else 1
    for row in range(first, 100):
        place = row + 1 - first  # of the base among the ids
        table = model.table[ids[place - 2] if place > 1 else 0, ids[place - 1]]
        assert logits[row].tolist() == [table[ord(base)].item() for base in "ACGT"]
    assert np.isnan(logits[:first]).all()
    np.testing.assert_array_equal(entropy, entropy_bits(logits))
    assert np.isfinite(entropy[first:]).all()


def test_a_model_of_pairs_is_refused():
    with pytest.raises(EncoderError, match="2 bases at once"):
        profile_sequence(PairModel(), "ACGT", TILING)


def profiles(folder, model, texts, *, key="key", stop_after=None):
    files = ProfileFiles(folder, [len(text) for text in texts], key)
    written = []
    for number in write_profiles(model, texts, files, TILING):
        written.append(number)
        if len(written) == stop_after:
            break
    return files, written


def test_files_hold_one_sequence_after_another_as_float16(tmp_path):
    model, texts = MarkovModel(), sequences(50, 1, 33)
    files, _ = profiles(tmp_path, model, texts)
    logits, entropy = np.load(tmp_path / "logits.npy"), np.load(tmp_path / "entropy.npy")
    assert (logits.shape, logits.dtype, entropy.shape, entropy.dtype) == ((84, 4), np.float16, (84,), np.float16)
    expected = [profile_sequence(model, text, TILING) for text in texts]
    np.testing.assert_array_equal(logits, np.concatenate([each[0] for each in expected]).astype(np.float16))
    np.testing.assert_array_equal(entropy, np.concatenate([each[1] for each in expected]).astype(np.float16))
    np.testing.assert_array_equal(files.read(2)[0], logits[51:])


def test_a_writer_that_was_stopped_goes_on_and_repeats_nothing(tmp_path):
    model, texts = MarkovModel(), sequences(50, 20, 33, 40)
    (tmp_path / "whole").mkdir()
    profiles(tmp_path / "whole", model, texts)
    (tmp_path / "cut").mkdir()
    assert profiles(tmp_path / "cut", model, texts, stop_after=2)[1] == [0, 1]
    assert profiles(tmp_path / "cut", model, texts)[1] == [2, 3]
    assert profiles(tmp_path / "cut", model, texts)[1] == []
    for name in ("logits.npy", "entropy.npy"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_new_files_are_never_taken_for_those_that_an_old_note_tells_of(tmp_path):
    """A writer of something else was killed before it had filled anything, and the first one comes back."""
    model, texts = MarkovModel(), sequences(50, 20)
    profiles(tmp_path, model, texts)
    before = (tmp_path / "logits.npy").read_bytes()
    ProfileFiles(tmp_path, [50, 20], "another")
    assert profiles(tmp_path, model, texts)[1] == [0, 1]
    assert (tmp_path / "logits.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "left"), [("logits.npy", 200), ("entropy.npy", 0), (".profiles.json", 0), (".profiles.json", 9)]
)
def test_what_is_damaged_is_written_anew(tmp_path, name, left):
    model, texts = MarkovModel(), sequences(50, 20)
    profiles(tmp_path, model, texts)
    before = (tmp_path / "logits.npy").read_bytes()
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:left])
    assert profiles(tmp_path, model, texts)[1] == [0, 1]
    assert (tmp_path / "logits.npy").read_bytes() == before


def test_a_logit_beyond_float16_is_refused_and_one_of_minus_infinity_is_kept(tmp_path):
    files = ProfileFiles(tmp_path, [2, 2], "key")
    logits = np.array([[np.nan] * 4, [0, -np.inf, 1, 65_504]], np.float32)
    files.append((logits, entropy_bits(logits)))
    np.testing.assert_array_equal(files.read(0)[0], logits)
    logits[1, 2] = -70_000
    with pytest.raises(EncoderError, match=r"a logit of 70,000 cannot be kept.*65,504 at most"):
        files.append((logits, entropy_bits(logits)))
    assert files.done == 1


def test_profiles_of_something_else_are_written_anew(tmp_path):
    model, texts = MarkovModel(), sequences(50, 20)
    profiles(tmp_path, model, texts)
    assert profiles(tmp_path, model, texts, key="another")[1] == [0, 1]
    assert profiles(tmp_path, model, sequences(50, 21), key="another")[1] == [0, 1]
    (tmp_path / "logits.npy").unlink()
    assert profiles(tmp_path, model, sequences(50, 21), key="another")[1] == [0, 1]
