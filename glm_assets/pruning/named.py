"""Which vectors the products of a data root name, or would name if they were made now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.keys import pair_keys
from glm_assets.encoders.probe import probe_key
from glm_assets.errors import FormatError, GlmError, MissingUpstreamError
from glm_assets.genome.contigs import CHROMOSOMES
from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.genome.windows import WindowRecipe
from glm_assets.lineage import import_records
from glm_assets.lineage.catalogue import Catalogue
from glm_assets.lineage.embeddings import with_other_strand
from glm_assets.lineage.source_catalogue import SourceCatalogue
from glm_assets.lineage.study import Study
from glm_assets.sources.reference import FASTA
from glm_assets.storage.data_root import IDENTITY
from glm_assets.storage.products import Manifest
from glm_assets.storage.schemas import LAYER_COMPARISON, PUBLISHED
from glm_assets.storage.tables import PART, Table, read_part, table_folder
from glm_assets.studies.metagenome.study import CLASSIFIER_FOLDER
from glm_assets.studies.metagenome.training import ENCODER, KEYS
from glm_assets.variants.user_windows import blocks, scorable_windows

INDEXES: Final = tuple(table for table in PUBLISHED if "key" in table.schema)
"""Tables that name vectors."""

_EMBEDDED_BY_RECIPE: Final = (*INDEXES, LAYER_COMPARISON)
_SCORED: Final = ["row", "chrom", "pos", "ref", "alt", "reason"]


class NamedVectors:
    """The keys that one data root names.

    Besides what is in its tables, those count that its windows would have under every encoder that it knows: what was
    imported, or computed by a run that was killed before it wrote its table, is not lost to a pruning.

    Args:
        catalogue: The data root; a `Study` has encoders of its own.

    Raises:
        FormatError: A table that names vectors is damaged, so that nobody knows which.
        MissingUpstreamError: What names vectors cannot be read without something that is lacking.
    """

    def __init__(self, catalogue: SourceCatalogue) -> None:
        self._catalogue = catalogue
        self._windows = _window_values(catalogue)
        self._recipe = WindowRecipe(**self._windows)
        self._both_strands = dict(self._encoders())

    def keys(self) -> pl.Series:
        """All of them, as 32 bytes each, some several times."""
        probes = [probe_key(fingerprint) for fingerprint in self._both_strands]
        named = (*self._in_tables(), *self._of_windows(), *self._scored(), *self._classified())
        parts = [pl.Series("key", probes, pl.String), *named]
        return pl.concat([part.rename("key") for part in parts]).str.decode("hex")

    def _encoders(self) -> Iterator[tuple[str, bool]]:
        """Fingerprint of every encoder whose vectors this data root has or would make, and whether of both strands."""
        for manifest in self._manifests(_EMBEDDED_BY_RECIPE):
            if "encoder" in manifest.recipe:
                yield from _of_recipe(manifest.recipe)
        if (classifier := self._frozen_classifier()) is not None:
            yield from _of_recipe({"encoder": json.loads((classifier / ENCODER).read_text(encoding="utf-8"))})
        self._catalogue.small_files(import_records.FOLDER)
        for path in sorted((self._catalogue.root / import_records.FOLDER).glob("*.json")):
            for entry in json.loads(path.read_text(encoding="utf-8"))["imports"]:
                yield entry["fingerprint"], bool(entry["encoder"].get("reverse_complement"))
        if isinstance(self._catalogue, Study):
            for name in ("encoder_spec", "covariance_spec", "likelihood_spec", "sequence_spec"):
                try:
                    spec: EncoderSpec = getattr(self._catalogue, name)
                except GlmError:  # this machine cannot make such vectors, and whoever made some is recorded
                    continue
                yield spec.fingerprint, spec.reverse_complement
            yield from _of_sweep(self._catalogue)

    def _manifests(self, tables: tuple[Table, ...]) -> Iterator[Manifest]:
        for table in tables:
            for folder in self._catalogue.table_folders(table):
                if manifest := self._catalogue.recorded(folder):
                    yield manifest

    def _in_tables(self) -> Iterator[pl.Series]:
        for table in INDEXES:
            for folder in self._catalogue.table_folders(table):
                if self._is_whole(folder):
                    yield read_part(self._catalogue.files(folder), ["key"])["key"]

    def _is_whole(self, folder: Path) -> bool:
        if self._catalogue.recorded(folder):
            return True
        remote = self._catalogue.remote
        there = PART in remote.entries(remote.name_of(folder)) if remote else (folder / PART).exists()
        if there:
            raise FormatError(
                f"{folder} names vectors, but its manifest is lacking or cannot be read",
                fix="materialise its asset again",
            )
        return False

    def _of_windows(self) -> Iterator[pl.Series]:
        """Keys of the windows under every encoder."""
        for chrom in CHROMOSOMES:
            folder = table_folder(self._catalogue.tables, "variant_windows", chrom)
            if not self._is_whole(folder):
                continue
            windows = read_part(self._catalogue.files(folder))
            for both, rows in self._strands(windows, chrom).items():
                for fingerprint, wants_both in self._both_strands.items():
                    if wants_both == both:
                        yield pair_keys(rows, fingerprint, self._windows)

    def _strands(self, windows: pl.DataFrame, chrom: str) -> Mapping[bool, pl.DataFrame]:
        """The windows, and with the other strand's where there is a reference to cut them from."""
        genome = self._genome()
        if genome is None or not any(self._both_strands.values()):
            return {False: windows}
        contig = genome.sequence(chrom)
        return {False: windows, True: with_other_strand(windows, contig, self._recipe.length)}

    def _scored(self) -> Iterator[pl.Series]:
        """Keys of the user's variants that were scored last."""
        folder = table_folder(self._catalogue.tables, "scored_variants")
        if not self._is_whole(folder):
            return
        manifest, genome = self._catalogue.recorded(folder), self._genome()
        if genome is None or manifest is None:
            raise MissingUpstreamError(
                "scored_variants names vectors, but not without the reference that its windows are cut from",
                fix="materialise reference_genome, or remove tables/scored_variants",
            )
        encoders = [version for name, version in manifest.inputs.items() if name.startswith("encoder/")]
        rows = read_part(self._catalogue.files(folder)).with_row_index("row").select(_SCORED)
        for block in blocks(rows, self._recipe):
            contig = genome.sequence(block["chrom"][0])
            windows = scorable_windows(block, contig, self._recipe)
            both = with_other_strand(windows, contig, self._recipe.length)
            for fingerprint in encoders:
                known = self._both_strands.get(fingerprint)
                if known is not True:
                    yield pair_keys(windows, fingerprint, self._windows)
                if known is not False:
                    yield pair_keys(both, fingerprint, self._windows)

    def _classified(self) -> Iterator[pl.Series]:
        """Keys of the reads that a classifier on frozen vectors was trained on."""
        if (classifier := self._frozen_classifier()) is not None:
            yield pl.read_parquet(classifier / KEYS, columns=["key"])["key"]

    def _frozen_classifier(self) -> Path | None:
        """Folder of the study metagenome's classifier; None without one, and where the language model was tuned."""
        folder = self._catalogue.root / CLASSIFIER_FOLDER
        if self._catalogue.recorded(folder) is None:
            return None
        files = self._catalogue.files(folder)
        return files if (files / KEYS).is_file() else None

    def _genome(self) -> ReferenceGenome | None:
        if self._catalogue.recorded(self._catalogue.reference_folder) is None:
            return None
        return ReferenceGenome(self._catalogue.files(self._catalogue.reference_folder) / FASTA)


