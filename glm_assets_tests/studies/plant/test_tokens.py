"""A species' tokens against its sequence, letter by letter."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from glm_assets.encoders.tokenizers.kmer import KmerTokenizer
from glm_assets.errors import SettingsError
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.language.token_store import TokenStore
from glm_assets.language.windows import TokenWindows
from glm_assets.storage.products import Product
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.plant import faithful_cutting
from glm_assets.studies.plant.configuration import PlantConfiguration
from glm_assets.studies.plant.tokens import bases_in_two_splits, make_tokens
from glm_assets_tests.studies.genomes import indexed, other_strand, random_sequence

ALL_PHASES = {"phases": (0, 1, 2, 3, 4, 5), "reverse_complement": True}
SPLIT = {"val": 20, "test": 20, "block_bases": 700, "gap_bases": 61}
HOLES = ((100, "N" * 37), (145, "R"), (160, "nn"), (2_000, "N" * 900), (3_995, "NNNNN"))
GENOME = {
    "one.fna.gz": {"chr1": random_sequence(1, 4_000, HOLES), "scaffold": "ACGTACG"},
    "two.fa": {"chr2": random_sequence(2, 3_001)},
    "three.fasta": {"chr3": random_sequence(3, 800, ((0, "NNN"),)), "none": "N" * 50},
}
RECORDS = {name: text.upper() for records in GENOME.values() for name, text in records.items()}
LENGTH = sum(map(len, RECORDS.values()))


class ToyStudy:
    """A study whose genome lies in a folder."""

    def __init__(self, folder: Path, genome: Path, **changes) -> None:
        values = read_configuration(
            PlantConfiguration, "glm_assets.studies.plant", "GLM_PLANT", "demo"
        ).model_dump()
        values["split"] |= SPLIT
        for section, change in changes.items():
            values[section] |= change
        self.values = PlantConfiguration.model_validate(values)
        self._folder, self._genome = folder, genome

    def files(self, name: str, species: str) -> Path:
        assert (name, species) == ("genome", "weed")
        return self._genome

    def tokens(self, species: str) -> Product:
        return Product("plant/tokens", self._folder / species, {}, {}, "1")

    def make(self):
        """The facts and the store."""
        lines: list[str] = []
        return make_tokens(self, "weed", lines.append).facts, TokenStore(self._folder / "weed")  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Path:
    return indexed(tmp_path_factory.mktemp("weed"), GENOME)


@pytest.fixture(scope="module")
def read_in_all_ways(tmp_path_factory, genome):
    return ToyStudy(tmp_path_factory.mktemp("tokens"), genome, tokens=ALL_PHASES).make()


def texts(store: TokenStore):
    """Each segment's row and the bases that its tokens spell, on the forward strand."""
    tokenizer = KmerTokenizer()
    for row in store.segments.iter_rows(named=True):
        places = np.arange(row["first_token"], row["first_token"] + row["tokens"])
        text = tokenizer.decode(store.tokens(places).astype(np.int32))
        yield row, other_strand(text) if row["strand"] == "-" else text


def painted(store: TokenStore) -> dict[str, np.ndarray]:
    """Which splits have a token over each base, as bits."""
    bases = {name: np.zeros(len(text), np.uint8) for name, text in RECORDS.items()}
    for row, text in texts(store):
        bases[row["contig"]][row["start"] : row["start"] + len(text)] |= 1 << ["train", "val", "test"].index(
            row["split"]
        )
    return bases


def test_tokens_spell_the_genome_where_their_segment_lies(read_in_all_ways):
    _, store = read_in_all_ways
    for row, text in texts(store):
        assert text == RECORDS[row["contig"]][row["start"] : row["start"] + len(text)]
        assert set(text) <= set("ACGT")


def test_no_base_is_in_two_splits_and_a_gap_lies_between(read_in_all_ways):
    for bases in painted(read_in_all_ways[1]).values():
        assert set(bases.tolist()) <= {0, 1, 2, 4}
        known = np.flatnonzero(bases)
        changes = np.flatnonzero(np.diff(bases[known].astype(int)))
        assert (np.diff(known)[changes] > SPLIT["gap_bases"]).all()


