from __future__ import annotations

import re
from collections import Counter

import pytest

from glm_assets.variants.labels import LabelPolicy
from glm_assets.variants.vocabulary import unknown_words
from glm_assets_tests.demo.oracle import Row, read_header, read_rows, spliced, translate

BREAKING = {"nonsense", "frameshift_variant", "splice_donor_variant", "splice_acceptor_variant"}
SPARING = {"synonymous_variant", "intron_variant", "inframe_deletion", "inframe_insertion"}
CONTIG_ORDER = ["21", "22", "MT", "NT_113889.1", "NW_009646201.1"]
CHROMOSOMES = CONTIG_ORDER[:3]


@pytest.fixture(scope="module")
def with_gene(rows, genome):
    """Rows of plain alleles in a gene, with the gene."""
    genes = {gene.symbol: gene for contig in genome.values() for gene in contig.genes}
    found = [(row, row.info["GENEINFO"].split(":")[0]) for row in rows if "GENEINFO" in row.info and row.is_plain]
    return [(row, genes[symbol]) for row, symbol in found]


@pytest.fixture(scope="module")
def proteins(with_gene, sequences):
    """Row, protein before and protein after, for changes inside one exon whose bases stay in frame."""
    found = []
    for row, gene in with_gene:
        inside = any(start < row.pos and row.pos - 1 + len(row.ref) <= end for start, end in gene.exons)
        if not inside or (len(row.alt) - len(row.ref)) % 3:
            continue
        before, after = (spliced(gene, sequences[row.chrom], changed) for changed in (None, row))
        mitochondrial = row.chrom == "MT"
        found.append((row, *(translate(c, mitochondrial=mitochondrial) for c in (before, after))))
    return found


def _of(with_gene, consequence):
    found = [(row, gene) for row, gene in with_gene if row.consequence == consequence]
    assert len(found) > 15
    return found


def test_ref_is_what_the_genome_has(tree, sequences, weekly):
    for path in sorted((tree.root / weekly).glob("*.vcf.gz")):
        for row in read_rows(path):
            assert sequences[row.chrom][row.pos - 1 : row.pos - 1 + len(row.ref)] == row.ref


def test_rows_are_sorted_and_their_keys_and_numbers_unique(tree):
    for vcf in tree.vcfs:
        rows = read_rows(vcf)
        places = [(CONTIG_ORDER.index(row.chrom), row.pos) for row in rows]
        assert places == sorted(places)
        assert len({row.key for row in rows}) == len({row.variation_id for row in rows}) == len(rows)


def test_info_is_written_as_clinvar_does(tree, rows):
    header = read_header(tree.vcfs[1])
    assert header[:4] == [
        "##fileformat=VCFv4.1",
        "##fileDate=2025-11-09",
        "##source=ClinVar",
        "##reference=GRCh38",
    ]
    declared = {match[1] for line in header if (match := re.match(r"##INFO=<ID=(\w+),", line))}
    used = {key for row in rows for key in row.info}
    assert used == declared
    for row in rows:
        assert list(row.info) == sorted(row.info)
        assert {"ALLELEID", "CLNHGVS", "CLNVC", "CLNVCSO", "ORIGIN"} <= set(row.info)
        assert ("CLNSIG" in row.info) == ("CLNREVSTAT" in row.info) != ("ONC" in row.info)
        assert ("CLNSIGCONF" in row.info) == row.info.get("CLNSIG", "").startswith("Conflicting")
        assert re.fullmatch(r"(SO:\d{7}\|\w[\w-]*,?)+", row.info.get("MC", "SO:0000000|none"))
        assert re.fullmatch(r"([A-Z0-9]+(-AS1)?:\d+\|?)+", row.info.get("GENEINFO", "G:1"))
    assert 0.8 < sum("RS" in row.info for row in rows) / len(rows) < 1
    assert any("," in row.info.get("MC", "") for row in rows)
    assert any("|" in row.info.get("GENEINFO", "") for row in rows)