def _of_recipe(recipe: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Encoders that a product's recipe tells of: one, or one a layer."""
    spec = EncoderSpec(**recipe["encoder"] | {"needs": tuple(recipe["encoder"]["needs"])})
    for layer in recipe.get("sweep", {}).get("layers", (spec.layer,)):
        yield replace(spec, layer=layer).fingerprint, spec.reverse_complement


def _of_sweep(study: Study) -> Iterator[tuple[str, bool]]:
    """Encoders that a sweep over the profile's layers would take."""
    try:
        yield from _of_recipe({"encoder": study.sweep_spec.as_dict(), "sweep": study.profile.sweep.model_dump()})
    except GlmError:  # as above
        return


def _window_values(catalogue: SourceCatalogue) -> dict[str, Any]:
    """The window recipe that the data root belongs to, whatever today's profile."""
    try:
        return dict(json.loads(mark_of(catalogue) or b"")["windows"])
    except (ValueError, KeyError, TypeError) as error:
        raise MissingUpstreamError(
            f"{IDENTITY} of {catalogue.settings.data_root} does not say what the data root was made with ({error})",
            expected="a data root that products were made in",
            fix="check GLM_DATA_ROOT and --also-root",
        ) from error


def mark_of(catalogue: Catalogue) -> bytes | None:
    """What says that a data root is one; None where there is nothing."""
    if catalogue.remote:
        return catalogue.remote.read(IDENTITY)
    mark = catalogue.root / IDENTITY
    return mark.read_bytes() if mark.is_file() else None
