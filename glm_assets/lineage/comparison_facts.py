"""What a comparison's figures are a function of, and what they must not be taken for, in words for its report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from glm_assets.evaluation.report.data import Fact
from glm_assets.heads.files import META_FILE
from glm_assets.lineage.sealed import is_sealed
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Manifest, library_versions

_DEMO: Final = "demo"
_TRAINED: Final = "head_v0,head_v1,head_v2,head_v3,linear_probe,covariance_probe"
_COMMANDS: Final = "dagster asset materialize -m glm_assets.definitions --select {}"


def lineage_facts(study: Study, rows: pl.DataFrame, scorers: Mapping[str, Manifest]) -> dict[str, dict[str, Fact]]:
    """Sections of facts: data, split, leakage, encoder, each trained scorer, software.

    Args:
        study: Whose comparison.
        rows: As `sealed.labelled_rows` gives them.
        scorers: Name of each scorer that was trained to its manifest.
    """
    return {
        "Data": _data(study, rows),
        "Split": _split(study, rows),
        "Leakage": _leakage(study),
        "Encoder": _encoder(study),
        **{name: _scorer(manifest) for name, manifest in scorers.items()},
        "Software": dict(library_versions()),
        "How to make it again": {
            "sources": _COMMANDS.format("'group:sources'"),
            "a chromosome": _COMMANDS.format(
                "'clinvar_variants,variant_windows,variant_embeddings' --partition C"
            ),
            "heads and this page": _COMMANDS.format(f"'split_audit,mutation_ladders,{_TRAINED},head_comparison'"),
            "profile": study.profile.name,
        },
    }


def cautions(study: Study) -> list[str]:
    """Sentences about what the reader must not conclude."""
    found = []
    if study.profile.encoder.name == _DEMO:
        found.append(
            "The encoder is the demo's tiny model with random weights: these figures show how the platform works and "
            "say nothing about Evo2."
        )
    if not is_sealed(study):
        found.append(
            "This study trains on its test rows, as the original pipeline does. The rows that judge here are those "
            "that checkpoints and soups were chosen on, so every head looks better than it is."
        )
    if study.profile.split.rule in ("locus", "temporal", "faithful"):
        found.append(
            f"Under the split rule {study.profile.split.rule} other variants of a test row's gene were trained on; "
            "the slices by training rows of the gene show how much that helps."
        )
    return found


def head_records(folder: Path) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]]:
    """The epochs of a head's training and its soup, as its `meta.json` has them."""
    meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
    return meta["history"], meta["soup"]


def _data(study: Study, rows: pl.DataFrame) -> dict[str, Fact]:
    release, reference = study.release(), study.reference()
    return {
        "ClinVar release": release.inputs["date"],
        "MD5 of its VCF": release.data_version,
        "reference genome": reference.data_version,
        "chromosomes": ", ".join(study.profile.chromosomes),
        "labels": f"{study.profile.labels.policy}, at least {study.profile.labels.min_stars} stars",
        "windows": json.dumps(study.profile.windows.as_dict()),
        "labelled variants": f"{rows.height:,}",
    }


def _split(study: Study, rows: pl.DataFrame) -> dict[str, Fact]:
    sizes = rows.group_by("split").agg(
        pl.len().alias("n"),
        pl.col("label").sum().cast(pl.Int64).alias("p"),
        pl.struct("chrom", "locus").n_unique().alias("loci"),
    )
    found: dict[str, Fact] = {"rule": study.profile.split.rule}
    for row in sizes.sort("split", descending=True).iter_rows(named=True):
        found[row["split"]] = f"{row['n']:,} variants, {row['p']:,} pathogenic, {row['loci']:,} loci"
    return found


def _leakage(study: Study) -> dict[str, Fact]:
    audit = study.require(study.split_audit())
    return {name.replace("_", " "): _text(value) for name, value in audit.facts.items()}


def _encoder(study: Study) -> dict[str, Fact]:
    spec = study.encoder_spec
    return {
        "name": spec.name,
        "weights (SHA-256)": spec.revision,
        "layer": spec.layer,
        "pooling": spec.pooling,
        "arithmetic": spec.dtype,
        "both strands": "yes" if spec.reverse_complement else "no",
        "fingerprint": spec.fingerprint,
    }


def _scorer(manifest: Manifest) -> dict[str, Fact]:
    facts = manifest.facts
    found: dict[str, Fact] = {"data version": manifest.data_version, "made": manifest.created}
    for name in ("recipe", "parameters", "epochs", "soup_ingredients", "warm_started_tensors", "rows_used", "C"):
        if facts.get(name) is not None:
            found[name.replace("_", " ")] = _text(facts[name])
    if facts.get("mlflow_url"):
        found["MLflow run"] = (str(facts["mlflow_run_id"]), str(facts["mlflow_url"]))
    return found


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(part)}" for name, part in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