def test_what_breaks_genes_is_pathogenic_and_what_spares_them_benign(rows):
    for row in rows:
        if row.label is not None and row.consequence:
            assert row.consequence in (BREAKING if row.label else SPARING)
    assert {row.consequence for row in rows if row.label == 1 and row.chrom != "NT_113889.1"} >= BREAKING
    assert {row.consequence for row in rows if row.label == 0} >= SPARING


def test_stop_gains_shorten_the_protein(proteins):
    found = [(before, after) for row, before, after in proteins if row.consequence == "nonsense"]
    assert len(found) > 80
    for before, after in found:
        assert after.index("*") < before.index("*")


def test_synonymous_changes_leave_the_protein(proteins):
    found = [(before, after) for row, before, after in proteins if row.consequence == "synonymous_variant"]
    assert len(found) > 150
    for before, after in found:
        assert after == before


def test_missense_changes_replace_amino_acids(proteins):
    found = [(before, after) for row, before, after in proteins if row.consequence == "missense_variant"]
    assert len(found) > 100
    for before, after in found:
        assert len(after) == len(before)
        assert sum(a != b for a, b in zip(after, before, strict=True)) == 1
        assert after.index("*") == len(after) - 1


def test_in_frame_changes_keep_start_and_stop(proteins):
    found = [entry for entry in proteins if (entry[0].consequence or "").startswith("inframe")]
    assert len(found) > 80
    for row, before, after in found:
        assert len(after) - len(before) == (len(row.alt) - len(row.ref)) // 3 != 0
        assert (row.consequence == "inframe_insertion") == (len(row.alt) > len(row.ref))
        assert after[0] == "M"
        assert after.index("*") == len(after) - 1


def test_frameshifts_lie_in_an_exon_and_change_the_frame(with_gene):
    for row, gene in _of(with_gene, "frameshift_variant"):
        assert (len(row.alt) - len(row.ref)) % 3
        assert any(start < row.pos and row.pos - 1 + len(row.ref) <= end for start, end in gene.exons)


@pytest.mark.parametrize(
    ("consequence", "at_start"), [("splice_donor_variant", True), ("splice_acceptor_variant", False)]
)
def test_splice_changes_hit_the_two_bases_next_to_the_exon(with_gene, consequence, at_start):
    for row, gene in _of(with_gene, consequence):
        sites = set()
        for start, end in gene.introns:
            sites |= {start + 1, start + 2} if at_start != gene.reverse else {end - 1, end}  # 1-based
        assert sites & set(range(row.pos, row.pos + len(row.ref)))


def test_benign_intron_changes_lie_deep(with_gene):
    for row, gene in _of(with_gene, "intron_variant"):
        inside = [(start, end) for start, end in gene.introns if start < row.pos <= end]
        assert len(inside) == 1
        if row.label == 0:
            assert row.pos - 1 - inside[0][0] > 15
            assert inside[0][1] - (row.pos - 1 + len(row.ref)) > 15


def test_the_label_is_the_platforms_strict_one(rows):
    strict = LabelPolicy(rule="strict", min_stars=1)
    for row in rows:
        assert strict.judge(*row.significance).label == row.label
        assert unknown_words(*row.significance) == []


TRUTH_TABLE = [
    ("Pathogenic", "criteria_provided,_single_submitter"),
    ("Pathogenic", "no_assertion_criteria_provided"),
    ("Pathogenic", "no_classification_provided"),
    ("Pathogenic", "no_classifications_from_unflagged_records"),
    ("Pathogenic", "no_assertion_provided"),
    ("Affects|Pathogenic", "no_assertion_provided"),
    (
        "Pathogenic/Likely_pathogenic/Pathogenic,_low_penetrance|other",
        "criteria_provided,_multiple_submitters,_no_conflicts",
    ),
    ("Likely_pathogenic,_low_penetrance", "reviewed_by_expert_panel"),
    ("Benign|confers_sensitivity", "practice_guideline"),
    ("Pathogenic|risk_factor", "criteria_provided,_single_submitter"),
    ("Benign/Likely_benign|drug_response|other", "criteria_provided,_multiple_submitters,_no_conflicts"),
    ("Conflicting_classifications_of_pathogenicity", "criteria_provided,_conflicting_classifications"),
    ("Conflicting_classifications_of_pathogenicity|Pathogenic", "criteria_provided,_conflicting_classifications"),
    ("Conflicting_interpretations_of_pathogenicity", "criteria_provided,_conflicting_interpretations"),
    ("Established_risk_allele", "criteria_provided,_single_submitter"),
    ("Uncertain_significance", "criteria_provided,_single_submitter"),
    ("not_provided", "no_classification_provided"),
    ("drug_response", "reviewed_by_expert_panel"),
    (None, None),
]


