"""Scoring the submission by what its test CSV hides, as the contest would as far as that can be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from glm_assets.errors import MissingUpstreamError
from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.score_figures import plot_scored_ladders, plot_scored_pairs
from glm_assets.lineage.head_choice import HEADS
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.storage.schemas import SUBMISSION_SCORE, TEST_STRUCTURE
from glm_assets.storage.tables import PART, read_part
from glm_assets.submission.clinvar import CLINVAR_COLUMNS, FLANK, match_pairs
from glm_assets.submission.pairs import Structure, find_structure
from glm_assets.submission.scoring import ASSUMPTIONS, Circumstances, Figure, distances, read_submission, score

STRUCTURE_FILE = "structure.parquet"
_SHOWN_INDICES = 5
_NO_WINDOWS = "there are no variant_windows to find pairs in, so that none has a label"
_MERGED = "split.merge_test_into_train: the study trains on its test rows, so that none is held out"
_UNKNOWN_SPLIT = "is not known: it may have trained on these pairs"


def submission_score_product(study: Study) -> Product:
    """The submission's score; chromosomes whose windows are absent only leave more pairs without a label.

    Without any windows no pair has one: CD and PCC need none.
    """
    windows = study.present_chromosomes(study.variant_windows)
    submission = study.finished_submission()
    inputs = {
        "submission": submission.data_version,
        "test_sequences": study.require(study.test_sequences()).data_version,
    }
    inputs |= {f"variant_windows/{chrom}": manifest.data_version for chrom, manifest in windows.items()}
    recipe = {
        "flank": FLANK,
        "merge_test_into_train": study.profile.split.merge_test_into_train,
        "head_of_this_split": _is_of_this_split(study, submission),
    }
    return study.table("submission_score", inputs, recipe)


def make_submission_score(study: Study, progress: Callable[[str], None]) -> Manifest:
    """Find pairs and ladders, look the pairs up in ClinVar, and score the submission's vectors.

    Args:
        study: The main study.
        progress: Called with a line now and then.
    """
    product = submission_score_product(study)

    def build(work: Path) -> Facts:
        sequences = read_part(study.test_sequences().files(), ["ID", "seq"])
        structure = find_structure(sequences["seq"])
        progress(f"{len(structure.pairs):,} pairs and {_ladder_count(structure):,} ladders in the test CSV")
        matches = match_pairs(structure.pairs, sequences["seq"], _windows(study, product))
        progress(f"{matches['label'].count():,} pairs have a label in ClinVar")
        vectors = read_submission(study.finished_submission_csv(), sequences["ID"])
        pairs, ladders = structure.pairs, structure.ladders
        pairs = pairs.hstack(matches).with_columns(
            pl.Series("distance", distances(vectors, pairs["base"], pairs["variant"]), pl.Float64)
        )
        ladders = ladders.with_columns(
            pl.Series("distance", distances(vectors, ladders["base"], ladders["row"]), pl.Float64)
        )
        figures = score(pairs, ladders, _circumstances(study, product))
        _write(figures, pairs, ladders, sequences["ID"], work)
        return _facts(structure, figures, pairs)

    return product.make(build)


def _windows(study: Study, product: Product) -> Iterator[pl.DataFrame]:
    """Windows of the chromosomes that the product is a function of, one after the other."""
    for name in product.inputs:
        asset, _, chrom = name.partition("/")
        if asset == "variant_windows":
            yield read_part(study.variant_windows(chrom).files(), CLINVAR_COLUMNS)


def _circumstances(study: Study, product: Product) -> Circumstances:
    """Why labels or held-out pairs are lacking: no windows, test rows that were trained on, a head from elsewhere."""
    has_windows = any(name.startswith("variant_windows/") for name in product.inputs)
    head = study.finished_submission().facts["head"]
    return Circumstances(
        no_labels="" if has_windows else _NO_WINDOWS,
        no_held_out=_MERGED if product.recipe["merge_test_into_train"] else "",
        held_out_remark=""
        if product.recipe["head_of_this_split"]
        else f"the split of head {head} {_UNKNOWN_SPLIT}",
    )


def _is_of_this_split(study: Study, submission: Manifest) -> bool:
    """Whether the submission's head is this data root's as it is now, so that its split is this study's."""
    versions = {name: submission.inputs[name] for name in HEADS if name in submission.inputs}
    try:
        current = {name: study.require(study.head(name, allow_partial=True)).data_version for name in versions}
    except MissingUpstreamError:
        return False
    return bool(versions) and current == versions


