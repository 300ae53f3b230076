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
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets.studies.metagenome.study import MetagenomeStudy


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
        folder: Where the product of a study's chromosome lies, if not among the tables under the asset's name.
    """

    upstream: tuple[str, ...] = ()
    product: Callable[[Study, str], Product] | None = None
    partitioned: bool = False
    optional: bool = False
    folder: Callable[[Study, str], Path] | None = None


def _per_chromosome(name: str, *upstream: str) -> Asset:
    return Asset(upstream, lambda study, chrom: getattr(study, name)(chrom), partitioned=True)


def _whole(name: str, *upstream: str, optional: bool = False) -> Asset:
    return Asset(upstream, lambda study, _: getattr(study, name)(), optional=optional)


def _head(name: str, *teachers: str) -> Asset:
    upstream = ("variant_embeddings", "mutation_ladders", "split_audit", *teachers)
    return Asset(upstream, lambda study, _: study.head(name))


def _probe(name: str, vectors: str) -> Asset:
    return Asset((vectors, "split_audit"), lambda study, _: probe_product(study, name))


def _impact(name: str, *upstream: str, partitioned: bool = False, is_judged: bool = True) -> Asset:
    """An asset of the study impact; those of an encoder that need not be here are judged by their inputs."""

    def product(study: Study, chrom: str) -> Product:
        own = ImpactStudy(study)
        return getattr(own, name)(chrom) if partitioned else getattr(own, name)()

    def folder(study: Study, chrom: str) -> Path:
        return ImpactStudy(study).folder(name, chrom or None)

    return Asset(upstream, product if is_judged else None, partitioned, optional=True, folder=folder)


def _metagenome(name: str, *upstream: str, is_judged: bool = True) -> Asset:
    """An asset of the study metagenome."""

    def product(study: Study, _: str) -> Product:
        return getattr(MetagenomeStudy(study), name)()

    def folder(study: Study, _: str) -> Path:
        return MetagenomeStudy(study).folder(name)

    return Asset(upstream, product if is_judged else None, optional=True, folder=folder)


SOURCES: Final = ("clinvar_release", "reference_genome", "glm_checkpoint")
_VECTORS_FROM = ("variant_windows", "glm_checkpoint")

IMPACT: Final[dict[str, Asset]] = {
    "impact/individual_alignments": _impact("individual_alignments", "reference_genome", partitioned=True),
    "impact/individual_variants": _impact(
        "individual_variants", "clinvar_release", "impact/individual_alignments", partitioned=True
    ),
    "impact/read_examples": _impact(
        "read_examples", "impact/individual_variants", "impact/individual_alignments", partitioned=True
    ),
    "impact/read_embeddings": _impact(
        "read_embeddings", "impact/read_examples", partitioned=True, is_judged=False
    ),
    "impact/training_set": _impact(
        "training_set", "impact/read_examples", "impact/read_embeddings", is_judged=False
    ),
    "impact/head": _impact("head", "impact/training_set", is_judged=False),
    "impact/report": _impact("report", "impact/head", "impact/training_set", is_judged=False),
    "impact/predictions": _impact("predictions", "impact/head", "reference_genome", is_judged=False),
}

METAGENOME: Final[dict[str, Asset]] = {
    "metagenome/reads": _metagenome("reads"),
    "metagenome/splits": _metagenome("splits", "metagenome/reads"),
    "metagenome/classifier": _metagenome("classifier", "metagenome/splits", is_judged=False),
    "metagenome/evaluation": _metagenome("evaluation", "metagenome/classifier", is_judged=False),
    "metagenome/predictions": _metagenome("predictions", "metagenome/classifier", is_judged=False),
}

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
    **IMPACT,
    **METAGENOME,
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
    "impact_embed": tuple(name for name, asset in IMPACT.items() if asset.partitioned),
    "impact_train": ("impact/training_set", "impact/head", "impact/report"),
    "impact_predict": ("impact/predictions",),
    "metagenome_train": tuple(name for name in METAGENOME if name != "metagenome/predictions"),
    "metagenome_predict": ("metagenome/predictions",),
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
    """The partitions of an asset that its study expects; one empty name where there are none."""
    if not ASSETS[name].partitioned:
        return ("",)
    return ImpactStudy(study).chromosomes if name in IMPACT else study.profile.chromosomes


def asset_of(table: str) -> str:
    """The asset that a table belongs to: those of studies have a prefix of their own, such as `impact/`."""
    return next((name for name in ASSETS if name.replace("/", "_") == table), table)


def part_of(study: Study, key: str) -> tuple[str, str] | None:
    """Asset and partition that an input's name means, such as `head_v0` or `variant_windows/21`; None for another."""
    for name in (key, key.rpartition("/")[0]):
        chrom = key.removeprefix(name).removeprefix("/")
        if name in ASSETS and chrom in partitions(study, name):
            return name, chrom
    return None


def upstream_keys(study: Study, name: str, chrom: str) -> list[tuple[str, str]]:
    """Asset and partition of everything that a partition of an asset is made from."""
    keys = []
    for above in ASSETS[name].upstream:
        same = ASSETS[above].partitioned and ASSETS[name].partitioned
        keys += [(above, part) for part in ((chrom,) if same else partitions(study, above))]
    return keys


def folder_of(study: Study, name: str, chrom: str = "") -> Path:
    """Folder of an asset's partition, found without what it is made from."""
    if folder := ASSETS[name].folder:
        return folder(study, chrom)
    if name in HEADS or name.endswith("_probe"):
        return study.head_folder(name)
    return study.submission_csv.parent if name == "submission" else table_folder(study.tables, name, chrom or None)
