"""Where every product of the main study lies, and what it is a function of.

A product's inputs are the data versions that the manifests of its upstream products hold now, so a product is up to
date exactly when everything above it is. Nothing here computes a product; the builders beside this file do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.huggingface.folder import weight_files
from glm_assets.encoders.registry import encoder_spec
from glm_assets.errors import MissingUpstreamError, ReferenceMismatchError
from glm_assets.lineage.recipes import head_recipe
from glm_assets.profiles.profile import Profile
from glm_assets.settings import Settings
from glm_assets.sources.location import public_url
from glm_assets.storage.atomic import file_digest
from glm_assets.storage.data_root import claim_data_root
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.products import Manifest, Product, read_whole
from glm_assets.storage.schemas import PUBLISHED
from glm_assets.storage.tables import table_folder
from glm_assets.storage.warehouse import WAREHOUSE, refresh_warehouse
from glm_assets.submission.sequences import find_test_csv

# Raised by hand when the meaning of a product's code changes; Dagster shows them too.
CODE_VERSIONS = {
    "clinvar_release": "1",
    "reference_genome": "1",
    "glm_checkpoint": "1",
    "clinvar_variants": "1",
    "variant_windows": "1",
    "split_audit": "1",
    "variant_embeddings": "2",
    "layer_comparison": "1",
    "head_v0": "1",
    "head_v1": "1",
    "head_v2": "1",
    "head_v3": "1",
    "test_sequences": "1",
    "test_embeddings": "1",
    "submission": "1",
}

SUBMITTED_HEAD = "head_v3"
RECORDS_FILE = "records.parquet"

# A reference of another build disagrees in three rows of four; a right one in none but odd records.
MAX_REFERENCE_MISMATCH = 0.01


class Study:
    """The main study in one data root.

    Args:
        settings: Where the root is and what runs in it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.root
        self.tables = self.root / "tables"
        self.warehouse = self.root / WAREHOUSE

    @property
    def profile(self) -> Profile:
        """The profile with the environment's overrides."""
        return self.settings.run_profile

    @property
    def store_place(self) -> Path | str:
        """Folder or URL of the store of vectors."""
        return self.settings.embeddings_url or self.root / "embeddings"

    def store(self) -> EmbeddingStore:
        """Open the content-addressed store of vectors."""
        dtype = self.profile.encoder.store_dtype
        return EmbeddingStore(self.store_place, dtype, cache=self.settings.local_dir)

    def claim(self) -> None:
        """Check that the data root belongs to this profile, source and window recipe."""
        identity = {"profile": self.profile.name, "windows": self.profile.windows.as_dict(), **self._source}
        claim_data_root(self.root, identity)

    def refresh_warehouse(self) -> list[str]:
        """Bring the views of `warehouse.duckdb` up to date; returns their names."""
        return refresh_warehouse(self.tables, self.warehouse, PUBLISHED)

    # Sources

    @property
    def releases_folder(self) -> Path:
        """Where releases are kept, a folder a date."""
        return self.root / "sources" / "clinvar"

    @property
    def reference_folder(self) -> Path:
        """Where the reference lies."""
        return self.root / "sources" / "reference"

    @property
    def checkpoint_folder(self) -> Path:
        """Where the record of the weights lies."""
        return self.root / "sources" / "checkpoint"

    @property
    def weights_folder(self) -> Path:
        """Where fetched and made weights are kept."""
        return self.root / "sources" / "weights"

    def clinvar_release(self, date: str, md5: str) -> Product:
        """A parsed release.

        Args:
            date: `YYYYMMDD`.
            md5: Of its VCF.
        """
        folder = self.releases_folder / date / "records"
        return self._product("clinvar_release", folder, {"date": date, "md5": md5}, self._source)

    def reference_genome(self, md5: str) -> Product:
        """The indexed reference; `md5` is that of the archive it is made from."""
        return self._product("reference_genome", self.reference_folder, {"md5": md5}, self._source)

    def glm_checkpoint(self, sha256: str) -> Product:
        """The record of the encoder's weights; `sha256` is theirs."""
        encoder, local = self.profile.encoder, self.settings.checkpoint
        recipe = {"name": encoder.name, "revision": encoder.revision, "local_file": str(local) if local else None}
        if encoder.sha256:
            recipe["expected_sha256"] = encoder.sha256
        return self._product("glm_checkpoint", self.checkpoint_folder, {"sha256": sha256}, recipe)

    # Variants

    def clinvar_variants(self, chrom: str) -> Product:
        """Labelled alternate alleles of a chromosome."""
        inputs = {"clinvar_release": self.release().data_version}
        return self._table("clinvar_variants", inputs, self.profile.labels.model_dump(), chrom)

    def variant_windows(self, chrom: str) -> Product:
        """Windows of a chromosome's kept variants."""
        inputs = {
            "clinvar_variants": self.require(self.clinvar_variants(chrom)).data_version,
            "reference_genome": self.reference().data_version,
        }
        recipe = {"windows": self.profile.windows.as_dict(), "split": self.profile.split.rule}
        return self._table("variant_windows", inputs, recipe, chrom)

    def split_audit(self) -> Product:
        """Leakage between splits over all expected chromosomes."""
        windows = self.every_chromosome(self.variant_windows)
        inputs = {f"variant_windows/{chrom}": manifest.data_version for chrom, manifest in windows.items()}
        recipe = {"merge_test_into_train": self.profile.split.merge_test_into_train}
        return self._table("split_audit", inputs, recipe)

    # Embeddings

    def variant_embeddings(self, chrom: str) -> Product:
        """Vectors of a chromosome's windows."""
        windows = self.require(self.variant_windows(chrom))
        check_reference(windows)
        inputs = {"variant_windows": windows.data_version, "glm_checkpoint": self.checkpoint().data_version}
        recipe = {"encoder": self.encoder_spec.as_dict(), "store_dtype": self.profile.encoder.store_dtype}
        return self._table("variant_embeddings", inputs, recipe, chrom)

    def layer_comparison(self) -> Product:
        """How layers compare on a sample of variants."""
        windows = self.every_chromosome(self.variant_windows)
        inputs = {f"variant_windows/{chrom}": manifest.data_version for chrom, manifest in windows.items()}
        inputs["glm_checkpoint"] = self.checkpoint().data_version
        recipe = {"encoder": self.sweep_spec.as_dict(), "sweep": self.profile.sweep.model_dump()}
        return self._table("layer_comparison", inputs, recipe)

    def test_embeddings(self) -> Product:
        """Vectors of the test sequences."""
        inputs = {
            "test_sequences": self.require(self.test_sequences()).data_version,
            "glm_checkpoint": self.checkpoint().data_version,
        }
        return self._table("test_embeddings", inputs, {"encoder": self.sequence_spec.as_dict()})

    @property
    def encoder_spec(self) -> EncoderSpec:
        """What a variant's vectors of this study are on this machine; torch is not loaded."""
        return self._spec(self.profile.encoder.pooling)

    @property
    def sequence_spec(self) -> EncoderSpec:
        """What a test sequence's vector is: the original pools these alone in float32, whatever it trained on."""
        return self._spec(self.profile.encoder.sequence_pooling)

    @property
    def sweep_spec(self) -> EncoderSpec:
        """What vectors of the deepest layer of the sweep are; the other layers differ in nothing else."""
        deepest = max(self.profile.sweep.layers, key=lambda layer: int(layer.split(".")[1]))
        return self._spec(self.profile.encoder.pooling, layer=deepest, reverse_complement=False)

    def _spec(self, pooling: str, **changes: Any) -> EncoderSpec:
        encoder, checkpoint = self.profile.encoder, self.checkpoint()
        options: dict[str, Any] = {
            "layer": encoder.layer,
            "precision": encoder.precision,
            "reverse_complement": encoder.reverse_complement,
            "fp8": encoder.fp8,
            "cast_all_bf16": encoder.cast_all_bf16,
        }
        return encoder_spec(
            encoder.name,
            revision=checkpoint.data_version,
            weights=Path(checkpoint.facts["path"]),
            pooling=pooling,
            device=self.settings.device,
            **options | changes,
        )

    # Heads and submission

    def head(self, name: str, *, allow_partial: bool = False) -> Product:
        """A trained head.

        Args:
            name: `head_v0` to `head_v3`.
            allow_partial: Train on the chromosomes that are there instead of failing for those that are not.
        """
        embeddings = self.every_chromosome(self.variant_embeddings, allow_partial=allow_partial)
        inputs = {f"variant_embeddings/{chrom}": manifest.data_version for chrom, manifest in embeddings.items()}
        inputs |= {
            f"variant_windows/{chrom}": manifest.inputs["variant_windows"]
            for chrom, manifest in embeddings.items()
        }
        recipe = head_recipe(self.profile, name, self.encoder_spec.dimension)
        if recipe.teacher:
            teacher = f"head_{recipe.teacher}"
            inputs[teacher] = self.require(self.head(teacher, allow_partial=allow_partial)).data_version
        values = recipe.as_dict() | {"split": self.profile.split.model_dump()}
        return self._product(name, self.head_folder(name), inputs, values)

    def head_folder(self, name: str) -> Path:
        """Where a head's checkpoint lies."""
        return self.root / "heads" / name

    def test_csv(self) -> Path:
        """The user's CSV, or the first fitting one in the data root's folder `input`."""
        explicit = self.settings.test_csv or (
            self.settings.demo_tree / "test.csv" if self.settings.uses_demo_tree else None
        )
        return find_test_csv(explicit, [self.root / "input"])

    def test_sequences(self) -> Product:
        """The user's CSV, validated; its content is the input."""
        recipe = {"max_length": self.profile.submission.max_length}
        return self._table("test_sequences", {"csv": file_digest(self.test_csv())}, recipe)

    @property
    def submission_csv(self) -> Path:
        """The submission's file."""
        return self.root / "submission" / "submission.csv"

    def submission(self) -> Product:
        """The submission of the last head, however many chromosomes that was allowed to miss."""
        inputs = {
            "test_embeddings": self.require(self.test_embeddings()).data_version,
            SUBMITTED_HEAD: self.require(self.head(SUBMITTED_HEAD, allow_partial=True)).data_version,
        }
        recipe = self.profile.submission.model_dump(exclude={"max_length"})
        return self._product("submission", self.submission_csv.parent, inputs, recipe)

    # What is there

    @property
    def _source(self) -> dict[str, str]:
        return {"source": public_url(self.profile.ncbi_url)}

    def release(self) -> Manifest:
        """The newest release that is there, at or before the cutoff.

        Raises:
            MissingUpstreamError: There is none.
        """
        cutoff = self.profile.clinvar_cutoff
        dates = sorted((path.name for path in self.releases_folder.glob("[0-9]" * 8)), reverse=True)
        for date in dates:
            if cutoff and date > f"{cutoff:%Y%m%d}":
                continue
            manifest = read_whole(self.releases_folder / date / "records")
            if manifest and self.clinvar_release(date, manifest.inputs["md5"]).current():
                return manifest
        raise MissingUpstreamError(
            f"there is no ClinVar release in {self.releases_folder}"
            + (f" of {cutoff} or before" if cutoff else ""),
            fix="dagster asset materialize -m glm_assets.definitions --select clinvar_release",
        )

    @property
    def release_folder(self) -> Path:
        """Where the parsed records of the current release lie."""
        return self.releases_folder / self.release().inputs["date"] / "records"

    def reference_or_none(self) -> Manifest | None:
        """The reference that is there, if it came from today's source."""
        manifest = Manifest.read(self.reference_folder)
        return self.reference_genome(manifest.inputs["md5"]).current() if manifest else None

    def reference(self) -> Manifest:
        """The reference that is there.

        Raises:
            MissingUpstreamError: There is none.
        """
        return self.reference_or_none() or self.require(self.reference_genome("unknown"))

    def checkpoint(self) -> Manifest:
        """The record of weights that are there and unchanged.

        Raises:
            MissingUpstreamError: There is none, or the weights file is gone or another.
        """
        manifest = Manifest.read(self.checkpoint_folder)
        product = self.glm_checkpoint(manifest.inputs["sha256"] if manifest else "unknown")
        found = self.require(product)
        if file_stamp(Path(found.facts["path"])) != found.facts["stamp"]:
            raise MissingUpstreamError(
                f"the weights file {found.facts['path']} is not the one that glm_checkpoint recorded",
                fix="dagster asset materialize -m glm_assets.definitions --select glm_checkpoint",
            )
        return found

    def require(self, product: Product) -> Manifest:
        """The manifest of an up-to-date product.

        Raises:
            MissingUpstreamError: It is absent, damaged or stale.
        """
        if manifest := product.current():
            return manifest
        where = f" of chromosome {product.partition}" if product.partition else ""
        option = f" --partition {product.partition}" if product.partition else ""
        raise MissingUpstreamError(
            f"{product.asset}{where} is absent or out of date",
            expected=f"a finished product in {product.folder}",
            fix=f"dagster asset materialize -m glm_assets.definitions --select {product.asset}{option}",
        )

    def every_chromosome(
        self, product: Callable[[str], Product], *, allow_partial: bool = False
    ) -> dict[str, Manifest]:
        """Manifests of a partitioned product over the expected chromosomes, in order.

        Raises:
            MissingUpstreamError: Listing the chromosomes that are absent or stale.
        """
        found: dict[str, Manifest] = {}
        missing: dict[str, MissingUpstreamError] = {}
        for chrom in self.profile.chromosomes:
            try:
                found[chrom] = self.require(product(chrom))
            except MissingUpstreamError as error:
                missing[chrom] = error
        if missing and not (allow_partial and found):
            name = product.__name__
            first = next(iter(missing.values()))
            raise MissingUpstreamError(
                f"{name} is absent or out of date for chromosome {', '.join(missing)} ({first.problem})",
                expected=f"up-to-date partitions {', '.join(self.profile.chromosomes)}",
                fix=f"materialise {name} for each of them, narrow GLM_CHROMOSOMES, or set allow_partial: true",
            )
        return found

    def _product(
        self,
        asset: str,
        folder: Path,
        inputs: Mapping[str, str],
        recipe: Mapping[str, Any],
        chrom: str | None = None,
    ) -> Product:
        return Product(asset, folder, inputs, recipe, CODE_VERSIONS[asset], chrom)

    def _table(
        self, asset: str, inputs: Mapping[str, str], recipe: Mapping[str, Any], chrom: str | None = None
    ) -> Product:
        return self._product(asset, table_folder(self.tables, asset, chrom), inputs, recipe, chrom)


