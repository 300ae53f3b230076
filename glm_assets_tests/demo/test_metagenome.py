"""The synthetic metagenome: what its files hold, that a group can be learnt of it, and that it is made once."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest

from glm_assets.demo.metagenome import RECORD, make_demo_metagenome
from glm_assets.demo.metagenome_genomes import make_genomes
from glm_assets.demo.metagenome_recipe import DEFAULT_METAGENOME, TINY_METAGENOME
from glm_assets.errors import DataRootError
from glm_assets.heads.kmer_baseline import fit_kmer_baseline

HEADER = re.compile(r"lbl\|(\d+)\|(\d*)\|(\d*)\|([^/\s]+?)_(\d+)_([fr])(?:/([12]))?")
COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture(scope="module")
def metagenome(tmp_path_factory):
    return make_demo_metagenome(tmp_path_factory.mktemp("demo") / "metagenome")


def lines_of(path) -> list[str]:
    with gzip.open(path, "rt", encoding="ascii") as stream:
        return stream.read().split("\n")[:-1]


def fasta(path) -> list[tuple[str, str]]:
    text = "\n".join(lines_of(path))
    records = [record.split("\n", 1) for record in text.split(">")[1:]]
    return [(header, sequence.replace("\n", "")) for header, sequence in records]


def fastq(path) -> list[tuple[str, str, str]]:
    lines = lines_of(path)
    assert len(lines) % 4 == 0
    assert set(lines[2::4]) == {"+"}
    assert all(line[0] == "@" for line in lines[::4])
    return list(zip((line[1:] for line in lines[::4]), lines[1::4], lines[3::4], strict=True))


def table(path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="ascii", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


@pytest.fixture(scope="module")
def reads(metagenome):
    """Fields of each labelled read's header, and its sequence."""
    both = fasta(metagenome.fasta) + [(header, sequence) for header, sequence, _ in fastq(metagenome.fastq)]
    found = [HEADER.fullmatch(header) for header, _ in both]
    assert all(found)
    return [(match.groups(), sequence) for match, (_, sequence) in zip(found, both, strict=True)]


def test_every_header_follows_the_grammar_and_no_read_has_another_ones_name(reads):
    assert 2200 < len(reads) < 2700
    names = Counter((genome, place, strand, mate) for (_, _, _, genome, place, strand, mate), _ in reads)
    assert max(names.values()) == 1
    assert sum(tax == "" for (_, tax, *_), _ in reads) > 50
    assert sum(length == "" for (_, _, length, *_), _ in reads) > 50
    assert {len(sequence) for _, sequence in reads} >= {20, *range(60, 151)}


def test_mates_are_in_one_file_and_read_the_fragment_from_both_ends(metagenome):
    genomes = {one.name: one.bases.tobytes().decode() for one in make_genomes(DEFAULT_METAGENOME)}
    paired = 0
    for own in (fasta(metagenome.fasta), fastq(metagenome.fastq)):
        fragments = defaultdict(dict)
        for header, sequence, *_ in own:
            _, _, _, genome, place, strand, mate = HEADER.fullmatch(header).groups()
            fragments[genome, int(place), strand][mate] = sequence
        for (genome, place, strand), mates in fragments.items():
            assert set(mates) in ({None}, {"1", "2"})
            if None in mates:
                continue
            paired += 1
            if paired > 100:
                continue
            stretch = genomes[genome][place : place + 400]
            plus, minus = (mates["1"], mates["2"]) if strand == "f" else (mates["2"], mates["1"])
            assert nearly(plus, stretch[: len(plus)])
            other = minus.upper().replace("U", "T").translate(COMPLEMENT)[::-1]
            assert any(nearly(other, stretch[end - len(other) : end]) for end in range(len(other), 401))
    assert paired == metagenome.counts["mated"] > 300


def nearly(read: str, stretch: str) -> bool:
    """Whether a read is a stretch but for a few errors; anything goes for odd ones."""
    read = read.upper().replace("U", "T")
    if read.count("N") > 10 or len(read) < 30:
        return True
    return sum(a != b and a in "ACGT" for a, b in zip(read, stretch, strict=True)) <= 6


def test_reads_come_from_both_strands_of_their_genome(reads):
    genomes = {one.name: one for one in make_genomes(DEFAULT_METAGENOME)}
    strands, exact = Counter(), 0
    for (class_id, _, _, name, place, strand, mate), sequence in reads:
        if mate is None and set(sequence) <= set("ACGT") and len(sequence) > 20:
            stretch = genomes[name].bases.tobytes().decode()[int(place) : int(place) + len(sequence)]
            read = sequence if strand == "f" else sequence.translate(COMPLEMENT)[::-1]
            wrong = sum(a != b for a, b in zip(read, stretch, strict=True))
            assert wrong <= 6
            exact += wrong == 0
            strands[strand] += 1
            assert class_id in ("999", str(genomes[name].class_id))
    assert 0.4 < strands["f"] / strands.total() < 0.6
    assert 0.4 < exact / strands.total() < 0.9  # the error rate of 0.5 % leaves most reads without an error