def test_phases_and_strands_read_every_k_mer_of_what_trains_once_each(read_in_all_ways):
    _, store = read_in_all_ways
    trained = {strand: [] for strand in "+-"}
    for row, text in texts(store):
        if row["split"] == "train":
            places = range(row["start"], row["start"] + len(text), 6)
            trained[row["strand"]] += [(row["contig"], place) for place in places]
    expected = [
        (name, match.start())
        for name, bases in painted(store).items()
        for run in re.finditer(b"\1+", bases.tobytes())
        for match in re.finditer("(?=[ACGT]{6})", RECORDS[name][run.start() : run.end()])
    ]
    assert len(trained["+"]) == len(set(trained["+"]))
    assert len(trained["-"]) == len(set(trained["-"]))
    # A block's run may go on in the next block of the same split, and no k-mer spans the two.
    assert set(trained["+"]) == set(trained["-"])
    assert len(trained["+"]) > 0.98 * len(expected)


def test_what_is_measured_is_read_once(read_in_all_ways):
    held_out = read_in_all_ways[1].segments.filter(read_in_all_ways[1].segments["split"] != "train")
    assert set(held_out.select("strand", "phase").rows()) == {("+", 0)}
    assert set(held_out["split"]) == {"val", "test"}


def test_every_base_is_read_or_dropped_for_a_reason(tmp_path, genome):
    facts, store = ToyStudy(tmp_path, genome).make()
    dropped = facts["bases_dropped"]
    read = sum((bases > 0).sum() for bases in painted(store).values())
    assert facts["bases_read"] == read == 6 * sum(facts["tokens"].values())
    assert facts["bases"] == LENGTH == read + sum(dropped.values())
    assert set(dropped) == {"gap", "unknown", "short", "unfinished"}
    assert dropped["short"] >= len("ACGTACG")
    assert facts["records"] == 5
    assert facts["segments"] == {
        name: store.segments.filter(store.segments["split"] == name).height for name in ("train", "val", "test")
    }


def test_without_gaps_what_is_unknown_is_what_is_no_base(tmp_path, genome):
    facts, _ = ToyStudy(tmp_path, genome, split={"gap_bases": 0}).make()
    unknown = sum(len(re.findall("[^ACGT]", text)) for text in RECORDS.values())
    assert (facts["bases_dropped"]["gap"], facts["bases_dropped"]["unknown"]) == (0, unknown)


def test_windows_are_counted_as_training_cuts_them(tmp_path, genome):
    facts, store = ToyStudy(tmp_path, genome, model={"context": 16}).make()
    for name in ("train", "val", "test"):
        windows = TokenWindows(store, name, 16, step=8)
        assert len(windows) == facts["windows"][name]
        assert windows.tail == facts["tokens_of_segments_without_window"][name]


def test_no_more_than_a_block_is_fetched(tmp_path, genome, monkeypatch):
    fetched, fetch = [], IndexedFasta.fetch

    def watched(self, *stretch):
        bases = fetch(self, *stretch)
        fetched.append(len(bases))
        return bases

    monkeypatch.setattr(IndexedFasta, "fetch", watched)
    ToyStudy(tmp_path, genome).make()
    assert max(fetched) < 2 * SPLIT["block_bases"] < max(map(len, RECORDS.values()))


def test_the_tokens_do_not_depend_on_the_order_of_files(tmp_path, genome):
    turned = indexed(tmp_path / "turned", dict(reversed(GENOME.items())))
    made = [ToyStudy(tmp_path / of.parent.name, of).make()[1] for of in (genome, turned)]
    found = [sorted((row["contig"], row["start"], row["split"], text) for row, text in texts(of)) for of in made]
    assert found[0] == found[1]


