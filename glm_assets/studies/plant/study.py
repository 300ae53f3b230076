"""Where the products of the study `plant` lie, and what each is a function of."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final

from glm_assets.demo.plants import DemoPlants, make_demo_plants
from glm_assets.errors import SettingsError
from glm_assets.storage.products import Product
from glm_assets.storage.tables import table_folder
from glm_assets.studies.files import digest, existing_file, require_demo_tree
from glm_assets.studies.own_study import OwnStudy
from glm_assets.studies.plant.configuration import DEMO, PhenotypeSettings, PlantConfiguration
from glm_assets.studies.training_values import NO_PART_OF_A_MODEL

PREFIX: Final = "plant"
VARIABLE: Final = "GLM_PLANT"
OUTER: Final = "species"

_DEMO_FOLDER = "demo_plants"
# Products that are no tables lie outside the folder of tables.
_NO_TABLES = {"tokens", "lm"}


class PlantStudy(OwnStudy[PlantConfiguration]):
    """A language model of several plants, from scratch, in a data root."""

    PREFIX = PREFIX
    VARIABLE = VARIABLE
    VALUES = PlantConfiguration

    # What comes from outside

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species, which are the partitions; their order numbers them in the model."""
        return DemoPlants.SPECIES if self.values.species == DEMO else tuple(self.values.species)

    @property
    def sampling_weights(self) -> dict[str, float]:
        """How often each species is trained on, beside the others."""
        if self.values.species == DEMO:
            return dict.fromkeys(self.species, 1.0)
        return {name: species.weight for name, species in self.values.species.items()}

    def genome_files(self, species: str) -> tuple[Path, ...]:
        """The FASTA files of a species.

        Raises:
            SettingsError: There is no such species, or a file does not exist.
        """
        if species not in self.species:
            raise SettingsError(
                f"there is no species {species!r}",
                expected=f"one of {', '.join(self.species)}",
                fix=f"add it to species in the YAML file of {VARIABLE}",
            )
        if self.values.species == DEMO:
            return (self.demo.fasta(species),)
        key = f"species.{species}.files"
        return tuple(existing_file(path, key, VARIABLE) for path in self.values.species[species].files)

    @property
    def phenotype_settings(self) -> PhenotypeSettings:
        """How the samples' table is read.

        Raises:
            SettingsError: The values name none.
        """
        if self.values.phenotypes is None:
            raise SettingsError(
                "the study plant has no phenotypes",
                fix=f"set phenotypes in {VARIABLE}, or materialise plant/report without what comes before it",
            )
        return self.values.phenotypes

    @property
    def phenotype_file(self) -> Path:
        """The samples' table.

        Raises:
            SettingsError: The values name none, or it does not exist.
        """
        named = self.phenotype_settings.file
        return self.demo.phenotypes if named == DEMO else existing_file(named, "phenotypes.file", VARIABLE)

    @cached_property
    def demo(self) -> DemoPlants:
        """The generated genomes and samples, made when first asked for.

        Raises:
            SettingsError: The main study is of real sources.
        """
        require_demo_tree(self.main.settings, "plant", VARIABLE, "genomes")
        return make_demo_plants(self.main.root / _DEMO_FOLDER)

    # Products

    def genome(self, species: str) -> Product:
        """A species' sequence, checked and indexed."""
        inputs = {f"file/{number}": digest(path) for number, path in enumerate(self.genome_files(species))}
        return self._product("genome", inputs, {}, species)

    def tokens(self, species: str) -> Product:
        """Sequence as 6-mers, and which of them train, choose and test."""
        values = self.values
        recipe = {"tokens": values.tokens.model_dump(), "split": values.split.model_dump(), "seed": values.seed}
        return self._product("tokens", self.versions(self.genome(species)), recipe, species)

    def lm(self) -> Product:
        """The trained model; how the windows of a step are divided over passes and processes is no part of it."""
        values = self.values
        inputs = {f"tokens/{name}": self.main.require(self.tokens(name)).data_version for name in self.species}
        training = values.training.model_dump(exclude=NO_PART_OF_A_MODEL)
        training["windows_in_a_step"] = values.training.items_in_a_step
        recipe = {
            "model": values.model.model_dump(),
            "training": training,
            # A list, for the order of the species numbers them in the model.
            "species": [list(weighted) for weighted in self.sampling_weights.items()],
            "seed": values.seed,
        }
        return self._product("lm", inputs, recipe)

    def evaluation(self) -> Product:
        """How well it predicts test sequence, beside baselines, with its memory and without."""
        values = self.values
        recipe = {
            "evaluation": values.evaluation.model_dump(),
            "resamples": values.resamples,
            "seed": values.seed,
        }
        return self._product("evaluation", self.versions(self.lm()), recipe)

    def generations(self) -> Product:
        """Sequences drawn from it."""
        recipe = {"generation": self.values.generation.model_dump(), "seed": self.values.seed}
        return self._product("generations", self.versions(self.lm()), recipe)

    def phenotypes(self) -> Product:
        """The samples, and the tokens of their genes."""
        settings = self.phenotype_settings
        read = {"sample", "phenotype", "genes", "segment_tokens", "max_genes"}
        recipe = settings.model_dump(include=read) | {"k": self.values.tokens.k}
        return self._product("phenotypes", {"file": digest(self.phenotype_file)}, recipe)

    def phenotype_head(self) -> Product:
        """What tells phenotypes from the model's vectors, judged by cross-validation."""
        settings = self.phenotype_settings
        fitted = {"species", "pooling", "folds", "epochs", "learning_rate", "weight_decay", "batch_size"}
        recipe = settings.model_dump(include=fitted) | {
            "resamples": self.values.resamples,
            "seed": self.values.seed,
        }
        return self._product("phenotype_head", self.versions(self.phenotypes(), self.lm()), recipe)

    def report(self) -> Product:
        """All figures on one page."""
        made = [self.lm(), self.evaluation(), self.generations()]
        # The page names them, and equal files of other names make equal products.
        named: dict[str, Any] = {name: [path.name for path in self.genome_files(name)] for name in self.species}
        recipe = {"generated": self.values.species == DEMO, "files": named}
        if self.values.phenotypes is not None:
            made += [self.phenotypes(), self.phenotype_head()]
            recipe["samples"] = self.phenotype_file.name
        return self._product("report", self.versions(*made), recipe)

    def folder(self, name: str, species: str | None = None) -> Path:
        """Where a product lies: `name` is its asset's, without the prefix."""
        if name in _NO_TABLES:
            folder = self.main.root / "studies" / PREFIX / name
            return folder / f"{OUTER}={species}" if species else folder
        return table_folder(self.main.tables, f"{PREFIX}_{name}", **({OUTER: species} if species else {}))

    def files(self, name: str, species: str | None = None) -> Path:
        """The folder of a product's files on this machine."""
        return self.main.files(self.folder(name, species))

    def _product(
        self, name: str, inputs: dict[str, str], recipe: dict[str, Any], species: str | None = None
    ) -> Product:
        return self.main.product(f"{PREFIX}/{name}", self.folder(name, species), inputs, recipe, species)