@pytest.mark.parametrize("said", TRUTH_TABLE, ids=lambda said: str(said[0]))
def test_awkward_classifications_are_in_both_trees(tree, tiny_tree, said):
    for made in (tree, tiny_tree):
        assert said in {row.significance for row in read_rows(made.vcfs[1])}


def _shapes(row: Row, length: int) -> set[str]:
    delta = len(row.alt) - len(row.ref)
    plain = row.is_plain
    shapes = {
        "no ALT": row.alt == ".",
        "two ALTs": "," in row.alt,
        "IUPAC ALT": bool(set(row.alt) & set("RYSWKM")),
        "N in ALT": "N" in row.alt,
        "N in REF": "N" in row.ref,
        "MNV": plain and delta == 0 and len(row.ref) > 1,
        "deletion of 50": plain and delta == -50,
        "insertion of 50": plain and delta == 50,
        "longer deletion": plain and delta < -50,
        "longer insertion": plain and delta > 50,
        "delins": plain and delta != 0 and row.ref[0] != row.alt[0] and len(row.alt) > 50,
        "REF beyond the window": plain and len(row.ref) > 512 and -50 <= delta < 0,
        "clamped window": row.pos <= 512,
        "first base": row.pos == 1,
        "last base": row.pos == length,
        "window cut off": row.label is not None and row.pos + 511 > length,
        "padded with N": row.label is not None and row.pos + 511 <= length < row.pos + 511 - delta,
    }
    return {name for name, holds in shapes.items() if holds}


def test_odd_records_are_on_every_chromosome(rows, sequences):
    for name in CHROMOSOMES:
        here = [row for row in rows if row.chrom == name]
        shapes = Counter(shape for row in here for shape in _shapes(row, len(sequences[name])))
        assert len(shapes) == (16 if name == "MT" else 17)
        assert ("N in REF" in shapes) == (name != "MT")


def test_records_on_other_contigs_come_last(rows):
    assert {row.chrom for row in rows[-6:]} == {"NT_113889.1", "NW_009646201.1"}


def test_indels_are_as_far_left_as_they_go(rows, sequences):
    """But for one at the right end, which is put where its window needs padding."""
    not_left = []
    for row in rows:
        if row.is_plain and 1 in (len(row.ref), len(row.alt)) and row.ref[0] == row.alt[0] and row.ref != row.alt:
            longer = max(row.ref, row.alt, key=len)
            if longer[-1] == longer[0]:
                not_left.append(row)
    assert all(row.pos + 512 > len(sequences[row.chrom]) - 46 for row in not_left)
    assert len(not_left) <= 3


def test_windows_are_shared(rows):
    """Several alleles of a position have one reference window, some of them of both labels."""
    usable = [row for row in rows if row.label is not None and row.is_plain]
    places = Counter((row.chrom, row.pos) for row in usable)
    assert len(places) < 0.7 * len(usable)
    labels: dict[tuple[str, int], set[int | None]] = {}
    for row in usable:
        labels.setdefault((row.chrom, row.pos), set()).add(row.label)
    assert sum(len(found) == 2 for found in labels.values()) > 20


def test_both_labels_have_substitutions_insertions_and_deletions(rows):
    kinds = Counter(
        (row.label, (len(row.alt) > len(row.ref)) - (len(row.alt) < len(row.ref)))
        for row in rows
        if row.label is not None and row.is_plain
    )
    assert min(kinds[label, kind] for label in (0, 1) for kind in (-1, 0, 1)) > 30