def _write(figures: list[Figure], pairs: pl.DataFrame, ladders: pl.DataFrame, ids: pl.Series, work: Path) -> None:
    rows = pl.DataFrame([asdict(figure) for figure in figures], schema=SUBMISSION_SCORE.schema)
    SUBMISSION_SCORE.write(rows, work / PART)
    TEST_STRUCTURE.write(_structure_rows(pairs, ladders, ids), work / STRUCTURE_FILE)
    if not pairs.is_empty():
        label = pairs["label"].fill_null(-1).to_numpy()
        save_figure(plot_scored_pairs(pairs["distance"].to_numpy(), label), work / "pairs.png")
    if not ladders.is_empty():
        columns = (ladders[name].to_numpy() for name in ("substitutions", "distance", "ladder"))
        save_figure(plot_scored_ladders(*columns), work / "ladders.png")


def _structure_rows(pairs: pl.DataFrame, ladders: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Both kinds as rows of `test_structure`; ClinVar may know the reference where the CSV does not tell it."""
    swapped = pl.col("swapped").fill_null(value=False)
    of_pairs = pairs.select(
        pl.lit("pair").alias("role"),
        "family",
        pl.when(swapped).then("variant").otherwise("base").alias("base"),
        pl.when(swapped).then("base").otherwise("variant").alias("other"),
        pl.lit(1, pl.Int32).alias("substitutions"),
        "index",
        (pl.col("oriented") | pl.col("swapped").is_not_null()).alias("oriented"),
        "label",
        "split",
        "distance",
    )
    of_ladders = ladders.select(
        pl.lit("rung").alias("role"),
        pl.col("ladder").alias("family"),
        "base",
        pl.col("row").alias("other"),
        "substitutions",
        pl.lit(None, pl.Int32).alias("index"),
        pl.lit(value=True).alias("oriented"),
        pl.lit(None, pl.Int8).alias("label"),
        pl.lit(None, pl.String).alias("split"),
        "distance",
    )
    rows = pl.concat([of_pairs, of_ladders])
    return rows.with_columns(ids.gather(rows[side]).alias(side) for side in ("base", "other"))


def _facts(structure: Structure, figures: list[Figure], pairs: pl.DataFrame) -> Facts:
    rungs = structure.ladders["substitutions"].value_counts().sort("substitutions")
    found = pairs.filter(pl.col("found") > 0)
    values: dict[str, Any] = {
        "figures": {figure.name: figure.value for figure in figures if figure.value is not None},
        "not_available": {figure.name: figure.note for figure in figures if figure.value is None} or None,
        "sequences": structure.rows,
        "distinct_sequences": structure.distinct,
        "pairs": len(pairs),
        "pair_families": pairs["family"].n_unique(),
        "pairs_with_known_reference": int(pairs["oriented"].sum()),
        "index_of_pairs": {
            str(index): count for index, count in list(structure.index_counts().items())[:_SHOWN_INDICES]
        },
        "ladders": _ladder_count(structure),
        "rungs": {str(step): count for step, count in rungs.iter_rows()},
        "sequences_in_neither": structure.unassigned,
        "pairs_in_clinvar": found.height,
        "pairs_with_a_label": int(pairs["label"].count()),
        "pairs_by_split": dict(found["split"].value_counts(sort=True).iter_rows()),
        "structure": _in_words(structure),
        "assumptions": " ".join(ASSUMPTIONS),
    }
    return values


def _ladder_count(structure: Structure) -> int:
    return structure.ladders["ladder"].n_unique()


def _in_words(structure: Structure) -> str:
    lacking = [
        name
        for name, frame in (("SNV pairs", structure.pairs), ("ladders", structure.ladders))
        if frame.is_empty()
    ]
    return f"The test CSV has no {' and no '.join(lacking)}." if lacking else "The test CSV has pairs and ladders."
