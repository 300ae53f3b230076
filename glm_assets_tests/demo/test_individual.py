"""The invented person against a plain reading of their files with pysam and of the release."""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import pysam
import pytest

from glm_assets.demo import individual as individual_module
from glm_assets.demo.individual import DemoIndividual, make_demo_individual
from glm_assets.demo.recipe import DEFAULT_RECIPE, TINY_RECIPE, DemoRecipe
from glm_assets.demo.tree import make_demo_tree
from glm_assets.errors import DataRootError

CONTIGS = {"21": "chr21", "22": "chr22", "MT": "chrM"}
IMPACTS = {
    "high": {"nonsense", "frameshift_variant", "splice_donor_variant", "splice_acceptor_variant"},
    "moderate": {"missense_variant", "inframe_deletion", "inframe_insertion"},
    "low": {"synonymous_variant"},
    "modifier": {"intron_variant"},
}
USELESS = 0x100 | 0x200 | 0x400


@dataclass(frozen=True)
class Allele:
    """An allele of the person's VCF in its shortest writing."""

    contig: str
    pos: int
    ref: str
    alt: str
    copies: float | None  # share of the haplotypes; None where FILTER or genotype leaves it open

    @property
    def key(self) -> tuple[str, int, str, str]:
        return self.contig, self.pos, self.ref, self.alt


def shortest(pos: int, ref: str, alt: str) -> tuple[int, str, str]:
    while len(ref) > 1 and len(alt) > 1 and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while len(ref) > 1 and len(alt) > 1 and ref[0] == alt[0]:
        pos, ref, alt = pos + 1, ref[1:], alt[1:]
    return pos, ref, alt


def content(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir()}


@pytest.fixture(scope="module")
def person(tmp_path_factory, tree) -> DemoIndividual:
    return make_demo_individual(tmp_path_factory.mktemp("person") / "files", tree.root)


@pytest.fixture(scope="module")
def alleles(person) -> list[Allele]:
    found = []
    with pysam.VariantFile(str(person.variants)) as file:
        assert list(file.header.samples) == ["DEMO1"]
        for line in file:
            genotype = line.samples["DEMO1"]["GT"]
            sure = line.filter.keys() == ["PASS"] and None not in genotype
            for number, alt in enumerate(line.alts or (), 1):
                copies = genotype.count(number) / len(genotype) if sure else None
                found.append(Allele(line.contig, *shortest(line.pos, line.ref, alt), copies))
    return found


@pytest.fixture(scope="module")
def clinvar(rows) -> dict[tuple[str, int, str, str], str]:
    """Consequence of each plain allele of the newer release, under the person's names of the contigs."""
    return {
        (CONTIGS[row.chrom], *shortest(row.pos, row.ref, row.alt)): row.consequence
        for row in rows
        if row.chrom in CONTIGS and row.is_plain and row.consequence
    }


def test_carried_alleles_are_those_that_a_join_with_the_release_finds(person, alleles, clinvar):
    for key, contig in CONTIGS.items():
        here = [allele for allele in alleles if allele.contig == contig]
        carried = [allele for allele in here if allele.copies and allele.key in clinvar]
        counts = person.counts[key]
        assert counts["carried"] == len(carried)
        assert counts["terms"] == dict(Counter(clinvar[allele.key] for allele in carried))
        assert counts["homozygous"] == sum(allele.copies == 1 for allele in carried)
        assert counts["heterozygous"] == sum(allele.copies == 0.5 for allele in carried)
        assert counts["foreign"] == sum(bool(allele.copies) and allele.key not in clinvar for allele in here)
        assert counts["filtered"] + counts["uncalled"] == sum(allele.copies is None for allele in here)
        assert len({allele.key for allele in here}) == len(here)


