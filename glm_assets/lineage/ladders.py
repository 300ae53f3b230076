"""Mutation ladders of the study: drawn from its windows, embedded like its variants, and read back by split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.embed import embed_windows, read_vectors
from glm_assets.encoders.engines.worker_processes import StartWorker
from glm_assets.encoders.pooling import Pooling
from glm_assets.encoders.shards import REVERSE_WINDOW, window_matrix
from glm_assets.encoders.summary import summarise_vectors
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.ladder_figures import plot_ladder_response
from glm_assets.evaluation.ladder_response import ladder_response
from glm_assets.genome.alphabet import reverse_complement
from glm_assets.heads.distances import pair_distances
from glm_assets.lineage.embeddings import embedding_facts, has_vectors
from glm_assets.lineage.engines import study_engine
from glm_assets.lineage.study import Study
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas import MUTATION_LADDERS
from glm_assets.storage.tables import PART, read_part, table_folder
from glm_assets.variants.ladders import LadderCounts, build_ladders
from glm_assets.variants.windows import as_strings

_WINDOW_COLUMNS = ["chrom", "window_start", "variant_offset", "split", "ref_seq", "ref_digest"]


def make_mutation_ladders(
    study: Study,
    progress: Callable[[str], None],
    start_worker: StartWorker | None = None,
    *,
    allow_partial: bool = False,
) -> Manifest:
    """Draw ladders from the windows of all expected chromosomes, embed them and write their table.

    Args:
        study: Whose windows.
        progress: Called with a line now and then.
        start_worker: How to start a worker, where the engine needs one.
        allow_partial: Draw from the chromosomes that are there.
    """
    product = study.mutation_ladders(allow_partial=allow_partial)
    chromosomes = [name.split("/")[1] for name in product.inputs if name.startswith("variant_windows/")]

    def build(work: Path) -> Facts:
        spec, store = study.encoder_spec, study.store()
        rungs, counts = draw_ladders(study, spec, chromosomes)
        keys, report = embed_windows(
            rungs,
            spec,
            study_engine(study, spec, store, start_worker),
            store,
            study.profile.windows.as_dict(),
            shard_rows=study.profile.encoder.shard_rows,
            progress=progress,
        )
        table = rungs.with_columns(keys).select(MUTATION_LADDERS.schema.names())
        MUTATION_LADDERS.write(table, work / PART)
        summary = summarise_vectors(table, store)
        return (
            embedding_facts(spec, report, store)
            | vars(counts)
            | {"finite": summary.finite, "zero_delta_share": summary.zero_delta_share}
            | {"splits": dict(table.group_by("split").agg(pl.col("ladder").n_unique()).sort("split").iter_rows())}
            | _draw(table.filter(pl.col("split") != "test"), store, work)
        )

    return product.make(build, still_whole=lambda: has_vectors(product, study.store()))


def draw_ladders(study: Study, spec: EncoderSpec, chromosomes: Sequence[str]) -> tuple[pl.DataFrame, LadderCounts]:
    """Draw ladders as `embed_windows` takes them; nothing is computed or written.

    Args:
        study: Whose windows.
        spec: What the rungs' vectors will be.
        chromosomes: With up-to-date windows.
    """
    pooling = Pooling.parse(spec.pooling)
    rungs, counts = build_ladders(
        _study_windows(study, chromosomes),
        study.profile.ladders.windows,
        from_variant=pooling.depends_on_offset,
        reach=pooling.positions_from_variant,
    )
    return _with_other_strand(rungs) if spec.reverse_complement else rungs, counts


def read_ladders(study: Study, splits: tuple[str, ...] = ("train", "val")) -> pl.DataFrame:
    """Rungs of the ladders of some splits, as the table `mutation_ladders` has them.

    Ladders of the split `test` are as sealed as its variants: only the evaluation asks for them.

    Args:
        study: Whose ladders these are.
        splits: Of the rows that the ladders' windows were drawn from.

    Returns:
        Columns of `MUTATION_LADDERS`, ladder by ladder, substitutions ascending.
    """
    return read_part(study.files(table_folder(study.tables, "mutation_ladders"))).filter(
        pl.col("split").is_in(splits)
    )


def ladder_distances(ladders: pl.DataFrame, store: EmbeddingStore) -> NDArray[np.float64]:
    """Cosine distances (m,) between the raw vectors of rungs and of the windows below them.

    Args:
        ladders: m rows with `key`.
        store: Where the vectors lie.
    """
    blocks = [pair_distances(*read_vectors(block, store)) for block in ladders.iter_slices(8192)]
    return np.concatenate(blocks).astype(np.float64) if blocks else np.empty(0)


def _study_windows(study: Study, chromosomes: Sequence[str]) -> pl.DataFrame:
    folders = (study.variant_windows(chrom).files() for chrom in chromosomes)
    return pl.concat([read_part(folder, _WINDOW_COLUMNS) for folder in folders])


def _with_other_strand(rungs: pl.DataFrame) -> pl.DataFrame:
    """Substitutions move nothing: the other strand's window is this one's, turned round."""
    other = reverse_complement(window_matrix(rungs["var_seq"]))
    return rungs.with_columns(as_strings(other).alias(REVERSE_WINDOW))


def _draw(ladders: pl.DataFrame, store: EmbeddingStore, work: Path) -> Facts:
    """The figure, and how raw distances answer to the number of substitutions."""
    response = ladder_response(ladders, ladder_distances(ladders, store)) if ladders.height else None
    save_figure(plot_ladder_response(response), work / "ladders.png")
    if response is None:
        return {"mean_pearson": None, "median_distance": {}}
    medians = zip(response.substitutions.tolist(), response.quartiles[1].tolist(), strict=True)
    return {
        "mean_pearson": float(np.mean(response.correlations)) if response.correlations.size else None,
        "median_distance": {str(count): distance for count, distance in medians},
    }
