import gzip
import re
from collections import Counter

import numpy as np
import pytest

from glm_assets.errors import MissingUpstreamError
from glm_assets.storage.schemas_sugarcane import GENOME_PROFILE
from glm_assets.storage.tables import read_part
from glm_assets.studies.sugarcane.annotation import make_annotation
from glm_assets.studies.sugarcane.genome import make_genome
from glm_assets.studies.sugarcane.genome_profile import make_genome_profile
from glm_assets_tests.studies.sugarcane.test_units import VARIETY, quiet, study_in

FIGURES = {"genes.png", "codons.png", "repeats.png", "domains.png"}
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def profile_of(study, variety):
    make_genome(study, variety, quiet)
    make_annotation(study, variety, quiet)
    manifest = make_genome_profile(study, variety, quiet)
    table = read_part(study.files("genome_profile", variety))
    GENOME_PROFILE.check(table)
    values = {(part, name, figure): value for _, part, name, figure, value in table.iter_rows()}
    return manifest, values


def filler(length, seed):
    """Bases without a repeat: no base or pair follows itself."""
    rng, bases = np.random.default_rng(seed), "AC"
    while len(bases) < length:
        bases += rng.choice([base for base in "ACGT" if base not in bases[-2:]])
    return bases


def row(kind, start, end, strand, phase, attributes):
    return "\t".join(("Chr1A", "test", kind, str(start + 1), str(end), ".", strand, phase, attributes)) + "\n"


FORWARD = ("ATGGC", "TGCCGCTTAA")  # two exons: ATG GCT GCC GCT TAA
BACKWARD = "ATGCTGCTGTGA"
PARTS = (
    filler(100, 1),
    FORWARD[0],
    filler(80, 2),
    FORWARD[1],
    filler(200, 3),
    "AT" * 10,
    "G",
    filler(49, 4),
    BACKWARD.translate(COMPLEMENT)[::-1],
    filler(50, 5),
    "NNNNN",
)
SEQUENCE = "".join(PARTS)
STARTS = np.cumsum([0, *map(len, PARTS)]).tolist()


def gene(name, strand, *exons):
    start, end = min(start for start, _, _ in exons), max(end for _, end, _ in exons)
    return (
        row("gene", start, end, strand, ".", f"ID={name}")
        + row("mRNA", start, end, strand, ".", f"ID={name}.t;Parent={name}")
        + "".join(
            row("exon", first, last, strand, ".", f"Parent={name}.t")
            + row("CDS", first, last, strand, phase, f"Parent={name}.t")
            for first, last, phase in exons
        )
    )


GENES = (
    "##gff-version 3\n"
    + gene("f", "+", (STARTS[1], STARTS[2], "0"), (STARTS[3], STARTS[4], "1"))
    + gene("b", "-", (STARTS[8], STARTS[9], "0"))
    + row("pseudogene", 0, 50, "+", ".", "ID=p")
)
MARKED = (
    row("LTR_retrotransposon", 200, 300, "+", ".", "ID=r1")
    + row("LTR_retrotransposon", 250, 320, "+", ".", "ID=r2")
    + row("protein_match", 10, 40, "+", ".", "ID=m1;Name=Kinase")
    + row("protein_match", 50, 80, "+", ".", "ID=m2;Name=Kinase")
    + row("protein_match", 90, 99, "+", ".", "ID=PF00001")
)


def hand_made(folder, annotation, sequence=SEQUENCE):
    (folder / "a.fa").write_text(f">Chr1A\n{sequence}\n")
    (folder / "a.gff3").write_text(annotation)
    variety = {"fasta": str(folder / "a.fa"), "gff3": str(folder / "a.gff3")}
    return profile_of(study_in(folder, varieties={"hand": variety}), "hand")


def test_planted_repeats_codons_and_genes_are_counted_exactly(tmp_path):
    manifest, values = hand_made(tmp_path, GENES)
    microsatellites = {
        key[1]: value for key, value in values.items() if key[0] == "microsatellite" and key[2] == "count"
    }
    assert microsatellites == {"di": 1, "tri": 0, "tetra": 0, "penta": 0, "hexa": 0, "AT": 1}
    assert values["microsatellite", "di", "bases"] == 20
    codons = {
        key[1]: (count, pytest.approx(values[*key[:2], "rscu"]))
        for key, count in values.items()
        if key[0] == "codon" and key[2] == "count" and count
    }
    assert codons == {
        "M ATG": (2, 1.0),
        "A GCT": (2, 8 / 3),
        "A GCC": (1, 4 / 3),
        "L CTG": (2, 6.0),
        "* TAA": (1, 1.5),
        "* TGA": (1, 1.5),
    }
    assert (manifest.facts["codons"], manifest.facts["codons_left_out"]) == (9, 0)
    known = SEQUENCE.replace("N", "")
    assert values["summary", "gc", "value"] == pytest.approx(sum(map(known.count, "GC")) / len(known))
    assert values["summary", "genes", "value"] == 3
    assert values["summary", "pseudogenes_among_them", "value"] == 1
    assert values["summary", "genes_without_exons", "value"] == 1
    assert values["summary", "unknown_share", "value"] == 5 / STARTS[-1]
    assert (values["gene", "intron_length", "count"], values["gene", "intron_length", "median"]) == (1, 80)
    assert values["gene", "exons", "mean"] == 1.5