def check_reference(windows: Manifest) -> None:
    """Refuse windows whose variants disagree with the reference.

    Raises:
        ReferenceMismatchError: More than `MAX_REFERENCE_MISMATCH` of the comparable rows disagree, or the reference
            holds nothing but N where the variants lie.
    """
    if windows.facts["labelled_variants"] and not windows.facts["reference_compared"]:
        raise ReferenceMismatchError(
            f"chromosome {windows.partition}: no variant lies in known sequence of the reference",
            expected="a reference of the release's build (GRCh38) with this chromosome",
        )
    share = windows.facts["reference_mismatch_share"]
    if share > MAX_REFERENCE_MISMATCH:
        raise ReferenceMismatchError(
            f"chromosome {windows.partition}: REF disagrees with the reference in {share:.1%} of the rows",
            expected=f"at most {MAX_REFERENCE_MISMATCH:.0%}",
            fix="use the reference of the release's build (GRCh38) and materialise reference_genome again",
        )


def file_stamp(path: Path) -> str:
    """What changes when weights do, without reading them: they have many gigabytes."""
    if not path.is_file():
        return "absent"
    files = [file.stat() if file.is_file() else None for file in weight_files(path)]
    return ",".join(f"{stat.st_size}:{stat.st_mtime_ns}" if stat else "absent" for stat in files)
