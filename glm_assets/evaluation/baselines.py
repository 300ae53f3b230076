"""Baselines that never see the sequence: how often a variant's gene, consequence, or both are pathogenic.

Gene and consequence together have reached an AUROC of 0.974 on ClinVar out of fold. A head that does not beat them
has not been shown to have learned anything of the sequence.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.scores import Scored

GENE: Final = "gene_rate"
CONSEQUENCE: Final = "consequence_rate"
GENE_CONSEQUENCE: Final = "gene_consequence_rate"
"""The one to beat."""

FOLDS: Final = 5

Known = Literal["out_of_fold", "train_only"]

_IDENTITY: Final = ("chrom", "pos", "ref", "alt")
_COLUMNS: Final = (*_IDENTITY, "label", "gene", "consequence", "split")


def rate_baselines(rows: pl.DataFrame, *, known: Known = "out_of_fold", folds: int = FOLDS) -> tuple[Scored, ...]:
    """The share of pathogenic variants among those that share a row's gene, its consequence, or both.

    Out of fold, a row's rates come from the labelled rows of all splits outside its own fold. Being out of fold by
    variant, they know the other variants of the row's gene, which a head under a split by gene cannot: this is the
    harder comparison. With `train_only` they come from the rows of train alone, as a head's knowledge does, and
    the names end in `_train`.

    A rate is smoothed towards its parent by one pseudo-count: gene x consequence towards consequence, gene and
    consequence towards the overall rate, that towards one half. So a gene that nobody has seen has a rate too.
    Rows without a gene or consequence count as one class of their own.

    Args:
        rows: All labelled rows with the columns chrom, pos, ref, alt, label, gene, consequence and split. Rows with
            a null label are in no rate.
        known: Which rows the rates are made from.
        folds: Number of folds; equal variants (chrom, pos, ref, alt) are in one.

    Returns:
        `gene_rate`, `consequence_rate` and `gene_consequence_rate`: the rates of the rows whose split is `test`, in
        their order, as score and as probability.

    Raises:
        EvaluationError: A column is absent, fewer than two folds, or `known` is unknown.
    """
    if absent := [column for column in _COLUMNS if column not in rows.columns]:
        raise EvaluationError(f"rows for baselines lack {', '.join(absent)}", expected=", ".join(_COLUMNS))
    if folds < 2 or known not in ("out_of_fold", "train_only"):
        raise EvaluationError(
            f"baselines over {folds} folds, {known}", expected="2 or more; out_of_fold, train_only"
        )
    used = pl.col("label").is_not_null()
    if known == "train_only":
        used &= pl.col("split") == "train"
    frame = rows.select(
        pl.col("gene", "consequence").fill_null(""),
        pl.col("split"),
        n=used.cast(pl.Int64),
        pathogenic=(used & (pl.col("label") == 1)).fill_null(value=False).cast(pl.Int64),
        fold=pl.Series(fold_of(rows, folds)),
    )
    own_fold = known == "out_of_fold"
    frame = frame.with_columns(overall=_rate([], pl.lit(0.5), own_fold=own_fold))
    frame = frame.with_columns(
        _rate(["gene"], pl.col("overall"), own_fold=own_fold).alias(GENE),
        _rate(["consequence"], pl.col("overall"), own_fold=own_fold).alias(CONSEQUENCE),
    )
    frame = frame.with_columns(
        _rate(["gene", "consequence"], pl.col(CONSEQUENCE), own_fold=own_fold).alias(GENE_CONSEQUENCE)
    ).filter(pl.col("split") == "test")
    suffix = "" if own_fold else "_train"
    rates = {name: frame[name].to_numpy() for name in (GENE, CONSEQUENCE, GENE_CONSEQUENCE)}
    return tuple(Scored(name + suffix, "baseline", rate, None, rate) for name, rate in rates.items())


def fold_of(rows: pl.DataFrame, folds: int = FOLDS) -> NDArray[np.int64]:
    """Fold of each row (n,): MD5 of `<chrom>:<pos>:<ref>:<alt>`, first 8 hex digits, modulo the number of folds."""
    names = rows.select(pl.concat_str(_IDENTITY, separator=":")).to_series()
    return np.fromiter((_residue(name, folds) for name in names), dtype=np.int64, count=len(names))


def _residue(name: str, folds: int) -> int:
    return int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:8], 16) % folds


def _rate(keys: list[str], parent: pl.Expr, *, own_fold: bool) -> pl.Expr:
    """Smoothed rate among the rows that share `keys`, without those of the row's own fold if `own_fold`."""

    def outside(column: str) -> pl.Expr:
        total = pl.col(column).sum()
        total = total.over(keys) if keys else total
        return total - pl.col(column).sum().over([*keys, "fold"]) if own_fold else total

    return (outside("pathogenic") + parent) / (outside("n") + 1)
