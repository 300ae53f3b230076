"""Checks of variants, windows and their split."""

import dagster as dg
import polars as pl

from glm_assets.defs.checks.answers import partitioned, result
from glm_assets.defs.metadata import count_table
from glm_assets.lineage.study import MAX_REFERENCE_MISMATCH, Study
from glm_assets.storage.products import Manifest
from glm_assets.storage.tables import read_part


def variant_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `clinvar_variants`."""
    asset = "clinvar_variants"
    return [
        partitioned(asset, "rows_add_up", "Kept rows and drop reasons add up to the rows of the release."),
        partitioned(
            asset, "known_vocabulary", "Every CLNSIG and CLNREVSTAT word is known; unknown ones are listed."
        ),
        partitioned(asset, "both_classes", "There are pathogenic and benign rows."),
    ]


def variant_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `variant_checks`."""
    facts = manifest.facts
    unknown = facts["unknown_words"]
    accounted = facts["kept"] + sum(facts["dropped"].values())
    return [
        result(
            "rows_add_up",
            accounted == facts["rows"] and facts["rows"] >= facts["records"],
            rows=facts["rows"],
            accounted=accounted,
            records=facts["records"],
        ),
        result("known_vocabulary", not unknown, warn=True, unknown=count_table(unknown)),
        result(
            "both_classes",
            facts["pathogenic"] > 0 and facts["benign"] > 0,
            warn=True,
            pathogenic=facts["pathogenic"],
            benign=facts["benign"],
        ),
    ]


def window_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `variant_windows`."""
    asset = "variant_windows"
    return [
        partitioned(
            asset,
            "reference_matches",
            f"At most {MAX_REFERENCE_MISMATCH:.0%} of the rows in known sequence disagree with the reference in REF.",
            blocking=True,
        ),
        partitioned(
            asset,
            "windows_hold_their_alleles",
            "In the stored windows REF stands at the variant's offset of one, ALT at that of the other.",
            blocking=True,
        ),
    ]


def window_results(study: Study, manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `window_checks`; the second reads the published file back."""
    facts = manifest.facts
    windows = read_part(study.variant_windows(str(manifest.partition)).files())
    broken = windows.filter(~_allele_in_window("ref", "ref_seq") | ~_allele_in_window("alt", "var_seq")).height
    return [
        result(
            "reference_matches",
            facts["reference_mismatch_share"] <= MAX_REFERENCE_MISMATCH
            and (facts["reference_compared"] > 0 or facts["labelled_variants"] == 0),
            compared=facts["reference_compared"],
            mismatches=facts["reference_mismatches"],
            share=facts["reference_mismatch_share"],
        ),
        result("windows_hold_their_alleles", broken == 0, rows=windows.height, broken=broken),
    ]


def _allele_in_window(allele: str, window: str) -> pl.Expr:
    """Whether the window shows the allele at the offset, as far as it reaches inside the window."""
    room = pl.col(window).str.len_bytes() - pl.col("variant_offset")
    shown = pl.col(allele).str.to_uppercase().str.slice(0, room)
    return pl.col(window).str.slice(pl.col("variant_offset"), shown.str.len_bytes()) == shown


# Rules that promise to keep something apart: there a leak is an error and stops what follows in the run. The others
# are known to leak, and the checks only warn, with the true figures.
_KEPT_APART = {
    "no_shared_bases": {"locus", "gene", "chromosome"},
    "no_shared_genes": {"gene", "chromosome"},
    "no_duplicate_windows": {"locus", "gene", "chromosome"},
}

_AUDIT_PROMISES = {
    "no_shared_bases": "No val or test window shares a base with a train window.",
    "no_shared_genes": "No val or test row has a gene that a train row has, on any chromosome.",
    "no_duplicate_windows": "No val or test row has the reference and variant window of a train row.",
    "every_split_has_rows": "Train, val and test (unless merged into train) have rows.",
    "test_sequences_unseen": "No sequence of the test CSV lies by half or more in windows of train.",
}


_OVERLAPPING = "overlapping windows are never split: take more chromosomes, or shorter windows"
_ADVICE = {
    "gene": "a gene is never split: take more genes, or split.rule locus",
    "locus": _OVERLAPPING,
    "temporal": f"{_OVERLAPPING}; or an earlier split.train_release",
    "chromosome": "name chromosomes of the study in split.test_chromosomes and split.val_chromosomes",
    "faithful": "take more variants",
}


def audit_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `split_audit`."""
    return [
        dg.AssetCheckSpec(name, asset="split_audit", description=text, blocking=name in _KEPT_APART)
        for name, text in _AUDIT_PROMISES.items()
    ]


def audit_results(study: Study, manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `audit_checks`."""
    facts, split = manifest.facts, study.profile.split
    wanted = ["train", "val"] if split.merge_test_into_train else ["train", "val", "test"]
    leaks = {
        "no_shared_bases": {"overlapping_rows": facts["overlapping_rows"]},
        "no_shared_genes": {"shared_gene_rows": facts["shared_gene_rows"]},
        "no_duplicate_windows": {
            "duplicate_pair_rows": facts["duplicate_pair_rows"],
            "duplicate_ref_rows": facts["duplicate_ref_rows"],
            "duplicate_var_rows": facts["duplicate_var_rows"],
        },
    }
    results = [
        result(
            name,
            next(iter(counts.values())) == 0,
            warn=split.rule not in _KEPT_APART[name],
            held_out_rows=facts["held_out_rows"],
            **counts,
        )
        for name, counts in leaks.items()
    ]
    filled = all(facts["splits"][name] for name in wanted)
    advice = {} if filled else {"advice": _ADVICE[split.rule]}
    results.append(result("every_split_has_rows", filled, warn=True, **facts["splits"], **advice))
    tested = {name: value for name, value in facts.items() if name.startswith("test_sequences")}
    unseen = not facts.get("test_sequences_seen", 0)
    return [*results, result("test_sequences_unseen", unseen, warn=True, **tested)]
