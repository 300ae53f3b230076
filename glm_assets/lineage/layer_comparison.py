"""Which layer tells variants apart best: a sample of the study's variants at several layers of one forward."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.encoders.evo2.encoder import Evo2Encoder
from glm_assets.encoders.sweep import LayeredEncoder, sweep_layers
from glm_assets.errors import EncoderError
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.ranking import auroc, ridge_scores
from glm_assets.evaluation.sweep_figures import plot_layer_sweep
from glm_assets.heads.distances import pair_distances
from glm_assets.lineage.engines import embed_job
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas import LAYER_COMPARISON
from glm_assets.storage.tables import PART, read_part

Progress = Callable[[str], None]


def make_layer_comparison(study: Study, progress: Progress) -> Manifest:
    """Embed a sample of variants at the profile's layers and judge each layer.

    Raises:
        EncoderError: The profile's pooling, layers or encoder do not allow several layers in one forward.
    """
    product = study.layer_comparison()

    def build(work: Path) -> Facts:
        sample = draw_sample(study)
        layers, deepest = study.profile.sweep.layers, study.sweep_spec
        store = study.store()

        def load() -> LayeredEncoder:
            encoder = embed_job(study, deepest).load_checked(store)
            if not isinstance(encoder, Evo2Encoder):
                raise EncoderError(f"encoder {deepest.name} gives one layer at a time", expected="an Evo2 model")
            return encoder

        keys = sweep_layers(
            sample,
            layers,
            deepest,
            load,
            store,
            study.profile.windows.as_dict(),
            shard_rows=study.profile.encoder.shard_rows,
            progress=progress,
        )
        rows = [{"layer": layer} | _judge(sample, *store.read(keys[layer])) for layer in layers]
        sweep = pl.DataFrame(rows, schema=LAYER_COMPARISON.schema)
        LAYER_COMPARISON.write(sweep, work / PART)
        save_figure(plot_layer_sweep(sweep), work / "layers.png")
        best = sweep.drop_nulls("auroc_probe").sort("auroc_probe", descending=True)
        return {
            "rows": sweep.height,
            "variants": sample.height,
            "best_layer": best["layer"][0] if best.height else None,
            "auroc_probe": {row["layer"]: row["auroc_probe"] for row in best.iter_rows(named=True)},
        }

    return product.make(build)


def draw_sample(study: Study) -> pl.DataFrame:
    """Variants of train and val over all expected chromosomes, as many of each class, the same ones every time.

    Rows are drawn by the hash of their windows, so that a new release changes the sample little. The test split
    stays sealed.
    """
    windows = pl.concat([read_part(study.variant_windows(chrom).files()) for chrom in study.profile.chromosomes])
    each = study.profile.sweep.variants // 2
    drawn = windows.filter(pl.col("split") != "test").sort("var_digest", "chrom", "pos", "alt")
    return pl.concat([drawn.filter(pl.col("label") == label).head(each) for label in (0, 1)])


def _judge(sample: pl.DataFrame, ref: np.ndarray, delta: np.ndarray) -> dict[str, float | int | None]:
    """What one layer's vectors of the sample are worth."""
    label, in_val = sample["label"].to_numpy(), (sample["split"] == "val").to_numpy()
    probe = None
    if len(set(label[~in_val].tolist())) == 2 and in_val.any():
        probe = auroc(ridge_scores(delta[~in_val], label[~in_val], delta[in_val]), label[in_val])
    norms = np.linalg.norm(ref, axis=1)
    return {
        "variants": len(label),
        "probe_variants": int(in_val.sum()),
        "auroc_distance": auroc(pair_distances(ref, delta), label),
        "auroc_probe": probe,
        "relative_delta_median": float(np.median(np.linalg.norm(delta, axis=1) / norms)) if len(label) else None,
    }
