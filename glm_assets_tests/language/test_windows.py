"""Windows against a walk over the tokens, one by one."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from glm_assets.errors import SettingsError
from glm_assets.language.token_store import Segment, TokenStore, write_store
from glm_assets.language.windows import TokenWindows, overlap_step, packed_windows, stepped_windows

LENGTHS = (40, 3, 17, 25, 1, 90)
SPLITS = ("train", "val", "train", "train", "train", "test")


def make_store(folder, end_id=None, lengths=LENGTHS, splits=SPLITS, covers_ends=True) -> TokenStore:
    """Segments of different tokens, every fifth of which is no target."""
    folder.mkdir(exist_ok=True)
    segments, first = [], 1
    for length, split in zip(lengths, splits, strict=True):
        ids = np.arange(first, first + length, dtype=np.uint16)
        segments.append(Segment("c", first, "+", split, [(ids, ids % 5 != 0)]))
        first += length
    return write_store(
        segments,
        folder,
        dtype=np.uint16,
        vocabulary_size=4096,
        bases_per_token=6,
        end_id=end_id,
        covers_ends=covers_ends,
    )


def documents(store: TokenStore, split: str) -> list[list[int]]:
    """The tokens of a split's segments."""
    rows = store.segments.rows(named=True)
    places = [np.arange(row["first_token"], row["first_token"] + row["tokens"]) for row in rows]
    return [store.tokens(of).tolist() for row, of in zip(rows, places, strict=True) if row["split"] == split]


def walked(docs: list[list[int]], context: int, end_id: int | None):
    """(input, target, weight, position) of packed windows, token by token."""
    stream = [(token, place) for doc in docs for place, token in enumerate(doc)]
    pairs = []
    for (token, place), (target, target_place) in pairwise(stream):
        first = target_place == 0 and end_id is None
        pairs.append((token, target, 0.0 if first or target == end_id or target % 5 == 0 else 1.0, place))
    count = len(pairs) // context
    return np.array(pairs[: count * context]).reshape(count, context, 4)


@pytest.mark.parametrize("end_id", [None, 0])
@pytest.mark.parametrize("context", [2, 7, 8, 29, 64])
def test_packed_windows_are_the_segments_laid_end_to_end(tmp_path, context, end_id):
    store = make_store(tmp_path, end_id)
    expected = walked(documents(store, "train"), context, end_id)
    windows = TokenWindows(store, "train", context)
    found = windows.take(np.arange(len(windows)))
    np.testing.assert_array_equal(
        np.stack([found.inputs, found.targets, found.weights, found.positions], axis=-1), expected
    )
    total = 83 + 4 * (end_id is not None)
    assert (len(windows), windows.tokens) == ((total - 1) // context, total)
    assert windows.tail == total - 1 - len(windows) * context < context


def test_the_same_store_gives_windows_of_any_context(tmp_path):
    store = make_store(tmp_path)
    for context in (2, 5, 82):
        assert len(TokenWindows(store, "train", context)) == packed_windows(83, context) == 82 // context


def test_windows_of_one_token_are_refused_with_the_reason(tmp_path):
    with pytest.raises(SettingsError, match=r"1 token: a model sees nothing before .*2 or more"):
        TokenWindows(make_store(tmp_path), "train", 1)


def test_a_split_without_a_window_is_refused_with_its_size(tmp_path):
    with pytest.raises(SettingsError, match=r"split val has no window of 8 tokens .* 3 tokens in 1 segments"):
        TokenWindows(make_store(tmp_path), "val", 8)


def test_a_step_that_leaves_tokens_out_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="9 tokens apart"):
        TokenWindows(make_store(tmp_path), "train", 8, step=9)


@pytest.mark.parametrize(("context", "windows"), [(64, 6_248), (128, 3_123)])
def test_a_chunk_of_200_000_tokens_has_the_originals_windows(context, windows):
    step = overlap_step(context, 0.5)
    assert stepped_windows(np.array([200_000]), context, step, cover_ends=False).tolist() == [windows]
    assert windows == math.ceil((200_000 - context) / step)


def test_overlap_steps_are_the_originals_and_never_nothing():
    assert [overlap_step(*of) for of in ((64, 0.5), (64, 0.0), (10, 0.75), (4, 0.99))] == [32, 64, 2, 1]


@pytest.mark.parametrize("cover_ends", [True, False])
@pytest.mark.parametrize(("context", "step"), [(8, 4), (8, 8), (8, 3), (16, 1), (39, 10)])
def test_windows_with_a_step_stay_within_segments(tmp_path, context, step, cover_ends):
    store = make_store(tmp_path, covers_ends=cover_ends)
    rows, tail = [], 0
    for doc in documents(store, "train"):
        starts = list(range(0, len(doc) - context, step))
        if cover_ends and starts and starts[-1] != len(doc) - context - 1:
            starts.append(len(doc) - context - 1)
        rows += [(doc[0], start, doc[start : start + context + 1]) for start in starts]
        tail += len(doc) - (starts[-1] + context + 1 if starts else 0)
    windows = TokenWindows(store, "train", context, step=step)
    assert (len(windows), windows.tail) == (len(rows), tail)
    order = np.random.default_rng(0).permutation(len(rows))
    found = windows.take(order)
    tokens = np.array([rows[row][2] for row in order])
    starts = np.array([rows[row][1] for row in order])
    np.testing.assert_array_equal(found.inputs, tokens[:, :-1])
    np.testing.assert_array_equal(found.targets, tokens[:, 1:])
    np.testing.assert_array_equal(found.positions, starts[:, None] + np.arange(context))
    np.testing.assert_array_equal(found.weights, tokens[:, 1:] % 5 != 0)
    first_tokens = store.tokens(store.segments["first_token"].to_numpy()[found.block])
    assert first_tokens.tolist() == [rows[row][0] for row in order]


@pytest.mark.parametrize(("context", "step"), [(8, 4), (8, 8), (8, 3), (16, 1)])
def test_counted_once_every_token_but_a_segments_first_is_a_target_once(tmp_path, context, step):
    store = make_store(tmp_path)
    windows = TokenWindows(store, "train", context, step=step, once=True)
    batch = windows.take(np.arange(len(windows)))
    counted = np.sort(batch.targets[batch.weights > 0]).tolist()
    long = [doc for doc in documents(store, "train") if len(doc) > context]
    assert counted == [token for doc in long for token in doc[1:] if token % 5]


def test_a_window_that_is_not_there_is_refused(tmp_path):
    windows = TokenWindows(make_store(tmp_path), "train", 8)
    with pytest.raises(IndexError, match="of 10"):
        windows.take(np.array([10]))


def test_types_are_those_that_a_network_takes(tmp_path):
    batch = TokenWindows(make_store(tmp_path), "train", 8).take(np.array([1, 0]))
    types = [
        batch.inputs.dtype,
        batch.targets.dtype,
        batch.weights.dtype,
        batch.positions.dtype,
        batch.block.dtype,
    ]
    assert types == ["int64", "int64", "float32", "int64", "int64"]
