"""Training the heads on the study's embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from glm_assets.encoders.device import prepare_device, resolve_device
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.head_figures import distance_histogram, training_curves
from glm_assets.heads.data import HeadData, PairRows, split_pairs, window_groups
from glm_assets.heads.train import MODEL_FILE, HeadResult, train_head
from glm_assets.lineage.embeddings import read_embeddings
from glm_assets.lineage.recipes import head_recipe
from glm_assets.lineage.study import Study
from glm_assets.storage.atomic import write_json
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.storage.tables import read_part
from glm_assets.tracking import TrackedRun, Tracker

META_FILE = "meta.json"

_ROW_COLUMNS = ["chrom", "window_start", "label", "var_len", "split"]


def make_head(
    study: Study,
    name: str,
    tracker: Tracker,
    progress: Callable[[str], None],
    *,
    dagster_run_id: str,
    allow_partial: bool = False,
) -> Manifest:
    """Train a head on all expected chromosomes, soup it, and record it with the tracker.

    Args:
        study: The main study.
        name: `head_v0` to `head_v3`.
        tracker: Where the training is recorded.
        progress: Called with a line now and then.
        dagster_run_id: Links the tracked run back to Dagster's.
        allow_partial: Train on the chromosomes that are there.
    """
    product = study.head(name, allow_partial=allow_partial)

    def build(work: Path) -> Facts:
        scratch = work / ".training"
        scratch.mkdir(exist_ok=True)
        prepare_device(resolve_device(study.settings.device), study.settings.cpu_threads)
        tags = {"dagster/run_id": dagster_run_id, "dagster/asset_key": name}
        with tracker.run(name, tags=tags, resume_file=scratch / "tracked_run.json") as run:
            return _train(study, product, work, scratch, run, progress)

    return product.make(build)


def read_head_data(study: Study, chromosomes: list[str]) -> HeadData:
    """Embedded pairs of some chromosomes, split, in file order and in the type in which they are stored."""
    split, dtype = study.profile.split, study.profile.encoder.store_dtype
    rows = pl.concat([read_part(study.variant_windows(chrom).folder, _ROW_COLUMNS) for chrom in chromosomes])
    pairs = PairRows(
        label=rows["label"].to_numpy(),
        var_len=rows["var_len"].to_numpy(),
        group=window_groups(rows["chrom"].to_numpy(), rows["window_start"].to_numpy(), split.group_bucket),
        split=rows["split"].to_numpy(),
    )
    read = (read_embeddings(study, chrom) for chrom in chromosomes)
    vectors = ((ref.astype(dtype, copy=False), delta.astype(dtype, copy=False)) for ref, delta in read)
    return split_pairs(pairs, vectors, merge_test_into_train=split.merge_test_into_train)


def _train(
    study: Study,
    product: Product,
    work: Path,
    scratch: Path,
    run: TrackedRun,
    progress: Callable[[str], None],
) -> Facts:
    chromosomes = [name.split("/")[1] for name in product.inputs if name.startswith("variant_embeddings/")]
    encoder = study.encoder_spec
    recipe = head_recipe(study.profile, product.asset, encoder.dimension)
    data = read_head_data(study, chromosomes)
    run.log_inputs(product.inputs)
    result = train_head(
        recipe,
        data,
        study.head_folder(f"head_{recipe.teacher}") if recipe.teacher else None,
        scratch,
        work,
        device=resolve_device(study.settings.device),
        run=run,
        progress=progress,
    )
    _draw(product.asset, result, data, work)
    meta = result.as_dict() | {
        "inputs": dict(product.inputs),
        "encoder_fingerprint": encoder.fingerprint,
        "mlflow_run_id": run.run_id,
    }
    write_json(work / META_FILE, meta)
    for figure in sorted(work.glob("*.png")):
        run.log_artifact(figure, "figures")
    registered = run.register_model(product.asset, [work / MODEL_FILE, work / META_FILE])
    return {
        "metrics": result.metrics.as_dict(),
        "parameters": result.parameters,
        "epochs": recipe.epochs,
        "pairs": {"train": len(data.train), "val": len(data.val)},
        "chromosomes": chromosomes,
        "soup_ingredients": len(result.soup["ingredients"]),
        "warm_started_tensors": result.warm_started,
        "encoder_fingerprint": encoder.fingerprint,
        "mlflow_run_id": run.run_id,
        "mlflow_url": run.url,
        "registered_version": registered,
    }


def _draw(name: str, result: HeadResult, data: HeadData, work: Path) -> None:
    curves = training_curves(name, result.history, result.metrics.as_dict())
    save_figure(curves, work / "training.png")
    save_figure(distance_histogram(name, result.val_distance, data.val.label), work / "distances.png")
