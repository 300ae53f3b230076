"""Group `heads`: the linear probes, which say what is in the vectors before any head is trained."""

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.checks.heads import probe_check, probe_result
from glm_assets.defs.metadata import materialized
from glm_assets.defs.steps import begin_step, explained
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.probes import make_probe
from glm_assets.lineage.study import Study
from glm_assets.tracking import Tracker

_VECTORS = {
    "linear_probe": ("variant_embeddings", "what the variant does to its window's pooled vector"),
    "covariance_probe": (
        "covariance_embeddings",
        "what the variant does to its window's covariance-pooled vector",
    ),
}


class ProbeConfig(dg.Config):
    """Launch-time choices of a probe."""

    allow_partial: bool = False
    """Fit to the chromosomes that are there, instead of failing for those that are not."""


def probe_asset(name: str) -> dg.AssetsDefinition:
    """The asset of one probe.

    Args:
        name: `linear_probe` or `covariance_probe`.
    """
    vectors, meaning = _VECTORS[name]

    @dg.asset(
        name=name,
        group_name="heads",
        deps=[vectors, "split_audit"],
        kinds={"scikitlearn", "mlflow"},
        owners=OWNERS,
        code_version=CODE_VERSIONS[name],
        description=f"Logistic regression on {meaning}.\n\nStandardised, under an L2 penalty whose strength the "
        "validation split chooses, and tracked in MLflow.",
        check_specs=[probe_check(name)],
    )
    @explained
    def probe(
        context: dg.AssetExecutionContext,
        config: ProbeConfig,
        study: dg.ResourceParam[Study],
        tracker: dg.ResourceParam[Tracker],
    ) -> dg.MaterializeResult:
        begin_step(study)
        manifest = make_probe(
            study,
            name,
            tracker,
            context.log.info,
            dagster_run_id=context.run.run_id,
            allow_partial=config.allow_partial,
        )
        links = {"mlflow": manifest.facts["mlflow_url"]} if manifest.facts.get("mlflow_url") else {}
        folder = study.files(study.head_folder(name))
        return materialized(manifest, folder, checks=[probe_result(manifest)], links=links)

    return probe


linear_probe = probe_asset("linear_probe")
covariance_probe = probe_asset("covariance_probe")
