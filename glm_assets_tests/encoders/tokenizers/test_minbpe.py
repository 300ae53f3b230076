"""minbpe's segmentation against the textbook's algorithm, and its model files, whole and damaged."""

from __future__ import annotations

import time

import pytest

from glm_assets.encoders.tokenizers.minbpe import MinbpeTokenizer
from glm_assets.encoders.tokenizers.minbpe_file import MinbpeModel, read_minbpe, write_minbpe
from glm_assets.errors import EncoderError, FormatError
from glm_assets_tests.encoders.tokenizers.reference import GPT2, merge_all, minbpe_ids, random_reads


def test_reads_are_cut_as_the_textbook_cuts_them(minbpe, model):
    reads = random_reads(400, seed=2)
    encoded = minbpe.encode(reads)
    assert [ids.tolist() for ids in encoded] == [minbpe_ids(model, read) for read in reads]
    assert sum(map(len, encoded)) < 0.5 * sum(map(len, reads))


def test_a_read_is_cut_the_same_alone_and_among_others(minbpe):
    reads = random_reads(50, seed=3)
    assert [minbpe.encode([read])[0].tolist() for read in reads] == [ids.tolist() for ids in minbpe.encode(reads)]


@pytest.mark.parametrize("length", range(1, 12))
def test_runs_of_one_base_are_merged_from_the_left(length):
    # AA, then AAA as AA+A, then AAAA as AA+AA
    pairs = ((65, 65), (256, 65), (256, 256))
    tokenizer = MinbpeTokenizer(MinbpeModel("", {}, pairs))
    expected = merge_all([65] * length, {pair: 256 + rank for rank, pair in enumerate(pairs)})
    assert tokenizer.encode(["A" * length])[0].tolist() == expected


def test_a_merge_that_makes_a_better_pair_than_its_neighbour_goes_first():
    """TA has rank 1, and CG, which makes CG+T of rank 2, must not leave it to A+C of rank 3."""
    pairs = ((67, 71), (84, 65), (256, 84), (65, 67))
    tokenizer = MinbpeTokenizer(MinbpeModel("", {}, pairs))
    for text in ("CGTA", "ACGT", "TACG", "ACGTACGTA"):
        made = {pair: 256 + rank for rank, pair in enumerate(pairs)}
        assert tokenizer.encode([text])[0].tolist() == merge_all(list(text.encode()), made)


def test_what_is_decoded_is_what_was_encoded(minbpe):
    texts = [*random_reads(30, seed=4), "it's 12 o'clock,\n  née Ørsted  ", "", "ACGTN acgu"]
    assert [minbpe.decode(ids) for ids in minbpe.encode(texts)] == texts


def test_nothing_is_merged_over_the_borders_that_the_pattern_cuts(model, minbpe):
    assert model.pattern == GPT2
    halves = [*minbpe_ids(model, "ACGTTTA"), *minbpe_ids(model, "12")]
    assert minbpe.encode(["ACGTTTA12"])[0].tolist() == halves


def test_special_tokens_are_text_unless_they_are_asked_for(model, minbpe):
    [plain] = minbpe.encode(["AC<|eos|>GT"])
    assert 1024 not in plain
    knowing = MinbpeTokenizer(model, special_tokens=True)
    encoded = [ids.tolist() for ids in knowing.encode(["AC<|eos|>GT<|eos|>", "ACGT"])]
    parts = [*minbpe_ids(model, "AC"), 1024, *minbpe_ids(model, "GT"), 1024]
    assert encoded == [parts, minbpe_ids(model, "ACGT")]
    assert knowing.decode(encoded[0]) == "ACGT"
    assert knowing.digest != minbpe.digest


def test_the_vocabulary_counts_the_special_token_and_pads_with_it(minbpe):
    assert (minbpe.vocabulary_size, minbpe.pad_id, minbpe.unk_id) == (1025, 1024, None)
    assert (minbpe.token_strings[65], minbpe.token_strings[1024]) == ("A", "<|eos|>")
    assert minbpe.token_strings[200] is None


