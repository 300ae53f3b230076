"""Tables of scores by chrom, pos, ref and alt: only the rows of some variants are ever kept.

Whole-genome tables hold billions of rows. One with a tabix index is read where the variants are, any other is
streamed past them.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.errors import EvaluationError
from glm_assets.genome.contigs import chromosome_key
from glm_assets.sources.compression import is_gzip, refuse_bomb
from glm_assets.sources.compression import lines as text_lines

IDENTITY: Final = {"chrom": pl.String, "pos": pl.Int64, "ref": pl.String, "alt": pl.String}
"""Columns that identify a variant, `pos` 1-based, and their types."""

_ALIASES: Final = {
    "chrom": ("chrom", "chr", "chromosome", "contig"),
    "pos": ("pos", "position", "grch38_pos", "pos(1-based)"),
    "ref": ("ref", "reference", "ref_allele"),
    "alt": ("alt", "alternate", "alt_allele"),
}
"""Header names, lower case, without a leading '#': ours, then those of CADD, AlphaMissense, REVEL and dbNSFP."""

_SAMPLE: Final = 1000
"""Rows that say which columns are numeric."""

_GAP: Final = 500
"""Positions closer than this are read in one go: seeking costs as much as reading so many bases' rows."""

MISSING: Final = ("", ".", "-", "na", "n/a", "nan", "null", "none")
"""What stands in lower case for no value."""


def read_scores(path: Path, column: str | None, wanted: pl.DataFrame) -> tuple[str, pl.DataFrame]:
    """Read one column of a table for some variants.

    Args:
        path: TSV or CSV (plain or gzipped) or Parquet, with a header; lines before a header that begin with '#' are
            skipped. With `<path>.tbi` or `<path>.csi` beside it, it is read by position.
        column: Which column, upper or lower case; None for the only numeric one that identifies no variant.
        wanted: Variants with the columns of `IDENTITY`, no two the same.

    Returns:
        The column's name, and the rows found: the columns of `IDENTITY` and `value`, text for a text file. A
        variant has as many rows as in the table.

    Raises:
        EvaluationError: Naming the file, the column and what was expected.
    """
    if not path.is_file():
        raise EvaluationError(
            f"the predictor table {path} does not exist", expected="a file", fix="correct GLM_PREDICTORS"
        )
    try:
        if path.suffix == ".parquet":
            return _read_parquet(path, column, wanted)
        text = _open_text(path)
        names = text.choose(column)
        if any(path.with_name(path.name + suffix).is_file() for suffix in (".tbi", ".csi")):
            return names["value"], _read_tabix(text, names, wanted)
        refuse_bomb(path)
        scan = pl.scan_csv(
            path,
            glob=False,
            separator=text.separator,
            has_header=False,
            skip_lines=text.skip,
            new_columns=[str(place) for place in range(len(text.columns))],
            infer_schema=False,
            quote_char='"' if text.separator == "," else None,
        )
        places = {name: str(text.columns.index(found)) for name, found in names.items()}
        return names["value"], _matching(scan, places, wanted)
    except (pl.exceptions.PolarsError, OSError, ValueError, EOFError, zlib.error, csv.Error) as error:
        raise EvaluationError(
            f"the predictor table {path} cannot be read ({error})",
            expected="TSV, CSV (plain or gzipped), Parquet, or bgzipped TSV with a tabix index",
        ) from error


@dataclass(frozen=True)
class _Text:
    """A text table's shape: its columns, what separates them, the lines before the first row, and some rows."""

    path: Path
    columns: tuple[str, ...]
    separator: str
    skip: int
    sample: tuple[tuple[str, ...], ...]

    def choose(self, column: str | None) -> dict[str, str]:
        """Column of each part of a variant's identity, and of its value."""
        names = _choose_identity(self.path, self.columns)
        numeric = [name for place, name in enumerate(self.columns) if self._is_numeric(place)]
        if names["pos"] not in numeric:
            raise EvaluationError(
                f"{self.path}: column {names['pos']} holds no position in the first {len(self.sample):,} rows",
                expected="1-based positions",
            )
        return names | {"value": _choose_value(self.path, self.columns, numeric, names, column)}

    def _is_numeric(self, place: int) -> bool:
        given = [
            row[place] for row in self.sample if len(row) > place and row[place].strip().lower() not in MISSING
        ]
        return bool(given) and all(_is_number(text) for text in given)


def _open_text(path: Path) -> _Text:
    with _lines(path) as file:
        header, skip, first_row = _header(file)
        if not first_row.strip():
            raise EvaluationError(
                f"the predictor table {path} has no header or no rows",
                expected="a header with chrom, pos, ref, alt and a score, then rows",
            )
        separator = "\t" if "\t" in header else ","
        rows = csv.reader(itertools.chain([first_row], itertools.islice(file, _SAMPLE - 1)), delimiter=separator)
        sample = tuple(tuple(row) for row in rows if row)
        columns = next(csv.reader([header.strip().lstrip("#")], delimiter=separator))
    return _Text(path, tuple(name.strip() for name in columns), separator, skip, sample)


