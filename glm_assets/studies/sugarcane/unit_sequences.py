"""Sequences of units, and an even choice of units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.genome.alphabet import reverse_complement, upper
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.sources.genome_files import FASTA
from glm_assets.storage.tables import read_part
from glm_assets.studies.sugarcane.study import VARIABLE, SugarcaneStudy


def read_units(study: SugarcaneStudy, variety: str) -> pl.DataFrame:
    """All units of a variety, in the order of its table."""
    return read_part(study.files("units", variety))


class UnitSequences:
    """Reads the units of a variety from its genome.

    Args:
        study: The study.
        variety: Name of the variety.
    """

    def __init__(self, study: SugarcaneStudy, variety: str) -> None:
        self._fasta = IndexedFasta(study.files("genome", variety) / FASTA)
        # The original reads every unit as the genome's file has it, whatever strand its gene is on.
        self._turns = study.values.units.coordinates == "strict"

    def of(self, unit: dict[str, object]) -> str:
        """A unit's bases, upper case, 5' to 3' on its strand.

        Args:
            unit: A row of the table of units; what lies beyond an end of its contig is left out.
        """
        contig = str(unit["contig"])
        start, end = (min(max(0, int(str(unit[key]))), self._fasta.lengths[contig]) for key in ("start", "end"))
        bases = upper(self._fasta.fetch(contig, start, end))
        turned = reverse_complement(bases) if self._turns and unit["strand"] == "-" else bases
        return turned.tobytes().decode("ascii")

    def cut(self, units: pl.DataFrame) -> int:
        """How many units reach beyond an end of their contig, as those of `faithful` coordinates may."""
        ends = units["contig"].replace_strict(self._fasta.lengths, return_dtype=pl.Int64)
        return int(((units["start"] < 0) | (units["end"] > ends)).sum())

    def each(self, units: pl.DataFrame) -> Iterator[str]:
        """Bases of several units, in their order."""
        return (self.of(unit) for unit in units.iter_rows(named=True))


def choose_evenly(units: pl.DataFrame, many: int | None) -> pl.DataFrame:
    """A choice of units that is the same every time.

    Args:
        units: Rows with `unit_type`.
        many: At most so many; None for all.

    Returns:
        Rows in their order: of each type equally many, as far as there are so many, evenly spaced in the table.
    """
    if many is None or units.height <= many:
        return units
    places = {
        str(kind): np.flatnonzero((units["unit_type"] == kind).to_numpy())
        for kind in sorted(units["unit_type"].unique())
    }
    shares = dict.fromkeys(places, 0)
    for _ in range(many):
        open_kinds = [kind for kind in places if shares[kind] < len(places[kind])]
        shares[min(open_kinds, key=lambda kind: shares[kind])] += 1
    return units[np.sort(np.concatenate([_spread(at, shares[kind]) for kind, at in places.items()]))]


def _spread(places: NDArray[np.int64], many: int) -> NDArray[np.int64]:
    """The middle ones of as many equal stretches."""
    return places[(2 * np.arange(many) + 1) * len(places) // (2 * max(1, many))]


def choose_named(units: pl.DataFrame, names: tuple[str, ...], key: str) -> pl.DataFrame:
    """The units of these names, in the order of the table.

    Args:
        units: Of a variety.
        names: Of units.
        key: What names them, for the message.

    Raises:
        SettingsError: There is no unit of a name.
    """
    if unknown := sorted(set(names) - set(units["unit_id"])):
        raise SettingsError(
            f"there is no unit {unknown[0]!r}, which {key} names",
            expected="ids of the table sugarcane_units",
            fix=f"correct {key} in the YAML file of {VARIABLE}",
        )
    return units.filter(pl.col("unit_id").is_in(names))
