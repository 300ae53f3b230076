"""A user's VCF with our scores in INFO; everything else stays as it is, byte by byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from glm_assets.variants.user_vcf import header_lines, record_lines

FIELDS: Final = {
    "GLM_DISTANCE": ("head_distance", "A", "Float", "Cosine distance of reference and variant after the head"),
    "GLM_RAW_DISTANCE": ("raw_distance", "A", "Float", "Cosine distance of the encoder's own vectors"),
    "GLM_PROBE": ("probe_probability", "A", "Float", "Probability of pathogenic by the linear probe"),
    "GLM_LLR": (
        "log_likelihood_ratio",
        "A",
        "Float",
        "log P of the variant's window minus log P of the reference's",
    ),
    "GLM_REASON": ("reason", ".", "String", "Why each ALT has no scores, . where it has"),
}
"""INFO field to the column it shows, Number, Type and Description."""

META_KEY: Final = "glm_assets"

UNSORTED: Final = "the records are not sorted; bcftools sort does it"
TOO_FAR: Final = "htslib makes none; a record that begins or ends beyond 2^29 (536,870,912) has no place in a .tbi"

_INFO_COLUMN: Final = 7
_MISSING: Final = b"."


@dataclass(frozen=True)
class Annotated:
    """What became of a VCF.

    Attributes:
        records: Records written, all that there were.
        unindexed: Why the file has no index beside it; None where it has.
        replaced: Fields of ours that the input had already.
    """

    records: int
    unindexed: str | None
    replaced: tuple[str, ...]


def annotate_vcf(
    source: Path, dest: Path, rows: pl.DataFrame, meta: Mapping[str, str], *, index: bool
) -> Annotated:
    """Write a VCF again with scores, BGZF-compressed, and its index.

    Args:
        source: As `user_vcf.text_vcf` gives it.
        dest: The `.vcf.gz` to write.
        rows: The table `scored_variants` of this VCF, in order.
        meta: What made the scores, for the header line `##glm_assets`.
        index: Whether the records are sorted, so that there is to be a `.tbi`.
    """
    import pysam

    header, replaced = _header(header_lines(source), meta)
    infos = _infos(rows)
    count = 0
    # pysam's stub wants an index file.
    with pysam.BGZFile(str(dest), "wb", None) as writer:  # pyright: ignore[reportArgumentType]
        for line in header:
            writer.write(line + b"\n")
        for line, info in zip(record_lines(source), infos, strict=True):
            fields = line.split(b"\t", _INFO_COLUMN + 1)
            fields[_INFO_COLUMN] = _with_info(fields[_INFO_COLUMN], info)
            writer.write(b"\t".join(fields) + b"\n")
            count += 1
    return Annotated(count, _index(dest) if index else UNSORTED, tuple(replaced))


def _index(vcf: Path) -> str | None:
    """Index a sorted file; say why if that cannot be."""
    import pysam

    try:
        pysam.tabix_index(str(vcf), preset="vcf", force=True)
    except OSError as error:
        # Only htslib knows where a record ends (POS, REF, END, SVLEN), and a file without an index is whole.
        return f"{TOO_FAR} ({error})"
    return None


def _header(lines: Sequence[bytes], meta: Mapping[str, str]) -> tuple[list[bytes], list[str]]:
    """The header with our fields declared before the line of columns; and which were declared before."""
    replaced = [name for name in FIELDS if any(line.startswith(_declares(name)) for line in lines)]
    gone = (*(_declares(name) for name in FIELDS), f"##{META_KEY}=".encode())
    kept = [line for line in lines[:-1] if not line.startswith(gone)]
    ours = [
        f'##INFO=<ID={name},Number={number},Type={kind},Description="{text}">'.encode()
        for name, (_, number, kind, text) in FIELDS.items()
    ]
    values = ",".join(f'{name}="{_quoted(value)}"' for name, value in meta.items())
    return [*kept, *ours, f"##{META_KEY}=<ID=scores,{values}>".encode(), lines[-1]], replaced


def _declares(name: str) -> bytes:
    return f"##INFO=<ID={name},".encode()


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _infos(rows: pl.DataFrame) -> Iterator[bytes]:
    """Our part of INFO for each record."""
    names = list(FIELDS)
    columns = [column for column, *_ in FIELDS.values()]
    pending: list[tuple[float | str | None, ...]] = []
    last = -1
    for record, *values in rows.select("record", *columns).iter_rows():
        if pending and record != last:
            yield _info(names, pending)
            pending = []
        pending.append(tuple(values))
        last = record
    if pending:
        yield _info(names, pending)


def _info(names: Sequence[str], alts: Sequence[tuple[float | str | None, ...]]) -> bytes:
    """Fields with a value for each ALT; those without any value are left out."""
    parts = [
        name.encode() + b"=" + b",".join(map(_value, values))
        for name, values in zip(names, zip(*alts, strict=True), strict=True)
        if any(value is not None for value in values)
    ]
    return b";".join(parts)


def _value(value: float | str | None) -> bytes:
    if value is None:
        return _MISSING
    return value.encode() if isinstance(value, str) else f"{value:.6g}".encode()


def _with_info(info: bytes, ours: bytes) -> bytes:
    """INFO without older values of our fields, and ours behind it."""
    names = {name.encode() for name in FIELDS}
    kept = [] if info == _MISSING else [part for part in info.split(b";") if part.partition(b"=")[0] not in names]
    return b";".join([*kept, *([ours] if ours else [])]) or _MISSING
