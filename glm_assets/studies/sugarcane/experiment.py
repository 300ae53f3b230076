"""A user's experiment: sequences with a measured value, checked and made ready to be scored."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from glm_assets.errors import EvaluationError
from glm_assets.sources.delimited import read_delimited
from glm_assets.studies.sugarcane.configuration import ExperimentSettings

SCHEMA: Final = pl.Schema(
    {"line": pl.Int64(), "sequence": pl.String(), "scored": pl.String(), "value": pl.Float64()}
)

_FEWEST: Final = 3
"""Two points lie on a line whatever they are, so their correlation says nothing."""


@dataclass(frozen=True)
class Experiment:
    """What was measured.

    Attributes:
        rows: `line` of the file, `sequence` (A, C, G and T), `scored` (the same between its flanks) and `value`.
        file_rows: Rows of the file.
        other_rows: Those that `where` does not choose.
        dropped: Those that cannot be used, by reason: no sequence, letters other than bases, no number.
        usable: Rows from which `rows` were drawn.
    """

    rows: pl.DataFrame
    file_rows: int
    other_rows: int
    dropped: dict[str, int]
    usable: int


def read_experiment(path: Path, settings: ExperimentSettings, *, seed: int) -> Experiment:
    """Read an experiment's table.

    RNA is read as DNA, lower case as upper case. Of more rows than `max_rows` some are drawn, the same each time.

    Args:
        path: CSV, TSV or a table with semicolons, also gzipped.
        settings: Names of the columns, and what is done with the rows.
        seed: Of the draw.

    Raises:
        FormatError: A column is lacking, or the file is no such table.
        IntegrityError: The file is damaged, or holds more than the limits allow.
        EvaluationError: Fewer than three rows can be used, or a flank has other letters than bases.
    """
    before, after = (_flank(name, getattr(settings, name)) for name in ("before", "after"))
    chosen = list(settings.where.items())
    columns = (settings.sequence, settings.value, *(name for name, _ in chosen))
    lines: list[tuple[int, str, str, float]] = []
    dropped: Counter[str] = Counter()
    read = others = 0
    for line, (letters, number, *marks) in read_delimited(path, columns):
        read += 1
        if marks != [wanted for _, wanted in chosen]:
            others += 1
            continue
        sequence, value = _bases(letters), _number(number)
        if reason := _fault(sequence, value):
            dropped[reason] += 1
            continue
        lines.append((line, sequence, before + sequence + after, value))
    if len(lines) < _FEWEST:
        raise EvaluationError(
            f"{path.name}: {len(lines)} of {read:,} rows can be used ({_said(others, dropped)})",
            expected=f"at least {_FEWEST} rows with bases in {settings.sequence} and a number in {settings.value}",
            fix="correct experiment.where, experiment.sequence or experiment.value",
        )
    drawn = _draw(len(lines), settings.max_rows, seed)
    rows = pl.DataFrame([lines[number] for number in drawn], SCHEMA, orient="row")
    return Experiment(rows, read, others, dict(sorted(dropped.items())), len(lines))


def _bases(letters: str) -> str:
    return letters.upper().replace("U", "T")


def _number(text: str) -> float:
    """A number; NaN where there is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _fault(sequence: str, value: float) -> str | None:
    """Why a row cannot be used."""
    if not sequence:
        return "no sequence"
    if set(sequence) - set("ACGT"):
        return "letters other than A, C, G, T and U"
    return None if math.isfinite(value) else "no finite number"


def _flank(name: str, letters: str) -> str:
    bases = _bases(letters)
    if set(bases) - set("ACGT"):
        raise EvaluationError(
            f"experiment.{name} is {letters!r}", expected="nothing but A, C, G, T and U", fix="correct the flank"
        )
    return bases


def _draw(rows: int, most: int, seed: int) -> Sequence[int]:
    """Numbers of the rows that are kept, in the order of the file."""
    if rows <= most:
        return range(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False)).tolist()


def _said(others: int, dropped: Counter[str]) -> str:
    parts = [f"{count:,} with {reason}" for reason, count in sorted(dropped.items())]
    return ", ".join([f"{others:,} not chosen by experiment.where", *parts])
