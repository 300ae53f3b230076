"""What is scored: genes with their flanks, neighbours together, and regulatory elements that no gene's unit holds.

The rule is the original's. Each gene has bases before its start and after its end, on its strand; one that would be
longer than the limit is the gene alone, however long. Elements that lie in no such unit are units of their own, up to
the limit. Then, from left to right, a unit joins the one before it if the gap between them is small and both together
are within the limit.

`faithful` keeps what the original leaves undone: units may end beyond their contig, and a cluster is on strand `+`.
`strict` clamps both ends, and a cluster whose genes are all on `-` is on `-`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from glm_assets.errors import FormatError
from glm_assets.storage.schemas_sugarcane import OUTER, UNITS
from glm_assets.studies.sugarcane.configuration import UnitSettings

GENE: Final = "gene"

_SCHEMA = pl.Schema({name: dtype for name, dtype in UNITS.schema.items() if name != OUTER})
_NAMED = 3  # genes whose ids name a cluster


@dataclass(frozen=True)
class UnitCut:
    """Units and what was done to them.

    Attributes:
        units: A row each, as the table `sugarcane_units` has them but for the variety, by contig and start.
        clamped: Genes whose flanks reach beyond an end of the contig.
        elements: Regulatory elements that the annotation has.
    """

    units: pl.DataFrame
    clamped: int
    elements: int


class _Feature(NamedTuple):
    name: str
    start: int
    end: int
    strand: str


class _Stretch(NamedTuple):
    start: int
    end: int
    group: str
    split: str


@dataclass
class _Unit:
    start: int
    end: int
    kind: str
    features: list[_Feature]
    stretch: _Stretch | None = None
    genes: list[_Feature] = field(default_factory=list)


def cut_units(
    features: pl.DataFrame, lengths: Mapping[str, int], regions: pl.DataFrame, settings: UnitSettings
) -> UnitCut:
    """Cut a genome into units.

    Args:
        features: Of the table `sugarcane_annotation`, the variety may be missing.
        lengths: Bases of each contig, in the order that the units shall have.
        regions: `contig`, `start`, `end`, `group` and `split`: stretches that do not overlap. Units of two stretches
            do not become one.
        settings: Flanks and limits.

    Raises:
        FormatError: The annotation has no gene.
    """
    genes = _by_contig(features.filter(pl.col("type") == GENE))
    if not genes:
        kinds = ", ".join(features["type"].unique().sort().head(10))
        raise FormatError(
            "the annotation has no gene",
            expected=f"features of the type {GENE}",
            fix=f"rename the type of its genes; it has {kinds}",
        )
    elements = _by_contig(features.filter(pl.col("type").is_in(settings.regulatory)))
    stretches = _stretches(regions)
    rows, clamped = [], 0
    for contig, length in lengths.items():
        own, free = genes.get(contig, []), elements.get(contig, [])
        units = [_with_flanks(gene, length, settings) for gene in own]
        clamped += sum(_is_clamped(gene, length, settings) for gene in own)
        units += _free_elements(free, units, settings.max_length)
        for unit in units:
            unit.stretch = _stretch(unit, length, stretches.get(contig, []))
        merged = _merged(sorted(units, key=attrgetter("start", "end")), settings)
        group = stretches[contig][0].group if contig in stretches else contig
        for unit, held in zip(merged, _contained(free, merged), strict=True):
            rows.append(_row(contig, unit, held, group, faithful=settings.coordinates == "faithful"))
    units = pl.DataFrame(rows, _SCHEMA, orient="row")
    return UnitCut(_with_own_names(units), clamped, sum(map(len, elements.values())))


def _by_contig(features: pl.DataFrame) -> dict[str, list[_Feature]]:
    found: dict[str, list[_Feature]] = {}
    named = features.select("contig", pl.col("feature_id").fill_null(pl.col("type")), "start", "end", "strand")
    for contig, *values in named.iter_rows():
        found.setdefault(contig, []).append(_Feature(*values))
    return found


def _stretches(regions: pl.DataFrame) -> dict[str, list[_Stretch]]:
    found: dict[str, list[_Stretch]] = {}
    for contig, *values in regions.select("contig", "start", "end", "group", "split").sort("start").iter_rows():
        found.setdefault(contig, []).append(_Stretch(*values))
    return found


def _flanked(gene: _Feature, settings: UnitSettings) -> tuple[int, int]:
    before, after = settings.upstream, settings.downstream
    if gene.strand == "-":
        before, after = after, before
    return gene.start - before, gene.end + after


def _with_flanks(gene: _Feature, length: int, settings: UnitSettings) -> _Unit:
    start, end = _flanked(gene, settings)
    start = max(0, start)
    if settings.coordinates == "strict":
        end = min(end, length)
    if end - start > settings.max_length:
        return _Unit(gene.start, gene.end, "gene_only", [gene], genes=[gene])
    return _Unit(start, end, "gene_with_regulatory", [gene], genes=[gene])


def _is_clamped(gene: _Feature, length: int, settings: UnitSettings) -> bool:
    start, end = _flanked(gene, settings)
    return start < 0 or end > length


def _free_elements(elements: Sequence[_Feature], units: Sequence[_Unit], longest: int) -> list[_Unit]:
    """Elements that lie in no gene's unit and are not too long."""
    ordered = sorted(units, key=attrgetter("start"))
    starts = np.array([unit.start for unit in ordered], np.int64)
    reached = np.maximum.accumulate(np.array([unit.end for unit in ordered], np.int64))
    free = []
    for element in elements:
        before = int(np.searchsorted(starts, element.start, side="right"))
        inside = before > 0 and reached[before - 1] >= element.end
        if not inside and element.end - element.start <= longest:
            free.append(_Unit(element.start, element.end, "regulatory", [element]))
    return free


