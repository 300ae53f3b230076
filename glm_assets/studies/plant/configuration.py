"""Everything the study `plant` is a function of, besides the data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from glm_assets.studies.configuration import StudySection, leave_some_to_train, require_partitions
from glm_assets.studies.training_values import LanguageTraining

DEMO = "demo"
"""In place of files: the generated ones."""


class Species(StudySection):
    """The genome of one species."""

    files: tuple[str, ...] = Field(min_length=1, description="FASTA files, also gzipped: .fna, .fa, .fasta")
    weight: float = Field(default=1.0, gt=0, description="how often it is trained on, beside the others")


class TokenSettings(StudySection):
    """How sequence becomes 6-mers."""

    cut: Literal["strict", "faithful"] = Field(
        description="faithful: N deleted, records joined, whole chunks of 1,200,000 bases alone, as the original"
    )
    k: int = Field(default=6, ge=1, le=8)
    phases: tuple[int, ...] = Field(default=(0,), min_length=1, description="offsets that reading begins at")
    reverse_complement: bool = Field(description="train on the other strand too")


class SplitSettings(StudySection):
    """Which stretches of a genome train, choose and test."""

    val: int = Field(ge=1, le=98, description="per cent of the bases")
    test: int = Field(ge=1, le=98, description="per cent")
    block_bases: int = Field(ge=600)
    gap_bases: int = Field(ge=0, description="left out between blocks of different splits")

    @model_validator(mode="after")
    def _leave_some_to_train(self) -> SplitSettings:
        return leave_some_to_train(self)


class ModelSettings(StudySection):
    """The network."""

    width: int = Field(ge=8, description="d")
    heads: int = Field(ge=1)
    layers: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    context: int = Field(ge=2, description="tokens of a window")
    window: int = Field(ge=1, description="w: tokens that local attention sees, itself among them")
    local: Literal["sliding", "block"] = Field(description="block: the original's disjoint blocks")
    positions: int = Field(ge=1, description="rows of the position table")
    tied: bool = Field(description="whether the output layer is the token embedding")
    memory: Literal["none", "sum", "ema", "content"] = Field(
        description="the bucket matrix: sums of position vectors, their moving mean, or one of what surrounds a token"
    )
    memory_per_species: bool = Field(description="a matrix for each species, or one for all")
    memory_is_trained: bool = Field(default=False, description="the original's: a parameter besides")
    memory_rate: float = Field(default=0.001, gt=0, le=1, description="of the moving means")
    normalise_steps: int = Field(default=1000, ge=1, description="updates between normalisations of the rows")

    @model_validator(mode="after")
    def _fits(self) -> ModelSettings:
        if self.width % self.heads:
            raise ValueError("width is no multiple of heads")
        if self.context > self.positions:
            raise ValueError("a window of the context has more tokens than the table has positions")
        return self


class TrainingSettings(LanguageTraining):
    """How the network is trained."""

    overlap: float = Field(ge=0, lt=1, description="share of a window that the next one has too")
    sampling: Literal["decay", "exact"] = Field(
        description="species by weights that fall when drawn and are reset, as the original; or in exact proportion"
    )
    decay: float = Field(default=0.8, gt=0, lt=1)
    reset_below: float = Field(default=0.1, gt=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    start: Literal["random", "bases"] = Field(
        default="bases",
        description="where weights begin: random as the original's; or tokens as sums of their bases, which share what"
        " is learnt, and the output at the tokens' frequencies in the training split",
    )


class EvaluationSettings(StudySection):
    """What the model is compared with."""

    markov_order: int = Field(ge=0, le=10, description="longest order of the Markov baselines; all below it too")
    max_windows: int = Field(ge=1, description="test windows of a species")


class GenerationSettings(StudySection):
    """What is drawn from the model."""

    samples: int = Field(ge=1, description="of each species")
    tokens: int = Field(ge=1)
    prompt_tokens: int = Field(default=8, ge=1)
    temperature: float = Field(default=1.0, ge=0)
    top_k: int = Field(default=0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)


class PhenotypeSettings(StudySection):
    """Samples with a phenotype and the sequences of their genes."""

    file: str = Field(description="table, its delimiter found out; `demo` for a generated one")
    sample: str = Field(default="Sample_ID", description="column")
    phenotype: str = Field(default="Phenotype", description="column")
    genes: str = Field(default="^geneType", description="regular expression: columns with sequences")
    species: str | None = Field(default=None, description="whose embedding and memory are used; null: the first")
    segment_tokens: int = Field(ge=1, description="tokens that are read of each gene")
    max_genes: int | None = Field(default=None, ge=1, description="the first columns alone; null: all")
    pooling: Literal["mean", "attention"] = Field(description="over a sample's segments")
    folds: int = Field(ge=2)
    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(ge=1)


class PlantConfiguration(StudySection):
    """The values of one plant language model."""

    name: str = Field(min_length=1)
    species: dict[str, Species] | Literal["demo"] = Field(description="genomes by name; `demo` for generated ones")
    tokens: TokenSettings
    split: SplitSettings
    model: ModelSettings
    training: TrainingSettings
    evaluation: EvaluationSettings
    generation: GenerationSettings
    phenotypes: PhenotypeSettings | None
    resamples: int = Field(ge=100, description="of the intervals")
    seed: int = Field(ge=0, lt=2**32)

    @field_validator("species")
    @classmethod
    def _are_partitions(
        cls, species: dict[str, Species] | Literal["demo"]
    ) -> dict[str, Species] | Literal["demo"]:
        if species != DEMO:
            require_partitions(species, "species")
        return species