def test_a_model_file_is_read_back_as_it_was_written(model, tmp_path, minbpe):
    path = tmp_path / "own.model"
    write_minbpe(path, model)
    assert read_minbpe(path) == model
    lines = path.read_text().splitlines()
    assert lines[:4] == ["minbpe v1", GPT2, "1", "<|eos|> 1024"]
    assert lines[4] == "{} {}".format(*model.merges[0])
    again = MinbpeTokenizer.of_file(path)
    assert again.digest == minbpe.digest
    assert again.name == "minbpe own.model"


def test_a_model_without_a_pattern_or_special_tokens_is_one_too(tmp_path):
    path = tmp_path / "basic.model"
    path.write_text("minbpe v1\n\n0\n65 67\n256 71\n")
    tokenizer = MinbpeTokenizer.of_file(path)
    assert tokenizer.encode(["ACG 1ACGT"])[0].tolist() == [257, 32, 49, 257, 84]
    assert (tokenizer.vocabulary_size, tokenizer.pad_id) == (258, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("minbpe v2\nx\n0\n", r"line 1 is 'minbpe v2'.*'minbpe v1'"),
        ("minbpe v1\n", r"line 2 is missing.*a pattern"),
        ("minbpe v1\nx\nnone\n65 67\n", r"line 3 is 'none'.*number of special tokens"),
        ("minbpe v1\nx\n2\n<|eos|> 258\n65 67\n256 71", r"line 5 is '65 67'.*id from 257 on"),
        ("minbpe v1\nx\n3\n<|eos|> 258\n", r"line 5 is missing.*3 special tokens"),
        ("minbpe v1\nx\n1\n<|eos|>\n65 67\n", r"line 4 is '<\|eos\|>'.*a special token and its id"),
        ("minbpe v1\nx\n1\n<|eos|> 256\n65 67\n", r"line 4 .*an id from 257 on"),
        ("minbpe v1\nx\n0\n65 67\n256\n", r"line 5 is '256'.*pair of ids below 257"),
        ("minbpe v1\nx\n0\n65 67\n\n256 71\n", r"line 5 is ''.*pair"),
        ("minbpe v1\nx\n0\n65 A\n", r"line 4 is '65 A'"),
        ("minbpe v1\nx\n0\n65 256\n", r"line 4 is '65 256'.*below 256, the token that it makes"),
        ("minbpe v1\nx\n0\n65 67\n65 67\n", r"line 5 is '65 67'.*no line before"),
    ],
)
def test_a_damaged_model_file_is_refused_by_its_name_and_line(tmp_path, text, message):
    path = tmp_path / "damaged.model"
    path.write_text(text)
    with pytest.raises(FormatError, match=rf"damaged\.model, {message}"):
        read_minbpe(path)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    (tmp_path / "bytes.model").write_bytes(b"\xff\xfe\x00")
    for name in ("absent.model", "bytes.model"):
        with pytest.raises(FormatError, match=rf"{name} cannot be read"):
            read_minbpe(tmp_path / name)


@pytest.mark.parametrize("model", [MinbpeModel(" ?x", {}, ()), MinbpeModel("x", {"two words": 256}, ())])
def test_white_space_that_the_format_would_lose_is_not_written(tmp_path, model):
    with pytest.raises(FormatError, match="cannot be written"):
        write_minbpe(tmp_path / "lost.model", model)
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_that_is_none_is_refused():
    with pytest.raises(EncoderError, match=r"pattern '\(' of a minbpe model"):
        MinbpeTokenizer(MinbpeModel("(", {}, ()))


def test_a_hundred_thousand_reads_of_150_bases_take_less_than_a_minute(minbpe):
    reads = random_reads(4000, seed=5, length=150)
    size = sum(map(len, reads))
    began = time.process_time()
    minbpe.encode(reads)
    assert (time.process_time() - began) * 100_000 * 150 / size < 60