def _header(file: Iterable[str]) -> tuple[str, int, str]:
    """A table's header, the lines up to and with it, and the first row.

    The header is the last of the leading lines with '#', if that begins with a chromosome column, or else the first
    line without.
    """
    header, skip, lines = "", 0, iter(file)
    for line in lines:
        if line.startswith("#"):
            header, skip = line, skip + 1
        elif _names_chromosome(header):
            return header, skip, line
        else:
            return line, skip + 1, next(lines, "")
    return header, skip, ""


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    with gzip.open(path, "rb") if is_gzip(path) else path.open("rb") as stream:
        yield (line.decode("utf-8") for line in text_lines(stream, path.name))


def _names_chromosome(header: str) -> bool:
    first = header.lstrip("#").replace(",", "\t").split("\t")[0].strip().lower()
    return first in _ALIASES["chrom"]


def _choose_identity(path: Path, columns: Sequence[str]) -> dict[str, str]:
    lower = {name.lower().lstrip("#"): name for name in reversed(columns)}
    names = {}
    for part, aliases in _ALIASES.items():
        found = [lower[alias] for alias in aliases if alias in lower]
        if not found:
            raise EvaluationError(
                f"{path} has no column {part}: its columns are {', '.join(columns)}",
                expected="chrom, pos (1-based, GRCh38), ref, alt and a score, in upper or lower case",
            )
        names[part] = found[0]
    return names


def _choose_value(
    path: Path, columns: Sequence[str], numeric: Sequence[str], identity: dict[str, str], column: str | None
) -> str:
    others = [name for name in numeric if name not in identity.values()]
    if column is None:
        if len(others) != 1:
            raise EvaluationError(
                f"{path} has {len(others)} numeric columns beside the variant: {', '.join(others) or 'none'}",
                expected="one, or the name of one",
                fix=f"name it in GLM_PREDICTORS: NAME={path}:COLUMN",
            )
        return others[0]
    for same in (column.__eq__, lambda name: name.lower() == column.lower()):
        if found := [name for name in columns if same(name)]:
            return found[0]
    raise EvaluationError(
        f"{path} has no column {column}",
        expected=f"one of {', '.join(others or columns)}",
        fix="correct GLM_PREDICTORS",
    )


def _read_parquet(path: Path, column: str | None, wanted: pl.DataFrame) -> tuple[str, pl.DataFrame]:
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    schema = scan.collect_schema()
    numeric = [name for name, kind in schema.items() if kind.is_numeric()]
    names = _choose_identity(path, schema.names())
    names |= {"value": _choose_value(path, schema.names(), numeric, names, column)}
    kind = schema[names["value"]]
    if not (kind.is_numeric() or kind in (pl.String, pl.Null)):
        raise EvaluationError(f"{path}: column {names['value']} is of type {kind}", expected="numbers")
    return names["value"], _matching(scan, names, wanted)


def _matching(scan: pl.LazyFrame, names: dict[str, str], wanted: pl.DataFrame) -> pl.DataFrame:
    """The rows of a table whose variant is wanted, streamed."""
    rows = scan.select(
        chrom=pl.col(names["chrom"])
        .cast(pl.String)
        .map_batches(_keys, return_dtype=pl.String, is_elementwise=True),
        pos=pl.col(names["pos"]).cast(pl.Int64, strict=False),
        ref=pl.col(names["ref"]).cast(pl.String).str.to_uppercase(),
        alt=pl.col(names["alt"]).cast(pl.String).str.to_uppercase(),
        value=pl.col(names["value"]),
    )
    return rows.join(wanted.lazy(), on=list(IDENTITY), how="semi").collect(engine="streaming")


def _keys(names: pl.Series) -> pl.Series:
    """Chromosome keys of contig names, null for anything else."""
    known = {name: chromosome_key(name) for name in names.drop_nulls().unique().to_list()}
    return names.replace_strict(known, default=None, return_dtype=pl.String)


def _read_tabix(text: _Text, names: dict[str, str], wanted: pl.DataFrame) -> pl.DataFrame:
    """The rows of an indexed table whose variant is wanted."""
    from pysam import TabixFile

    places = {name: text.columns.index(found) for name, found in names.items()}
    rows: dict[str, list[str | int]] = {name: [] for name in (*IDENTITY, "value")}
    with TabixFile(str(text.path)) as table:
        contigs = {key: name for name in table.contigs if (key := chromosome_key(name))}
        for (chrom,), own in wanted.group_by("chrom", maintain_order=True):
            if chrom not in contigs:
                continue
            positions = own["pos"].unique().sort().to_list()
            known = {str(position) for position in positions}
            for start, end in _regions(positions):
                for line in table.fetch(contigs[chrom], start, end):
                    fields = line.split("\t")
                    if fields[places["pos"]] in known:
                        rows["chrom"].append(chrom)
                        rows["pos"].append(int(fields[places["pos"]]))
                        rows["ref"].append(fields[places["ref"]].upper())
                        rows["alt"].append(fields[places["alt"]].upper())
                        rows["value"].append(fields[places["value"]])
    frame = pl.DataFrame(rows, schema={**IDENTITY, "value": pl.String})
    return frame.join(wanted, on=list(IDENTITY), how="semi", maintain_order="left")


def _regions(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """0-based half-open regions around ascending 1-based positions, those close together in one."""
    start = previous = positions[0]
    for position in positions[1:]:
        if position - previous > _GAP:
            yield start - 1, previous
            start = position
        previous = position
    yield start - 1, previous


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
