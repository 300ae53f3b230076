import csv
import gzip
import hashlib
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from glm_assets.demo.base_chain import make_chain
from glm_assets.demo.codes import STANDARD_CODE
from glm_assets.demo.sugarcane import DemoSugarcane, make_demo_sugarcane
from glm_assets_tests.studies.genomes import other_strand


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return make_demo_sugarcane(tmp_path_factory.mktemp("demo") / "sugarcane")


def read_fasta(path):
    with gzip.open(path, "rt") as stream:
        records = stream.read().split(">")[1:]
    return {record.split()[0]: "".join(record.split("\n")[1:]) for record in records}


def read_rows(path):
    with gzip.open(path, "rt") as stream:
        fields = [line.rstrip("\n").split("\t") for line in stream if not line.startswith("#")]
    return [(*f[:8], dict(pair.split("=") for pair in f[8].split(";"))) for f in fields]


def cut(genome, row):
    text = genome[row[0]][int(row[3]) - 1 : int(row[4])].upper()
    return other_strand(text) if row[6] == "-" else text


@pytest.mark.parametrize("variety", DemoSugarcane.VARIETIES)
def test_files_hold_what_the_counts_say(demo, variety):
    counts, genome = demo.counts[variety], read_fasta(demo.fasta(variety))
    rows = read_rows(demo.gff3(variety))
    text = "".join(genome.values())
    assert counts["contigs"] == len(genome) == 8
    assert counts["bases"] == len(text)
    assert counts["unknown"] == text.count("N") > 0
    assert counts["soft_masked"] == sum(map(str.islower, text)) > 0
    kinds = Counter(row[2] for row in rows)
    names = {"genes": "gene", "exons": "exon", "coding": "CDS", "promoters": "promoter", "enhancers": "enhancer"}
    assert {key: counts[key] for key in names} == {key: kinds[kind] for key, kind in names.items()}
    assert {row[6] for row in rows if row[2] == "gene"} == {"+", "-"}
    for motif, number in counts["microsatellites"].items():
        assert len(re.findall(f"(?:{motif.lower()}){{8,}}", text)) >= number > 0


@pytest.mark.parametrize("variety", DemoSugarcane.VARIETIES)
def test_every_gene_has_a_reading_frame_and_splice_sites(demo, variety):
    genome, rows = read_fasta(demo.fasta(variety)), read_rows(demo.gff3(variety))
    genes = [row for row in rows if row[2] == "gene"]
    spliced = 0
    for gene in genes:
        transcript = f"{gene[8]['ID']}.t1"
        parts = [row for row in rows if row[8].get("Parent") == transcript]
        coding = [row for row in parts if row[2] == "CDS"]
        read, text = 0, ""
        for row in coding:  # in the gene's own sense
            assert int(row[7]) == -read % 3
            text += cut(genome, row)
            read = len(text)
        protein = STANDARD_CODE.translate(text)
        assert len(text) == 3 * len(protein)
        assert protein.startswith("M")
        assert protein.endswith("*")
        exons = sorted((int(row[3]), int(row[4])) for row in parts if row[2] == "exon")
        assert (exons[0][0], exons[-1][1]) == (int(gene[3]), int(gene[4]))
        for (_, end), (start, _) in pairwise(exons):
            intron = cut(genome, (gene[0], "", "", end + 1, start - 1, "", gene[6]))
            assert intron.startswith("GT")
            assert intron.endswith("AG")
            spliced += 1
        untranslated = sum(int(row[4]) - int(row[3]) + 1 for row in parts if "UTR" in row[2])
        assert untranslated + len(text) == sum(end - start + 1 for start, end in exons)
    assert spliced > len(genes) / 2


def test_copies_of_a_chromosome_are_alike_and_others_are_not(demo):
    genome = read_fasta(demo.fasta("SYN22"))
    bases = {name: np.frombuffer(text.upper().encode(), np.uint8) for name, text in genome.items()}
    alike = float((bases["Chr1A"] == bases["Chr1B"]).mean())
    assert 0.9 < alike < 0.98
    shortest = min(len(bases["Chr1A"]), len(bases["Chr2A"]))
    assert float((bases["Chr1A"][:shortest] == bases["Chr2A"][:shortest]).mean()) < 0.35
    lengths = [len(text) for text in genome.values()]
    assert min(lengths) > 10_000
    assert max(lengths) < 35_000


def test_the_measured_value_follows_the_splice_sites_of_the_genomes(demo):
    genome, rows = read_fasta(demo.fasta("SYN22")), read_rows(demo.gff3("SYN22"))
    exons = [row for row in rows if row[2] == "exon"]
    donors = []
    for left, right in pairwise(exons):
        if left[8]["Parent"] == right[8]["Parent"]:
            place = int(left[4]) if left[6] == "+" else int(left[3]) - 1
            row = (left[0], "", "", place - 2, place + 6, "", "+")
            row = row if left[6] == "+" else (left[0], "", "", place - 5, place + 3, "", "-")
            donors.append(cut(genome, row))
    intronic = np.array([list(donor[5:]) for donor in donors])
    shares = {place: Counter(intronic[:, place]) for place in range(4)}
    with demo.experiment.open() as stream:
        table = list(csv.DictReader(stream))
    assert {len(row["sequence"]) for row in table} == {49}
    fit = [sum(np.log(shares[place][row["sequence"][25 + place]] + 0.5) for place in range(4)) for row in table]
    assert np.corrcoef(fit, [float(row["value"]) for row in table])[0, 1] > 0.5


def test_the_same_recipe_gives_the_same_bytes(demo, tmp_path):
    again = make_demo_sugarcane(tmp_path / "again")
    paths = [path.name for path in sorted(demo.root.iterdir()) if path.is_file()]
    assert len(paths) == 6
    for name in paths:
        one, two = (hashlib.sha256((folder / name).read_bytes()).digest() for folder in (demo.root, again.root))
        assert one == two, name
    assert "SYNTHETIC" in (demo.root / "demo_sugarcane.json").read_text()


def test_the_chain_reads_alike_on_both_strands_and_can_be_foreseen():
    rng = np.random.default_rng(5)
    chain = make_chain(0.8, rng)
    text = chain.draw(400_000, rng).tobytes().decode()
    words = Counter(text[place : place + 4] for place in range(len(text) - 3))
    common = [word for word, count in words.items() if count > 2_000]
    assert len(common) > 30
    assert all(words[word] == pytest.approx(words[other_strand(word)], rel=0.15) for word in common)
    # The entropy of the fourth letter given three, from the counts.
    contexts = Counter()
    for word, count in words.items():
        contexts[word[:3]] += count
    total = sum(words.values())
    measured = -sum(count / total * np.log(count / contexts[word[:3]]) for word, count in words.items())
    assert measured == pytest.approx(chain.entropy, abs=0.03)
    assert chain.entropy < 1.25