def test_a_genome_of_too_few_blocks_is_refused(tmp_path):
    genome = indexed(tmp_path / "small", {"a.fa": {"chr1": RECORDS["chr1"]}})
    with pytest.raises(SettingsError, match="smaller blocks"):
        ToyStudy(tmp_path, genome, split={"block_bases": 4_000}).make()


def sliced_chunks(chunk: int) -> list[list[int]]:
    """The original's tokens of whole chunks, by cutting strings."""
    tokenizer = KmerTokenizer()
    joined = "".join(RECORDS.values()).replace("N", "")
    whole = [joined[start : start + chunk] for start in range(0, len(joined) - chunk + 1, chunk)]
    cut = [[text[start : start + 6] for start in range(0, len(text) - 5, 6)] for text in whole]
    return [
        tokenizer.encode(["".join(kmer for kmer in kmers if set(kmer) <= set("ACGT"))])[0].tolist()
        for kmers in cut
    ]


def test_faithful_tokens_are_the_originals(tmp_path, genome, monkeypatch):
    monkeypatch.setattr(faithful_cutting, "CHUNK", 1_200)
    monkeypatch.setattr(faithful_cutting, "_FETCHED", 500)
    facts, store = ToyStudy(tmp_path, genome, tokens={"cut": "faithful"}).make()
    rows = store.segments.rows(named=True)
    found = [
        store.tokens(np.arange(row["first_token"], row["first_token"] + row["tokens"])).tolist() for row in rows
    ]
    assert found == sliced_chunks(1_200)
    assert sorted(store.segments["split"].unique()) == ["test", "train", "val"]
    letters = "".join(RECORDS.values())
    deleted = letters.count("N")
    assert facts["bases_dropped"] == {
        "n": deleted,
        "unknown": 6,
        "unfinished": 0,
        "last_chunk": (LENGTH - deleted) % 1_200,
    }
    assert facts["bases_read"] + sum(facts["bases_dropped"].values()) == LENGTH


@pytest.mark.parametrize(("context", "windows"), [(64, 6_248), (128, 3_123)])
def test_faithful_chunks_have_the_originals_windows(tmp_path, long_genome, context, windows):
    facts, store = ToyStudy(tmp_path, long_genome, tokens={"cut": "faithful"}, model={"context": context}).make()
    assert facts["windows"] == {"train": windows, "val": windows, "test": windows}
    assert facts["tokens"] == {"train": 200_000, "val": 200_000, "test": 200_000}
    cut = TokenWindows(store, "val", context, step=context // 2)
    last = cut.take(np.array([len(cut) - 1]))
    assert last.positions[0, 0] == (windows - 1) * context // 2
    assert facts["bases_dropped"]["last_chunk"] == 100_000


@pytest.fixture(scope="module")
def long_genome(tmp_path_factory) -> Path:
    letters = np.frombuffer(b"ACGT", np.uint8)[np.random.default_rng(0).integers(0, 4, 3_700_000)]
    return indexed(tmp_path_factory.mktemp("long"), {"a.fna": {"chr1": letters.tobytes().decode()}})


def test_a_genome_of_too_few_chunks_is_refused(tmp_path, genome):
    with pytest.raises(SettingsError, match=r"0 whole chunks of 1,200,000 bases.*tokens.cut to strict"):
        ToyStudy(tmp_path, genome, tokens={"cut": "faithful"}).make()


def test_bases_that_two_splits_read_are_counted_once():
    rows = [
        ("a", 0, 10, "train"),
        ("a", 30, 10, "train"),
        ("a", 50, 5, "val"),
        ("b", 0, 4, "test"),
        ("a", 88, 2, "test"),
    ]
    segments = pl.DataFrame(rows, ["contig", "start", "tokens", "split"], orient="row")
    # On a, train reads 0 to 60 and 30 to 90, val 50 to 80, test 88 to 100: 30 + 2 bases are read by two.
    assert bases_in_two_splits(segments, 6) == 32
    assert bases_in_two_splits(segments.filter(pl.col("split") == "train"), 6) == 0
