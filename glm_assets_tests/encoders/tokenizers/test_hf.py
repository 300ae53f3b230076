"""A folder's tokenizer against the merges in its own JSON, and what it makes of special tokens and padding."""

from __future__ import annotations

import json
import shutil

import pytest

from glm_assets.encoders.tokenizers.base import unknown_rate
from glm_assets.encoders.tokenizers.hf import HfTokenizer
from glm_assets.errors import EncoderError
from glm_assets_tests.encoders.tokenizers.reference import merge_all, random_reads


@pytest.fixture
def tokenizer(demo_folder):
    return HfTokenizer(demo_folder)


def test_reads_are_cut_by_the_merges_of_the_file(tokenizer, demo_folder):
    content = json.loads((demo_folder / "tokenizer.json").read_text())["model"]
    made = {tuple(pair): "".join(pair) for pair in content["merges"]}
    reads = random_reads(300, seed=6, letters="ACGTN")
    expected = [[content["vocab"][token] for token in merge_all(read, made)] for read in reads]
    assert [ids.tolist() for ids in tokenizer.encode(reads)] == expected


def test_the_demos_ids_are_laid_out_as_metagene_1s(tokenizer):
    special = ["[PAD]", "[UNK]", "[SEP]", "[BOS]", "[EOS]", "[MASK]"]
    assert tokenizer.token_strings[:12] == (*special, *"_ACGTN")
    assert (tokenizer.vocabulary_size, tokenizer.pad_id, tokenizer.unk_id) == (1024, 0, 1)
    assert all(set(text) <= set("ACGT") and len(text) > 1 for text in tokenizer.token_strings[12:])
    assert len(set(tokenizer.token_strings)) == 1024


def test_bos_and_eos_stand_around_a_read_only_where_they_are_asked_for(demo_folder, tokenizer):
    framing = HfTokenizer(demo_folder, special_tokens=True)
    [plain], [framed] = tokenizer.encode(["GATTACA"]), framing.encode(["GATTACA"])
    assert framed.tolist() == [3, *plain, 4]
    assert framing.decode(framed) == tokenizer.decode(plain) == "GATTACA"
    assert framing.digest != tokenizer.digest


def test_what_is_decoded_is_what_was_encoded(tokenizer):
    reads = random_reads(50, seed=7, letters="ACGTN")
    assert [tokenizer.decode(ids) for ids in tokenizer.encode(reads)] == reads
    assert tokenizer.encode([""])[0].tolist() == []


def test_lower_case_and_rna_are_unknown_and_counted(tokenizer):
    rate = unknown_rate(tokenizer, tokenizer.encode(["acgt", "ACGU", "AC"]))
    assert rate.unknown == 5
    assert rate.share == 5 / rate.tokens
    clean = unknown_rate(tokenizer, tokenizer.encode(random_reads(20)))
    assert clean.share == 0
    assert (rate + clean).tokens == rate.tokens + clean.tokens


def test_neither_the_files_truncation_nor_its_padding_is_heeded(demo_folder, tmp_path, tokenizer):
    copy = shutil.copytree(demo_folder, tmp_path / "copy")
    content = json.loads((copy / "tokenizer.json").read_text())
    content["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {"strategy": {"Fixed": 99}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0}
    content["padding"] |= {"pad_type_id": 0, "pad_token": "[PAD]"}
    (copy / "tokenizer.json").write_text(json.dumps(content))
    assert HfTokenizer(copy).encode(["GATTACA" * 9])[0].tolist() == tokenizer.encode(["GATTACA" * 9])[0].tolist()


def test_padding_is_the_token_that_the_folder_states(demo_folder, tmp_path):
    copy = shutil.copytree(demo_folder, tmp_path / "copy")
    (copy / "tokenizer_config.json").write_text(json.dumps({"pad_token": {"content": "[MASK]"}}))
    assert HfTokenizer(copy).pad_id == 5
    content = (copy / "tokenizer.json").read_text().replace("[PAD]", "[OTHER]")
    (copy / "tokenizer.json").write_text(content)
    (copy / "tokenizer_config.json").unlink()
    with pytest.raises(EncoderError, match="no padding token"):
        HfTokenizer(copy)


def test_a_folder_without_a_tokenizer_or_with_a_broken_one_is_refused_by_name(tmp_path):
    with pytest.raises(EncoderError, match=r"tokenizer\.json cannot be read"):
        HfTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "none"}}')
    with pytest.raises(EncoderError, match=r"tokenizer\.json cannot be read"):
        HfTokenizer(tmp_path)
