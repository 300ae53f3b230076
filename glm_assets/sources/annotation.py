"""A genome's annotation, GFF3, as a table: checked against the sequence, and each feature with its gene."""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from glm_assets.errors import FormatError, ReferenceMismatchError, SettingsError
from glm_assets.genome.gene_structure import is_gene
from glm_assets.sources.compression import lines
from glm_assets.sources.limited_stream import open_limited
from glm_assets.sources.progress import Progress, Ticker
from glm_assets.storage.schemas_genome import FEATURE_COLUMNS

if TYPE_CHECKING:
    from gffutils.feature import Feature

REGION: Final = "region"
"""Type of a row about a whole contig, which may go beyond the sequence that is there."""

_LOG = logging.getLogger(__name__)
_COLUMNS = 9
_ATTRIBUTES = 8
# Parsing every attribute takes four fifths of the time, and only these are kept.
_KEPT = re.compile(r"(?:^|;)\s*((?:ID|Parent|Name|Is_circular)=[^;]*)")
_STRANDS = {"+": "+", "-": "-", ".": ".", "?": "."}
_PHASES = {"0": 0, "1": 1, "2": 2, ".": None}
_BATCH_ROWS = 1 << 16
_GENERATIONS = 32
_SHOWN = 5
_SCHEMA = {column.name: column.dtype for column in FEATURE_COLUMNS}
_EXPECTED = "GFF3: nine columns divided by tabs, the last of the form key=value;key=value"

_Row = tuple[str | None, str | None, str | None, str, str, int, int, str, int | None, str | None]


@dataclass(frozen=True)
class Annotation:
    """Features and what was left out.

    Attributes:
        features: A row per feature and parent as in `FEATURE_COLUMNS`, in the order of the file.
        without_parent: Rows whose parent is not in the file.
        regions: Rows of the type `region` beyond the sequence, left out.
        across_origin: Features across the origin of a circular contig, left out.
    """

    features: pl.DataFrame
    without_parent: int
    regions: int
    across_origin: int


def read_annotation(path: Path, lengths: Mapping[str, int], progress: Progress = _LOG.info) -> Annotation:
    """Read a GFF3 file, plain or gzipped; a FASTA section at its end is not read.

    Args:
        path: The file.
        lengths: Bases of each contig of the genome.
        progress: Receives readable lines every few seconds.

    Raises:
        FormatError: It is no GFF3, it holds no feature, or a line is not as it should be; the message names the line.
        ReferenceMismatchError: A feature lies on another contig, or beyond the end of its own.
        SettingsError: gffutils is not installed.
        IntegrityError: The file is damaged, or holds more than the limits allow.
    """
    reader = _Reader(path.name, lengths)
    ticker = Ticker(progress)
    batches: list[pl.DataFrame] = []
    rows: list[_Row] = []
    for row in reader.rows(path):
        rows.append(row)
        if len(rows) == _BATCH_ROWS:
            batches.append(pl.DataFrame(rows, _SCHEMA, orient="row"))
            rows = []
            ticker.tick(lambda: f"{path.name}: {len(batches) * _BATCH_ROWS:,} features")
    batches.append(pl.DataFrame(rows, _SCHEMA, orient="row"))
    features = pl.concat(batches)
    if features.is_empty():
        raise FormatError(f"{path.name} holds no feature", expected=_EXPECTED)
    known = features["feature_id"].drop_nulls().implode()
    without_parent = int((~features["parent"].drop_nulls().is_in(known)).sum())
    return Annotation(_with_genes(features, path.name), without_parent, reader.regions, reader.across_origin)


def _with_genes(features: pl.DataFrame, name: str) -> pl.DataFrame:
    """Fill `gene_id`: the nearest gene from the feature itself upwards through its parents."""
    nodes = (
        features.filter(pl.col("feature_id").is_not_null())
        .unique("feature_id", keep="first", maintain_order=True)
        .select(up="feature_id", next_up="parent", next_kind="type")
    )
    itself = pl.when(is_gene(pl.col("type"))).then("feature_id")
    climb = features.select(gene=itself, up=pl.when(itself.is_null()).then("parent"))
    for _ in range(_GENERATIONS):
        if climb["up"].null_count() == climb.height:
            return features.with_columns(climb["gene"].alias("gene_id"))
        found = pl.coalesce("gene", pl.when(is_gene(pl.col("next_kind"))).then("up"))
        climb = climb.join(nodes, on="up", how="left", maintain_order="left").select(
            gene=found, up=pl.when(found.is_null()).then("next_up")
        )
    culprit = features["feature_id"][int(climb["up"].is_not_null().arg_max() or 0)]
    raise FormatError(
        f"{name}: the parents of feature {culprit} have no end",
        expected="parents that lead to a gene, none of them twice",
        fix="correct the Parent attributes",
    )


