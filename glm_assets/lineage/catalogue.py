"""What all products of a study share: the data root they lie in, their code versions, and whether they are there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glm_assets.errors import MissingUpstreamError
from glm_assets.genome.contigs import CHROMOSOMES
from glm_assets.profiles.profile import Profile
from glm_assets.settings import Settings
from glm_assets.sources.location import public_url
from glm_assets.storage.data_root import claim_data_root
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.products import Manifest, Product
from glm_assets.storage.remote_products import RemoteFolder
from glm_assets.storage.remote_root import RemoteRoot
from glm_assets.storage.schemas import PUBLISHED
from glm_assets.storage.tables import OUTER_VALUE, Table, table_folder
from glm_assets.storage.warehouse import WAREHOUSE, open_remote_warehouse, open_warehouse, refresh_warehouse

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Raised by hand when the meaning of a product's code changes; Dagster shows them too.
CODE_VERSIONS = {
    "clinvar_release": "1",
    "reference_genome": "1",
    "glm_checkpoint": "1",
    "clinvar_variants": "2",
    "variant_windows": "3",
    "split_audit": "3",
    "variant_embeddings": "2",
    "layer_comparison": "1",
    "head_v0": "2",
    "head_v1": "2",
    "head_v2": "2",
    "head_v3": "2",
    "test_sequences": "1",
    "test_embeddings": "1",
    "submission": "1",
    "mutation_ladders": "1",
    "variant_likelihoods": "1",
    "covariance_embeddings": "1",
    "linear_probe": "1",
    "covariance_probe": "1",
    "head_search": "1",
    "head_comparison": "1",
    "submission_score": "2",
    "scored_variants": "2",
    "clinvar_release_diff": "1",
    "impact/individual_variants": "1",
    "impact/individual_alignments": "1",
    "impact/read_examples": "1",
    "impact/read_embeddings": "1",
    "impact/training_set": "1",
    "impact/head": "1",
    "impact/report": "1",
    "impact/predictions": "1",
    "metagenome/reads": "1",
    "metagenome/splits": "1",
    "metagenome/classifier": "1",
    "metagenome/evaluation": "1",
    "metagenome/predictions": "1",
    "sugarcane/genome": "1",
    "sugarcane/annotation": "1",
    "sugarcane/genome_profile": "1",
    "sugarcane/units": "1",
    "sugarcane/token_shards": "1",
    "sugarcane/search": "1",
    "sugarcane/lora_adapter": "1",
    "sugarcane/unit_scores": "1",
    "sugarcane/token_profiles": "1",
    "sugarcane/generations": "1",
    "sugarcane/model_comparison": "1",
    "sugarcane/report": "1",
    "plant/genome": "1",
    "plant/tokens": "1",
    "plant/lm": "1",
    "plant/evaluation": "1",
    "plant/generations": "1",
    "plant/phenotypes": "1",
    "plant/phenotype_head": "1",
    "plant/report": "1",
}


class Catalogue:
    """A data root with products of one profile.

    Args:
        settings: Where the root is and what runs in it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.root
        self.tables = self.root / "tables"
        self.warehouse = self.root / WAREHOUSE
        self.remote = RemoteRoot(settings.remote_root, self.root) if settings.remote_root else None

    @property
    def profile(self) -> Profile:
        """The profile with the environment's overrides."""
        return self.settings.run_profile

    @property
    def store_place(self) -> Path | str:
        """Folder or URL of the store of vectors."""
        own = f"{self.settings.remote_root}/embeddings" if self.remote else self.root / "embeddings"
        return self.settings.embeddings_url or own

    def store(self, dtype: str | None = None, *, sequence_dtype: str = "float32") -> EmbeddingStore:
        """Open the content-addressed store of vectors.

        Args:
            dtype: Type of the pairs that are appended; the profile's by default.
            sequence_dtype: Type of the vectors of sequences.
        """
        dtype = dtype or self.profile.encoder.store_dtype
        cache = self.settings.local_dir
        return EmbeddingStore(self.store_place, dtype, cache=cache, sequence_dtype=sequence_dtype)

    def claim(self) -> None:
        """Check that the data root belongs to this profile, source and window recipe."""
        identity = {"profile": self.profile.name, "windows": self.profile.windows.as_dict(), **self._source}
        claim_data_root(self.root, identity, self.remote)

    def refresh_warehouse(self) -> list[str]:
        """Bring the views of `warehouse.duckdb` up to date; returns their names.

        A data root on an object store has no such file: `open_warehouse` makes its views.
        """
        return [] if self.remote else refresh_warehouse(self.tables, self.warehouse, PUBLISHED)

    def open_warehouse(self) -> DuckDBPyConnection:
        """Open the views over the tables for reading, wherever they lie.

        Raises:
            MissingUpstreamError: There is no table yet.
            StorageError: The object store cannot be reached.
        """
        if self.remote:
            return open_remote_warehouse(self.remote, self.remote.name_of(self.tables), PUBLISHED)
        return open_warehouse(self.warehouse)

    @property
    def _source(self) -> dict[str, str]:
        return {"source": public_url(self.profile.ncbi_url)}

    def require(self, product: Product) -> Manifest:
        """The manifest of an up-to-date product.

        Raises:
            MissingUpstreamError: It is absent, damaged or stale.
        """
        if manifest := product.current():
            return manifest
        kind = "chromosome " if product.partition in CHROMOSOMES else ""  # else a study's own, such as a species
        where = f" of {kind}{product.partition}" if product.partition else ""
        option = f" --partition {product.partition}" if product.partition else ""
        raise MissingUpstreamError(
            f"{product.asset}{where} is absent or out of date",
            expected=f"a finished product in {product.place}",
            fix=f"dagster asset materialize -m glm_assets.definitions --select {product.asset}{option}",
        )

    def every_chromosome(
        self, product: Callable[[str], Product], *, allow_partial: bool = False
    ) -> dict[str, Manifest]:
        """Manifests of a partitioned product over the expected chromosomes, in order.

        Raises:
            MissingUpstreamError: Listing the chromosomes that are absent or stale.
        """
        found, missing = self.look_up(product, self.profile.chromosomes)
        if missing and not (allow_partial and found):
            name = product.__name__
            first = next(iter(missing.values()))
            narrow = "narrow GLM_CHROMOSOMES"
            # Whoever allowed it already is not helped by the option.
            ways_out = f"or {narrow}" if allow_partial else f"{narrow}, or set allow_partial: true"
            raise MissingUpstreamError(
                f"{name} is absent or out of date for chromosome {', '.join(missing)} ({first.problem})",
                expected=f"up-to-date partitions {', '.join(self.profile.chromosomes)}",
                fix=f"materialise {name} for each of them, {ways_out}",
            )
        return found

    def present_chromosomes(self, product: Callable[[str], Product]) -> dict[str, Manifest]:
        """Manifests of a partitioned product over those of the expected chromosomes that have it, in order."""
        return self.look_up(product, self.profile.chromosomes)[0]

    def look_up(
        self, product: Callable[[str], Product], chromosomes: Iterable[str]
    ) -> tuple[dict[str, Manifest], dict[str, MissingUpstreamError]]:
        """Manifests of a partitioned product by chromosome, and why the others are not there; both in order."""
        found: dict[str, Manifest] = {}
        missing: dict[str, MissingUpstreamError] = {}
        for chrom in chromosomes:
            try:
                found[chrom] = self.require(product(chrom))
            except MissingUpstreamError as error:
                missing[chrom] = error
        return found, missing

    def product(
        self,
        asset: str,
        folder: Path,
        inputs: Mapping[str, str],
        recipe: Mapping[str, Any],
        chrom: str | None = None,
    ) -> Product:
        """A product of this study; builders define through it what only they make."""
        return Product(
            asset, folder, inputs, recipe, CODE_VERSIONS[asset], chrom, remote=self._remote_folder(folder)
        )

    def recorded(self, folder: Path) -> Manifest | None:
        """The manifest of whatever product lies in a folder of the data root, up to date or not; None without one."""
        remote = self._remote_folder(folder)
        return remote.manifest() if remote else Manifest.read(folder)

    def files(self, folder: Path) -> Path:
        """A product's folder in the data root, with its files in it: see `Product.files`."""
        if remote := self._remote_folder(folder):
            remote.fetch()
        return folder

    def small_files(self, folder: str) -> Path:
        """A folder of the data root with files that belong to no product, as they are on its object store now."""
        if self.remote:
            self.remote.copy_here(folder)
        return self.root / folder

    def share(self, path: Path) -> None:
        """Put such a file on the data root's object store, where it is on one."""
        if self.remote:
            self.remote.put(path, self.remote.name_of(path))

    def _remote_folder(self, folder: Path) -> RemoteFolder | None:
        return RemoteFolder(self.remote, folder) if self.remote else None

    def table_folders(self, table: Table) -> list[Path]:
        """Every folder in which a part of a table may lie, whoever made it."""
        folder = self.tables / table.name
        roots = [folder / name for name in self._divisions(folder, table.outer)] if table.outer else [folder]
        return [place for root in roots for place in (root, *(root / f"chrom={chrom}" for chrom in CHROMOSOMES))]

    def _divisions(self, folder: Path, outer: str) -> list[str]:
        """Names of the folders that divide a table above the chromosome."""
        if self.remote:
            names = {name.partition("/")[0] for name in self.remote.entries(self.remote.name_of(folder))}
        else:
            names = {path.name for path in folder.glob(f"{outer}=*")}
        return sorted(name for name in names if re.fullmatch(f"{outer}={OUTER_VALUE.pattern}", name))

    def table(
        self, asset: str, inputs: Mapping[str, str], recipe: Mapping[str, Any], chrom: str | None = None
    ) -> Product:
        """A product of this study that is a table."""
        return self.product(asset, table_folder(self.tables, asset, chrom), inputs, recipe, chrom)
