"""What comes from outside: where releases, reference and weights lie, and which of them are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

from glm_assets.encoders.huggingface.folder import weight_files
from glm_assets.encoders.registry import is_described_by_files
from glm_assets.errors import MissingUpstreamError, SettingsError
from glm_assets.lineage.catalogue import Catalogue
from glm_assets.storage.products import Manifest, Product

RECORDS_FILE = "records.parquet"


class SourceCatalogue(Catalogue):
    """A data root, and the sources in it."""

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
        folder = self.records_folder(date)
        return self.product("clinvar_release", folder, {"date": date, "md5": md5}, self._source)

    def reference_genome(self, md5: str) -> Product:
        """The indexed reference; `md5` is that of the archive it is made from."""
        return self.product("reference_genome", self.reference_folder, {"md5": md5}, self._source)

    def glm_checkpoint(self, sha256: str) -> Product:
        """The record of the encoder's weights; `sha256` is theirs."""
        encoder, local = self.profile.encoder, self.settings.checkpoint
        # Machines that share an object store may keep the file in different folders.
        place = local.name if local and self.remote else local
        recipe = {"name": encoder.name, "revision": encoder.revision, "local_file": str(place) if place else None}
        if encoder.sha256:
            recipe["expected_sha256"] = encoder.sha256
        return self.product("glm_checkpoint", self.checkpoint_folder, {"sha256": sha256}, recipe)

    def release(self) -> Manifest:
        """The newest release that is there, at or before the cutoff.

        Raises:
            MissingUpstreamError: There is none.
        """
        cutoff = self.profile.clinvar_cutoff
        if manifest := self._newest_release(cutoff):
            return manifest
        raise MissingUpstreamError(
            f"there is no ClinVar release in {self.releases_folder}"
            + (f" of {cutoff} or before" if cutoff else ""),
            fix="dagster asset materialize -m glm_assets.definitions --select clinvar_release",
        )

    def train_release(self) -> Manifest:
        """The release that the split rule `temporal` trains on: the newest that is there by `split.train_release`.

        Raises:
            MissingUpstreamError: There is none.
            SettingsError: It is not older than the study's own, so that nothing would be new.
        """
        by, own = self.profile.split.train_release, self.release()
        manifest = self._newest_release(by)
        if manifest is None:
            raise MissingUpstreamError(
                f"there is no ClinVar release of {by} or before in {self.releases_folder} to train on",
                expected="an earlier release beside the study's own",
                fix=f"GLM_CLINVAR_CUTOFF={by} dagster asset materialize -m glm_assets.definitions "
                "--select clinvar_release",
            )
        if manifest.inputs["date"] >= own.inputs["date"]:
            raise SettingsError(
                f"split.train_release {by} finds the release {manifest.inputs['date']}, and the study is on "
                f"{own.inputs['date']}: nothing is new since then",
                expected="a study on a later release than the one to train on",
                fix="materialise clinvar_release with a later GLM_CLINVAR_CUTOFF, or set an earlier "
                "split.train_release",
            )
        return manifest

    def earlier_releases(self) -> Iterator[Manifest]:
        """The releases that are there and older than the study's own, newest first; read one by one.

        Raises:
            MissingUpstreamError: There is no release.
        """
        own = self.release().inputs["date"]
        return (manifest for manifest in self._releases() if manifest.inputs["date"] < own)

    def _newest_release(self, by: date | None) -> Manifest | None:
        """The newest release that is there, at or before a date."""
        return next(self._releases(by), None)

    def _releases(self, by: date | None = None) -> Iterator[Manifest]:
        """The releases that are there, at or before a date, newest first."""
        for name in sorted(self._dates(), reverse=True):
            if by and name > f"{by:%Y%m%d}":
                continue
            manifest = self.recorded(self.records_folder(name))
            if manifest and self.clinvar_release(name, manifest.inputs["md5"]).current():
                yield manifest

    def _dates(self) -> set[str]:
        """Names of the folders of releases."""
        if self.remote is None:
            return {path.name for path in self.releases_folder.glob("[0-9]" * 8)}
        names = self.remote.entries(self.remote.name_of(self.releases_folder))
        return {name.partition("/")[0] for name in names if re.match(r"\d{8}/", name)}

    def records_folder(self, date: str) -> Path:
        """Where the parsed records of a release lie; `date` is `YYYYMMDD`."""
        return self.releases_folder / date / "records"

    @property
    def release_folder(self) -> Path:
        """Where the parsed records of the current release lie."""
        return self.records_folder(self.release().inputs["date"])

    def reference_or_none(self) -> Manifest | None:
        """The reference that is there, if it came from today's source."""
        manifest = self.recorded(self.reference_folder)
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
        manifest = self.recorded(self.checkpoint_folder)
        product = self.glm_checkpoint(manifest.inputs["sha256"] if manifest else "unknown")
        found = self.require(product)
        if self.remote:  # the weights are files of the product, and checked like any other
            return replace(found, facts=found.facts | {"path": str(product.folder / found.facts["path"])})
        if file_stamp(Path(found.facts["path"])) != found.facts["stamp"]:
            raise MissingUpstreamError(
                f"the weights file {found.facts['path']} is not the one that glm_checkpoint recorded",
                fix="dagster asset materialize -m glm_assets.definitions --select glm_checkpoint",
            )
        return found

    def described_weights(self, checkpoint: Manifest) -> Path:
        """Where the weights lie, or will lie, on this machine.

        To say what vectors are takes no weights, so that a machine without a GPU need not fetch many gigabytes; only
        a transformers model or a plant language model is described by the files beside them.
        """
        if is_described_by_files(self.profile.encoder.name):
            self.files(self.checkpoint_folder)
        return Path(checkpoint.facts["path"])


def file_stamp(path: Path) -> str:
    """What changes when weights do, without reading them: they have many gigabytes."""
    if not path.is_file():
        return "absent"
    files = [file.stat() if file.is_file() else None for file in weight_files(path)]
    return ",".join(f"{stat.st_size}:{stat.st_mtime_ns}" if stat else "absent" for stat in files)
