"""Where the products of the study `impact` lie, and what each is a function of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.registry import encoder_spec
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.errors import MissingUpstreamError
from glm_assets.sources.reference import FASTA
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.products import Manifest, Product
from glm_assets.storage.tables import table_folder
from glm_assets.studies.files import digest
from glm_assets.studies.impact.configuration import ImpactConfiguration
from glm_assets.studies.impact.files import CRAM, VARIABLE, IndividualFiles, alignments_digest
from glm_assets.studies.own_study import OwnStudy
from glm_assets.studies.weights import study_weights

PREFIX = "impact"
PACKAGE = "glm_assets.studies.impact"

_LOG = logging.getLogger(__name__)


class ImpactStudy(OwnStudy[ImpactConfiguration]):
    """One person's study in the main study's data root."""

    PREFIX = PREFIX
    VARIABLE = VARIABLE
    VALUES = ImpactConfiguration

    @property
    def individual(self) -> str:
        """The person's name."""
        return self.values.individual

    @property
    def chromosomes(self) -> tuple[str, ...]:
        """The chromosomes that training expects, in order."""
        return tuple(self.values.chromosomes or self.main.profile.chromosomes)

    @cached_property
    def files(self) -> IndividualFiles:
        """The user's files, or the generated ones."""
        return IndividualFiles(self.main.settings, self.values)

    # The person

    def individual_alignments(self, chrom: str) -> Product:
        """What the person's reads of a chromosome are like."""
        inputs = {"alignments": alignments_digest(self.files.alignments)}
        return self._table("individual_alignments", inputs, {}, chrom)

    def individual_variants(self, chrom: str) -> Product:
        """ClinVar's alleles of a chromosome, and which of them the person carries."""
        values = self.values
        inputs = {"clinvar_release": self.main.release().data_version}
        recipe = {"consequences": values.consequences, "carried": values.carried.model_dump(mode="json")}
        if vcf := self.files.variants:
            inputs["variants"] = digest(vcf)
        else:
            inputs |= self._reads_of(chrom)
            recipe["reads"] = values.reads.model_dump(include={"min_mapping_quality", "min_base_quality"})
        return self._table("individual_variants", inputs, recipe, chrom)

    def read_examples(self, chrom: str) -> Product:
        """Reads of a chromosome that show variants, with their impact and split."""
        variants = self.main.require(self.individual_variants(chrom))
        inputs = {f"{PREFIX}/individual_variants": variants.data_version, **self._reads_of(chrom)}
        recipe = {
            "reads": self.values.reads.model_dump(mode="json"),
            "split": self.values.split.model_dump(mode="json"),
        }
        return self._table("read_examples", inputs, recipe, chrom)

    def read_embeddings(self, chrom: str) -> Product:
        """Vectors of a chromosome's examples."""
        examples = self.main.require(self.read_examples(chrom))
        inputs = {f"{PREFIX}/read_examples": examples.data_version, "weights": self.weights.sha256}
        recipe = {"encoder": self.encoder_spec.as_dict(), "store_dtype": self.values.encoder.store_dtype}
        return self._table("read_embeddings", inputs, recipe, chrom)

    def _reads_of(self, chrom: str) -> dict[str, str]:
        """The reads as inputs; of a CRAM their bases are those of the reference but for what differs."""
        reads = self.main.require(self.individual_alignments(chrom))
        inputs = {f"{PREFIX}/individual_alignments": reads.data_version, **dict(reads.inputs)}
        if self.files.alignments.suffix == CRAM:
            inputs["reference_genome"] = self.main.reference().data_version
        return inputs

    @property
    def alignments_reference(self) -> Path | None:
        """The FASTA that a CRAM is read with; None for a BAM.

        Raises:
            MissingUpstreamError: A CRAM needs it and it is not there.
        """
        if self.files.alignments.suffix != CRAM:
            return None
        self.main.reference()
        return self.main.files(self.main.reference_folder) / FASTA

    # Heads and what they are good for

    def training_set(self) -> Product:
        """The examples of all expected chromosomes, balanced after their split."""
        embeddings = self.every_chromosome(self.read_embeddings)
        inputs: dict[str, str] = {}
        for chrom, manifest in embeddings.items():
            inputs[f"{PREFIX}/read_embeddings/{chrom}"] = manifest.data_version
            inputs[f"{PREFIX}/read_examples/{chrom}"] = manifest.inputs[f"{PREFIX}/read_examples"]
        recipe = {"balancing": self.values.balancing.model_dump(mode="json"), "seed": self.values.seed}
        return self._table("training_set", inputs, recipe)

    def head(self) -> Product:
        """The trained convolutional head and its linear baseline."""
        inputs = {f"{PREFIX}/training_set": self.main.require(self.training_set()).data_version}
        encoder = self.values.encoder
        recipe = {
            "head": self.values.head.model_dump(mode="json"),
            "seed": self.values.seed,
            "encoder": self.encoder_spec.as_dict(),
            "store_dtype": encoder.store_dtype,
        }
        return self.main.product(f"{PREFIX}/head", self.head_folder, inputs, recipe)

    @property
    def head_folder(self) -> Path:
        """Where the heads lie."""
        return self.main.root / "studies" / PREFIX / self.individual / "head"

    def report(self) -> Product:
        """How well the heads predict what they have not seen."""
        inputs = {
            product.asset: self.main.require(product).data_version
            for product in (self.head(), self.training_set())
        }
        return self._table("report", inputs, {"resamples": self.values.resamples, "seed": self.values.seed})

    def predictions(self, reads: Path | None, variants: Path | None) -> Product:
        """Predicted impacts of new reads and new variants.

        Args:
            reads: FASTA, FASTQ, BAM or CRAM; None for none.
            variants: VCF; None for none.
        """
        inputs = {
            f"{PREFIX}/head": self.main.require(self.head()).data_version,
            "reference_genome": self.main.reference().data_version,
        }
        inputs |= {name: digest(path) for name, path in (("reads", reads), ("variants", variants)) if path}
        recipe: dict[str, Any] = {
            "length": self.values.reads.length,
            "indel_max": self.main.profile.labels.indel_max,
            "encoder": self.encoder_spec.as_dict(),
        }
        return self._table("predictions", inputs, recipe)

    @property
    def predictions_folder(self) -> Path:
        """Where the last predictions lie, whatever they were of."""
        return self.folder("predictions")

    # The encoder

    @cached_property
    def weights(self) -> WeightsInfo:
        """The encoder's weights on this machine; they are made or fetched if need be.

        Raises:
            GlmError: They cannot be fetched, or are others than expected.
        """
        encoder, main = self.values.encoder, self.main
        shared = main.settings.checkpoint if encoder.name == main.profile.encoder.name else None
        return study_weights(
            main,
            encoder.name,
            checkpoint=encoder.checkpoint or (str(shared) if shared else None),
            revision=encoder.revision,
            sha256=encoder.sha256,
            progress=_LOG.info,
        )

    @cached_property
    def encoder_spec(self) -> EncoderSpec:
        """What a read's vector is on this machine; torch is not loaded."""
        encoder, weights = self.values.encoder, self.weights
        return encoder_spec(
            encoder.name,
            revision=weights.sha256,
            layer=encoder.layer,
            pooling=encoder.pooling,
            device=self.main.settings.device,
            weights=weights.path,
            precision=encoder.precision,
        )

    def store(self) -> EmbeddingStore:
        """The store of vectors, with reads in the study's type."""
        return self.main.store(sequence_dtype=self.values.encoder.store_dtype)

    # Products

    def every_chromosome(self, product: Callable[[str], Product]) -> dict[str, Manifest]:
        """Manifests of a partitioned product over the expected chromosomes, in order.

        Raises:
            MissingUpstreamError: Listing the chromosomes that are absent or stale.
        """
        found, missing = self.main.look_up(product, self.chromosomes)
        if missing:
            name, first = f"{PREFIX}/{product.__name__}", next(iter(missing.values()))
            raise MissingUpstreamError(
                f"{name} is absent or out of date for chromosome {', '.join(missing)} ({first.problem})",
                expected=f"up-to-date partitions {', '.join(self.chromosomes)}",
                fix=f"materialise {name} for each of them, or narrow `chromosomes` in the configuration that "
                f"{VARIABLE} names",
            )
        return found

    def _table(
        self, name: str, inputs: dict[str, str], recipe: dict[str, Any], chrom: str | None = None
    ) -> Product:
        recipe = {"individual": self.individual} | recipe
        return self.main.product(f"{PREFIX}/{name}", self.folder(name, chrom), inputs, recipe, chrom)

    def folder(self, name: str, chrom: str | None = None) -> Path:
        """Where a product lies: `name` is its asset's, without the prefix."""
        if name == "head":
            return self.head_folder
        return table_folder(self.main.tables, f"{PREFIX}_{name}", chrom, individual=self.individual)
