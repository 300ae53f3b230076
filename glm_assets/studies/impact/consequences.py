"""Molecular consequences (ClinVar's MC: `SO:id|term`, separated by commas) to an impact and its score.

The tiers are those of the original recipe, and with them Ensembl's. Ours goes by accession and by name, and knows two
terms that ClinVar writes and the original lacks: `initiator_codon_variant` (a lost start) and
`genic_downstream_transcript_variant`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

Policy = Literal["accession", "faithful"]

SCORES: Final = {"high": 10.0, "moderate": 5.0, "low": 2.0, "modifier": 1.0, "none": 0.0}
"""Score of each impact, worst first."""

TIERS: Final = {
    "high": {
        "transcript_ablation": "SO:0001893",
        "splice_acceptor_variant": "SO:0001574",
        "splice_donor_variant": "SO:0001575",
        "stop_gained": "SO:0001587",
        "frameshift_variant": "SO:0001589",
        "stop_lost": "SO:0001578",
        "start_lost": "SO:0002012",
        "transcript_amplification": "SO:0001889",
        "feature_elongation": "SO:0001907",
        "nonsense": "SO:0001587",
    },
    "moderate": {
        "inframe_insertion": "SO:0001821",
        "inframe_deletion": "SO:0001822",
        "inframe_indel": "SO:0001820",
        "missense_variant": "SO:0001583",
        "protein_altering_variant": "SO:0001818",
    },
    "low": {
        "splice_donor_5th_base_variant": "SO:0001787",
        "splice_region_variant": "SO:0001630",
        "splice_donor_region_variant": "SO:0002170",
        "splice_polypyrimidine_tract_variant": "SO:0002169",
        "incomplete_terminal_codon_variant": "SO:0001626",
        "start_retained_variant": "SO:0002019",
        "stop_retained_variant": "SO:0001567",
        "synonymous_variant": "SO:0001819",
    },
    "modifier": {
        "coding_sequence_variant": "SO:0001580",
        "mature_miRNA_variant": "SO:0001620",
        "5_prime_UTR_variant": "SO:0001623",
        "3_prime_UTR_variant": "SO:0001624",
        "non_coding_transcript_exon_variant": "SO:0001792",
        "intron_variant": "SO:0001627",
        "NMD_transcript_variant": "SO:0001621",
        "non_coding_transcript_variant": "SO:0001619",
        "coding_transcript_variant": "SO:0001968",
        "upstream_gene_variant": "SO:0001631",
        "downstream_gene_variant": "SO:0001632",
        "TFBS_ablation": "SO:0001895",
        "TFBS_amplification": "SO:0001892",
        "TF_binding_site_variant": "SO:0001782",
        "regulatory_region_ablation": "SO:0001894",
        "regulatory_region_amplification": "SO:0001891",
        "regulatory_region_variant": "SO:0001566",
        "intergenic_variant": "SO:0001628",
        "sequence_variant": "SO:0001060",
        "genic_upstream_transcript_variant": "SO:0002153",
    },
    "none": {"no_sequence_alteration": "SO:0002073"},
}
"""The original recipe's terms by impact, with their Sequence Ontology accessions."""

ADDED: Final = {
    "initiator_codon_variant": ("SO:0001582", "high"),
    "genic_downstream_transcript_variant": ("SO:0002152", "modifier"),
}
"""Terms of ClinVar that the original lacks: accession and impact."""

_WORST_FIRST: Final = tuple(SCORES)


@dataclass(frozen=True)
class Impacts:
    """Impacts of n values of MC.

    Attributes:
        frame: (n rows) `impact` (string) and `score` (float64); null where all terms are unknown.
        unknown: Rows by term that the table lacks, as MC writes it, most frequent first.
        without: Rows without any term.
    """

    frame: pl.DataFrame
    unknown: dict[str, int]
    without: int


def impacts(mc: pl.Series, policy: Policy) -> Impacts:
    """Find the worst impact of each value's terms; a value without terms has the impact `none`.

    `accession` knows a term by its accession, or else by its name with hyphens, spaces and case set aside. Unknown
    terms do not count beside known ones; a value that has no other has neither impact nor score.

    `faithful` is the original's search for names as parts of the printed value, from high to none, where what holds
    no name is `low`. So `non-coding_transcript_variant` is found as `coding_transcript_variant`, and
    `initiator_codon_variant` and `genic_downstream_transcript_variant` are low.

    Args:
        mc: (n,) MC, verbatim; null where the record has none.
        policy: `accession` or `faithful`.
    """
    judge = _by_accession if policy == "accession" else _by_substring
    values = mc.fill_null("").alias("mc")
    counts = values.value_counts()
    unknown: Counter[str] = Counter()
    found: list[str | None] = []
    for value, rows in counts.iter_rows():
        impact, strangers = judge([term.strip() for term in value.split(",") if term.strip(" .")])
        found.append(impact)
        unknown.update(dict.fromkeys(strangers, rows))
    judged = counts.select("mc", impact=pl.Series(found, dtype=pl.String))
    frame = values.to_frame().join(judged, on="mc", how="left", maintain_order="left").select("impact")
    score = pl.col("impact").replace_strict(SCORES, return_dtype=pl.Float64)
    without = int((values.str.strip_chars(" .,") == "").sum())
    ranked = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    return Impacts(frame.with_columns(score=score), dict(ranked), without)


def _by_accession(terms: Sequence[str]) -> tuple[str | None, list[str]]:
    if not terms:
        return "none", []
    known, unknown = set(), []
    for term in terms:
        accession, _, name = term.rpartition("|")
        impact = _BY_ACCESSION.get(accession.strip().upper()) or _BY_NAME.get(_normalised(name))
        known.add(impact) if impact else unknown.append(term)
    return next((impact for impact in _WORST_FIRST if impact in known), None), unknown


def _by_substring(terms: Sequence[str]) -> tuple[str, list[str]]:
    if not terms:
        return "none", []
    printed = ", ".join(terms)
    for impact, names in TIERS.items():
        if any(name in printed for name in names):
            return impact, []
    return "low", list(terms)


def _normalised(name: str) -> str:
    return name.strip().replace("-", "_").replace(" ", "_").lower()


_BY_ACCESSION: Final = {
    accession: impact for impact, terms in TIERS.items() for accession in terms.values()
} | dict(ADDED.values())
_BY_NAME: Final = {_normalised(name): impact for impact, terms in TIERS.items() for name in terms} | {
    _normalised(name): impact for name, (_, impact) in ADDED.items()
}
