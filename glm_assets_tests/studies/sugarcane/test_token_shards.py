"""A variety's tokens against its sequence, letter by letter."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glm_assets.language.token_store import TokenStore
from glm_assets.language.windows import TokenWindows
from glm_assets.storage.products import Product
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.sugarcane import byte_tokens
from glm_assets.studies.sugarcane.configuration import SugarcaneConfiguration
from glm_assets.studies.sugarcane.token_shards import make_token_shards
from glm_assets_tests.studies.genomes import indexed, other_strand, random_sequence

CHR1 = random_sequence(1, 900, ((200, "N" * 50), (270, "R"), (899, "U")))
CHR2 = random_sequence(2, 400)
RECORDS = {"Chr1A": CHR1.replace("U", "T"), "Chr2A": CHR2, "Chr3A": random_sequence(3, 300)}
REGIONS = [("Chr1A", 0, 900, "train"), ("Chr2A", 0, 400, "val"), ("Chr3A", 0, 300, "test")]
UNITS = [
    ("Chr1A", 10, 150, "-", "train"),
    ("Chr1A", 700, 950, "+", "train"),
    ("Chr2A", -20, 130, ".", "val"),
    ("Chr2A", 380, 430, "+", None),
    ("Chr3A", 100, 200, "-", "test"),
]
PLACE = ["contig", "start", "end"]


class ToyStudy:
    """A study whose upstream files lie in folders."""

    def __init__(self, folder: Path, upstream: dict[str, Path], coordinates: str = "strict", **shards) -> None:
        values = read_configuration(
            SugarcaneConfiguration, "glm_assets.studies.sugarcane", "GLM_SUGARCANE", "demo"
        ).model_dump()
        values["shards"] |= {"min_bases": 25} | shards
        values["units"]["coordinates"] = coordinates
        values["training"]["context"] = 32
        self.values = SugarcaneConfiguration.model_validate(values)
        self._folder, self._upstream = folder, upstream

    def files(self, name: str, variety: str) -> Path:
        assert variety == "X1"
        return self._upstream[name]

    def token_shards(self, variety: str) -> Product:
        return Product("sugarcane/token_shards", self._folder / variety, {}, {}, "1")

    def make(self):
        """The facts and the store."""
        manifest = make_token_shards(self, "X1", [].append)  # pyright: ignore[reportArgumentType]
        return manifest.facts, TokenStore(self._folder / "X1")


@pytest.fixture(scope="module")
def upstream(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("variety")
    files = {"X1.fasta": {"Chr1A": CHR1, "Chr2A": CHR2}, "X1b.fa.gz": {"Chr3A": RECORDS["Chr3A"]}}
    units = folder / "units"
    units.mkdir()
    pl.DataFrame(REGIONS, [*PLACE, "split"], orient="row").write_parquet(units / "regions.parquet")
    pl.DataFrame(UNITS, [*PLACE, "strand", "split"], orient="row").write_parquet(units / "part.parquet")
    return {"genome": indexed(folder / "genome", files), "units": units}


def pieces(store: TokenStore) -> list[tuple[str, int, str, str, str]]:
    """Contig, start, strand, split and text of each segment, as it was written."""
    return [
        (row["contig"], row["start"], row["strand"], row["split"], text_of(store, row))
        for row in store.segments.iter_rows(named=True)
    ]


def text_of(store: TokenStore, row) -> str:
    ids = store.tokens(np.arange(row["first_token"], row["first_token"] + row["tokens"]))
    return bytes(ids.tolist()).decode("ascii")


def known_runs(keep_case: bool = False, min_bases: int = 25) -> list[tuple[str, int, str, str, str]]:
    """The pieces of the forward strand by a regular expression."""
    return [
        (contig, match.start(), "+", split, match[0] if keep_case else match[0].upper())
        for contig, _, _, split in REGIONS
        for match in re.finditer("[ACGTacgt]+", RECORDS[contig])
        if len(match[0]) >= min_bases
    ]


@pytest.mark.parametrize("soft_mask", ["upper", "keep", "unweighted"])
def test_tokens_are_the_known_bases_and_the_other_strand_of_what_trains(tmp_path, upstream, soft_mask):
    facts, store = ToyStudy(tmp_path, upstream, soft_mask=soft_mask, end_token=False).make()
    forward = known_runs(keep_case=soft_mask == "keep")
    turned = [
        (contig, start, "-", split, other_strand(text))
        for contig, start, _, split, text in forward
        if split == "train"
    ]
    assert pieces(store) == forward + turned
    assert facts["bases"] == sum(len(piece[-1]) for piece in forward)
    assert facts["tokens"]["train"] == 2 * sum(len(piece[-1]) for piece in forward if piece[3] == "train")
    assert facts["masked_share"] == pytest.approx(
        sum(map(str.islower, "".join(piece[-1] for piece in known_runs(keep_case=True)))) / facts["bases"]
    )


def test_what_is_left_out_is_counted(tmp_path, upstream):
    facts, _ = ToyStudy(tmp_path, upstream).make()
    assert (facts["unknown_bases"], facts["short_pieces"], facts["short_bases"]) == (51, 1, 20)
    assert facts["bases"] + 51 + 20 == sum(map(len, RECORDS.values()))


@pytest.mark.parametrize("turned", [False, True])
def test_soft_masked_bases_are_no_targets(tmp_path, upstream, turned):
    _, store = ToyStudy(tmp_path, upstream, soft_mask="unweighted").make()
    cased = [piece[-1] for piece in known_runs(keep_case=True) if piece[3] == "train"]
    texts = [other_strand(text) if turned else text for text in cased]
    rows = store.segments.filter((pl.col("split") == "train") & (pl.col("strand") == "+-"[turned]))
    for row, text in zip(rows.iter_rows(named=True), texts, strict=True):
        places = np.arange(row["first_token"], row["first_token"] + row["tokens"])
        counted = store.counts(places, store.tokens(places))
        assert counted.tolist() == [letter.isupper() for letter in text] + [False]


def test_every_piece_ends_with_a_token_that_is_no_target(tmp_path, upstream):
    facts, store = ToyStudy(tmp_path, upstream, soft_mask="upper").make()
    windows = TokenWindows(store, "train", 32)
    batch = windows.take(np.arange(len(windows)))
    ends = batch.targets == 0
    assert all(piece[-1].endswith("\0") for piece in pieces(store))
    assert ends.any()
    np.testing.assert_array_equal(batch.weights, ~ends)
    assert len(windows) == (facts["tokens"]["train"] - 1) // 32


def test_unknown_bases_can_be_kept(tmp_path, upstream):
    facts, store = ToyStudy(
        tmp_path, upstream, unknown="keep", soft_mask="keep", reverse_complement="forward", end_token=False
    ).make()
    assert [piece[-1] for piece in pieces(store)] == list(RECORDS.values())
    assert (facts["unknown_bases"], facts["short_bases"]) == (51, 0)


def test_units_are_read_on_their_strand_within_their_contig(tmp_path, upstream):
    _, store = ToyStudy(
        tmp_path, upstream, source="units", soft_mask="keep", reverse_complement="forward", end_token=False
    ).make()
    assert pieces(store) == [
        ("Chr1A", 10, "-", "train", other_strand(RECORDS["Chr1A"][10:150])),
        ("Chr1A", 700, "+", "train", RECORDS["Chr1A"][700:900]),
        ("Chr2A", 0, "+", "val", RECORDS["Chr2A"][:130]),
        ("Chr3A", 100, "-", "test", other_strand(RECORDS["Chr3A"][100:200])),
    ]


def test_the_originals_units_are_not_turned(tmp_path, upstream):
    _, store = ToyStudy(tmp_path, upstream, "faithful", source="units", reverse_complement="forward").make()
    assert set(store.segments["strand"]) == {"+"}


def test_a_piece_that_comes_in_parts_is_the_same(tmp_path, upstream, monkeypatch):
    whole = ToyStudy(tmp_path / "whole", upstream).make()
    monkeypatch.setattr(byte_tokens, "_CHUNK", 7)
    parts = ToyStudy(tmp_path / "parts", upstream).make()
    assert parts[0] == whole[0]
    for name in ("tokens.bin", "ignored.bin"):
        assert (parts[1].folder / name).read_bytes() == (whole[1].folder / name).read_bytes()
