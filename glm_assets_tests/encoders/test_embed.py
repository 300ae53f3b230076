"""The embedding loop: what it computes, what it finds, what it leaves after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from glm_assets.encoders.base import Encoder, EncoderSpec
from glm_assets.encoders.embed import InProcess, embed_sequences, embed_variants, read_vectors
from glm_assets.encoders.shards import window_matrix
from glm_assets.errors import FormatError
from glm_assets.genome.alphabet import reverse_complement
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.encoders.conftest import random_windows, text, variant_frame

RECIPE = {"length": 128, "anchor": 64, "layout": "centred"}


class CountingEncoder(Encoder):
    """A quick stand-in for a model: position-weighted letter sums; remembers every window it is given."""

    def __init__(self, revision: str = "0" * 64, die_after: int | None = None) -> None:
        self.spec = EncoderSpec(
            name="counting",
            revision=revision,
            layer="none",
            pooling="mean",
            dimension=3,
            context=1024,
            dtype="float32",
        )
        self.device_name = "none"
        self.batch_tokens = 1024
        self.seen: list[bytes] = []
        self._die_after = die_after

    def embed_batch(self, windows):
        if self._die_after is not None and len(self.seen) >= self._die_after:
            raise KeyboardInterrupt
        self.seen += [window.tobytes() for window in windows]
        weights = np.stack([np.cos(np.arange(windows.shape[1]) * k) for k in (0.1, 1.0, 2.0)], axis=1)
        return (windows @ weights / windows.shape[1]).astype(np.float32)


def run(windows, encoder, store, **options):
    options = {"shard_rows": 4, "progress": lambda line: None} | options
    return embed_variants(windows, encoder.spec, InProcess(lambda: encoder, store), store, RECIPE, **options)


def assert_equal_to_direct(windows, index, store):
    ref, delta = read_vectors(index, store)
    direct = CountingEncoder()
    expected = direct.embed(window_matrix(windows["ref_seq"]))
    assert np.array_equal(ref, expected)
    assert np.array_equal(delta, direct.embed(window_matrix(windows["var_seq"])) - expected)


def test_the_index_has_the_tables_columns_in_the_order_of_the_windows(tmp_path):
    windows = variant_frame(5).sample(fraction=1, shuffle=True, seed=3)
    store = EmbeddingStore(tmp_path)
    index, report = run(windows, CountingEncoder(), store)
    assert index.columns == ["variation_id", "chrom", "pos", "ref", "alt", "key"]
    assert index["variation_id"].to_list() == windows["variation_id"].to_list()
    assert_equal_to_direct(windows, index, store)
    assert (report.rows, report.cache_hits, report.distinct_references, report.windows_computed) == (10, 0, 5, 15)
    assert report.tokens_computed == 15 * 128
    assert report.windows_per_second > 0


def test_each_distinct_reference_window_is_embedded_once_wherever_its_variants_lie(tmp_path):
    windows = variant_frame(7)
    scattered = pl.concat([windows[::2], windows[1::2]])  # the two variants of a window are seven rows apart
    encoder = CountingEncoder()
    run(scattered, encoder, EmbeddingStore(tmp_path), shard_rows=3)
    assert len(encoder.seen) == len(set(encoder.seen)) == 7 + 14


def test_a_second_run_computes_nothing_and_a_new_release_only_what_is_new(tmp_path):
    store = EmbeddingStore(tmp_path)
    run(variant_frame(4), CountingEncoder(), store)
    encoder = CountingEncoder()
    _, report = run(variant_frame(4), encoder, store)
    assert (encoder.seen, report.cache_hits, report.windows_computed) == ([], 8, 0)

    new = variant_frame(2, seed=9)
    index, report = run(pl.concat([variant_frame(4), new]), encoder, store)
    assert (report.cache_hits, report.windows_computed) == (8, 2 + 4)
    assert_equal_to_direct(pl.concat([variant_frame(4), new]), index, store)


def test_another_encoder_or_recipe_shares_nothing(tmp_path):
    store = EmbeddingStore(tmp_path)
    run(variant_frame(2), CountingEncoder(), store)
    assert run(variant_frame(2), CountingEncoder(revision="1" * 64), store)[1].cache_hits == 0
    other = embed_variants(
        variant_frame(2),
        CountingEncoder().spec,
        InProcess(CountingEncoder, store),
        store,
        RECIPE | {"anchor": 63},
        shard_rows=4,
        progress=lambda line: None,
    )
    assert other[1].cache_hits == 0


def test_an_interrupted_run_keeps_its_finished_shards_and_the_next_one_does_the_rest(tmp_path):
    windows = variant_frame(6)
    with pytest.raises(KeyboardInterrupt):
        run(windows, CountingEncoder(die_after=12), EmbeddingStore(tmp_path))
    store, encoder = EmbeddingStore(tmp_path), CountingEncoder()
    index, report = run(windows, encoder, store)
    assert report.cache_hits == 8
    assert len(encoder.seen) == 2 + 4
    assert_equal_to_direct(windows, index, store)


def test_shards_are_cut_the_same_way_every_time_and_hold_the_rows_asked_for(tmp_path):
    run(variant_frame(6), CountingEncoder(), EmbeddingStore(tmp_path / "a"))
    run(variant_frame(6), CountingEncoder(), EmbeddingStore(tmp_path / "b"))
    contents = [sorted(p.read_bytes() for p in (tmp_path / name).glob("*.npy")) for name in "ab"]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 3


def test_a_damaged_shard_is_computed_again(tmp_path):
    run(variant_frame(6), CountingEncoder(), EmbeddingStore(tmp_path))
    victim = sorted(tmp_path.glob("*.npy"))[0]
    victim.write_bytes(victim.read_bytes()[:-1] + b"\xff")
    os.utime(victim, (0, 0))
    store = EmbeddingStore(tmp_path)
    index, report = run(variant_frame(6), CountingEncoder(), store)
    assert report.windows_computed == 2 + 4
    assert_equal_to_direct(variant_frame(6), index, store)


def test_no_variants_are_no_work(tmp_path):
    encoder = CountingEncoder()
    index, report = run(variant_frame(1).clear(), encoder, EmbeddingStore(tmp_path))
    assert len(index) == 0
    assert index.schema["key"] == pl.String
    assert (report.rows, report.windows_computed, report.windows_per_second, encoder.seen) == (0, 0, 0.0, [])


def test_progress_ends_with_everything_done(tmp_path):
    lines: list[str] = []
    run(variant_frame(6), CountingEncoder(), EmbeddingStore(tmp_path), progress=lines.append)
    assert lines[-1].startswith("12 of 12 variants, ")
    assert lines[-1].endswith(" a second, 0 s left")
    assert len(lines) == 1


def test_sequences_of_any_length_are_embedded_once_and_keyed_in_order(tmp_path):
    texts = [
        text(window)[:length] for window, length in zip(random_windows(5), (128, 3, 50, 128, 50), strict=True)
    ]
    sequences = pl.Series("seq", [*texts, texts[1]])
    store, encoder = EmbeddingStore(tmp_path), CountingEncoder()
    engine = InProcess(lambda: encoder, store)
    keys, report = embed_sequences(
        sequences, encoder.spec, engine, store, shard_rows=2, progress=lambda line: None
    )
    assert (report.rows, report.cache_hits, report.windows_computed) == (6, 0, 5)
    assert report.tokens_computed == 128 + 3 + 50 + 128 + 50
    alone = np.concatenate([CountingEncoder().embed(window_matrix(pl.Series([one]))) for one in sequences])
    assert np.array_equal(store.read_sequences(keys), alone)
    again, report = embed_sequences(
        sequences, encoder.spec, engine, store, shard_rows=2, progress=lambda line: None
    )
    assert again.equals(keys)
    assert (report.cache_hits, report.windows_computed) == (6, 0)


def test_a_sequences_vector_is_the_mean_over_both_strands_where_that_is_wanted(tmp_path):
    encoder, store = CountingEncoder(), EmbeddingStore(tmp_path)
    encoder.spec = replace(encoder.spec, reverse_complement=True)
    windows = random_windows(2, 50)
    pieces = (windows[0], windows[1, :7])
    keys, _ = embed_sequences(
        pl.Series([text(piece) for piece in pieces]),
        encoder.spec,
        InProcess(lambda: encoder, store),
        store,
        shard_rows=4,
        progress=lambda line: None,
    )
    one = CountingEncoder()
    for vector, piece in zip(store.read_sequences(keys), pieces, strict=True):
        expected = (one.embed(piece[None]) + one.embed(reverse_complement(piece)[None])) / 2
        np.testing.assert_allclose(vector, expected[0], rtol=1e-6)


def test_equal_rows_are_computed_once(tmp_path):
    index, report = run(pl.concat([variant_frame(2)] * 2), CountingEncoder(), EmbeddingStore(tmp_path))
    assert (report.rows, report.windows_computed) == (8, 2 + 4)
    assert index["key"].n_unique() == 4


def test_a_letter_that_is_not_ascii_is_refused():
    with pytest.raises(FormatError, match="not ASCII"):
        window_matrix(pl.Series(["ACGT", "ACGÅ"]))


def test_a_window_matrix_is_the_bytes_with_zeros_behind_the_short():
    assert window_matrix(pl.Series(["ACG", "T"])).tolist() == [[65, 67, 71], [84, 0, 0]]


def test_the_demo_encoder_embeds_variants_through_the_loop(tmp_path, encoder):
    windows = variant_frame(8)
    store = EmbeddingStore(tmp_path)
    index, _ = run(windows, encoder, store)
    ref, delta = read_vectors(index, store)
    assert np.abs(ref - encoder.embed(window_matrix(windows["ref_seq"]))).max() < 1e-6
    assert (np.linalg.norm(delta, axis=1) > 1e-3 * np.linalg.norm(ref, axis=1)).all()


KILLABLE = """
import sys, time
from pathlib import Path
from glm_assets.encoders.embed import InProcess, embed_variants
from glm_assets.encoders.registry import encoder_spec, make_encoder
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets_tests.encoders.conftest import LAYER, variant_frame
spec = encoder_spec("demo", revision="0", layer=LAYER, device="cpu")
encoder = make_encoder(spec, weights=Path(sys.argv[1]), device="cpu")
store = EmbeddingStore(Path(sys.argv[2]))
engine = InProcess(lambda: encoder, store)
report = embed_variants(variant_frame(120), spec, engine, store, {}, shard_rows=8, progress=lambda line: None)[1]
print(report.cache_hits, report.windows_computed)
"""


@pytest.mark.system
def test_a_killed_process_loses_one_shard_at_most_and_the_next_repeats_no_finished_one(
    tmp_path, weights, repository
):
    command = [sys.executable, "-c", KILLABLE, str(weights), str(tmp_path / "store")]
    environment = os.environ | {"PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    victim = subprocess.Popen(command, env=environment)
    while len(list((tmp_path / "store").glob("[!.]*.parquet"))) < 5:
        assert victim.poll() is None, "finished before it could be killed"
        time.sleep(0.002)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    finished = len(list((tmp_path / "store").glob("[!.]*.parquet")))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    hits, computed = map(int, done.stdout.split())
    assert 5 <= finished < 30
    assert hits == finished * 8
    assert computed == (240 - hits) // 2 * 3
