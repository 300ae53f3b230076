"""Scores that geneticists trust (CADD, AlphaMissense, REVEL, phyloP, gnomAD's frequency), joined to the test rows.

Nothing is fetched: a table is a file that the user has. How tables are read is in `predictor_tables`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import EvaluationError
from glm_assets.evaluation.predictor_tables import IDENTITY, MISSING, read_scores
from glm_assets.evaluation.scores import Scored

_GRAMMAR: Final = "NAME=PATH[:COLUMN][:-], separated by commas; ':-' says that smaller is more pathogenic"
_NAME: Final = re.compile(r"[A-Za-z0-9_.+-]+")


@dataclass(frozen=True)
class PredictorSpec:
    """Where a predictor's scores are.

    Attributes:
        name: What it is called in the comparison.
        path: TSV, CSV (either may be gzipped) or Parquet; a bgzipped TSV with a tabix index is read by position.
        column: Its scores; None for the only numeric column beside chrom, pos, ref and alt.
        descending: Whether smaller is more pathogenic, as with a population frequency.
    """

    name: str
    path: Path
    column: str | None = None
    descending: bool = False


@dataclass(frozen=True)
class Predictor:
    """A predictor's scores for some variants, and how many it has.

    Attributes:
        spec: Where they are from.
        score: (n,) larger is more pathogenic (frequencies are negated); NaN where it has none.
        covered: Variants with a score.
        covered_pathogenic: Those among the pathogenic.
        covered_benign: Those among the benign.
        absent: Variants that the table does not hold.
        missing: Variants that it holds without a value, such as '.' or NA.
        duplicates: Further rows of variants that have several, as one has for each transcript.
    """

    spec: PredictorSpec
    score: NDArray[np.float64]
    covered: int
    covered_pathogenic: int
    covered_benign: int
    absent: int
    missing: int
    duplicates: int

    def scored(self) -> Scored:
        """Its numbers as a scorer."""
        return Scored(self.spec.name, "predictor", self.score, None, None)

    def as_dict(self) -> dict[str, int | float | str]:
        """What is covered, as JSON values."""
        rows = max(1, len(self.score))
        return {
            "table": self.spec.path.name,
            "rows": len(self.score),
            "covered": self.covered,
            "coverage": self.covered / rows,
            "covered_pathogenic": self.covered_pathogenic,
            "covered_benign": self.covered_benign,
            "absent": self.absent,
            "missing": self.missing,
            "duplicates": self.duplicates,
        }


def parse_predictors(text: str) -> tuple[PredictorSpec, ...]:
    """Parse `cadd=/data/cadd.tsv.gz:PHRED,gnomad=/data/af.parquet:AF:-`.

    Args:
        text: As the setting `GLM_PREDICTORS` gives it; blank for none.

    Raises:
        EvaluationError: An entry does not follow the grammar, or two share a name.
    """
    specs = tuple(_parse(entry.strip()) for entry in text.split(",") if entry.strip())
    names = [spec.name for spec in specs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise EvaluationError(
            f"GLM_PREDICTORS names {', '.join(twice)} more than once", expected="a name for each"
        )
    return specs


def read_predictor(spec: PredictorSpec, variants: pl.DataFrame) -> Predictor:
    """Read a predictor's scores of some variants; the rest of its table never enters memory.

    Where a variant has several scores, the most pathogenic one counts.

    Args:
        spec: Which table.
        variants: n rows with chrom, pos, ref, alt and label; a variant may occur more than once.

    Raises:
        EvaluationError: The file is absent or unreadable, a column is absent or ambiguous, or a score is no number.
    """
    wanted = variants.select(pl.col(name).cast(kind) for name, kind in IDENTITY.items())
    column, found = read_scores(spec.path, spec.column, wanted.unique())
    found = found.with_columns(score=_numbers(found, column, spec))
    best = found.group_by(list(IDENTITY)).agg(pl.col("score").max(), copies=pl.len())
    joined = wanted.join(best, on=list(IDENTITY), how="left", maintain_order="left", validate="m:1")
    score = joined["score"].fill_null(np.nan).to_numpy()
    has_score, label = ~np.isnan(score), variants["label"].to_numpy()
    absent = joined["copies"].null_count()
    return Predictor(
        spec=spec,
        score=score,
        covered=int(has_score.sum()),
        covered_pathogenic=int((has_score & (label == 1)).sum()),
        covered_benign=int((has_score & (label == 0)).sum()),
        absent=absent,
        missing=len(score) - absent - int(has_score.sum()),
        duplicates=found.height - best.height,
    )


def _parse(entry: str) -> PredictorSpec:
    name, equals, rest = entry.partition("=")
    descending = rest.endswith(":-")
    path, colon, column = rest.removesuffix(":-").rpartition(":")
    if not colon:
        path, column = column, ""
    if not equals or not _NAME.fullmatch(name) or not path or (colon and not column):
        raise EvaluationError(f"GLM_PREDICTORS has the entry {entry!r}", expected=_GRAMMAR)
    return PredictorSpec(name, Path(path).expanduser(), column or None, descending)


def _numbers(found: pl.DataFrame, column: str, spec: PredictorSpec) -> pl.Series:
    """Scores of the rows read, larger is more pathogenic; null where they are missing."""
    given = found["value"]
    if given.dtype == pl.String:
        given = given.str.strip_chars()
        given = given.set(given.str.to_lowercase().is_in(MISSING), None)
    elif given.dtype.is_float():
        given = given.fill_nan(None)
    values = given.cast(pl.Float64, strict=False)
    wrong = given.is_not_null() & ~values.is_finite().fill_null(value=False)
    if wrong.any():
        row = found.filter(wrong).row(0, named=True)
        raise EvaluationError(
            f"{spec.path}: column {column} holds {row['value']!r} for "
            f"{row['chrom']}:{row['pos']} {row['ref']}>{row['alt']}",
            expected="finite numbers, or '.', NA or nothing where there is none",
            fix=f"name another column in GLM_PREDICTORS: {_GRAMMAR}",
        )
    return -values if spec.descending else values
