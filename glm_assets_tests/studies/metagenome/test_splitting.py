import random

import polars as pl
import pytest

from glm_assets.errors import FormatError
from glm_assets.studies.metagenome.configuration import ReadFile
from glm_assets.studies.metagenome.label_map import read_label_map
from glm_assets.studies.metagenome.leaks import leaking_reads
from glm_assets.studies.metagenome.reading import write_reads
from glm_assets.studies.metagenome.splitting import split_figures, split_genomes
from glm_assets_tests.studies.metagenome.reads import settings, split_settings


def reads_of(genomes, *, each=3, declared=None):
    """Reads of genomes given as label -> genomes, and the files' splits as genome -> split."""
    rows = [
        (label, index, genome, (declared or {}).get(genome))
        for index, (label, members) in enumerate(sorted(genomes.items()))
        for genome in members
        for _ in range(each)
    ]
    frame = pl.DataFrame(rows, schema=["label", "label_index", "genome", "file_split"], orient="row")
    return frame.cast({"file_split": pl.String}).with_row_index("read")


def named(label, count, seed=0):
    return [f"{label}{random.Random(f'{seed}{label}{n}').getrandbits(40):x}" for n in range(count)]


def places(split):
    """Genome -> split, which fails if a genome has two."""
    pairs = split.frame.select("genome", "split").unique().rows()
    assert len({genome for genome, _ in pairs}) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize("seed", range(30))
def test_genomes_stay_together_and_every_label_that_can_is_on_every_side(seed):
    source = random.Random(seed)
    genomes = {label: named(label, source.randint(1, 12), seed) for label in "abcd"}
    genomes["d"] += genomes["a"][:2]
    reads = reads_of(genomes)
    split = split_genomes(reads, split_settings())
    assert split.frame["read"].to_list() == reads["read"].to_list()
    side = places(split)
    for label, members in genomes.items():
        if len(members) < 3:
            assert {side[genome] for genome in members} == {"train"}
            assert any(text.startswith(f"{label}: ") for text in split.warnings)
        elif label not in "ad":
            assert {side[genome] for genome in members} == {"train", "val", "test"}
    shuffled = split_genomes(reads.sample(fraction=1, shuffle=True, seed=seed), split_settings())
    assert places(shuffled) == side


def test_a_new_genome_moves_no_other():
    genomes = {label: named(label, 60) for label in "ab"}
    before = places(split_genomes(reads_of(genomes), split_settings()))
    for number in range(20):
        after = places(
            split_genomes(reads_of({**genomes, "a": [*genomes["a"], f"new{number}"]}), split_settings())
        )
        assert {genome: after[genome] for genome in before} == before


def test_the_shares_are_those_that_are_asked_for():
    side = places(split_genomes(reads_of({"a": named("a", 4000)}, each=1), split_settings(10, 30)))
    counts = [list(side.values()).count(name) / 4000 for name in ("train", "val", "test")]
    assert counts == pytest.approx([0.6, 0.1, 0.3], abs=0.03)


@pytest.mark.parametrize(
    ("val", "test", "sides"), [(0, 20, {"train", "test"}), (20, 0, {"train", "val"}), (0, 0, {"train"})]
)
def test_a_share_of_nought_is_no_side(val, test, sides):
    split = split_genomes(reads_of({"a": named("a", 5), "b": named("b", 2)}), split_settings(val, test))
    assert set(split.frame["split"]) == sides
    assert split.warnings == ()


def test_declared_splits_hold_and_other_files_follow_their_genomes():
    genomes = {"a": named("a", 30)}
    declared = dict.fromkeys(genomes["a"][:10], "test")
    free = reads_of(genomes)
    reads = pl.concat([reads_of({"a": genomes["a"][:10]}, declared=declared), free]).with_columns(
        read=pl.int_range(pl.len())
    )
    side = places(split_genomes(reads, split_settings()))
    assert {side[genome] for genome in declared} == {"test"}
    without = places(split_genomes(free, split_settings()))
    assert all(side[genome] == without[genome] for genome in genomes["a"][10:])


def test_a_genome_in_two_splits_is_named_with_the_way_out():
    both = pl.concat([reads_of({"a": ["g1"]}, declared={"g1": split}) for split in ("train", "val")])
    with pytest.raises(FormatError, match=r"1 source genome.*g1 \(train and val\).*Fix: .*reads\.genome"):
        split_genomes(both, split_settings())


def test_without_a_declared_test_the_genomes_of_val_are_divided():
    genomes = {label: named(label, 20) for label in "ab"} | {"c": ["c1", "c2", "c3"], "d": ["d1", "d2"]}
    held_out = {genome for members in genomes.values() for genome in members[:10]} - {"c1", "d1", "d2", "c3"}
    held_out = (held_out | {"c1", "c2", "d1"}) - {"c3", "d2"}
    declared = {
        genome: "val" if genome in held_out else "train" for members in genomes.values() for genome in members
    }
    split = split_genomes(reads_of(genomes, declared=declared), split_settings())
    side = places(split)
    assert {genome for genome, name in side.items() if name == "train"} == set(side) - held_out
    for label in "abc":
        assert {side[genome] for genome in genomes[label]} == {"train", "val", "test"}
    assert side["d1"] == "val"
    assert "divided" in split.warnings[0]
    assert split.warnings[1].startswith("d: one genome in val")
    kept = split_genomes(reads_of(genomes, declared=declared), split_settings(10, 0))
    assert set(places(kept).values()) == {"train", "val"}


def test_a_label_that_never_trains_is_named():
    split = split_genomes(
        reads_of({"a": ["x"], "b": ["y"]}, declared={"x": "train", "y": "test"}), split_settings()
    )
    assert split.warnings == ("b: no genome trains, so that no read of it can be told",)


def test_figures_count_reads_genomes_and_leaks():
    frame = pl.DataFrame(
        {
            "label": ["a", "a", "a", "b"],
            "genome": ["x", "x", "y", "z"],
            "split": ["test", "test", "train", "train"],
            "leaks": [True, False, False, False],
        }
    )
    assert split_figures(frame).rows() == [
        ("a", "train", 1, 1, 0, 0.0),
        ("a", "test", 2, 1, 1, 0.5),
        ("b", "train", 1, 1, 0, 0.0),
    ]


@pytest.mark.real_data
def test_the_real_reads_need_smaller_pieces_than_genomes(real_data, tmp_path):
    # Three of the five classes are one organism each, on both sides.
    folder = real_data / "metagenome"
    files = [
        ReadFile.model_validate({"path": str(folder / f"reads.{split}.fa.gz"), "split": split})
        for split in ("train", "val")
    ]
    labels, table = read_label_map(folder / "mapping.tsv"), tmp_path / "part.parquet"
    write_reads(files, labels, settings(), table)
    with pytest.raises(FormatError, match=r"3 source genome.*AE015924"):
        split_genomes(pl.read_parquet(table), split_settings())
    write_reads(files, labels, settings(genome="^(.+_[0-9]*?)[0-9]{1,3}_[fr]$"), table)
    split = split_genomes(pl.read_parquet(table), split_settings())
    sides = split.frame["split"]
    assert (sides == "train").sum() == 4000
    assert split.frame.group_by("label_index").agg(pl.col("split").n_unique())["split"].to_list() == [3] * 5
    assert leaking_reads(table, sides, 31).sum() == 0