def _gff3_parser() -> Callable[[str], Feature]:
    try:
        from gffutils.constants import dialect
        from gffutils.feature import feature_from_line
    except ImportError as error:
        raise SettingsError(
            f"GFF3 is read with gffutils: {error}", fix="pip install 'glm_assets[studies]'"
        ) from error
    return partial(feature_from_line, dialect=dialect)


class _Reader:
    """Rows of one file, each checked."""

    def __init__(self, name: str, lengths: Mapping[str, int]) -> None:
        self._name = name
        self._lengths = lengths
        self._feature = _gff3_parser()
        self._circular: set[str] = set()
        self.regions = 0
        self.across_origin = 0

    def rows(self, path: Path) -> Iterator[_Row]:
        for number, line in self._feature_lines(path):
            feature, start, end = self._parse(number, line)
            if self._lies_inside(number, feature, start, end):
                yield from self._rows(number, feature, start, end)

    def _feature_lines(self, path: Path) -> Iterator[tuple[int, str]]:
        with open_limited(path) as stream:
            for number, line in enumerate(lines(stream, self._name), start=1):
                raw = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if raw.startswith((b"##FASTA", b">")):
                    return
                if raw.startswith(b"##gff-version") and raw.split()[1:2] and not raw.split()[1].startswith(b"3"):
                    raise self._fault(number, f"it is GFF of version {raw.split()[1].decode(errors='replace')}")
                if raw.strip() and not raw.startswith(b"#"):
                    yield number, raw.decode("utf-8", errors="replace").rstrip("\r\n")

    def _parse(self, number: int, line: str) -> tuple[Feature, int, int]:
        """A feature with its 0-based start and its end."""
        fields = line.split("\t")
        if len(fields) != _COLUMNS:
            raise self._fault(number, f"it has {len(fields)} columns")
        attributes = fields[_ATTRIBUTES]
        if "=" not in attributes and attributes.strip(" ;") not in {"", "."}:
            raise self._fault(number, f"its attributes are {attributes[:40]!r}, as in GTF")
        fields[_ATTRIBUTES] = ";".join(_KEPT.findall(attributes))
        try:
            feature = self._feature("\t".join(fields))
        except ValueError as error:
            raise self._fault(number, f"{error}") from error
        first, last = feature.start, feature.end
        if first is None or last is None or not 1 <= first <= last:
            raise self._fault(number, f"it goes from {fields[3]} to {fields[4]}")
        return feature, first - 1, last

    def _lies_inside(self, number: int, feature: Feature, start: int, end: int) -> bool:
        contig = feature.seqid
        length = self._lengths.get(contig)
        if feature.featuretype == REGION and feature.attributes.get("Is_circular") == ["true"]:
            self._circular.add(contig)
        if length is not None and end <= length:
            return True
        if feature.featuretype == REGION:
            self.regions += 1
            return False
        if length is None:
            raise self._no_such_contig(number, contig)
        if contig in self._circular and start < length:
            self.across_origin += 1
            return False
        raise ReferenceMismatchError(
            f"{self._name}, line {number}: a {feature.featuretype} ends at base {end:,} of contig {contig},"
            f" which has {length:,} in the genome",
            expected="an annotation of the very same assembly",
            fix="take FASTA and GFF3 of one release",
        )

    def _rows(self, number: int, feature: Feature, start: int, end: int) -> Iterator[_Row]:
        strand, phase = feature.strand, feature.frame
        if strand not in _STRANDS:
            raise self._fault(number, f"its strand is {strand!r}")
        if feature.featuretype == "CDS" and phase not in _PHASES:
            raise self._fault(number, f"its phase is {phase!r}")
        own = feature.attributes.get("ID", [None])[0]
        # gffutils divides at commas, which a name may have.
        name = ",".join(feature.attributes.get("Name", [])) or None
        for parent in feature.attributes.get("Parent", [None]):
            yield (
                own,
                parent,
                None,
                feature.featuretype,
                feature.seqid,
                start,
                end,
                _STRANDS[strand],
                _PHASES[phase] if feature.featuretype == "CDS" else None,
                name,
            )

    def _no_such_contig(self, number: int, contig: str) -> ReferenceMismatchError:
        shown = ", ".join(list(self._lengths)[:_SHOWN]) + (", .." if len(self._lengths) > _SHOWN else "")
        return ReferenceMismatchError(
            f"{self._name}, line {number}: contig {contig} is not in the genome",
            expected=f"one of its {len(self._lengths)} contigs: {shown}",
            fix="take FASTA and GFF3 of one release, or give their contigs the same names",
        )

    def _fault(self, number: int, problem: str) -> FormatError:
        return FormatError(
            f"{self._name}, line {number} cannot be read: {problem}",
            expected=_EXPECTED + "; 1-based start and end, start <= end",
            fix="correct the line, or take the file as GFF3",
        )
