"""Tokens come back from disk as they went there, or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest

from glm_assets.errors import FormatError
from glm_assets.language.token_store import Segment, TokenStore, write_store

TEXTS = ("ACGT", "", "GGGAC")


def write(folder, end_id=None, counted=None) -> TokenStore:
    """Three segments of bytes, each in two chunks; one of them empty."""
    segments = [
        Segment(
            f"chr{number}",
            10 * number,
            "+-+"[number],
            "train",
            [(np.frombuffer(half.encode(), np.uint8), counted and counted(half)) for half in (text[:3], text[3:])],
        )
        for number, text in enumerate(TEXTS)
    ]
    return write_store(segments, folder, dtype=np.uint8, vocabulary_size=512, bases_per_token=1, end_id=end_id)


def ignoring_g(text: str) -> np.ndarray:
    return np.array([letter != "G" for letter in text], bool)


def test_tokens_and_places_come_back(tmp_path):
    store = write(tmp_path)
    assert bytes(store.tokens(np.arange(9)).tolist()) == b"ACGTGGGAC"
    assert store.segments.select("contig", "start", "strand", "first_token", "tokens").rows() == [
        ("chr0", 0, "+", 0, 4),
        ("chr2", 20, "+", 4, 5),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["segments.parquet", "store.json", "tokens.bin"]


def test_an_end_token_follows_every_segment_and_is_no_target(tmp_path):
    store = write(tmp_path, end_id=0)
    ids = store.tokens(np.arange(store.card.tokens))
    assert bytes(ids.tolist()) == b"ACGT\0GGGAC\0"
    np.testing.assert_array_equal(store.counts(np.arange(11), ids), ids != 0)


def test_tokens_that_do_not_count_are_kept_and_marked(tmp_path):
    store = write(tmp_path, counted=ignoring_g)
    places = np.arange(9).reshape(3, 3)
    ids = store.tokens(places)
    np.testing.assert_array_equal(store.counts(places, ids), ids != ord("G"))
    assert store.card.ignored == 4


def test_what_a_killed_writer_left_is_overwritten(tmp_path):
    write(tmp_path, counted=ignoring_g)
    store = write(tmp_path)
    assert store.counts(np.arange(9), store.tokens(np.arange(9))).all()
    assert not (tmp_path / "ignored.bin").exists()


def test_a_writer_that_fails_leaves_nothing_that_can_be_opened(tmp_path):
    write(tmp_path)

    def chunks():
        yield np.zeros(4, np.uint8), None
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        write_store(
            [Segment("c", 0, "+", "train", chunks())],
            tmp_path,
            dtype=np.uint8,
            vocabulary_size=4,
            bases_per_token=1,
        )
    with pytest.raises(FormatError):
        TokenStore(tmp_path)


def test_ids_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match="do not fit uint8"):
        write_store(
            [Segment("c", 0, "+", "train", [(np.array([256]), None)])],
            tmp_path,
            dtype=np.uint8,
            vocabulary_size=512,
            bases_per_token=1,
        )


def shorten(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-1])


def drop_a_segment(folder):
    import polars as pl

    path = folder / "segments.parquet"
    pl.read_parquet(path).head(1).write_parquet(path)


def forget_the_end(folder):
    path = folder / "store.json"
    card = json.loads(path.read_text())
    del card["end_id"]
    path.write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda folder: shorten(folder, "tokens.bin"), "tokens.bin has 8 bytes, not 9"),
        (lambda folder: shorten(folder, "ignored.bin"), "ignored.bin has 8 bytes, not 9"),
        (lambda folder: shorten(folder, "segments.parquet"), "no whole tokens"),
        (lambda folder: (folder / "tokens.bin").unlink(), "tokens.bin"),
        (drop_a_segment, "the segments are not the 9 tokens"),
        (forget_the_end, "end_id"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path, damage, why):
    write(tmp_path, counted=ignoring_g)
    damage(tmp_path)
    with pytest.raises(FormatError, match=why):
        TokenStore(tmp_path)


def test_a_store_without_tokens_is_one(tmp_path):
    store = write_store([], tmp_path, dtype=np.uint16, vocabulary_size=4096, bases_per_token=6)
    assert store.card.tokens == store.segments.height == 0
