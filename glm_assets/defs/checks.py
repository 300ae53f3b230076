"""The checks of each asset: what they promise, and how a manifest or a file answers.

Checks of partitioned assets carry the partitions too, so that the last chromosome does not hide the others.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import polars as pl

from glm_assets.defs.metadata import count_table
from glm_assets.defs.partitions import chromosomes
from glm_assets.lineage.study import MAX_REFERENCE_MISMATCH, Study
from glm_assets.storage.products import Manifest
from glm_assets.storage.tables import read_part
from glm_assets.submission.verify import verify_submission

# A float32 difference that is exactly zero means that the encoder cannot tell the variant from the reference.
MAX_ZERO_DELTAS = 0.01
# Vectors of windows are alike in length; one of quite another is a fault of the model or of the store.
NORM_RANGE = 20


def _result(name: str, passed: bool, *, warn: bool = False, **metadata: Any) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=severity, metadata=metadata)


def _partitioned(asset: str, name: str, description: str, *, blocking: bool = False) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name, asset=asset, description=description, blocking=blocking, partitions_def=chromosomes
    )


def chromosome_check(asset: str) -> dg.AssetCheckSpec:
    """The source has every chromosome that this run expects."""
    return dg.AssetCheckSpec(
        "has_expected_chromosomes", asset=asset, description="Every expected chromosome is in the source."
    )


def chromosome_result(study: Study, manifest: Manifest) -> dg.AssetCheckResult:
    """Answer `chromosome_check`."""
    missing = [chrom for chrom in study.profile.chromosomes if chrom not in manifest.facts["chromosomes"]]
    return _result("has_expected_chromosomes", not missing, missing=", ".join(missing) or "none")


def variant_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `clinvar_variants`."""
    asset = "clinvar_variants"
    return [
        _partitioned(asset, "rows_add_up", "Kept rows and drop reasons add up to the rows of the release."),
        _partitioned(
            asset, "known_vocabulary", "Every CLNSIG and CLNREVSTAT word is known; unknown ones are listed."
        ),
        _partitioned(asset, "both_classes", "There are pathogenic and benign rows."),
    ]


