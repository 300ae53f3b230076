"""Checks of test sequences, their vectors and the submission."""

from collections.abc import Sequence

import dagster as dg

from glm_assets.defs.checks.answers import result
from glm_assets.defs.metadata import count_table
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Manifest
from glm_assets.storage.tables import read_part
from glm_assets.submission.verify import verify_submission


def sequence_check() -> dg.AssetCheckSpec:
    """Check of `test_sequences`."""
    return dg.AssetCheckSpec(
        "taken_verbatim",
        asset="test_sequences",
        description="Nothing had to be changed: no lower case, byte-order mark or white space; and no ID is one that a "
        "spreadsheet would take for a formula.",
    )


def sequence_result(manifest: Manifest) -> dg.AssetCheckResult:
    """Answer `sequence_check`."""
    treated = manifest.facts["treated"]
    return result("taken_verbatim", not any(treated.values()), warn=True, treated=count_table(treated))


def test_vector_check() -> dg.AssetCheckSpec:
    """Check of `test_embeddings`."""
    return dg.AssetCheckSpec(
        "finite", asset="test_embeddings", description="Every vector is finite and none is zero."
    )


def test_vector_result(manifest: Manifest) -> dg.AssetCheckResult:
    """Answer `test_vector_check`."""
    facts = manifest.facts
    return result(
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
    sequences = read_part(study.test_sequences().files(), ["ID"])
    audit = verify_submission(
        study.finished_submission_csv(), sequences, max_dimensions=study.profile.submission.max_dimensions
    )
    return [result(finding.rule, finding.passed, detail=finding.detail) for finding in audit.findings]
