"""Everything the study `impact` is a function of, besides the main study and the data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from glm_assets.encoders.pooling import Pooling
from glm_assets.errors import EncoderError
from glm_assets.genome.contigs import CHROMOSOMES
from glm_assets.storage.tables import OUTER_VALUE
from glm_assets.studies.configuration import StudySection, leave_some_to_train

DEMO = "demo"
"""In place of a file: the generated one."""


class CarriedSettings(StudySection):
    """Which of ClinVar's alleles the person carries."""

    match: Literal["allele", "position"] = Field(description="chrom, pos, ref and alt; or the original's position")
    require_dbsnp: bool = Field(description="only records with a dbSNP id")
    filters: tuple[str, ...] = Field(
        default=("PASS", "."), description="FILTER values of the person's VCF to take"
    )
    min_reads: int = Field(ge=1, description="without a VCF: reads that must show the allele")
    min_share: float = Field(ge=0, le=1, description="without a VCF: share of the reads that must show it")


class ReadSettings(StudySection):
    """Which reads stand for a variant."""

    policy: Literal["strict", "faithful"] = Field(
        description="allele and strand aware, or the original's middle read"
    )
    length: int = Field(ge=20, le=8192, description="bases of an example")
    allele: Literal["alternate", "reference", "both"] = Field(description="the allele that a read must show")
    per_variant: int = Field(ge=1, description="reads of a variant and allele, at most")
    absent_variants: int = Field(ge=0, description="ClinVar variants that the person lacks, at most, a chromosome")
    min_mapping_quality: int = Field(ge=0, le=255)
    min_base_quality: int = Field(ge=0, le=93, description="of the bases that show the allele")


class ImpactEncoder(StudySection):
    """The model that reads go through."""

    name: str
    checkpoint: str | None = Field(default=None, description="local weights file")
    revision: str = "main"
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$")
    layer: str = Field(description="hooked submodule, or logits as in the original")
    pooling: str = Field(description="positions:N for the convolutional head; mean for the linear one alone")
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    store_dtype: Literal["float32", "float16"] = "float16"
    batch_tokens: int = Field(ge=1)
    shard_rows: int = Field(ge=1)

    @field_validator("pooling")
    @classmethod
    def _of_single_sequences(cls, name: str) -> str:
        try:
            pooling = Pooling.parse(name)
        except EncoderError as error:
            raise ValueError(str(error)) from error
        if pooling.needs_variant or pooling.kind == "log_likelihood":
            raise ValueError("a read is a single sequence; allowed: positions:N, mean")
        return name


class SplitSettings(StudySection):
    """Which examples train, choose and test; always before balancing."""

    by: Literal["variant", "locus", "gene", "chromosome"] = Field(
        description="locus: variants whose reads can overlap stay together"
    )
    val: int = Field(ge=1, le=98, description="per cent")
    test: int = Field(ge=1, le=98, description="per cent")

    @model_validator(mode="after")
    def _leave_some_to_train(self) -> SplitSettings:
        return leave_some_to_train(self)


class BalancingSettings(StudySection):
    """How rare scores are made up for, in the train split alone."""

    mode: Literal["none", "original", "uniform", "sampler"]
    boosts: dict[float, float] = Field(
        default={0.1: 100, 0.2: 200, 0.5: 200, 1.0: 750}, description="mode original: copies by score / 10"
    )


class HeadSettings(StudySection):
    """The convolutional head and its training."""

    channels: tuple[int, int] = Field(description="of the two convolutions")
    hidden: int = Field(ge=1, description="width of the dense layers")
    dense_layers: int = Field(ge=1, description="dense layers before the output")
    kernel: int = Field(ge=1)
    epochs: int = Field(ge=1)
    patience: int | None = Field(default=None, ge=1, description="stop after so many epochs without a better one")
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    dtype: Literal["float32", "bfloat16"]
    standardise: bool = Field(description="bring each channel to mean 0 and deviation 1 first")


class NewData(StudySection):
    """What `predictions` predicts."""

    reads: str | None = Field(default=None, description="FASTA, FASTQ, BAM or CRAM; `demo` for the generated one")
    variants: str | None = Field(default=None, description="VCF; windows are made from the reference")


class ImpactConfiguration(StudySection):
    """The values of one individual's study."""

    name: str = Field(min_length=1)
    individual: str = Field(description="whose reads; it names the folders of the tables")
    alignments: str = Field(min_length=1, description="BAM or CRAM; `demo` for the generated one")
    variants: str | None = Field(
        description="the person's VCF; `demo`; null: carried alleles are found in the reads"
    )
    chromosomes: tuple[str, ...] | None = Field(default=None, description="default: those of the profile")
    consequences: Literal["accession", "faithful"] = Field(description="how MC terms become an impact")
    carried: CarriedSettings
    reads: ReadSettings
    encoder: ImpactEncoder
    split: SplitSettings
    balancing: BalancingSettings
    head: HeadSettings
    new: NewData
    resamples: int = Field(ge=100, description="of the intervals")
    seed: int = Field(ge=0, lt=2**32)

    @field_validator("individual")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not OUTER_VALUE.fullmatch(name):
            raise ValueError("letters, digits, dots, dashes and underscores only")
        return name

    @model_validator(mode="after")
    def _positions_are_those_of_a_read(self) -> ImpactConfiguration:
        pooling = Pooling.parse(self.encoder.pooling)
        if pooling.kind == "positions" and pooling.width != self.reads.length:
            raise ValueError(
                f"encoder.pooling {pooling.name} and reads.length {self.reads.length} must be one number"
            )
        return self

    @field_validator("chromosomes")
    @classmethod
    def _known(cls, chromosomes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if chromosomes is None:
            return None
        if unknown := [chrom for chrom in chromosomes if chrom not in CHROMOSOMES]:
            raise ValueError(f"unknown chromosomes {unknown}; allowed: {', '.join(CHROMOSOMES)}")
        return tuple(chrom for chrom in CHROMOSOMES if chrom in chromosomes)