def test_odd_reads_are_there_and_counted(metagenome, reads):
    sequences = [sequence for _, sequence in reads]
    wrong = [f for f, sequence in reads if f[2] and int(f[2]) != len(sequence)]
    expected = {
        "lower_case": sum(sequence.islower() for sequence in sequences),
        "rna": sum("U" in sequence for sequence in sequences),
        "ambiguous": sum(bool(set(sequence) & set("RYKMSWBDHV")) for sequence in sequences),
        "unknown": sum(0 < sequence.count("N") <= 3 for sequence in sequences),
        "mostly_unknown": sum(sequence.count("N") > 3 for sequence in sequences),
        "short": sum(len(sequence) == 20 for sequence in sequences),
        "wrong_length": len(wrong),
        "unmapped": sum(fields[0] == "999" for fields, _ in reads),
    }
    assert metagenome.counts["oddities"] == expected
    assert set(expected) == set(DEFAULT_METAGENOME.oddities.__dict__)


def test_the_mapping_joins_ids_to_labels_and_lacks_one(metagenome, reads):
    rows = table(metagenome.mapping, "\t")
    assert list(rows[0]) == ["class_id", "label_name", "tax_id", "group", "notes"]
    labels = {row["class_id"]: row["label_name"] for row in rows}
    assert Counter(labels.values()) == {"caldarella": 2, "fictobacter": 1, "mockomyces": 3, "phantoplastis": 1}
    found = {fields[0] for fields, _ in reads}
    assert found - set(labels) == {"999"}
    assert set(labels) <= found
    counted = Counter(labels[fields[0]] for fields, _ in reads if fields[0] != "999")
    assert metagenome.counts["labels"] == dict(counted)
    sources = defaultdict(set)
    for fields, _ in reads:
        sources[labels.get(fields[0])].add(fields[3])
    assert all(len(sources[label]) == 12 for label in labels.values())


def test_samples_are_of_other_genomes_in_the_shares_they_are_said_to_have(metagenome, reads):
    rows, truth = table(metagenome.samples), table(metagenome.truth)
    last = fastq(metagenome.sample_reads)
    assert [row["sample_id"] for row in rows] == [row["sample_id"] for row in truth[: len(rows)]]
    assert [row["sequence_id"] for row in truth[: len(rows)]] == [str(number) for number in range(len(rows))]
    assert [row["sequence_id"] for row in truth[len(rows) :]] == [name for name, *_ in last]
    assert not {row["genome"] for row in truth} & {fields[3] for fields, _ in reads}
    for sample, shares in DEFAULT_METAGENOME.abundances.items():
        own = Counter(row["label"] for row in truth if row["sample_id"] == sample)
        named = {label.name: share for label, share in zip(DEFAULT_METAGENOME.labels, shares, strict=True)}
        assert {label: count / own.total() for label, count in own.items()} == pytest.approx(
            {label: share for label, share in named.items() if share}, abs=0.01
        )
        assert metagenome.counts["samples"][sample] == dict(own)


def test_the_qualities_of_a_fastq_are_as_long_as_its_reads(metagenome):
    for _, sequence, quality in [*fastq(metagenome.fastq), *fastq(metagenome.sample_reads)]:
        assert len(sequence) == len(quality)
        assert min(quality) >= "="  # Phred 28
        assert max(quality) <= "J"


def test_groups_are_learnt_of_k_mers_by_unseen_genomes_but_not_of_the_gc_content(reads):
    names = sorted({fields[3] for fields, _ in reads})
    part = {name: ("test", "val", "train", "train")[place % 4] for place, name in enumerate(names)}

    def rows(wanted: str):
        own = [(name, sequence) for (_, _, _, name, *_), sequence in reads if part[name] == wanted]
        labels = [("SYN110", "SYN210", "SYN310", "SYN410").index(name[:6]) for name, _ in own]
        return [sequence for _, sequence in own], np.array(labels)

    def accuracy(k: int, strength: float) -> float:
        baseline = fit_kmer_baseline(*rows("train"), *rows("val"), classes=4, k=k, strengths=[strength])
        sequences, labels = rows("test")
        return float((baseline.probabilities(sequences).argmax(axis=1) == labels).mean())

    assert accuracy(1, 100.0) < 0.45  # canonical 1-mers are the GC content
    assert 0.75 < accuracy(6, 1.0) < 0.97


def test_equal_recipes_give_equal_bytes_and_another_seed_gives_others(tmp_path):
    paths = [make_demo_metagenome(tmp_path / name, TINY_METAGENOME).root for name in ("first", "second")]
    other = make_demo_metagenome(tmp_path / "other", replace(TINY_METAGENOME, seed=1)).root
    names = sorted(path.name for path in paths[0].iterdir())
    assert len(names) == 7
    for name in names:
        content = [(folder / name).read_bytes() for folder in (*paths, other)]
        assert content[0] == content[1]
        assert (content[0] == content[2]) == (name == "mapping.tsv")


def test_finished_files_are_found_again_and_changed_ones_are_made_anew(tmp_path):
    folder = tmp_path / "metagenome"
    made = make_demo_metagenome(folder, TINY_METAGENOME)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = make_demo_metagenome(folder, TINY_METAGENOME)
    assert again == made
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    whole = made.fasta.read_bytes()
    made.fasta.write_bytes(whole[:-100])
    make_demo_metagenome(folder, TINY_METAGENOME)
    assert made.fasta.read_bytes() == whole
    assert "SYNTHETIC" in json.loads((folder / RECORD).read_text())["about"]


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DataRootError, match="no demo metagenome"):
        make_demo_metagenome(tmp_path, TINY_METAGENOME)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
