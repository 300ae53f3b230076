"""BioNeMo's predictions of a variety's units as a table of scores like `sugarcane_unit_scores`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from glm_assets.errors import FormatError, IntegrityError, SettingsError
from glm_assets.sources.progress import Progress
from glm_assets.storage.atomic import atomic_path
from glm_assets.storage.schemas_sugarcane import UNIT_SCORES
from glm_assets.studies.sugarcane.bionemo import scored_units
from glm_assets.studies.sugarcane.bionemo_predictions import (
    INDEX,
    BionemoScore,
    Collapse,
    prediction_files,
    read_names,
    read_predictions,
)
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets.studies.sugarcane.unit_sequences import UnitSequences, read_units

_SHOWN: Final = 5
# A sequence that fills up a rank's last batch is predicted twice, in a batch of another size.
_SAME: Final = 1e-3


@dataclass(frozen=True)
class Imported:
    """What was read.

    Attributes:
        path: The table.
        rows: Units in it.
        files: That they are from.
        repeated: Predictions beyond the first of a unit, which agree with it.
        without_base: Units that have no known base.
        not_predicted: Units that an export has and these files do not.
        logprob_of_a_base: Mean over all bases; None without any.
    """

    path: Path
    rows: int
    files: int
    repeated: int
    without_base: int
    not_predicted: int
    logprob_of_a_base: float | None


def import_bionemo(
    study: SugarcaneStudy,
    variety: str,
    folder: Path,
    path: Path,
    *,
    model: str,
    collapse: Collapse,
    progress: Progress,
) -> Imported:
    """Write the scores of a folder of predictions, in the order of the table of units; all of them or nothing.

    Args:
        study: The study, with the units that were exported.
        variety: Name of the variety.
        folder: What `predict_evo2` wrote.
        path: A Parquet or CSV file.
        model: What the column `model` says.
        collapse: What a file of one number a sequence holds.
        progress: Called with a line for each file.

    Raises:
        SettingsError: `path` is of another kind.
        FormatError: There are no predictions, they are of other sequences, or some are missing.
        IntegrityError: A file is damaged, or two predictions of a unit differ.
        MissingUpstreamError: The units are absent or out of date.
    """
    if path.suffix not in (".parquet", ".csv"):
        raise SettingsError(f"{path} is neither Parquet nor CSV", expected="a name that ends in .parquet or .csv")
    study.main.require(study.units(variety))
    files, names = prediction_files(folder), read_names(folder)
    units = read_units(study, variety)
    _require_units(names.values(), units, variety, folder)
    rows = {
        str(row["unit_id"]): row
        for row in units.filter(pl.col("unit_id").is_in(names.values())).iter_rows(named=True)
    }
    sequences = UnitSequences(study, variety)
    found: dict[str, BionemoScore] = {}
    repeated = 0
    for file in files:
        for score in read_predictions(
            file,
            names,
            lambda name: sequences.of(rows[name]),
            collapse=collapse,
            start_token=study.values.scoring.start_token,
        ):
            repeated += score.name in found
            _require_same(found.setdefault(score.name, score), score, file)
        progress(f"{len(found):,} of {len(names):,} units read, {file.name}")
    if missing := sorted(names.values() - found.keys()):
        raise FormatError(
            f"{folder} has no prediction for {len(missing):,} of the {len(names):,} units in {INDEX}: {_list(missing)}",
            expected="the files of every rank",
            fix="copy the files of all ranks there, or let predict_evo2 finish",
        )
    table = _table([rows[name] | _figures(found[name], model) for name in rows if found[name].n_tokens])
    with atomic_path(path) as temporary:
        UNIT_SCORES.check(table)
        table.write_csv(temporary) if path.suffix == ".csv" else UNIT_SCORES.write(table, temporary)
    bases = int(table["n_tokens"].sum())
    return Imported(
        path,
        table.height,
        len(files),
        repeated,
        len(found) - table.height,
        len(set(scored_units(study, variety)["unit_id"]) - found.keys()),
        float(table["logprob_sum"].sum()) / bases if bases else None,
    )


def _require_units(names: Any, units: pl.DataFrame, variety: str, folder: Path) -> None:
    if unknown := sorted(set(names) - set(units["unit_id"])):
        raise FormatError(
            f"{folder / INDEX} names {len(unknown):,} sequences that are no units of {variety}: {_list(unknown)}",
            expected=f"ids of the table sugarcane_units of {variety}",
            fix="name the right variety, or export and predict anew",
        )


def _require_same(first: BionemoScore, score: BionemoScore, file: Path) -> None:
    if not math.isclose(first.logprob_sum, score.logprob_sum, rel_tol=_SAME):
        raise IntegrityError(
            f"{score.name} is predicted twice, with {first.logprob_sum:g} and in {file} {score.logprob_sum:g}",
            expected="one prediction of each unit",
            fix="keep the files of one run alone in the folder",
        )


def _figures(score: BionemoScore, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "logprob_sum": score.logprob_sum,
        "logprob_mean": score.logprob_sum / score.n_tokens,
        "n_tokens": score.n_tokens,
        "tiles": 1,
    }


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    columns = UNIT_SCORES.schema
    return pl.DataFrame([{name: row[name] for name in columns} for row in rows], columns)


def _list(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", .." if len(names) > _SHOWN else "")