def test_every_impact_is_carried_often_enough_to_be_split(alleles, clinvar):
    carried = [allele for allele in alleles if allele.copies and allele.key in clinvar]
    assert 120 <= len(carried) <= 200
    nuclear = [allele for allele in carried if allele.contig != "chrM"]
    for terms in IMPACTS.values():
        assert sum(clinvar[allele.key] in terms for allele in nuclear) >= 25
    assert len({(allele.contig, allele.pos // 500) for allele in nuclear}) >= 60
    assert {allele.copies for allele in nuclear} == {0.5, 1}
    indels = sum(len(allele.ref) != len(allele.alt) for allele in carried)
    assert 20 <= indels <= len(carried) // 2


def test_the_vcf_has_what_readers_stumble_over(person, alleles, clinvar):
    with pysam.VariantFile(str(person.variants)) as file:
        lines = list(file)
        assert [line.pos for line in file.fetch("chr22")] == sorted(
            line.pos for line in lines if line.contig == "chr22"
        )
    both = [line for line in lines if len(line.alts or ()) == 2]
    assert {line.samples[0]["GT"] for line in both} == {(1, 2), (0, 2)}
    assert any(len(line.ref) == 2 and {len(alt) for alt in line.alts} == {1, 2} for line in both)  # padded
    assert {len(line.samples[0]["GT"]) for line in lines if line.contig == "chrM"} == {1}
    assert not any(line.samples[0].phased for line in lines if line.contig != "chrM")
    assert any(line.id and line.id.startswith("rs") for line in lines)
    assert any(line.id is None for line in lines)
    named = {
        line.id for line in lines for alt in line.alts if (line.contig, line.pos, line.ref, alt) not in clinvar
    }
    assert None in named
    assert (0, 0) in {line.samples[0]["GT"] for line in lines}


def shown_shares(person: DemoIndividual, allele: Allele) -> tuple[float, int]:
    """Share of the good reads across an allele's bases, and some more on both sides, that show it; and how many."""
    shown, margin = Counter(), 12
    with pysam.AlignmentFile(str(person.alignments)) as file:
        start = allele.pos - 1
        for read in file.fetch(allele.contig, start, start + 1):
            if read.flag & USELESS or read.mapping_quality < 20:
                continue
            bases = {place: index for index, place in read.get_aligned_pairs(matches_only=True)}
            ends = start - 1, start + len(allele.ref)
            if any(end not in bases for end in ends) or not read.query_alignment_start + margin <= bases[ends[0]]:
                continue
            shown[read.query_sequence[bases[ends[0]] + 1 : bases[ends[1]]]] += 1
    total = sum(shown.values())
    return shown[allele.alt] / max(1, total), total


def test_reads_show_the_alleles_of_the_genotype(person, alleles):
    shares = defaultdict(list)
    for allele in alleles:
        share, reads = shown_shares(person, allele)
        if reads >= 4:
            shares[allele.copies].append(share)
    assert {copies: len(found) > 5 for copies, found in shares.items()} == dict.fromkeys([None, 0, 0.5, 1.0], True)
    assert max(shares[None] + shares[0]) <= 0.2
    assert min(shares[1]) >= 0.8
    assert 0.4 < sum(shares[0.5]) / len(shares[0.5]) < 0.6
    assert sum(map(len, shares.values())) > 0.8 * len(alleles)


def test_reads_of_each_kind_are_as_counted_and_in_order(person, sequences):
    by_contig: dict[str, Counter[str]] = {}
    with pysam.AlignmentFile(str(person.alignments)) as file:
        assert dict(zip(file.references, file.lengths, strict=True)) == {
            contig: len(sequences[name]) for name, contig in CONTIGS.items()
        }
        assert file.has_index()
        places = []
        for read in file:
            places.append((read.reference_id, read.reference_start))
            counts = by_contig.setdefault(read.reference_name, Counter())
            counts["reads"] += 1
            counts["reverse"] += read.is_reverse
            counts["secondary"] += read.is_secondary
            counts["failed"] += read.is_qcfail
            counts["duplicates"] += read.is_duplicate
            counts["low_mapping_quality"] += read.mapping_quality < 20
            counts["soft_clipped"] += "S" in read.cigarstring
            counts[f"length_{read.query_length}"] += 1
    assert places == sorted(places)
    for name, contig in CONTIGS.items():
        assert {key: person.counts[name][key] for key in by_contig[contig]} == by_contig[contig]
        assert min(by_contig[contig].values()) > 0
    assert person.alignments.stat().st_size < 1_000_000


def test_aligned_bases_differ_from_the_reference_at_errors_and_variants_alone(person, alleles, sequences):
    names = {contig: name for name, contig in CONTIGS.items()}
    variants = {(allele.contig, place) for allele in alleles for place in range(allele.pos - 1, allele.pos + 30)}
    bases = wrong = 0
    with pysam.AlignmentFile(str(person.alignments)) as file:
        for read in file:
            reference = sequences[names[read.reference_name]]
            for index, place in read.get_aligned_pairs(matches_only=True):
                if (read.reference_name, place) not in variants:
                    bases += 1
                    wrong += read.query_sequence[index] != reference[place]
    assert bases > 200_000
    assert 0.0003 < wrong / bases < 0.002


def test_places_of_clinvar_that_the_person_lacks_are_covered(person, alleles, clinvar):
    listed = {(allele.contig, allele.pos) for allele in alleles}
    with pysam.AlignmentFile(str(person.alignments)) as file:
        covered = sum(
            file.count(contig, pos - 1, pos) >= 8 for contig, pos, *_ in clinvar if (contig, pos) not in listed
        )
    assert covered >= sum(person.counts[name]["elsewhere"] for name in CONTIGS) > 60


def test_what_is_new_is_not_the_persons(person, alleles, clinvar, sequences):
    listed = {allele.key for allele in alleles}
    with pysam.VariantFile(str(person.new_variants)) as file:
        assert list(file.header.samples) == []
        new = [(line.contig, *shortest(line.pos, line.ref, line.alts[0])) for line in file]
    assert len(new) == person.counts["new_variants"] >= 30
    assert not set(new) & listed
    assert set(new) <= set(clinvar)
    with gzip.open(person.new_reads, "rt") as file:
        reads = file.read().splitlines()[1::4]
    assert len(reads) == person.counts["new_reads"]
    assert Counter(map(len, reads)) == {150: len(reads) - 1, 120: 1}
    assert sum("N" in read for read in reads) == 1
    genome = "".join(sequences.values())
    backward = genome[::-1].translate(str.maketrans("ACGT", "TGCA"))
    forward = [read[:30] in genome for read in reads]
    assert 0.2 < sum(forward) / len(forward) < 0.8
    assert all(read[:30] in backward for read, here in zip(reads, forward, strict=True) if not here)
    assert not any(read in genome or read in backward for read in reads[:-2])


def test_a_second_person_is_byte_identical_and_found_again(tmp_path, tiny_tree, monkeypatch):
    first, again = (make_demo_individual(tmp_path / name, tiny_tree.root) for name in ("first", "again"))
    assert content(again.root) == content(first.root)
    assert again.counts == first.counts
    monkeypatch.setattr(individual_module, "_build", lambda *_: pytest.fail("built again"))
    assert make_demo_individual(tmp_path / "again", tiny_tree.root) == again


def test_the_person_fits_the_tree_that_is_there_and_makes_one_where_there_is_none(
    tmp_path, tiny_tree, monkeypatch
):
    tiny = make_demo_individual(tmp_path / "files", tiny_tree.root)
    with pysam.AlignmentFile(str(tiny.alignments)) as file:
        assert file.lengths == tuple(chromosome.length for chromosome in TINY_RECIPE.chromosomes)
    assert all(tiny.counts[name]["carried"] >= 12 for name in ("21", "22"))
    monkeypatch.setattr(
        individual_module.demo_tree, "make_demo_tree", lambda folder: make_demo_tree(folder, TINY_RECIPE)
    )
    other = make_demo_individual(tmp_path / "other", tmp_path / "tree")
    assert content(other.root) == content(tiny.root)
    assert (tmp_path / "tree" / "test.csv").is_file()


def test_a_folder_with_other_things_is_left_alone(tmp_path, tiny_tree):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "thesis.txt").write_text("mine")
    with pytest.raises(DataRootError, match="no demo individual"):
        make_demo_individual(tmp_path / "files", tiny_tree.root)


@pytest.mark.parametrize("recipe", [DEFAULT_RECIPE, TINY_RECIPE])
def test_a_recipe_is_known_again_from_its_json(recipe):
    assert DemoRecipe.from_dict(recipe.as_dict()) == recipe
