"""Fitting the probes to the study's vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from glm_assets.encoders.device import CPU, prepare_device
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.probe_figures import plot_probe
from glm_assets.heads.files import META_FILE, MODEL_FILE
from glm_assets.heads.pairs import StoredPairs
from glm_assets.heads.probe_fit import FittedProbe, draw_rows, fit_probe
from glm_assets.heads.probe_pyfunc import probe_card
from glm_assets.heads.probes import save_probe
from glm_assets.heads.scorers import VectorKind
from glm_assets.lineage.embeddings import vector_index
from glm_assets.lineage.head_data import read_labelled_pairs
from glm_assets.lineage.study import Study
from glm_assets.storage.atomic import write_json
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.tracking import TrackedRun, Tracker

PROBES: Final[dict[str, VectorKind]] = {"linear_probe": "pooled", "covariance_probe": "covariance"}
"""Name of each probe to the vectors that it takes."""


def probe_product(study: Study, name: str, *, allow_partial: bool = False) -> Product:
    """A fitted probe, and what it is a function of.

    Args:
        study: The main study.
        name: One of `PROBES`.
        allow_partial: Fit to the chromosomes that are there instead of failing for those that are not.
    """
    index = vector_index(study, PROBES[name])
    found = study.every_chromosome(index, allow_partial=allow_partial)
    inputs = {f"{index.__name__}/{chrom}": manifest.data_version for chrom, manifest in found.items()}
    inputs |= {f"variant_windows/{chrom}": manifest.inputs["variant_windows"] for chrom, manifest in found.items()}
    profile = study.profile
    recipe = {
        "max_rows": profile.probes.max_rows,
        "seed": profile.seed,
        "recipe": profile.recipe,  # it says whether choosing and judging have pairs of their own
        "merge_test_into_train": profile.split.merge_test_into_train,
    }
    return study.product(name, study.head_folder(name), inputs, recipe)


def make_probe(
    study: Study,
    name: str,
    tracker: Tracker,
    progress: Callable[[str], None],
    *,
    dagster_run_id: str,
    allow_partial: bool = False,
) -> Manifest:
    """Fit a probe on all expected chromosomes, and record it with the tracker.

    Args:
        study: The main study.
        name: `linear_probe` or `covariance_probe`.
        tracker: Where the fit is recorded.
        progress: Called with a line now and then.
        dagster_run_id: Links the tracked run back to Dagster's.
        allow_partial: Fit to the chromosomes that are there.
    """
    product = probe_product(study, name, allow_partial=allow_partial)

    def build(work: Path) -> Facts:
        prepare_device(CPU, study.settings.cpu_threads)
        tags = {"dagster/run_id": dagster_run_id, "dagster/asset_key": name}
        with tracker.run(name, tags=tags, resume_file=work / ".tracked_run.json") as run:
            return _fit(study, product, work, run, progress)

    return product.make(build)


def _fit(study: Study, product: Product, work: Path, run: TrackedRun, progress: Callable[[str], None]) -> Facts:
    kind = PROBES[product.asset]
    chromosomes = [name.split("/")[1] for name in product.inputs if name.startswith("variant_windows/")]
    spec = study.covariance_spec if kind == "covariance" else study.encoder_spec
    data = read_labelled_pairs(study, chromosomes, vectors=kind)
    keys = cast("StoredPairs", data.train).keys
    rows = draw_rows(keys.to_list(), study.profile.probes.max_rows, study.profile.seed)
    run.log_inputs(product.inputs)
    fitted = fit_probe(data, rows=rows, progress=progress)
    save_probe(fitted.probe, work)
    known = {
        "inputs": dict(product.inputs),
        "encoder_fingerprint": spec.fingerprint,
        "encoder": spec.as_dict(),
    }
    write_json(work / META_FILE, {"kind": "linear_probe", **fitted.as_dict(), **known})
    save_figure(plot_probe(product.asset, fitted.val_probability, data.soup_val.label), work / "validation.png")
    _track(run, product.asset, fitted, work)
    waits = run.settle()
    return {
        "metrics": fitted.figures.as_dict(),
        "C": fitted.strength,
        "features": fitted.probe.features,
        "dimension": len(fitted.probe.mean),
        "rows_used": fitted.rows,
        "rows_there": fitted.rows_there,
        "pairs": {"val": len(data.val), "soup_val": len(data.soup_val)},
        "chromosomes": chromosomes,
        "encoder_fingerprint": spec.fingerprint,
        "mlflow_run_id": run.run_id,
        "mlflow_url": run.url,
        "mlflow_queued": waits,
        "registered_version": run.registered_version,
    }


def _track(run: TrackedRun, name: str, fitted: FittedProbe, work: Path) -> None:
    """Record a fit and register the model."""
    run.log_params({"features": fitted.probe.features, "C": fitted.strength, "rows": fitted.rows})
    metrics = {f"val/{key}": value for key, value in fitted.figures.as_dict().items()}
    run.log_metrics(metrics | {f"auroc_by_C/{c:g}": value for c, value in fitted.tried.items()})
    run.log_artifact(work / "validation.png", "figures")
    run.register_model(name, [work / MODEL_FILE, work / META_FILE], probe_card(fitted.probe))