def variant_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `variant_checks`."""
    facts = manifest.facts
    unknown = facts["unknown_words"]
    accounted = facts["kept"] + sum(facts["dropped"].values())
    return [
        _result(
            "rows_add_up",
            accounted == facts["rows"] and facts["rows"] >= facts["records"],
            rows=facts["rows"],
            accounted=accounted,
            records=facts["records"],
        ),
        _result("known_vocabulary", not unknown, warn=True, unknown=count_table(unknown)),
        _result(
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
        _partitioned(
            asset,
            "reference_matches",
            f"At most {MAX_REFERENCE_MISMATCH:.0%} of the rows in known sequence disagree with the reference in REF.",
            blocking=True,
        ),
        _partitioned(
            asset,
            "windows_hold_their_alleles",
            "In the stored windows REF stands at the variant's offset of one, ALT at that of the other.",
            blocking=True,
        ),
    ]


def window_results(study: Study, manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `window_checks`; the second reads the published file back."""
    facts = manifest.facts
    windows = read_part(study.variant_windows(str(manifest.partition)).folder)
    broken = windows.filter(~_allele_in_window("ref", "ref_seq") | ~_allele_in_window("alt", "var_seq")).height
    return [
        _result(
            "reference_matches",
            facts["reference_mismatch_share"] <= MAX_REFERENCE_MISMATCH
            and (facts["reference_compared"] > 0 or facts["labelled_variants"] == 0),
            compared=facts["reference_compared"],
            mismatches=facts["reference_mismatches"],
            share=facts["reference_mismatch_share"],
        ),
        _result("windows_hold_their_alleles", broken == 0, rows=windows.height, broken=broken),
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
        _result(
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
    results.append(_result("every_split_has_rows", filled, warn=True, **facts["splits"], **advice))
    tested = {name: value for name, value in facts.items() if name.startswith("test_sequences")}
    unseen = not facts.get("test_sequences_seen", 0)
    return [*results, _result("test_sequences_unseen", unseen, warn=True, **tested)]


_FINITE = "Every number is finite."
_SEES_VARIANTS = f"At most {MAX_ZERO_DELTAS:.0%} of the differences are exactly zero."
_PROBE_UNCHANGED = "A pinned pair embeds as when the store first saw this encoder, up to rounding."


def pair_checks(asset: str) -> list[dg.AssetCheckSpec]:
    """Checks of everything that an encoder makes of pairs, a chromosome at a time."""
    return [
        _partitioned(asset, "finite", _FINITE),
        _partitioned(asset, "sees_variants", _SEES_VARIANTS),
        _partitioned(asset, "probe_unchanged", _PROBE_UNCHANGED),
    ]


def pair_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `pair_checks`."""
    facts = manifest.facts
    zero = facts["zero_delta_share"] or 0.0
    return [
        _result("finite", facts["finite"], rows=facts["rows"]),
        _result("sees_variants", zero <= MAX_ZERO_DELTAS, share=zero),
        _result(
            "probe_unchanged",
            facts["probe_drift"] is None or facts["probe_drift"] <= 1,
            drift="nothing was computed" if facts["probe_drift"] is None else facts["probe_drift"],
        ),
    ]


def embedding_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `variant_embeddings`."""
    asset = "variant_embeddings"
    norm_range = _partitioned(
        asset,
        "norm_range",
        f"Reference vectors are within {NORM_RANGE} times their median length, either way.",
    )
    return [*pair_checks(asset), norm_range]


def embedding_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `embedding_checks`."""
    facts = manifest.facts
    norm_range = _result(
        "norm_range",
        facts["median_norm"] <= NORM_RANGE * facts["smallest_norm"]
        and facts["largest_norm"] <= NORM_RANGE * facts["median_norm"],
        smallest_norm=facts["smallest_norm"],
        median_norm=facts["median_norm"],
        largest_norm=facts["largest_norm"],
    )
    return [*pair_results(manifest), norm_range]


def ladder_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `mutation_ladders`."""
    asset = "mutation_ladders"
    answers = "Within ladders distances grow with the number of substitutions: their mean correlation is positive."
    return [
        dg.AssetCheckSpec("finite", asset=asset, description=_FINITE),
        dg.AssetCheckSpec("sees_variants", asset=asset, description=_SEES_VARIANTS),
        dg.AssetCheckSpec("probe_unchanged", asset=asset, description=_PROBE_UNCHANGED),
        dg.AssetCheckSpec("distances_grow", asset=asset, description=answers),
    ]


def ladder_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `ladder_checks`."""
    r = manifest.facts["mean_pearson"]
    known = "there are no ladders" if r is None else r
    return [*pair_results(manifest), _result("distances_grow", r is None or r > 0, warn=True, mean_pearson=known)]


def head_checks(asset: str) -> list[dg.AssetCheckSpec]:
    """Checks of a head."""
    return [
        dg.AssetCheckSpec(
            "separates_classes",
            asset=asset,
            description="On the validation split pathogenic variants are farther from their reference than benign "
            "ones.",
        ),
        dg.AssetCheckSpec(
            "gates_alive",
            asset=asset,
            description="No block is one whose gradient is exactly zero. Recipe faithful is known to have such "
            "blocks in v2 and v3, so there the check only warns.",
        ),
    ]


def head_results(manifest: Manifest) -> list[dg.AssetCheckResult]:
    """Answer `head_checks`."""
    facts = manifest.facts
    blocks, parameters = facts["dead_blocks_share"], facts["dead_parameters_share"]
    return [
        _result("separates_classes", facts["metrics"]["cdd"] > 0, warn=True, **facts["metrics"]),
        _result(
            "gates_alive",
            not any(blocks.values()),
            warn=facts["recipe"] == "faithful",
            **{f"dead_blocks_share_at_the_{when}": share for when, share in blocks.items()},
            **{f"dead_parameters_share_at_the_{when}": share for when, share in parameters.items()},
        ),
    ]


def sequence_check() -> dg.AssetCheckSpec:
    """Check of `test_sequences`."""
    return dg.AssetCheckSpec(
        "taken_verbatim",
        asset="test_sequences",
        description="Nothing had to be changed: no lower case, byte-order mark or white space.",
    )


def sequence_result(manifest: Manifest) -> dg.AssetCheckResult:
    """Answer `sequence_check`."""
    treated = manifest.facts["treated"]
    return _result("taken_verbatim", not any(treated.values()), warn=True, treated=count_table(treated))


def test_vector_check() -> dg.AssetCheckSpec:
    """Check of `test_embeddings`."""
    return dg.AssetCheckSpec(
        "finite", asset="test_embeddings", description="Every vector is finite and none is zero."
    )


def test_vector_result(manifest: Manifest) -> dg.AssetCheckResult:
    """Answer `test_vector_check`."""
    facts = manifest.facts
    return _result(
        "finite", facts["finite"], smallest_norm=facts["smallest_norm"], largest_norm=facts["largest_norm"]
    )


_SUBMISSION_RULES = {
    "header": "The header is ID, emb_0000, emb_0001 and so on.",
    "rows": "There is a row for each test sequence.",
    "order": "The IDs are those of the test CSV, in its order.",
    "finite": "Every number is finite.",
    "unit_norm": "Every row has length 1.",
}


def submission_checks() -> list[dg.AssetCheckSpec]:
    """Checks of `submission`."""
    return [
        dg.AssetCheckSpec(rule, asset="submission", description=text) for rule, text in _SUBMISSION_RULES.items()
    ]


def submission_results(study: Study) -> Sequence[dg.AssetCheckResult]:
    """Answer `submission_checks` by reading the written file back."""
    sequences = read_part(study.test_sequences().folder, ["ID"])
    audit = verify_submission(
        study.submission_csv, sequences, max_dimensions=study.profile.submission.max_dimensions
    )
    return [_result(finding.rule, finding.passed, detail=finding.detail) for finding in audit.findings]
