"""Training the heads on the study's embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glm_assets.encoders.device import prepare_device, resolve_device
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.head_figures import distance_histogram, training_curves
from glm_assets.heads.data import HeadData
from glm_assets.heads.files import META_FILE
from glm_assets.heads.pyfunc import head_card
from glm_assets.heads.recipes import RecipeName
from glm_assets.heads.train import MODEL_FILE, HeadResult, train_head
from glm_assets.lineage.head_data import read_head_data
from glm_assets.lineage.recipes import head_recipe
from glm_assets.lineage.study import Study
from glm_assets.storage.atomic import write_json
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.tracking import TrackedRun, Tracker


def make_head(
    study: Study,
    name: str,
    tracker: Tracker,
    progress: Callable[[str], None],
    *,
    dagster_run_id: str,
    allow_partial: bool = False,
    recipe: RecipeName | None = None,
) -> Manifest:
    """Train a head on all expected chromosomes, soup it, and record it with the tracker.

    Args:
        study: The main study.
        name: `head_v0` to `head_v3`.
        tracker: Where the training is recorded.
        progress: Called with a line now and then.
        dagster_run_id: Links the tracked run back to Dagster's.
        allow_partial: Train on the chromosomes that are there.
        recipe: Another recipe than the profile's; the head then lies beside the profile's own.
    """
    product = study.head(name, allow_partial=allow_partial, recipe=recipe)

    def build(work: Path) -> Facts:
        scratch = work / ".training"
        scratch.mkdir(exist_ok=True)
        prepare_device(resolve_device(study.settings.device), study.settings.cpu_threads)
        tags = {"dagster/run_id": dagster_run_id, "dagster/asset_key": name}
        with tracker.run(name, tags=tags, resume_file=scratch / "tracked_run.json") as run:
            return _train(study, product, recipe, work, scratch, run, progress)

    return product.make(build)


def _train(
    study: Study,
    product: Product,
    name: RecipeName | None,
    work: Path,
    scratch: Path,
    run: TrackedRun,
    progress: Callable[[str], None],
) -> Facts:
    chromosomes = [name.split("/")[1] for name in product.inputs if name.startswith("variant_embeddings/")]
    encoder = study.encoder_spec
    recipe = head_recipe(study.profile, product.asset, encoder.dimension, name)
    data = read_head_data(study, chromosomes, name)
    run.log_inputs(product.inputs)
    result = train_head(
        recipe,
        data,
        study.files(study.head_folder(f"head_{recipe.teacher}", name)) if recipe.teacher else None,
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
        "encoder": encoder.as_dict(),
    }
    write_json(work / META_FILE, meta)
    for figure in sorted(work.glob("*.png")):
        run.log_artifact(figure, "figures")
    files = [work / MODEL_FILE, work / META_FILE]
    model = product.asset if recipe.name == study.profile.recipe else f"{product.asset}_{recipe.name}"
    run.register_model(model, files, head_card(recipe.shape))
    waits = run.settle()
    return {
        "recipe": recipe.name,
        "metrics": result.metrics.as_dict(),
        "chosen_on": result.chosen_on,
        "parameters": result.parameters,
        "epochs": recipe.epochs,
        "pairs": {name: len(pairs) for name, pairs in data.sets().items()},
        "dead_blocks_share": {when: shares["blocks"] for when, shares in result.dead.items()},
        "dead_parameters_share": {when: shares["parameters"] for when, shares in result.dead.items()},
        "chromosomes": chromosomes,
        "soup_ingredients": len(result.soup["ingredients"]),
        "warm_started_tensors": result.warm_started,
        "encoder_fingerprint": encoder.fingerprint,
        "mlflow_run_id": run.run_id,
        "mlflow_url": run.url,
        "mlflow_queued": waits,
        "registered_version": run.registered_version,
    }


def _draw(name: str, result: HeadResult, data: HeadData, work: Path) -> None:
    curves = training_curves(name, result.history, result.metrics.as_dict())
    save_figure(curves, work / "training.png")
    save_figure(distance_histogram(name, result.val_distance, data.soup_val.label), work / "distances.png")
