"""Everything the study `metagenome` is a function of, besides the data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from glm_assets.studies.configuration import StudySection, leave_some_to_train, with_group
from glm_assets.studies.training_values import LoraValues, TrainingValues

DEMO = "demo"
"""In place of a file: the generated one."""


class ReadFile(StudySection):
    """One file of labelled reads."""

    path: str = Field(min_length=1, description="FASTA or FASTQ, also gzipped")
    split: Literal["train", "val", "test"] | None = Field(
        default=None, description="where its reads belong; null: by their source genome"
    )
    sample: str | None = Field(default=None, description="name of the sample, for abundances")


class ReadsSettings(StudySection):
    """Which reads there are and what they say of themselves."""

    files: tuple[ReadFile, ...] | Literal["demo"] = Field(description="labelled reads; `demo` for generated ones")
    mapping: str | None = Field(description="TSV, CSV or semicolons: class_id, label_name, ...; null: demo's")
    unknown_class: Literal["drop", "fail"] = Field(
        description="a class id that the mapping lacks; drops are counted"
    )
    bad_header: Literal["drop", "fail"] = Field(description="a header that does not follow the grammar")
    genome: str = Field(description="regular expression; its first group, in a read's name, is the source genome")
    ambiguous: Literal["n", "drop", "fail"] = Field(description="IUPAC codes other than A, C, G, T, U and N")
    max_n_share: float = Field(ge=0, le=1, description="reads with more N are dropped, and counted")
    min_length: int = Field(ge=1)

    @field_validator("genome")
    @classmethod
    def _has_a_group(cls, pattern: str) -> str:
        return with_group(pattern, "the source genome")


class SplitSettings(StudySection):
    """Which reads train, choose and test: whole source genomes."""

    val: int = Field(ge=0, le=98, description="per cent of the genomes of reads whose file has no split")
    test: int = Field(ge=0, le=98, description="per cent")
    leak_kmer: int = Field(ge=15, le=31, description="length of the k-mers that splits must not share")
    max_leak: float = Field(
        ge=0, le=1, description="largest share of held-out reads that may share one with train"
    )

    @model_validator(mode="after")
    def _leave_some_to_train(self) -> SplitSettings:
        return leave_some_to_train(self)


class TokenizerSettings(StudySection):
    """How reads become tokens."""

    kind: Literal["hf", "minbpe", "byte"] = "hf"
    path: str | None = Field(default=None, description="model file or folder; null: the model's own")


class ModelSettings(StudySection):
    """The language model and what is trained of it."""

    encoder: str = Field(description="metagene_demo, metagene1, hf:<folder or repository>, or any of the registry")
    checkpoint: str | None = Field(default=None, description="local folder or weights file")
    revision: str = "main"
    method: Literal["frozen", "lora", "qlora", "full"] = Field(
        description="frozen: a linear head on stored vectors, with any encoder of the registry"
    )
    layer: str = Field(default="last_hidden_state", description="frozen: where vectors are taken")
    pooling: Literal["mean", "max", "last", "cls"]
    hidden: int | None = Field(default=None, ge=1, description="width of a second layer of the head; null: linear")
    dropout: float = Field(ge=0, lt=1)
    max_length: int = Field(ge=2, description="tokens of a read; longer ones are cut, and counted")
    tokenizer: TokenizerSettings = TokenizerSettings()
    lora: LoraValues | None = None
    gradient_checkpointing: bool = False

    @model_validator(mode="after")
    def _has_adapters(self) -> ModelSettings:
        if (self.lora is not None) != (self.method in ("lora", "qlora")):
            raise ValueError("the key lora goes with the methods lora and qlora, which need it")
        return self


class TrainingSettings(TrainingValues):
    """How the weights are moved."""

    epochs: int = Field(ge=1)
    label_smoothing: float = Field(ge=0, lt=1)
    patience: int | None = Field(ge=1, description="epochs without a better macro-F1 before training stops")


class PredictSettings(StudySection):
    """What `predictions` predicts, and what it writes."""

    files: tuple[str, ...] | Literal["demo"] = Field(description="FASTA, FASTQ, or a CSV of samples")
    sample_column: str = "sample_id"
    sequence_column: str = "sequence"
    aggregation: Literal["mean", "max", "sum"] = Field(default="mean", description="of a sample's vectors")
    top_k: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    min_confidence: float = Field(ge=0, le=1, description="reads below it are not counted in abundances")


class MetagenomeConfiguration(StudySection):
    """The values of one classification study."""

    name: str = Field(min_length=1)
    reads: ReadsSettings
    split: SplitSettings
    model: ModelSettings
    training: TrainingSettings
    baseline_k: int = Field(ge=1, le=8, description="k of the k-mer counts that any model is compared with")
    predict: PredictSettings
    gpu_memory_gb: float | None = Field(
        default=None, gt=0, description="memory to plan for; null: the device's own"
    )
    resamples: int = Field(ge=100, description="of the intervals")
    seed: int = Field(ge=0, lt=2**32)
