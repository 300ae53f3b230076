"""Which tokenizers an encoder may not be given, why, and the way from one's ids to the other's."""

from __future__ import annotations

import numpy as np
import pytest

from glm_assets.encoders.tokenizers.base import pad_batch, vocabulary
from glm_assets.encoders.tokenizers.bridge import ABSENT, bridge_ids
from glm_assets.encoders.tokenizers.byte import ByteTokenizer
from glm_assets.encoders.tokenizers.fit import known_tokens, require_fit
from glm_assets.encoders.tokenizers.hf import HfTokenizer
from glm_assets.encoders.tokenizers.minbpe import MinbpeTokenizer
from glm_assets.encoders.tokenizers.minbpe_file import MinbpeModel, write_minbpe
from glm_assets.encoders.tokenizers.registry import make_tokenizer
from glm_assets.errors import EncoderError
from glm_assets_tests.encoders.tokenizers.reference import random_reads


@pytest.fixture
def hf(demo_folder):
    return HfTokenizer(demo_folder)


def test_a_tokenizer_fits_the_encoder_it_belongs_to(hf, minbpe):
    require_fit(hf, 1024, vocabulary(hf))
    require_fit(minbpe, 1025)
    require_fit(ByteTokenizer(), 512)


def test_ids_outside_the_embedding_are_refused_with_the_padding_among_them(minbpe):
    with pytest.raises(
        EncoderError, match=r"ids reach 1024, with 1024 for padding, and the embedding has 1024 rows"
    ):
        require_fit(minbpe, 1024)
    with pytest.raises(EncoderError, match=r"byte .*ids reach 511, and the embedding has 256 rows"):
        require_fit(ByteTokenizer(), 256)


def test_minbpe_is_refused_for_weights_that_were_trained_with_other_ids(minbpe, hf, model):
    tokens = [token.decode() for token in model.token_bytes()[256:]]
    known = sum(token in hf.token_strings for token in tokens)
    assert 0 < known < 768
    assert known_tokens(minbpe, vocabulary(hf)) == (known, 768)
    message = (
        rf"A is 65 here and 7 there.*{768 - known} of its 768 merged tokens are not in the encoder's vocabulary"
    )
    with pytest.raises(EncoderError, match=message):
        require_fit(minbpe, 1024, vocabulary(hf))
    with pytest.raises(EncoderError, match="A is 65 here and 7 there"):
        require_fit(minbpe, 2000, vocabulary(hf))


def test_bytes_are_refused_where_they_mean_something_else(hf):
    with pytest.raises(EncoderError, match="A is 65 here and 7 there"):
        require_fit(ByteTokenizer(), 1024, vocabulary(hf))


def test_a_bridge_leads_to_the_token_of_the_same_text_and_lists_those_without(minbpe, hf):
    bridge = bridge_ids(minbpe, hf)
    there = {text: index for index, text in enumerate(hf.token_strings)}
    for index, text in enumerate(minbpe.token_strings[:1024]):
        assert bridge.ids[index] == there.get(text, ABSENT)
    assert bridge.ids[minbpe.pad_id] == hf.pad_id
    absent = [text for text in minbpe.token_strings[256:1024] if text not in there]
    assert list(bridge.missing) == absent
    assert bridge.merged == 768


def test_a_bridged_read_has_the_same_text_and_one_with_missing_tokens_is_refused(minbpe, hf):
    bridge = bridge_ids(minbpe, hf)
    crossed = 0
    for read, ids in zip(random_reads(200, 30), minbpe.encode(random_reads(200, 30)), strict=True):
        if {minbpe.token_strings[index] for index in ids} & set(bridge.missing):
            with pytest.raises(EncoderError, match=r"has no token for .* ids of minbpe"):
                bridge.apply(ids)
        else:
            assert hf.decode(bridge.apply(ids)) == read
            crossed += 1
    assert 20 < crossed < 200


def test_several_ids_of_one_text_lead_to_the_same_id():
    source = MinbpeTokenizer(MinbpeModel("", {}, ((65, 65), (256, 65), (65, 256))), name="doubled")
    target = MinbpeTokenizer(MinbpeModel("", {}, ((65, 65), (65, 256))), name="single")
    assert bridge_ids(source, target).ids[[257, 258]].tolist() == [257, 257]


def test_tokenizers_are_made_by_name(tmp_path, demo_folder, model):
    path = tmp_path / "own.model"
    write_minbpe(path, model)
    assert make_tokenizer("byte").encode(["ACGT"])[0].tolist() == [65, 67, 71, 84]
    assert make_tokenizer("hf", demo_folder, special_tokens=True).encode(["A"])[0].tolist() == [3, 7, 4]
    assert make_tokenizer("minbpe", path).vocabulary_size == 1025
    with pytest.raises(EncoderError, match=r"unknown tokenizer 'words'.*byte, hf, kmer, minbpe"):
        make_tokenizer("words")
    with pytest.raises(EncoderError, match="tokenizer minbpe needs a path"):
        make_tokenizer("minbpe")


def test_bytes_come_back_and_other_characters_are_refused():
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode(["GATTACA"])[0]) == "GATTACA"
    assert tokenizer.decode([65, tokenizer.pad_id]) == "A"
    with pytest.raises(EncoderError, match="character 'é'"):
        tokenizer.encode(["née"])


def test_a_batch_is_padded_on_the_right_and_its_mask_does_not_ask_the_ids():
    batch = pad_batch([[5, 0, 7], np.array([0]), [1, 2, 3, 4]], pad_id=0, max_length=3)
    assert batch.ids.tolist() == [[5, 0, 7], [0, 0, 0], [1, 2, 3]]
    assert batch.mask.tolist() == [[True] * 3, [True, False, False], [True] * 3]
    assert batch.truncated == 1
    assert batch.ids.dtype == np.int64
    assert pad_batch([[1], [2, 3]], pad_id=9).ids.tolist() == [[1, 9], [2, 3]]
    with pytest.raises(EncoderError, match="sequence 1 of a batch has no token"):
        pad_batch([[1], []], pad_id=0)
