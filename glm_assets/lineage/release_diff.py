"""The newest release against the one before it, as a product."""

from __future__ import annotations

from pathlib import Path

from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.release_figures import plot_release_diff
from glm_assets.lineage.source_catalogue import RECORDS_FILE
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.storage.schemas_release import CLINVAR_RELEASE_DIFF
from glm_assets.storage.tables import PART
from glm_assets.variants.labels import LabelPolicy
from glm_assets.variants.release_diff import (
    as_markdown,
    compare_releases,
    count_changes,
    label_transitions,
    summarise,
)

_NOTHING_BEFORE = "there is no earlier release in this data root, so that nothing is compared"


def release_diff_product(study: Study) -> Product:
    """What the newest release changed; the release before it is the newest older one that is there."""
    before = next(study.earlier_releases(), None)
    inputs = {
        "clinvar_release": study.release().data_version,
        "clinvar_release/before": before.data_version if before else "none",
    }
    return study.table("clinvar_release_diff", inputs, study.profile.labels.model_dump())


def make_release_diff(study: Study) -> Manifest:
    """Compare the newest release with the one before it; without one the table is empty."""
    product = release_diff_product(study)
    own, before = study.release(), next(study.earlier_releases(), None)

    def build(work: Path) -> Facts:
        if before is None:
            CLINVAR_RELEASE_DIFF.write(CLINVAR_RELEASE_DIFF.schema.to_frame(), work / PART)
            return {"rows": 0, "release": own.facts["release"], "note": _NOTHING_BEFORE}
        labels = study.profile.labels
        diff = compare_releases(
            _records(study, before),
            _records(study, own),
            policy=LabelPolicy(labels.policy, labels.min_stars),
            indel_max=labels.indel_max,
        )
        CLINVAR_RELEASE_DIFF.write(diff, work / PART)
        dates = before.facts["release"], own.facts["release"]
        save_figure(plot_release_diff(diff, *dates), work / "changes.png")
        old, new = before.facts["chromosomes"], own.facts["chromosomes"]
        return {
            "rows": diff.height,
            "release": dates[1],
            "release_before": dates[0],
            "records_before": before.facts["rows"],
            "records": own.facts["rows"],
            **count_changes(diff),
            "label_transitions": label_transitions(diff),
            "chromosomes_come": [chrom for chrom in new if chrom not in old],
            "chromosomes_gone": [chrom for chrom in old if chrom not in new],
            "by_gene_and_label": as_markdown(summarise(diff)),
        }

    return product.make(build)


def _records(study: Study, release: Manifest) -> Path:
    return study.files(study.records_folder(release.inputs["date"])) / RECORDS_FILE
