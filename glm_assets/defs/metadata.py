"""How products look in the UI: schemas, counts, figures and links as Dagster metadata."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from glm_assets.storage.products import Manifest
from glm_assets.storage.tables import Table

# Megabytes of metadata slow every page of the UI, so a larger figure is linked and not shown.
_MAX_FIGURE_BYTES = 150_000
_NUMERIC_DICT_ROWS = 60

_TYPE_NAMES = {
    pl.Int8: "int8",
    pl.Int16: "int16",
    pl.Int32: "int32",
    pl.Int64: "int64",
    pl.Float64: "float64",
    pl.String: "string",
    pl.Boolean: "bool",
}


def table_metadata(table: Table) -> dict[str, Any]:
    """Definition metadata of an asset that is a table: its columns with types and meanings."""
    columns = [
        dg.TableColumn(column.name, type=_TYPE_NAMES[type(column.dtype)], description=column.description)
        for column in table.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns), "dagster/table_name": table.name}


def materialized(
    manifest: Manifest,
    folder: Path,
    *,
    checks: Sequence[dg.AssetCheckResult] = (),
    links: Mapping[str, str] | None = None,
) -> dg.MaterializeResult:
    """Report a finished product to Dagster.

    Args:
        manifest: The product's manifest.
        folder: Where it lies.
        checks: Results of the asset's checks.
        links: Name to URL.

    Returns:
        The result, with the manifest's data version, facts and figures.
    """
    metadata: dict[str, Any] = {"reused": dg.MetadataValue.bool(manifest.reused)}
    metadata |= {Path(name).stem: _figure(folder / name) for name in manifest.files if name.endswith(".png")}
    metadata |= {name: _link(url) for name, url in (links or {}).items()}
    metadata |= _facts(manifest.facts)
    metadata |= {
        "folder": dg.MetadataValue.path(folder),
        "created": manifest.created,
        "input_digest": manifest.input_digest[:16],
    }
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.data_version), metadata=metadata, check_results=checks
    )


def count_table(counts: Mapping[str, Any]) -> dg.MetadataValue:
    """A mapping of names to numbers as a table, largest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_NUMERIC_DICT_ROWS]
    records = [dg.TableRecord({"name": name, "count": count}) for name, count in ordered]
    schema = dg.TableSchema(columns=[dg.TableColumn("name"), dg.TableColumn("count", type="int")])
    return dg.MetadataValue.table(records=records, schema=schema)


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as metadata; figures in a mapping become numbers of their own, which the UI plots over time."""
    shown: dict[str, Any] = {}
    for name, fact in facts.items():
        if isinstance(fact, dict) and not all(isinstance(value, int | float) for value in fact.values()):
            shown[name] = dg.MetadataValue.json(fact)
        elif isinstance(fact, dict) and any(isinstance(value, float) for value in fact.values()):
            shown |= {f"{name}/{key}": value for key, value in fact.items()}
        elif isinstance(fact, dict):
            shown[name] = count_table(fact)
        elif isinstance(fact, list):
            shown[name] = ", ".join(map(str, fact))
        elif fact is not None:
            shown[name] = fact
    if "rows" in facts:
        shown["dagster/row_count"] = facts["rows"]
    return shown


def _link(url: str) -> dg.MetadataValue:
    """A hyperlink to a page; an address of another kind, which a browser might run, is shown as text."""
    known = url.startswith(("http://", "https://", "file://"))
    return dg.MetadataValue.url(url) if known else dg.MetadataValue.text(url)


def _figure(path: Path) -> dg.MetadataValue:
    content = path.read_bytes()
    if len(content) > _MAX_FIGURE_BYTES:
        return dg.MetadataValue.path(path)
    return dg.MetadataValue.md(
        f"![{path.stem}](data:image/png;base64,{base64.b64encode(content).decode('ascii')})"
    )