def test_what_the_files_do_not_say_is_missing_and_never_made_up(tmp_path):
    manifest, values = hand_made(
        tmp_path, GENES.split(row("exon", STARTS[1], STARTS[2], "+", ".", "Parent=f.t"))[0]
    )
    assert manifest.facts["missing"] == ["codon usage", "classes of repeats", "soft-masking", "protein domains"]
    assert {value for key, value in values.items() if key[0] == "domain"} == {None}
    assert {value for key, value in values.items() if key[0] == "repeat"} == {None}
    assert {value for key, value in values.items() if key[2] == "rscu"} == {None}
    assert values["gene", "intron_length", "mean"] is None
    assert set(manifest.files) >= FIGURES


def test_repeats_and_domains_are_those_of_the_annotation(tmp_path):
    manifest, values = hand_made(tmp_path, GENES + MARKED, SEQUENCE[:50].lower() + SEQUENCE[50:])
    assert manifest.facts["missing"] == ["nothing"]
    assert values["repeat", "LTR_retrotransposon", "share"] == 120 / STARTS[-1]
    assert values["repeat", "soft-masked", "share"] == 50 / STARTS[-1]
    domains = {key[1]: value for key, value in values.items() if key[0] == "domain"}
    assert domains == {"Kinase": 2, "PF00001": 1}


def longest_repeats(sequence, period, copies):
    """Microsatellites by a search from every base, one after the other."""
    found, at = 0, 0
    while at + period * copies <= len(sequence):
        motif, end = sequence[at : at + period], at + period
        while end < len(sequence) and sequence[end] == sequence[end - period] != "N":
            end += 1
        primitive = not any(
            motif == motif[:part] * (period // part) for part in range(1, period) if period % part == 0
        )
        if "N" not in motif and primitive and end - at >= period * copies:
            found += 1
            at = end - period + 1
        else:
            at += 1
    return found


def test_the_demos_figures_are_those_of_its_files(tmp_path):
    study = study_in(tmp_path)
    manifest, values = profile_of(study, VARIETY)
    with gzip.open(study.fasta(VARIETY), "rt") as stream:
        contigs = {
            name.split()[0]: "".join(lines).upper()
            for name, *lines in (record.split("\n") for record in stream.read().split(">")[1:])
        }
    with gzip.open(study.gff3(VARIETY), "rt") as stream:
        rows = [line.rstrip("\n").split("\t") for line in stream if not line.startswith("#")]
    kinds = Counter(fields[2] for fields in rows)
    assert values["summary", "genes", "value"] == kinds["gene"] == study.demo.counts[VARIETY]["genes"]
    assert values["gene", "exons", "mean"] * kinds["gene"] == pytest.approx(kinds["exon"])
    assert manifest.facts["introns"] == kinds["exon"] - kinds["gene"]
    coding: dict[str, str] = {}
    for fields in sorted((fields for fields in rows if fields[2] == "CDS"), key=lambda fields: int(fields[3])):
        name = re.findall("Parent=([^;]*)", fields[8])[0] + fields[6]
        coding[name] = coding.get(name, "") + contigs[fields[0]][int(fields[3]) - 1 : int(fields[4])]
    codons = Counter(
        spelled[at : at + 3]
        for name, sequence in coding.items()
        for spelled in [sequence if name.endswith("+") else sequence.translate(COMPLEMENT)[::-1]]
        for at in range(0, len(spelled), 3)
    )
    assert {
        key[1][2:]: value for key, value in values.items() if key[::2] == ("codon", "count") and value
    } == codons
    for name, period, copies in (("di", 2, 6), ("tri", 3, 5), ("hexa", 6, 5)):
        expected = sum(longest_repeats(sequence, period, copies) for sequence in contigs.values())
        assert values["microsatellite", name, "count"] == expected
    assert values["microsatellite", "di", "count"] >= study.demo.counts[VARIETY]["microsatellites"].get("AT", 0)
    assert set(manifest.files) >= FIGURES | {"genes.parquet"}


def test_a_profile_needs_the_annotation(tmp_path):
    study = study_in(tmp_path)
    make_genome(study, VARIETY, quiet)
    with pytest.raises(MissingUpstreamError):
        make_genome_profile(study, VARIETY, quiet)
