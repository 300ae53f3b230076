"""The synthetic plants: what their files hold, that context and genes tell something, and that they are made once."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from glm_assets.demo.plants import RECORD, DemoPlants, make_demo_plants
from glm_assets.demo.plants_genomes import make_plant_genomes
from glm_assets.demo.plants_recipe import DEFAULT_PLANTS, TINY_PLANTS
from glm_assets.genome.markov import MarkovCounts


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> DemoPlants:
    return make_demo_plants(tmp_path_factory.mktemp("demo") / "plants")


def records_of(path: Path) -> list[str]:
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode("ascii")
    return ["".join(record.split("\n")[1:]) for record in text.split(">")[1:]]


def samples_of(plants: DemoPlants) -> list[dict[str, str]]:
    with plants.phenotypes.open(encoding="ascii", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=";"))


def test_genomes_are_of_every_kind_of_file_and_have_what_assemblies_have(plants: DemoPlants) -> None:
    names = [plants.fasta(species).name for species in plants.SPECIES]
    assert [name.split(".", 1)[1] for name in names] == ["fna.gz", "fa", "fasta"]
    for species in plants.SPECIES:
        records = records_of(plants.fasta(species))
        text = "".join(records)
        assert 2 <= len(records) <= 3
        assert 60_000 <= len(text) == plants.counts["bases"][species] <= 100_000
        assert set(text) <= set("ACGTNRacgtnr")
        assert all(re.search("N{20}", record) for record in records)
        assert re.search("[acgt]{90}", text)
        assert plants.counts["unknown"][species] == sum(text.upper().count(letter) for letter in "NR")


def test_a_longer_context_tells_more_than_two_bases_do() -> None:
    """Else no language model could beat the Markov chain of second order."""
    counts, held_out = MarkovCounts(8), []
    for genome in make_plant_genomes(DEFAULT_PLANTS):
        for bases in genome.clean:
            counts.add(bases[: len(bases) * 4 // 5])
            held_out.append(bases[len(bases) * 4 // 5 :])
    bits = {order: counts.model(order).bits_per_base(held_out) for order in (2, 8)}
    assert bits[2] > 1.9
    assert bits[8] < 1.1


def test_species_differ_in_their_words_and_share_some() -> None:
    genomes = make_plant_genomes(TINY_PLANTS)
    words = [{word.tobytes() for word in genome.words} for genome in genomes]
    shared = set.intersection(*words)
    assert len(shared) == TINY_PLANTS.repeats.shared
    assert all(len(own - shared) == TINY_PLANTS.repeats.own for own in words)
    for genome in genomes:
        text = b"".join(bases.tobytes() for bases in genome.clean)
        assert sum(text.count(word) for word in {bytes(word) for word in genome.words}) > len(text) / 250


def test_samples_have_unbalanced_phenotypes_and_faults(plants: DemoPlants) -> None:
    samples = samples_of(plants)
    genes = [name for name in samples[0] if name.startswith("geneType")]
    assert genes == [f"geneType{number}" for number in range(1, 9)]
    assert len({sample["Sample_ID"] for sample in samples}) == len(samples) == 62
    phenotypes = Counter(sample["Phenotype"] for sample in samples)
    assert phenotypes == {"tall": 30, "dwarf": 18, "creeping": 12, "": 2}
    sequences = [sample[gene] for sample in samples for gene in genes]
    assert sequences.count("") == plants.counts["missing"] > 0
    assert any("N" in sequence for sequence in sequences)
    assert any(0 < len(sequence) < 60 for sequence in sequences)


def test_two_genes_and_no_other_tell_the_phenotype(plants: DemoPlants) -> None:
    """The nearest other sample by one gene, in bases that differ."""
    samples = [sample for sample in samples_of(plants) if sample["Phenotype"]]
    agreeing = {}
    for gene in (f"geneType{number}" for number in range(1, 9)):
        own = [sample for sample in samples if sample[gene]]
        letters = np.array([list(sample[gene]) for sample in own])
        phenotypes = np.array([sample["Phenotype"] for sample in own])
        distances = (letters[:, None] != letters[None]).sum(axis=2)
        near = defaultdict(list)
        for mine, theirs in zip(*np.nonzero(distances < 0.1 * letters.shape[1]), strict=True):
            if mine != theirs:
                near[gene].append(phenotypes[mine] == phenotypes[theirs])
        agreeing[gene] = float(np.mean(near[gene]))
    assert [gene for gene, share in agreeing.items() if share > 0.8] == ["geneType3", "geneType6"]
    assert all(share < 0.5 for gene, share in agreeing.items() if gene not in ("geneType3", "geneType6"))


def test_are_made_once_and_always_the_same(tmp_path: Path) -> None:
    first = make_demo_plants(tmp_path / "one", TINY_PLANTS)
    written = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.root.iterdir()}
    again = make_demo_plants(tmp_path / "one", TINY_PLANTS)
    assert again.counts == first.counts
    assert {path.name: path.stat().st_mtime_ns for path in again.root.iterdir()} == {
        name: time for name, (_, time) in written.items()
    }
    other = make_demo_plants(tmp_path / "two", TINY_PLANTS)
    assert {path.name: path.read_bytes() for path in other.root.iterdir()} == {
        name: content for name, (content, _) in written.items()
    }
    assert "SYNTHETIC" in json.loads((first.root / RECORD).read_text())["about"]
