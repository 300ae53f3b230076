"""Bringing the heads up to date: the convolutional one, and the linear baseline beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from glm_assets.encoders.device import prepare_device, resolve_device
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.regression_figures import plot_distributions
from glm_assets.evaluation.training_figures import plot_training
from glm_assets.heads.files import HISTORY_FILE, META_FILE, MODEL_FILE
from glm_assets.storage.atomic import write_json
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.tables import read_part
from glm_assets.studies.impact.activations import Activations
from glm_assets.studies.impact.error_figures import error_figures
from glm_assets.studies.impact.fitting import FittedConvolution, fit_baseline, fit_convolution, require_rows
from glm_assets.studies.impact.linear import LINEAR_FILE, save_linear
from glm_assets.studies.impact.predictors import Predictors
from glm_assets.studies.impact.pyfunc import head_card
from glm_assets.studies.impact.rows import FULL_SCORE, Rows
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets.tracking import TrackedRun, Tracker

REGISTERED_NAME = "impact_head"

Progress = Callable[[str], None]


def make_head(study: ImpactStudy, tracker: Tracker, progress: Progress, *, dagster_run_id: str) -> Manifest:
    """Train both heads on the train split, choose by the val split, and record them with the tracker.

    A killed training goes on from its last finished epoch.

    Args:
        study: Whose training set it is.
        tracker: Where the training is recorded.
        progress: Called with a line now and then.
        dagster_run_id: Links the tracked run back to Dagster's.

    Raises:
        MissingUpstreamError: The training set is absent or out of date, or the store lacks a vector.
        TrainingError: There is nothing to learn from, or the loss is no longer finite.
    """
    product = study.head()

    def build(work: Path) -> Facts:
        scratch = work / ".training"
        scratch.mkdir(exist_ok=True)
        prepare_device(resolve_device(study.main.settings.device), study.main.settings.cpu_threads)
        tags = {"dagster/run_id": dagster_run_id, "dagster/asset_key": product.asset}
        with tracker.run(product.asset, tags=tags, resume_file=scratch / "tracked_run.json") as run:
            run.log_inputs(product.inputs)
            return _Training(study, run, progress, product.input_digest, dict(product.inputs)).build(work, scratch)

    return product.make(build)


class _Training:
    """One run of the product's build."""

    def __init__(
        self, study: ImpactStudy, run: TrackedRun, progress: Progress, key: str, inputs: dict[str, str]
    ) -> None:
        self.study, self.run, self.progress, self.key, self.inputs = study, run, progress, key, inputs
        self.device = resolve_device(study.main.settings.device)

    def build(self, work: Path, scratch: Path) -> Facts:
        """Fill the product's folder."""
        study, spec = self.study, self.study.encoder_spec
        table = read_part(study.training_set().files()).filter(pl.col("split") != "test")  # never seen here
        train, val = Rows.of(table, "train"), Rows.of(table, "val")
        require_rows(train, val)
        activations = Activations.open(study.store(), table["key"], spec.pooling)
        self.progress(
            f"{len(train):,} examples train ({train.epoch_rows:,} an epoch), {len(val):,} choose the epoch"
        )
        self.run.log_params(
            {**study.values.head.model_dump(), "balancing": study.values.balancing.mode, "device": self.device}
            | {"rows.train": len(train), "rows.val": len(val), "encoder": spec.name, "layer": spec.layer}
        )
        linear, tried = fit_baseline(activations, train, val)
        save_linear(linear, work / LINEAR_FILE)
        fitted = self._convolution(activations, train, val, work, scratch)
        meta = self._meta(train, tried, fitted)
        write_json(work / META_FILE, meta)
        predicted = Predictors.load(work, self.device).scores(activations, val.at)
        target = FULL_SCORE * val.target
        for name, values in predicted.items():
            figure = plot_distributions(
                values, target, limits=(0, FULL_SCORE), title=f"{name}: validation examples"
            )
            save_figure(figure, work / f"distribution_{name}.png")
        metrics = {name: error_figures(values, target) for name, values in predicted.items()}
        metrics["mean"] = error_figures(np.full(len(target), meta["training_mean"]), target)
        write_json(work / META_FILE, meta | {"validation": metrics})
        self._track(metrics, work, activations)
        waits = self.run.settle()
        return {
            **{f"validation_{name}": figures for name, figures in metrics.items()},
            "parameters": fitted.parameters if fitted else None,
            "best_epoch": fitted.best_epoch if fitted else None,
            "epochs": len(fitted.history) if fitted else None,
            "convolution": "trained" if fitted else f"none: {spec.pooling} has no positions",
            "linear_strength": min(tried, key=lambda name: tried[name]),
            "examples": {"train": len(train), "val": len(val)},
            "rows_of_an_epoch": train.epoch_rows,
            "encoder_fingerprint": spec.fingerprint,
            "mlflow_run_id": self.run.run_id,
            "mlflow_url": self.run.url,
            "mlflow_queued": waits,
            "registered_version": self.run.registered_version,
        }

    def _convolution(
        self, activations: Activations, train: Rows, val: Rows, work: Path, scratch: Path
    ) -> FittedConvolution | None:
        """Train the convolutional head; there is none where the encoder pools the positions."""
        if activations.length == 1:
            self.progress("the encoder pools a read's positions, so that the linear baseline is the only head")
            return None
        values = self.study.values
        fitted = fit_convolution(
            values.head,
            activations,
            train,
            val,
            scratch / "epochs",
            key=self.key,
            seed=values.seed,
            device=self.device,
            run=self.run,
            progress=self.progress,
        )
        from glm_assets.studies.impact.network import save_head

        save_head(fitted.model, work / MODEL_FILE)
        write_json(work / HISTORY_FILE, {"epochs": fitted.history})
        curves = plot_training(
            "impact head",
            fitted.history,
            planned_epochs=values.head.epochs,
            score_name="negative RMSE",
        )
        save_figure(curves, work / "training.png")
        return fitted

    def _meta(self, train: Rows, tried: dict[str, float], fitted: FittedConvolution | None) -> dict[str, Any]:
        """What is known before the heads are judged."""
        values, spec = self.study.values, self.study.encoder_spec
        training_set = self.study.main.require(self.study.training_set())
        return {
            "kind": "impact",
            "individual": self.study.individual,
            "head": values.head.model_dump(mode="json"),
            "balancing": values.balancing.model_dump(mode="json"),
            "training_mean": FULL_SCORE * float(train.target.mean()),
            "variant_offset": training_set.facts["variant_offset"],
            "read_length": values.reads.length,
            "linear_rmse_by_strength": {name: FULL_SCORE * error for name, error in tried.items()},
            "best_epoch": fitted.best_epoch if fitted else None,
            "parameters": fitted.parameters if fitted else None,
            "inputs": self.inputs,
            "encoder_fingerprint": spec.fingerprint,
            "encoder": spec.as_dict(),
        }

    def _track(self, metrics: dict[str, dict[str, float]], work: Path, activations: Activations) -> None:
        """Record figures and register the models."""
        self.run.log_metrics(
            {f"{name}/val_{figure}": value for name, own in metrics.items() for figure, value in own.items()}
        )
        for figure in sorted(work.glob("*.png")):
            self.run.log_artifact(figure, "figures")
        files = [work / name for name in (MODEL_FILE, LINEAR_FILE, META_FILE) if (work / name).is_file()]
        card = head_card(activations.length, activations.width)
        self.run.register_model(f"{REGISTERED_NAME}_{self.study.individual}", files, card)
