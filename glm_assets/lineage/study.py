"""Where every product of the main study lies, and what it is a function of.

A product's inputs are the data versions that the manifests of its upstream products hold now, so a product is up to
date exactly when everything above it is. Nothing here computes a product; the builders beside this file do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glm_assets.demo.tree import make_demo_tree
from glm_assets.encoders.base import EncoderSpec
from glm_assets.encoders.registry import encoder_spec
from glm_assets.errors import ReferenceMismatchError, SubmissionError
from glm_assets.heads.recipes import RecipeName
from glm_assets.lineage.recipes import head_recipe
from glm_assets.lineage.source_catalogue import SourceCatalogue
from glm_assets.lineage.splits import split_inputs, split_recipe
from glm_assets.storage.atomic import file_digest
from glm_assets.storage.products import Manifest, Product
from glm_assets.submission.sequences import find_test_csv

HEADS = ("head_v0", "head_v1", "head_v2", "head_v3")
SUBMITTED_HEAD = "head_v3"
TEST_VECTORS = "test_embeddings"
INPUT = "input"
"""Folder of the data root for the user's CSV."""
# A reference of another build disagrees in three rows of four; a right one in none but odd records.
MAX_REFERENCE_MISMATCH = 0.01


class Study(SourceCatalogue):
    """The main study in one data root: from variants to the submission."""

    # Variants

    def clinvar_variants(self, chrom: str) -> Product:
        """Labelled alternate alleles of a chromosome."""
        inputs = {"clinvar_release": self.release().data_version}
        return self.table("clinvar_variants", inputs, self.profile.labels.model_dump(), chrom)

    def variant_windows(self, chrom: str) -> Product:
        """Windows of a chromosome's kept variants."""
        inputs = {
            "clinvar_variants": self.require(self.clinvar_variants(chrom)).data_version,
            "reference_genome": self.reference().data_version,
            **split_inputs(self, chrom),
        }
        recipe = {"windows": self.profile.windows.as_dict(), "split": split_recipe(self, chrom)}
        return self.table("variant_windows", inputs, recipe, chrom)

    @property
    def split_values(self) -> dict[str, Any]:
        """The split's values as JSON."""
        return self.profile.split.model_dump(mode="json")

    def split_audit(self) -> Product:
        """Leakage between splits over all expected chromosomes."""
        windows = self.every_chromosome(self.variant_windows)
        inputs = {f"variant_windows/{chrom}": manifest.data_version for chrom, manifest in windows.items()}
        if csv := self.test_csv_or_none():
            inputs["test_csv"] = file_digest(csv)
        recipe = {
            "merge_test_into_train": self.profile.split.merge_test_into_train,
            "max_length": self.profile.submission.max_length,
        }
        return self.table("split_audit", inputs, recipe)

    # Embeddings

    def variant_embeddings(self, chrom: str) -> Product:
        """Vectors of a chromosome's windows."""
        dtype = self.profile.encoder.store_dtype
        return self._embedded("variant_embeddings", chrom, self.encoder_spec, dtype)

    def _embedded(self, asset: str, chrom: str, spec: EncoderSpec, dtype: str) -> Product:
        windows = self.require(self.variant_windows(chrom))
        check_reference(windows)
        inputs = {"variant_windows": windows.data_version, "glm_checkpoint": self.checkpoint().data_version}
        return self.table(asset, inputs, {"encoder": spec.as_dict(), "store_dtype": dtype}, chrom)

    def variant_likelihoods(self, chrom: str) -> Product:
        """Log-likelihoods of a chromosome's windows."""
        return self._embedded("variant_likelihoods", chrom, self.likelihood_spec, "float32")

    def covariance_embeddings(self, chrom: str) -> Product:
        """Vectors of a chromosome's windows for the covariance probe."""
        dtype = self.profile.encoder.store_dtype
        return self._embedded("covariance_embeddings", chrom, self.covariance_spec, dtype)

    def mutation_ladders(self, *, allow_partial: bool = False) -> Product:
        """Windows with more and more substitutions, and their vectors.

        Args:
            allow_partial: Of the chromosomes that are there instead of failing for those that are not.
        """
        windows = self.every_chromosome(self.variant_windows, allow_partial=allow_partial)
        inputs = {f"variant_windows/{chrom}": manifest.data_version for chrom, manifest in windows.items()}
        inputs["glm_checkpoint"] = self.checkpoint().data_version
        encoder = {"encoder": self.encoder_spec.as_dict(), "store_dtype": self.profile.encoder.store_dtype}
        return self.table("mutation_ladders", inputs, self.profile.ladders.model_dump() | encoder)

    def layer_comparison(self) -> Product:
        """How layers compare on a sample of variants."""
        windows = self.every_chromosome(self.variant_windows)
        inputs = {f"variant_windows/{chrom}": manifest.data_version for chrom, manifest in windows.items()}
        inputs["glm_checkpoint"] = self.checkpoint().data_version
        recipe = {"encoder": self.sweep_spec.as_dict(), "sweep": self.profile.sweep.model_dump()}
        return self.table("layer_comparison", inputs, recipe)

    def test_embeddings(self) -> Product:
        """Vectors of the test sequences."""
        inputs = {
            "test_sequences": self.require(self.test_sequences()).data_version,
            "glm_checkpoint": self.checkpoint().data_version,
        }
        return self.table("test_embeddings", inputs, {"encoder": self.sequence_spec.as_dict()})

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

    @property
    def covariance_spec(self) -> EncoderSpec:
        """What vectors of the covariance probe are."""
        return self._spec(f"covariance:{self.profile.probes.covariance}")

    @property
    def likelihood_spec(self) -> EncoderSpec:
        """What log-likelihoods are: of the whole model, over both strands, in the encoder's own arithmetic."""
        return self._spec("log_likelihood", layer="logits", reverse_complement=True)

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
            weights=self.described_weights(checkpoint),
            pooling=pooling,
            device=self.settings.device,
            **options | changes,
        )

    # Heads and submission

    def head(self, name: str, *, allow_partial: bool = False, recipe: RecipeName | None = None) -> Product:
        """A trained head.

        Args:
            name: `head_v0` to `head_v3`.
            allow_partial: Train on the chromosomes that are there instead of failing for those that are not.
            recipe: Another recipe than the profile's.
        """
        embeddings = self.every_chromosome(self.variant_embeddings, allow_partial=allow_partial)
        inputs = {f"variant_embeddings/{chrom}": manifest.data_version for chrom, manifest in embeddings.items()}
        inputs |= {
            f"variant_windows/{chrom}": manifest.inputs["variant_windows"]
            for chrom, manifest in embeddings.items()
        }
        plan = head_recipe(self.profile, name, self.encoder_spec.dimension, recipe)
        if plan.teacher:
            teacher = self.head(f"head_{plan.teacher}", allow_partial=allow_partial, recipe=recipe)
            inputs[teacher.asset] = self.require(teacher).data_version
        if plan.ladders:
            inputs["mutation_ladders"] = self.require(
                self.mutation_ladders(allow_partial=allow_partial)
            ).data_version
        values = plan.as_dict() | {"split": self.split_values, "groups": self.profile.groups.model_dump()}
        return self.product(name, self.head_folder(name, recipe), inputs, values)

    def head_folder(self, name: str, recipe: RecipeName | None = None) -> Path:
        """Where a head's checkpoint lies; in a folder of its recipe when that is not the profile's."""
        other = recipe if recipe != self.profile.recipe else None
        return self.root / "heads" / other / name if other else self.root / "heads" / name

    def test_csv(self) -> Path:
        """The user's CSV, or the first fitting one in the data root's folder `input`."""
        explicit = self.settings.test_csv
        if explicit is None and self.settings.uses_demo_tree:
            explicit = self.settings.demo_tree / "test.csv"
            if self.remote and not explicit.is_file():  # a machine that has not asked for sources yet
                make_demo_tree(self.settings.demo_tree)
        return find_test_csv(explicit, [] if explicit else [self.small_files(INPUT)])

    def test_csv_or_none(self) -> Path | None:
        """The test CSV, for those that can do without."""
        try:
            return self.test_csv()
        except SubmissionError:
            return None

    def test_sequences(self) -> Product:
        """The user's CSV, validated; its content is the input."""
        recipe = {"max_length": self.profile.submission.max_length}
        return self.table("test_sequences", {"csv": file_digest(self.test_csv())}, recipe)

    @property
    def submission_csv(self) -> Path:
        """The submission's file."""
        return self.root / "submission" / "submission.csv"

    def finished_submission_csv(self) -> Path:
        """The same on this machine, of a submission that is there."""
        return self.files(self.submission_csv.parent) / self.submission_csv.name

    @property
    def models_folder(self) -> Path:
        """Where registered models are kept once they were fetched."""
        return self.root / "sources" / "models"

    def submission(self, head: Mapping[str, str] | None = None) -> Product:
        """The submission of a head, however many chromosomes that was allowed to miss.

        Args:
            head: Name of the head to its data version or checksum; this data root's last head by default.
        """
        if head is None:
            last = self.require(self.head(SUBMITTED_HEAD, allow_partial=True))
            head = {SUBMITTED_HEAD: last.data_version}
        inputs = {TEST_VECTORS: self.require(self.test_embeddings()).data_version, **head}
        recipe = self.profile.submission.model_dump(exclude={"max_length"})
        return self.product("submission", self.submission_csv.parent, inputs, recipe)

    def finished_submission(self) -> Manifest:
        """The submission that is there, of whichever head it was asked for.

        Raises:
            MissingUpstreamError: There is none, or its test vectors or a head of this data root are others now.
        """
        found = self.recorded(self.submission_csv.parent)
        head = {name: version for name, version in found.inputs.items() if name != TEST_VECTORS} if found else {}
        own = {
            name: self.require(self.head(name, allow_partial=True)).data_version for name in head.keys() & HEADS
        }
        return self.require(self.submission(head | own or None))


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
