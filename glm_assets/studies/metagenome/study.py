"""Where the products of the study `metagenome` lie, and what each is a function of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from glm_assets.demo.metagenome import DemoMetagenome, make_demo_metagenome
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.errors import SettingsError
from glm_assets.storage.products import Product
from glm_assets.storage.tables import table_folder
from glm_assets.studies.files import digest, existing_file, require_demo_tree
from glm_assets.studies.metagenome.classifiers import ReadClassifier
from glm_assets.studies.metagenome.configuration import DEMO, MetagenomeConfiguration, ReadFile
from glm_assets.studies.metagenome.tokenizing import study_tokenizer
from glm_assets.studies.own_study import OwnStudy
from glm_assets.studies.training_values import NO_PART_OF_A_MODEL
from glm_assets.studies.weights import study_weights

_PREFIX = "metagenome"
VARIABLE = "GLM_METAGENOME"
_DEMO_FOLDER = "demo_metagenome"

CLASSIFIER_FOLDER: Final = Path("studies", _PREFIX, "classifier")
"""Where the trained classifier lies in a data root."""


class MetagenomeStudy(OwnStudy[MetagenomeConfiguration]):
    """Classification of reads in a data root."""

    PREFIX = _PREFIX
    VARIABLE = VARIABLE
    VALUES = MetagenomeConfiguration

    # What comes from outside

    @property
    def files(self) -> tuple[ReadFile, ...]:
        """The labelled reads' files.

        Raises:
            SettingsError: One does not exist.
        """
        if self.values.reads.files == DEMO:
            return tuple(ReadFile(path=str(path)) for path in (self.demo.fasta, self.demo.fastq))
        return tuple(
            file.model_copy(update={"path": str(existing_file(file.path, "reads.files", VARIABLE))})
            for file in self.values.reads.files
        )

    @property
    def mapping(self) -> Path:
        """The file of labels.

        Raises:
            SettingsError: It does not exist.
        """
        if self.values.reads.mapping is None:
            if self.values.reads.files != DEMO:
                raise SettingsError(
                    "reads.mapping is lacking in GLM_METAGENOME",
                    expected="a TSV or CSV with class_id and label_name",
                    fix="set reads.mapping",
                )
            return self.demo.mapping
        return existing_file(self.values.reads.mapping, "reads.mapping", VARIABLE)

    def new_files(self, instead: Sequence[Path] | None = None) -> tuple[Path, ...]:
        """The files that `predictions` predicts; `instead` names others than the configuration does.

        Raises:
            SettingsError: One does not exist.
        """
        named = instead or self.values.predict.files
        if named == DEMO:
            return (self.demo.samples, self.demo.sample_reads)
        return tuple(existing_file(path, "predict.files", VARIABLE) for path in named)

    @cached_property
    def demo(self) -> DemoMetagenome:
        """The generated reads, made when first asked for.

        Raises:
            SettingsError: The main study is of real sources.
        """
        require_demo_tree(self.main.settings, "metagenome", VARIABLE, "reads")
        return make_demo_metagenome(self.main.root / _DEMO_FOLDER)

    def weights(self) -> WeightsInfo:
        """The language model's weights, brought here if need be."""
        model = self.values.model
        return study_weights(self.main, model.encoder, checkpoint=model.checkpoint, revision=model.revision)

    def open_classifier(self, folder: Path | None = None, batch_size: int | None = None) -> ReadClassifier:
        """A trained classifier, ready for reads.

        Args:
            folder: Where it lies; the study's own by default.
            batch_size: Reads in a forward pass; the configuration's by default.

        Raises:
            MissingUpstreamError: The study's own is absent or out of date.
            CheckpointError: The folder holds none, or one of another configuration.
        """
        from glm_assets.studies.metagenome.opening import open_classifier

        if folder is None:
            self.main.require(self.classifier())
            folder = self.main.files(self.classifier_folder)
        return open_classifier(
            folder,
            self.values.model,
            self.weights(),
            device=self.main.settings.device,
            cpu_threads=self.main.settings.cpu_threads,
            batch_size=batch_size or self.values.predict.batch_size,
        )

    # Products

    def reads(self) -> Product:
        """The labelled reads, parsed once."""
        inputs = {f"file/{number}": digest(Path(file.path)) for number, file in enumerate(self.files)}
        declared = [[file.split, file.sample] for file in self.files]
        recipe = self.values.reads.model_dump(exclude={"files", "mapping"}) | {"declared": declared}
        return self._table("reads", inputs | {"mapping": digest(self.mapping)}, recipe)

    def splits(self) -> Product:
        """Which reads train, choose and test."""
        return self._table("splits", self.versions(self.reads()), self.values.split.model_dump())

    @property
    def classifier_folder(self) -> Path:
        """Where the trained classifier lies."""
        return self.main.root / CLASSIFIER_FOLDER

    def classifier(self) -> Product:
        """The trained classifier; how the reads of a step are divided over passes and processes is no part of it."""
        values = self.values
        inputs = self.versions(self.reads(), self.splits()) | {"weights": self.weights().sha256}
        if values.model.method != "frozen":
            inputs["tokenizer"] = study_tokenizer(values.model, self.weights()).digest
        training = values.training.model_dump(exclude=NO_PART_OF_A_MODEL)
        training["reads_in_a_step"] = values.training.items_in_a_step
        paths = {"checkpoint": True, "tokenizer": {"path"}}
        recipe = {"model": values.model.model_dump(exclude=paths), "training": training, "seed": values.seed}
        return self.main.product(f"{_PREFIX}/classifier", self.classifier_folder, inputs, recipe)

    def evaluation(self) -> Product:
        """How good it is on test reads, beside the k-mer baseline."""
        inputs = self.versions(self.splits(), self.classifier())
        recipe = {
            "resamples": self.values.resamples,
            "baseline_k": self.values.baseline_k,
            "seed": self.values.seed,
        }
        return self._table("evaluation", inputs, recipe)

    def predictions(self, files: Sequence[Path] | None = None) -> Product:
        """The labels of reads without one.

        Args:
            files: Others than the configuration's.
        """
        inputs = self.versions(self.classifier()) | {"mapping": digest(self.mapping)}
        inputs |= {f"file/{number}": digest(path) for number, path in enumerate(self.new_files(files))}
        recipe = self.values.predict.model_dump(exclude={"files", "batch_size"})
        return self._table("predictions", inputs, recipe)

    def folder(self, name: str) -> Path:
        """Where a product lies: `name` is its asset's, without the prefix."""
        return (
            self.classifier_folder if name == "classifier" else table_folder(self.main.tables, f"{_PREFIX}_{name}")
        )

    def _table(self, name: str, inputs: dict[str, str], recipe: dict[str, Any]) -> Product:
        return self.main.product(f"{_PREFIX}/{name}", self.folder(name), inputs, recipe)
