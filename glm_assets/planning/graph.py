"""The assets as a plan sees them: what each is made from, and how to ask whether it is up to date."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from glm_assets.errors import SettingsError
from glm_assets.lineage.probes import probe_product
from glm_assets.lineage.release_diff import release_diff_product
from glm_assets.lineage.search import head_search_product
from glm_assets.lineage.study import HEADS, Study
from glm_assets.storage.products import Product
from glm_assets.storage.tables import table_folder


@dataclass(frozen=True)
class Asset:
    """One asset.

    Attributes:
        upstream: What it is made from.
        product: The product of a study's chromosome (empty for an asset without partitions). None where only those
            who make it know it in full, as a registry must be asked: such an asset is judged by what its manifest
            says that it was made from.
        partitioned: Whether there is one a chromosome.
        optional: Whether a plan has it only when it was asked for, or made before.
    """

    upstream: tuple[str, ...] = ()
    product: Callable[[Study, str], Product] | None = None
    partitioned: bool = False
    optional: bool = False


def _per_chromosome(name: str, *upstream: str) -> Asset:
    return Asset(upstream, lambda study, chrom: getattr(study, name)(chrom), partitioned=True)


def _whole(name: str, *upstream: str, optional: bool = False) -> Asset:
    return Asset(upstream, lambda study, _: getattr(study, name)(), optional=optional)


def _head(name: str, *teachers: str) -> Asset:
    upstream = ("variant_embeddings", "mutation_ladders", "split_audit", *teachers)
    return Asset(upstream, lambda study, _: study.head(name))


def _probe(name: str, vectors: str) -> Asset:
    return Asset((vectors, "split_audit"), lambda study, _: probe_product(study, name))


SOURCES: Final = ("clinvar_release", "reference_genome", "glm_checkpoint")
_VECTORS_FROM = ("variant_windows", "glm_checkpoint")

ASSETS: Final[dict[str, Asset]] = {
    **{name: Asset() for name in SOURCES},
    "clinvar_release_diff": Asset(("clinvar_release",), lambda study, _: release_diff_product(study)),
    "clinvar_variants": _per_chromosome("clinvar_variants", "clinvar_release"),
    "variant_windows": _per_chromosome("variant_windows", "clinvar_variants", "reference_genome"),
    "split_audit": _whole("split_audit", "variant_windows"),
    "variant_embeddings": _per_chromosome("variant_embeddings", *_VECTORS_FROM),
    "variant_likelihoods": _per_chromosome("variant_likelihoods", *_VECTORS_FROM),
    "covariance_embeddings": _per_chromosome("covariance_embeddings", *_VECTORS_FROM),
    "mutation_ladders": _whole("mutation_ladders", *_VECTORS_FROM),
    "layer_comparison": _whole("layer_comparison", *_VECTORS_FROM, optional=True),
    "head_v0": _head("head_v0"),
    "head_v1": _head("head_v1", "head_v0"),
    "head_v2": _head("head_v2", "head_v1"),
    "head_v3": _head("head_v3", "head_v2"),
    "linear_probe": _probe("linear_probe", "variant_embeddings"),
    "covariance_probe": _probe("covariance_probe", "covariance_embeddings"),
    "head_search": Asset(
        ("variant_embeddings", "mutation_ladders", "split_audit", "head_v0", "head_v1", "head_v2"),
        lambda study, _: head_search_product(study),
        optional=True,
    ),
    "head_comparison": Asset(
        (*HEADS, "linear_probe", "covariance_probe", "variant_likelihoods", "mutation_ladders", "split_audit")
    ),
    "test_sequences": _whole("test_sequences"),
    "test_embeddings": _whole("test_embeddings", "test_sequences", "glm_checkpoint"),
    "submission": Asset(("test_embeddings", "head_v3")),
    "submission_score": Asset(("submission", "test_sequences", "variant_windows")),
    "scored_variants": Asset(
        ("reference_genome", "glm_checkpoint", "head_v3", "linear_probe", "covariance_probe"), optional=True
    ),
}
"""Every asset, each after what it is made from."""

JOBS: Final[dict[str, tuple[str, ...]]] = {
    "sources": (*SOURCES, "clinvar_release_diff"),
    "embed": ("clinvar_variants", "variant_windows", "variant_embeddings"),
    "embed_for_evaluation": ("variant_likelihoods", "covariance_embeddings"),
    "layer_sweep": ("layer_comparison",),
    "train": ("split_audit", "mutation_ladders", *HEADS, "linear_probe"),
    "search": ("head_search",),
    "evaluate": ("covariance_probe", "head_comparison"),
    "score_variants": ("scored_variants",),
    "submit": ("test_sequences", "test_embeddings", "submission", "submission_score"),
}
"""The assets of Dagster's jobs."""


def selected(names: Collection[str]) -> list[str]:
    """The assets that names of assets and jobs mean, each after what it is made from.

    Args:
        names: Nothing for every asset that is not optional.

    Raises:
        SettingsError: A name is neither.
    """
    if not names:
        return [name for name, asset in ASSETS.items() if not asset.optional]
    if unknown := [name for name in names if name not in ASSETS and name not in JOBS]:
        raise SettingsError(
            f"there is no asset or job {', '.join(unknown)}",
            expected=f"assets ({', '.join(ASSETS)}) or jobs ({', '.join(JOBS)})",
        )
    wanted = {asset for name in names for asset in JOBS.get(name, (name,))}
    return [name for name in ASSETS if name in wanted]


def partitions(study: Study, name: str) -> tuple[str, ...]:
    """The partitions of an asset that the study expects; one empty name where there are none."""
    return study.profile.chromosomes if ASSETS[name].partitioned else ("",)


def upstream_keys(study: Study, name: str, chrom: str) -> list[tuple[str, str]]:
    """Asset and partition of everything that a partition of an asset is made from."""
    keys = []
    for above in ASSETS[name].upstream:
        same = ASSETS[above].partitioned and ASSETS[name].partitioned
        keys += [(above, part) for part in ((chrom,) if same else partitions(study, above))]
    return keys


def folder_of(study: Study, name: str) -> Path:
    """Folder of an asset without partitions that has no product of its own here."""
    return study.submission_csv.parent if name == "submission" else table_folder(study.tables, name)
