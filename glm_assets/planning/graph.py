"""The assets as a plan sees them: what each is made from, and how to ask whether it is up to date."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from glm_assets.errors import SettingsError
from glm_assets.lineage.probes import probe_product
from glm_assets.lineage.release_diff import release_diff_product
from glm_assets.lineage.search import head_search_product
from glm_assets.lineage.study import HEADS, Study
from glm_assets.storage.products import Product
from glm_assets.storage.tables import table_folder
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets.studies.metagenome.study import MetagenomeStudy
from glm_assets.studies.plant.study import PlantStudy
from glm_assets.studies.sugarcane.study import SugarcaneStudy


@dataclass(frozen=True)
class Asset:
    """One asset.

    Attributes:
        upstream: What it is made from.
        product: The product of a study's partition (empty for an asset without partitions). None where only those
            who make it know it in full, as a registry must be asked: such an asset is judged by what its manifest
            says that it was made from.
        keys: The partitions that a study expects, such as chromosomes; None without partitions.
        optional: Whether a plan has it only when it was asked for, or made before.
        folder: Where the product of a study's partition lies, if not among the tables under the asset's name.
    """

    upstream: tuple[str, ...] = ()
    product: Callable[[Study, str], Product] | None = None
    keys: Callable[[Study], tuple[str, ...]] | None = None
    optional: bool = False
    folder: Callable[[Study, str], Path] | None = None


def _chromosomes(study: Study) -> tuple[str, ...]:
    return tuple(study.profile.chromosomes)


def _per_chromosome(name: str, *upstream: str) -> Asset:
    return Asset(upstream, lambda study, chrom: getattr(study, name)(chrom), keys=_chromosomes)


def _whole(name: str, *upstream: str, optional: bool = False) -> Asset:
    return Asset(upstream, lambda study, _: getattr(study, name)(), optional=optional)


def _head(name: str, *teachers: str) -> Asset:
    upstream = ("variant_embeddings", "mutation_ladders", "split_audit", *teachers)
    return Asset(upstream, lambda study, _: study.head(name))


def _probe(name: str, vectors: str) -> Asset:
    return Asset((vectors, "split_audit"), lambda study, _: probe_product(study, name))


def _studied(
    kind: Callable[[Study], Any],
    name: str,
    *upstream: str,
    keys: Callable[[Study], tuple[str, ...]] | None = None,
    is_judged: bool = True,
) -> Asset:
    """An asset of a study beside the main one, whose method of the asset's name makes its product.

    Those of an encoder that need not be here are judged by their inputs.
    """

    def product(study: Study, part: str) -> Product:
        make = getattr(kind(study), name)
        return make(part) if keys else make()

    def folder(study: Study, part: str) -> Path:
        return kind(study).folder(name, part) if keys else kind(study).folder(name)

    return Asset(upstream, product if is_judged else None, keys, optional=True, folder=folder)


_impact = partial(_studied, ImpactStudy)
_carried = partial(_impact, keys=lambda study: ImpactStudy(study).chromosomes)
_metagenome = partial(_studied, MetagenomeStudy)
_variety = partial(_studied, SugarcaneStudy, keys=lambda study: SugarcaneStudy(study).varieties)
_plant = partial(_studied, PlantStudy)
_species = partial(_plant, keys=lambda study: PlantStudy(study).species)

SOURCES: Final = ("clinvar_release", "reference_genome", "glm_checkpoint")
_VECTORS_FROM = ("variant_windows", "glm_checkpoint")

IMPACT: Final[dict[str, Asset]] = {
    "impact/individual_alignments": _carried("individual_alignments", "reference_genome"),
    "impact/individual_variants": _carried(
        "individual_variants", "clinvar_release", "impact/individual_alignments"
    ),
    "impact/read_examples": _carried(
        "read_examples", "impact/individual_variants", "impact/individual_alignments"
    ),
    "impact/read_embeddings": _carried("read_embeddings", "impact/read_examples", is_judged=False),
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

SUGARCANE: Final[dict[str, Asset]] = {
    "sugarcane/genome": _variety("genome"),
    "sugarcane/annotation": _variety("annotation", "sugarcane/genome"),
    "sugarcane/genome_profile": _variety("genome_profile", "sugarcane/genome", "sugarcane/annotation"),
    "sugarcane/units": _variety("units", "sugarcane/genome", "sugarcane/annotation"),
    "sugarcane/token_shards": _variety("token_shards", "sugarcane/genome", "sugarcane/units"),
    "sugarcane/search": _variety("search", "sugarcane/token_shards", is_judged=False),
    "sugarcane/lora_adapter": _variety("lora_adapter", "sugarcane/token_shards", is_judged=False),
    "sugarcane/unit_scores": _variety("unit_scores", "sugarcane/units", "sugarcane/lora_adapter", is_judged=False),
    "sugarcane/token_profiles": _variety("token_profiles", "sugarcane/unit_scores", is_judged=False),
    "sugarcane/generations": _variety("generations", "sugarcane/units", "sugarcane/lora_adapter", is_judged=False),
    "sugarcane/model_comparison": _variety("model_comparison", "sugarcane/unit_scores", is_judged=False),
    "sugarcane/report": _variety(
        "report",
        "sugarcane/genome_profile",
        "sugarcane/token_profiles",
        "sugarcane/generations",
        "sugarcane/model_comparison",
        is_judged=False,
    ),
}

PLANT: Final[dict[str, Asset]] = {
    "plant/genome": _species("genome"),
    "plant/tokens": _species("tokens", "plant/genome"),
    "plant/lm": _plant("lm", "plant/tokens"),
    "plant/evaluation": _plant("evaluation", "plant/lm"),
    "plant/generations": _plant("generations", "plant/lm"),
    "plant/phenotypes": _plant("phenotypes"),
    "plant/phenotype_head": _plant("phenotype_head", "plant/phenotypes", "plant/lm"),
    "plant/report": _plant("report", "plant/evaluation", "plant/generations", "plant/phenotype_head"),
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
    **SUGARCANE,
    **PLANT,
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
    "impact_embed": tuple(name for name, asset in IMPACT.items() if asset.keys),
    "impact_train": ("impact/training_set", "impact/head", "impact/report"),
    "impact_predict": ("impact/predictions",),
    "metagenome_train": tuple(name for name in METAGENOME if name != "metagenome/predictions"),
    "metagenome_predict": ("metagenome/predictions",),
    "sugarcane_prepare": (
        "sugarcane/genome",
        "sugarcane/annotation",
        "sugarcane/genome_profile",
        "sugarcane/units",
        "sugarcane/token_shards",
    ),
    "sugarcane_train": ("sugarcane/lora_adapter",),
    "sugarcane_evaluate": (
        "sugarcane/unit_scores",
        "sugarcane/token_profiles",
        "sugarcane/generations",
        "sugarcane/model_comparison",
        "sugarcane/report",
    ),
    "sugarcane_search": ("sugarcane/search",),
    "plant_prepare": ("plant/genome", "plant/tokens"),
    "plant_train": ("plant/lm", "plant/evaluation", "plant/generations"),
    "plant_phenotypes": ("plant/phenotypes", "plant/phenotype_head", "plant/report"),
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
    keys = ASSETS[name].keys
    return keys(study) if keys else ("",)


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
        same = ASSETS[above].keys and ASSETS[name].keys
        keys += [(above, part) for part in ((chrom,) if same else partitions(study, above))]
    return keys


def folder_of(study: Study, name: str, chrom: str = "") -> Path:
    """Folder of an asset's partition, found without what it is made from."""
    if folder := ASSETS[name].folder:
        return folder(study, chrom)
    if name in HEADS or name.endswith("_probe"):
        return study.head_folder(name)
    return study.submission_csv.parent if name == "submission" else table_folder(study.tables, name, chrom or None)
