"""Where the products of the study `sugarcane` lie, and what each is a function of."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final

from glm_assets.demo.sugarcane import DemoSugarcane, make_demo_sugarcane
from glm_assets.encoders.weights import WeightsInfo
from glm_assets.errors import SettingsError
from glm_assets.storage.products import Product
from glm_assets.storage.tables import table_folder
from glm_assets.studies.files import digest, existing_file, require_demo_tree
from glm_assets.studies.own_study import OwnStudy
from glm_assets.studies.sugarcane.configuration import DEMO, ExperimentSettings, SugarcaneConfiguration
from glm_assets.studies.training_values import NO_PART_OF_A_MODEL
from glm_assets.studies.weights import study_weights

PREFIX: Final = "sugarcane"
VARIABLE: Final = "GLM_SUGARCANE"
OUTER: Final = "variety"

_DEMO_FOLDER = "demo_sugarcane"
# Products that are no tables lie outside the folder of tables.
_NO_TABLES = {"token_shards", "lora_adapter"}
_PATHS = {"checkpoint", "without_fp8", "gradient_checkpointing"}


class SugarcaneStudy(OwnStudy[SugarcaneConfiguration]):
    """Adapting a language model to the genomes of a crop's varieties, in a data root."""

    PREFIX = PREFIX
    VARIABLE = VARIABLE
    VALUES = SugarcaneConfiguration

    # What comes from outside

    @property
    def varieties(self) -> tuple[str, ...]:
        """Names of the varieties, which are the partitions."""
        return DemoSugarcane.VARIETIES if self.values.varieties == DEMO else tuple(self.values.varieties)

    def fasta(self, variety: str) -> Path:
        """A variety's genome.

        Raises:
            SettingsError: There is no such variety, or the file does not exist.
        """
        return self._file(variety, "fasta")

    def gff3(self, variety: str) -> Path:
        """A variety's annotation.

        Raises:
            SettingsError: There is no such variety, or the file does not exist.
        """
        return self._file(variety, "gff3")

    def experiment_file(self) -> Path | None:
        """The table of measured sequences; None where the values name none."""
        settings = self.values.experiment
        if settings is None:
            return None
        if settings.file == DEMO:
            return self.demo.experiment
        return existing_file(settings.file, "experiment.file", VARIABLE)

    @property
    def experiment(self) -> ExperimentSettings:
        """How that table is read.

        Raises:
            SettingsError: The values name none.
        """
        if self.values.experiment is None:
            raise SettingsError("the study sugarcane has no experiment", fix=f"set experiment in {VARIABLE}")
        return self.values.experiment

    @cached_property
    def demo(self) -> DemoSugarcane:
        """The generated genomes, made when first asked for.

        Raises:
            SettingsError: The main study is of real sources.
        """
        require_demo_tree(self.main.settings, "sugarcane", VARIABLE, "genomes")
        return make_demo_sugarcane(self.main.root / _DEMO_FOLDER)

    def weights(self) -> WeightsInfo:
        """The language model's weights, brought here if need be."""
        model = self.values.model
        return study_weights(
            self.main, model.encoder, checkpoint=model.checkpoint, revision=model.revision, sha256=model.sha256
        )

    # Products

    def genome(self, variety: str) -> Product:
        """A variety's sequence, checked and indexed."""
        return self._product("genome", variety, {"fasta": digest(self.fasta(variety))}, {})

    def annotation(self, variety: str) -> Product:
        """A variety's features, checked against its sequence."""
        inputs = self.versions(self.genome(variety)) | {"gff3": digest(self.gff3(variety))}
        return self._product("annotation", variety, inputs, {})

    def units(self, variety: str) -> Product:
        """What is scored, and which stretches train, choose and test."""
        values = self.values
        inputs = self.versions(self.genome(variety), self.annotation(variety))
        recipe = {"units": values.units.model_dump(), "split": values.split.model_dump(), "seed": values.seed}
        return self._product("units", variety, inputs, recipe)

    def token_shards(self, variety: str) -> Product:
        """Sequence as tokens."""
        inputs = self.versions(self.genome(variety), self.units(variety))
        recipe = self.values.shards.model_dump() | {"coordinates": self.values.units.coordinates}
        return self._product("token_shards", variety, inputs, recipe)

    def lora_adapter(self, variety: str) -> Product:
        """What was trained; how the windows of a step are divided over passes and processes is no part of it."""
        inputs = self.versions(self.token_shards(variety)) | {"weights": self.weights().sha256}
        return self._product("lora_adapter", variety, inputs, self._trained(self.values.training.steps))

    def unit_scores(self, variety: str) -> Product:
        """How likely units are, before and after training."""
        inputs = self.versions(self.units(variety), self.lora_adapter(variety))
        recipe = self.values.scoring.model_dump(exclude={"batch_tokens"}) | self._reading()
        return self._product("unit_scores", variety, inputs, recipe)

    def token_profiles(self, variety: str) -> Product:
        """Logits of the four bases along some units."""
        inputs = self.versions(self.unit_scores(variety))
        tiles = self.values.scoring.model_dump(include={"start_token", "tile", "overlap"})
        recipe = {"profiles": self.values.profiles.model_dump(), "tiles": tiles} | self._reading()
        return self._product("token_profiles", variety, inputs, recipe)

    def generations(self, variety: str) -> Product:
        """Sequences drawn from the model, before and after training."""
        inputs = self.versions(self.units(variety), self.lora_adapter(variety))
        recipe = {"generation": self.values.generation.model_dump(), "seed": self.values.seed} | self._reading()
        return self._product("generations", variety, inputs, recipe)

    def genome_profile(self, variety: str) -> Product:
        """What a genome is like: genes, codons, microsatellites, composition."""
        inputs = self.versions(self.genome(variety), self.annotation(variety))
        return self._product("genome_profile", variety, inputs, self.values.genome_profile.model_dump())

    def model_comparison(self, variety: str) -> Product:
        """Zero-shot beside fine-tuned, by unit type and against an experiment."""
        inputs = self.versions(self.unit_scores(variety))
        recipe: dict[str, Any] = {"resamples": self.values.resamples, "seed": self.values.seed}
        if file := self.experiment_file():
            inputs["experiment"] = digest(file)
            # Its name is in the table; where it lies is no part of what is said.
            recipe["experiment"] = self.experiment.model_dump() | {"file": file.name}
            recipe["scoring"] = self.values.scoring.model_dump(exclude={"batch_tokens", "splits", "max_units"})
        return self._product("model_comparison", variety, inputs, recipe)

    def search(self, variety: str) -> Product:
        """Trials of other adapters and learning rates."""
        inputs = self.versions(self.token_shards(variety)) | {"weights": self.weights().sha256}
        recipe = self._trained(self.values.search.steps) | {"search": self.values.search.model_dump()}
        return self._product("search", variety, inputs, recipe)

    def report(self, variety: str) -> Product:
        """All figures on one page."""
        made = (
            self.genome_profile(variety),
            self.lora_adapter(variety),
            self.unit_scores(variety),
            self.token_profiles(variety),
            self.generations(variety),
            self.model_comparison(variety),
        )
        names = {"genome": self.fasta(variety).name, "annotation": self.gff3(variety).name}
        return self._product("report", variety, self.versions(*made), names)

    def folder(self, name: str, variety: str) -> Path:
        """Where a product of a variety lies: `name` is its asset's, without the prefix."""
        if name in _NO_TABLES:
            return self.main.root / "studies" / PREFIX / name / f"{OUTER}={variety}"
        return table_folder(self.main.tables, f"{PREFIX}_{name}", **{OUTER: variety})

    def files(self, name: str, variety: str) -> Path:
        """The folder of a product's files on this machine."""
        return self.main.files(self.folder(name, variety))

    def _reading(self) -> dict[str, str]:
        """On which strand a unit is read, which its table does not say."""
        return {"coordinates": self.values.units.coordinates}

    def _trained(self, steps: int) -> dict[str, Any]:
        values = self.values
        training = values.training.model_dump(exclude=NO_PART_OF_A_MODEL) | {"steps": steps}
        training["windows_in_a_step"] = values.training.items_in_a_step
        return {"model": values.model.model_dump(exclude=_PATHS), "training": training, "seed": values.seed}

    def _file(self, variety: str, kind: str) -> Path:
        if variety not in self.varieties:
            raise SettingsError(
                f"there is no variety {variety!r}",
                expected=f"one of {', '.join(self.varieties)}",
                fix=f"add it to varieties in the YAML file of {VARIABLE}",
            )
        if self.values.varieties == DEMO:
            return getattr(self.demo, kind)(variety)
        return existing_file(
            getattr(self.values.varieties[variety], kind), f"varieties.{variety}.{kind}", VARIABLE
        )

    def _product(self, name: str, variety: str, inputs: dict[str, str], recipe: dict[str, Any]) -> Product:
        return self.main.product(f"{PREFIX}/{name}", self.folder(name, variety), inputs, recipe, variety)