def _stretch(unit: _Unit, length: int, stretches: Sequence[_Stretch]) -> _Stretch | None:
    """The stretch that a unit lies in, as far as its contig goes; None for a unit across an end."""
    after = bisect_right(stretches, unit.start, key=attrgetter("start"))
    found = stretches[after - 1] if after else None
    return found if found and min(unit.end, length) <= found.end else None


def _merged(units: Sequence[_Unit], settings: UnitSettings) -> list[_Unit]:
    """Join neighbours, from left to right."""
    merged: list[_Unit] = []
    for unit in units:
        last = merged[-1] if merged else None
        if last and _may_join(last, unit, settings):
            merged[-1] = _Unit(
                last.start,
                max(last.end, unit.end),
                "gene_cluster" if last.genes or unit.genes else "regulatory",
                last.features + unit.features,
                last.stretch,
                last.genes + unit.genes,
            )
        else:
            merged.append(unit)
    return merged


def _may_join(last: _Unit, unit: _Unit, settings: UnitSettings) -> bool:
    if last.stretch is None or last.stretch != unit.stretch:
        return False
    near = unit.start - last.end < settings.merge_gap
    return near and max(last.end, unit.end) - last.start <= settings.max_length


def _contained(elements: Sequence[_Feature], units: Sequence[_Unit]) -> list[int]:
    """How many elements lie in each unit."""
    ordered = sorted(elements, key=attrgetter("start"))
    starts = np.array([element.start for element in ordered], np.int64)
    ends = np.array([element.end for element in ordered], np.int64)
    firsts, lasts = (np.searchsorted(starts, [getattr(unit, key) for unit in units]) for key in ("start", "end"))
    return [
        int((ends[first:last] <= unit.end).sum()) for unit, first, last in zip(units, firsts, lasts, strict=True)
    ]


def _row(contig: str, unit: _Unit, elements: int, group: str, *, faithful: bool) -> tuple[object, ...]:
    named = unit.genes or unit.features
    strands = "".join(gene.strand for gene in unit.genes)
    turned = {feature.strand for feature in named} == {"-"} and not (faithful and len(unit.features) > 1)
    return (
        "_".join(feature.name for feature in named[:_NAMED]),
        contig,
        unit.start,
        unit.end,
        "-" if turned else "+",
        unit.kind,
        len(unit.genes) + elements,
        ",".join(gene.name for gene in unit.genes),
        strands,
        unit.end - unit.start,
        group,
        unit.stretch.split if unit.stretch else None,
    )


def _with_own_names(units: pl.DataFrame) -> pl.DataFrame:
    """Number the units that share a name, as the pieces of a gene on two strands do."""
    number = pl.int_range(1, pl.len() + 1).over("unit_id")
    name = pl.when(number > 1).then(pl.format("{}.{}", "unit_id", number)).otherwise("unit_id")
    return units.with_columns(name.alias("unit_id"))
