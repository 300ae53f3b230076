from __future__ import annotations

import polars as pl
import pytest

from glm_assets.studies.impact.consequences import ADDED, TIERS, impacts

# The original's table, written out once more.
ORIGINAL = {
    10: "transcript_ablation splice_acceptor_variant splice_donor_variant stop_gained frameshift_variant stop_lost "
    "start_lost transcript_amplification feature_elongation nonsense",
    5: "inframe_insertion inframe_deletion inframe_indel missense_variant protein_altering_variant",
    2: "splice_donor_5th_base_variant splice_region_variant splice_donor_region_variant "
    "splice_polypyrimidine_tract_variant incomplete_terminal_codon_variant start_retained_variant "
    "stop_retained_variant synonymous_variant",
    1: "coding_sequence_variant mature_miRNA_variant 5_prime_UTR_variant 3_prime_UTR_variant "
    "non_coding_transcript_exon_variant intron_variant NMD_transcript_variant non_coding_transcript_variant "
    "coding_transcript_variant upstream_gene_variant downstream_gene_variant TFBS_ablation TFBS_amplification "
    "TF_binding_site_variant regulatory_region_ablation regulatory_region_amplification regulatory_region_variant "
    "intergenic_variant sequence_variant genic_upstream_transcript_variant",
    0: "no_sequence_alteration",
}
TERMS = {term: score for score, terms in ORIGINAL.items() for term in terms.split()}

# What ClinVar writes: accession, term, the original's score, ours.
CLINVAR = """
SO:0001583 missense_variant 5 5
SO:0001627 intron_variant 1 1
SO:0001619 non-coding_transcript_variant 1 1
SO:0001819 synonymous_variant 2 2
SO:0001589 frameshift_variant 10 10
SO:0001623 5_prime_UTR_variant 1 1
SO:0001587 nonsense 10 10
SO:0001624 3_prime_UTR_variant 1 1
SO:0001575 splice_donor_variant 10 10
SO:0001574 splice_acceptor_variant 10 10
SO:0001822 inframe_deletion 5 5
SO:0001820 inframe_indel 5 5
SO:0001821 inframe_insertion 5 5
SO:0001582 initiator_codon_variant 2 10
SO:0001578 stop_lost 10 10
SO:0002153 genic_upstream_transcript_variant 1 1
SO:0002152 genic_downstream_transcript_variant 2 1
SO:0002073 no_sequence_alteration 0 0
"""
ROWS = [line.split() for line in CLINVAR.split("\n") if line]


def score(mc: str | None, policy: str = "accession") -> float | None:
    return impacts(pl.Series([mc], dtype=pl.String), policy).frame["score"][0]


def test_the_table_has_the_originals_44_terms():
    assert [len(terms.split()) for terms in ORIGINAL.values()] == [10, 5, 8, 20, 1]
    assert {name for terms in TIERS.values() for name in terms} == set(TERMS)


@pytest.mark.parametrize("policy", ["accession", "faithful"])
def test_every_term_of_the_original_has_its_score_by_name(policy):
    found = impacts(pl.Series([f"SO:9999999|{term}" for term in TERMS]), policy)
    assert found.frame["score"].to_list() == list(TERMS.values())
    assert found.unknown == {}


def test_every_term_has_its_score_by_accession_alone():
    accessions = [accession for terms in TIERS.values() for accession in terms.values()]
    names = [name for terms in TIERS.values() for name in terms]
    found = impacts(pl.Series([f"{accession}|renamed" for accession in accessions]), "accession")
    assert found.frame["score"].to_list() == [TERMS[name] for name in names]
    # Two names for one thing, and no other accession twice.
    assert len(set(accessions)) == len(accessions) - 1
    assert TIERS["high"]["nonsense"] == TIERS["high"]["stop_gained"]
    assert not {accession for accession, _ in ADDED.values()} & set(accessions)


@pytest.mark.parametrize(("accession", "term", "original", "ours"), ROWS)
def test_terms_as_clinvar_writes_them(accession, term, original, ours):
    mc = f"{accession}|{term}"
    assert (score(mc, "faithful"), score(mc)) == (float(original), float(ours))
    assert score(f"SO:9999999|{term}") == float(ours)
    assert score(f"{accession}|") == float(ours)


@pytest.mark.parametrize(
    "term", ["Non-Coding_Transcript_Variant", "non coding transcript variant", "INTRON_VARIANT"]
)
def test_hyphens_spaces_and_case_do_not_matter(term):
    assert score(term) == 1
    assert score(f"SO:9999999|{term}") == 1


@pytest.mark.parametrize("policy", ["accession", "faithful"])
def test_the_worst_of_several_terms_wins(policy):
    assert score("SO:0001627|intron_variant,SO:0001587|nonsense,SO:0001583|missense_variant", policy) == 10
    assert score("SO:0001819|synonymous_variant,SO:0001619|non-coding_transcript_variant", policy) == 2


def test_unknown_terms_are_counted_and_do_not_score():
    mc = ["SO:1|odd_variant", "SO:1|odd_variant,SO:0001583|missense_variant", "SO:2|odder", "SO:1|odd_variant"]
    found = impacts(pl.Series(mc), "accession")
    assert found.frame["score"].to_list() == [None, 5.0, None, None]
    assert found.frame["impact"].to_list() == [None, "moderate", None, None]
    assert found.unknown == {"SO:1|odd_variant": 3, "SO:2|odder": 1}


def test_the_original_calls_the_unknown_low():
    mc = ["SO:1|odd_variant", "SO:1|odd_variant,SO:0001583|missense_variant", "SO:0001582|initiator_codon_variant"]
    found = impacts(pl.Series(mc), "faithful")
    assert found.frame["impact"].to_list() == ["low", "moderate", "low"]
    assert found.unknown == {"SO:0001582|initiator_codon_variant": 1, "SO:1|odd_variant": 1}


@pytest.mark.parametrize("policy", ["accession", "faithful"])
def test_no_term_is_no_impact(policy):
    found = impacts(pl.Series([None, "", ".", "SO:0001627|intron_variant"]), policy)
    assert found.frame["impact"].to_list() == ["none", "none", "none", "modifier"]
    assert found.without == 3


def test_no_rows():
    found = impacts(pl.Series([], dtype=pl.String), "accession")
    assert found.frame.schema == {"impact": pl.String, "score": pl.Float64}
    assert (found.frame.height, found.unknown, found.without) == (0, {}, 0)


@pytest.mark.real_data
def test_real_clinvar_has_no_unknown_term(real_data, tmp_path):
    from glm_assets.sources.vcf import parse_records

    vcf = real_data / "ncbi_mirror/pub/clinvar/vcf_GRCh38/weekly/clinvar_20260226.vcf.gz"
    parse_records(vcf, tmp_path / "records.parquet")
    mc = pl.read_parquet(tmp_path / "records.parquet")["mc"]
    ours, theirs = impacts(mc, "accession"), impacts(mc, "faithful")
    assert ours.unknown == {}
    assert set(theirs.unknown) <= {
        "SO:0001582|initiator_codon_variant",
        "SO:0002152|genic_downstream_transcript_variant",
    }
    assert ours.without == mc.null_count() == 143
