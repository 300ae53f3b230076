"""What is judged: the rows of the sealed test, and each scorer's numbers for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError

Kind = Literal["head", "probe", "zero_shot", "baseline", "predictor"]

KINDS: Final = ("head", "probe", "zero_shot", "baseline", "predictor")

OWN_KINDS: Final = ("head", "probe", "zero_shot")
"""Kinds that are made from the study's vectors; the others are what these are held against."""

VARIANT_COLUMNS: Final = (
    *("chrom", "pos", "ref", "alt", "kind", "var_len", "label", "review_stars"),
    *("gene", "genes", "consequence", "locus", "group", "train_rows_of_gene"),
)
"""Columns that `SealedTest.variants` needs; more do no harm."""

LADDER_COLUMNS: Final = ("ladder", "substitutions")

_LARGEST_DISTANCE: Final = 2.0
_ROUNDING: Final = 1e-3


@dataclass(frozen=True)
class Scored:
    """One scorer's numbers for the rows of a sealed test.

    Attributes:
        name: Unique within a test, such as `head_v3`.
        kind: One of `KINDS`.
        score: (n,) larger is more pathogenic; NaN where a predictor has none.
        distance: (n,) cosine distance of reference and variant, for CD, CDD and PCC; None where there is none.
        probability: (n,) probability of being pathogenic, calibrated on val; None where there is none.
        recipe: `open` or `faithful`, for heads.
        ladder_distance: (m,) cosine distance of base and mutated window, over the rows of the test's ladders.

    Raises:
        EvaluationError: Naming the scorer and what is wrong with which of its numbers.
    """

    name: str
    kind: Kind
    score: NDArray[np.float64]
    distance: NDArray[np.float64] | None
    probability: NDArray[np.float64] | None
    recipe: str | None = None
    ladder_distance: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if not self.name or self.kind not in KINDS:
            raise EvaluationError(
                f"scorer {self.name!r} of kind {self.kind!r}", expected=f"a name and one of {', '.join(KINDS)}"
            )
        self._check("score", self.score, -np.inf, np.inf, gaps=self.kind == "predictor")
        self._check("probability", self.probability, 0.0, 1.0, gaps=self.kind == "predictor")
        for name in ("distance", "ladder_distance"):
            self._check(name, getattr(self, name), -_ROUNDING, _LARGEST_DISTANCE + _ROUNDING)
        for name in ("distance", "probability"):
            self._check_rows(name, getattr(self, name), len(self.score), "its score")

    @property
    def has_score(self) -> NDArray[np.bool_]:
        """(n,) which rows have a score."""
        return ~np.isnan(self.score)

    def check_fits(self, rows: int, rungs: int) -> None:
        """Refuse numbers for another test than one of so many variants and rungs of ladders.

        Raises:
            EvaluationError: The lengths differ.
        """
        self._check_rows("score", self.score, rows, "the test's variants")
        self._check_rows("ladder_distance", self.ladder_distance, rungs, "the test's ladders")

    def _check(
        self, what: str, values: NDArray[np.float64] | None, low: float, high: float, *, gaps: bool = False
    ) -> None:
        if values is None:
            return
        if values.ndim != 1 or not np.issubdtype(values.dtype, np.floating):
            raise EvaluationError(
                f"{what} of {self.name} is {values.dtype} of shape {values.shape}",
                expected="floating-point numbers of shape (rows,)",
            )
        wrong = np.isinf(values) | (values < low) | (values > high) | (np.isnan(values) & (not gaps))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            allowed = "finite numbers" if np.isinf(low) else f"numbers from {max(low, 0.0):g} to {round(high):g}"
            raise EvaluationError(
                f"{what} of {self.name} is {values[row]} in row {row} ({int(wrong.sum()):,} such rows)",
                expected=f"{allowed}{' or NaN' if gaps else '; NaN is for predictors alone'}",
            )

    def _check_rows(self, what: str, values: NDArray[np.float64] | None, rows: int, of: str) -> None:
        if values is not None and len(values) != rows:
            raise EvaluationError(
                f"{what} of {self.name} has {len(values):,} rows", expected=f"{rows:,}, one for each of {of}"
            )


@dataclass(frozen=True)
class SealedTest:
    """The rows that nothing was trained or chosen on, and what every scorer says of them.

    Attributes:
        variants: n rows with at least `VARIANT_COLUMNS`; `label` is 1 for pathogenic and 0 for benign.
        ladders: m rows with `ladder` (which one) and `substitutions` (how many); empty where there are none.
        scored: The scorers, in the order of every table.

    Raises:
        EvaluationError: A column is absent, a label is neither 0 nor 1, a locus is null, a class is missing, two
            scorers share a name, or a scorer's numbers are of another length.
    """

    variants: pl.DataFrame
    ladders: pl.DataFrame
    scored: tuple[Scored, ...]

    def __post_init__(self) -> None:
        _check_columns("variants", self.variants, VARIANT_COLUMNS)
        _check_columns("ladders", self.ladders, LADDER_COLUMNS)
        _check_whole("variants", self.variants, ("chrom", "label", "locus", "group", "var_len"))
        _check_whole("ladders", self.ladders, LADDER_COLUMNS)
        labels = set(self.variants["label"].unique().to_list())
        if labels != {0, 1}:
            raise EvaluationError(
                f"the labels of the sealed test are {sorted(labels) or 'none'}",
                expected="both 0 (benign) and 1 (pathogenic), or nothing can be compared",
                fix="choose chromosomes or a split that leave both classes for test",
            )
        names = [one.name for one in self.scored]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise EvaluationError(f"several scorers are named {', '.join(twice)}", expected="a name for each")
        for one in self.scored:
            one.check_fits(self.variants.height, self.ladders.height)

    @property
    def label(self) -> NDArray[np.int8]:
        """(n,) 1 pathogenic, 0 benign."""
        return self.variants["label"].to_numpy().astype(np.int8)

    @property
    def cluster(self) -> NDArray[np.int64]:
        """(n,) number of each row's locus, 0 to loci - 1 in sorted order."""
        columns = ("chrom", "locus")
        ranks = self.variants.select(pl.struct(columns).rank("dense").cast(pl.Int64) - 1).to_series()
        return ranks.to_numpy()


def _check_columns(what: str, frame: pl.DataFrame, columns: tuple[str, ...]) -> None:
    if absent := [column for column in columns if column not in frame.columns]:
        raise EvaluationError(
            f"{what} of the sealed test lack the columns {', '.join(absent)}", expected=", ".join(columns)
        )


def _check_whole(what: str, frame: pl.DataFrame, columns: tuple[str, ...]) -> None:
    for column in columns:
        if nulls := frame[column].null_count():
            raise EvaluationError(
                f"column {column} of the sealed test's {what} is null in {nulls:,} rows",
                expected="a value in each",
            )
