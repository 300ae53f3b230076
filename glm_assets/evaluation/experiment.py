"""A user's experiment: how its table is read, and joined with our scores."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.predictor_tables import IDENTITY, MISSING
from glm_assets.genome.contigs import chromosome_key
from glm_assets.sources.compression import is_gzip, refuse_bomb

SCORES: Final = {
    "head_distance": 1,
    "raw_distance": 1,
    "probe_probability": 1,
    "log_likelihood_ratio": -1,
}
"""Our scores, and the sign with which each is larger for the more pathogenic."""

POSITIVE: Final = frozenset(
    [
        "1",
        "true",
        "yes",
        "p",
        "lp",
        "pathogenic",
        "likely_pathogenic",
        "pathogenic/likely_pathogenic",
        "lof",
        "loss_of_function",
        "nonfunctional",
        "non-functional",
        "abnormal",
        "damaging",
        "deleterious",
        "disruptive",
    ]
)
NEGATIVE: Final = frozenset(
    [
        "0",
        "false",
        "no",
        "b",
        "lb",
        "benign",
        "likely_benign",
        "benign/likely_benign",
        "func",
        "functional",
        "normal",
        "neutral",
        "tolerated",
        "wt",
        "wild_type",
        "synonymous",
    ]
)
"""Names of the two classes, lower case, blanks as underscores."""

_ALIASES: Final = {
    "chrom": ("chrom", "chr", "chromosome", "contig"),
    "pos": ("pos", "position"),
    "ref": ("ref", "reference", "ref_allele"),
    "alt": ("alt", "alternate", "alt_allele"),
    "score": ("score",),
    "class": ("class",),
}
_EXPECTED: Final = "columns chrom, pos (1-based, of the reference's build), ref, alt, score and, if known, class"


@dataclass(frozen=True)
class Experiment:
    """What was measured.

    Attributes:
        rows: Distinct variants with the columns of `IDENTITY`, `score` and `label` (1, 0, null).
        table_rows: Rows of the table.
        without_score: Those without a number, or without a variant on a known chromosome.
        duplicates: Those of a variant that another row has too; the mean of their scores counts.
        classes: Name of each class in the table to what it is taken for: positive, negative, or neither.
    """

    rows: pl.DataFrame
    table_rows: int
    without_score: int
    duplicates: int
    classes: dict[str, str]


def read_experiment(path: Path) -> Experiment:
    """Read a table of measured variants.

    Args:
        path: TSV or CSV (plain or gzipped) or Parquet with a header, whose names may be in upper or lower case.

    Raises:
        EvaluationError: The file is absent or unreadable, or a column is absent.
    """
    if not path.is_file():
        raise EvaluationError(
            f"the experiment {path} does not exist", expected="a file", fix="correct GLM_EXPERIMENT"
        )
    try:
        table = pl.read_parquet(path, glob=False) if path.suffix == ".parquet" else _read_text(path)
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error) as error:
        raise EvaluationError(
            f"the experiment {path} cannot be read ({error})", expected="TSV, CSV (plain or gzipped) or Parquet"
        ) from error
    frame = table.select(_columns(path, table.columns))
    keys = {name: chromosome_key(name) for name in frame["chrom"].drop_nulls().unique().to_list()}
    frame = frame.with_columns(
        pl.col("chrom").replace_strict(keys, default=None, return_dtype=pl.String),
        pl.col("ref", "alt").str.to_uppercase(),
        pl.col("class").str.strip_chars().str.to_lowercase().str.replace_all(r"\s+", "_").str.replace(r"\.0$", ""),
    )
    frame = frame.with_columns(
        pl.when(pl.col("class").is_in(MISSING)).then(None).otherwise("class").alias("class")
    )
    usable = frame.filter(pl.col("score").is_finite(), pl.all_horizontal(pl.col(list(IDENTITY)).is_not_null()))
    classes = _sides(usable["class"].drop_nulls().unique().sort().to_list())
    label = {"positive": 1, "negative": 0, "neither": None}
    labels = {name: label[side] for name, side in classes.items()}
    usable = usable.with_columns(
        pl.col("class").replace_strict(labels, default=None, return_dtype=pl.Int8).alias("label")
    )
    one_label = pl.when(pl.col("label").n_unique() == 1).then(pl.col("label").first())
    rows = usable.group_by(list(IDENTITY), maintain_order=True).agg(
        pl.col("score").mean(), one_label.alias("label")
    )
    return Experiment(rows, frame.height, frame.height - usable.height, usable.height - rows.height, classes)


def _read_text(path: Path) -> pl.DataFrame:
    refuse_bomb(path)
    with gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as stream:
        content = stream.read()
    lines = content.split(b"\n", 1)
    return pl.read_csv(content, separator="\t" if b"\t" in lines[0] else ",", infer_schema=False)


def _columns(path: Path, columns: Iterable[str]) -> list[pl.Expr]:
    """The columns that we read, under our names."""
    lower = {name.strip().lower().lstrip("#\ufeff"): name for name in columns}
    kinds = {**IDENTITY, "score": pl.Float64, "class": pl.String}
    chosen = []
    for part, kind in kinds.items():
        found = [lower[alias] for alias in _ALIASES[part] if alias in lower]
        if not found and part != "class":
            raise EvaluationError(
                f"{path} has no column {part}: its columns are {', '.join(lower.values())}", expected=_EXPECTED
            )
        text = pl.col(found[0]).cast(pl.String).str.strip_chars() if found else pl.lit(None, pl.String)
        chosen.append(text.cast(kind, strict=False).alias(part))
    return chosen


def _sides(names: Sequence[str]) -> dict[str, str]:
    """What each class is taken for. Of two classes one known name tells the other; a third is neither."""
    known = {name: "positive" if name in POSITIVE else "negative" for name in names if name in POSITIVE | NEGATIVE}
    if len(names) == 2 and len(known) == 1:
        other = "negative" if "positive" in known.values() else "positive"
        return {name: known.get(name, other) for name in names}
    return {name: known.get(name, "neither") for name in names}


def join_experiment(experiment: Experiment, scored: pl.DataFrame) -> pl.DataFrame:
    """The measured variants that were scored: `IDENTITY`, our `SCORES`, `score` and `label`.

    Args:
        experiment: What was measured.
        scored: The table `scored_variants`; a variant that it has several times counts once.
    """
    once = scored.filter(pl.col("reason").is_null()).unique(list(IDENTITY), keep="first", maintain_order=True)
    return once.select(*IDENTITY, *SCORES).join(
        experiment.rows, on=list(IDENTITY), how="inner", maintain_order="left"
    )
