"""Everything the study `sugarcane` is a function of, besides the data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from glm_assets.studies.configuration import StudySection, leave_some_to_train, require_partitions, with_group
from glm_assets.studies.training_values import LanguageTraining, LoraValues

DEMO = "demo"
"""In place of files: the generated ones."""


class Variety(StudySection):
    """One genome with its annotation."""

    fasta: str = Field(min_length=1, description="FASTA, also gzipped; soft-masking is kept")
    gff3: str = Field(min_length=1, description="GFF3, also gzipped")


class UnitSettings(StudySection):
    """What is cut out of a genome to be scored."""

    coordinates: Literal["strict", "faithful"] = Field(
        description="faithful: as the original cuts, without reverse complement, strands of clusters or ends of contigs"
    )
    upstream: int = Field(ge=0, description="bases before a gene's start, on its strand")
    downstream: int = Field(ge=0, description="bases after its end")
    max_length: int = Field(ge=2, description="a unit with longer flanks is the gene alone")
    merge_gap: int = Field(ge=0, description="units that are closer are one cluster, up to max_length")
    regulatory: tuple[str, ...] = Field(
        default=("promoter", "enhancer", "regulatory_region"),
        description="types of features that are units of their own where no gene's unit holds them",
    )


class SplitSettings(StudySection):
    """Which sequence trains, chooses and tests."""

    by: Literal["homology_group", "block"] = Field(
        description="block: stretches of a contig with gaps between, where there are fewer than three groups"
    )
    group: str = Field(
        default=r"(?i)^(?:chr|chromosome|so|s)?_?0*(\d+)",
        description="regular expression on a contig's name: its first group"
        " is the homology group; a contig that it does not match is its own",
    )
    groups: dict[str, str] = Field(
        default_factory=dict, description="homology group of contigs by name, above `group`"
    )
    val: int = Field(ge=1, le=98, description="per cent of the bases")
    test: int = Field(ge=1, le=98, description="per cent")
    block_bases: int = Field(default=100_000, ge=1_000)
    gap_bases: int = Field(default=10_000, ge=0, description="left out between blocks of different splits")
    max_leak: float = Field(
        ge=0, le=1, description="largest share of a held-out split's sketch that may also be in train's"
    )

    @field_validator("group")
    @classmethod
    def _has_a_group(cls, pattern: str) -> str:
        return with_group(pattern, "the homology group")

    @model_validator(mode="after")
    def _leave_some_to_train(self) -> SplitSettings:
        return leave_some_to_train(self)


class ShardSettings(StudySection):
    """How sequence becomes tokens that train."""

    source: Literal["genome", "units"] = Field(description="whole contigs, or the units alone")
    soft_mask: Literal["upper", "unweighted", "keep"] = Field(
        description="lower case: made upper case; so, and no target of the loss; or kept as letters of their own"
    )
    unknown: Literal["split", "keep"] = Field(
        description="runs of N and other codes: left out, or tokens as they are"
    )
    min_bases: int = Field(
        default=100, ge=2, description="shorter pieces between unknown runs are left out, and counted"
    )
    reverse_complement: Literal["both", "forward"] = Field(description="strands that are trained on")
    end_token: bool = Field(default=True, description="a token of its own after each sequence")


class ModelSettings(StudySection):
    """The language model and what is trained of it."""

    encoder: str = Field(description="demo, or an Evo2 model such as evo2_7b")
    checkpoint: str | None = Field(default=None, description="local weights file")
    revision: str = "main"
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$")
    method: Literal["lora", "full"]
    lora: LoraValues | None = None
    also_train: tuple[str, ...] = Field(
        default=(), description="last parts of the names of modules that are trained whole beside the adapters"
    )
    gradient_checkpointing: bool = False
    without_fp8: Literal["refuse", "warn"] = Field(
        default="refuse",
        description="a model that is only accurate with FP8, such as evo2_1b_base, where there is none",
    )

    @model_validator(mode="after")
    def _has_adapters(self) -> ModelSettings:
        if (self.lora is not None) != (self.method == "lora"):
            raise ValueError("the key lora goes with the method lora, which needs it")
        return self


class TrainingSettings(LanguageTraining):
    """How the adapters are trained."""

    context: int = Field(description="tokens of a window")

    @field_validator("context")
    @classmethod
    def _has_context(cls, tokens: int) -> int:
        if tokens < 2:
            raise ValueError(
                "in windows of one token a model sees nothing before the one that predicts the next: it learns no more"
                " than how often each base follows each; take 2 or more, such as 8192"
            )
        return tokens


class ScoringSettings(StudySection):
    """How units are scored."""

    splits: tuple[Literal["train", "val", "test"], ...] = Field(
        default=("test",), description="units that are scored"
    )
    max_units: int | None = Field(
        default=None, ge=1, description="of a variety, evenly over the unit types; null: all"
    )
    start_token: bool = Field(description="put the model's token of a beginning in front")
    reverse_complement: bool = Field(description="mean over both strands")
    tile: int = Field(ge=2, description="tokens of a window where a unit is longer than that")
    overlap: int = Field(ge=0, description="tokens that a tile sees of the one before it")
    batch_tokens: int = Field(ge=1, description="tokens in a forward pass")

    @model_validator(mode="after")
    def _advances(self) -> ScoringSettings:
        if self.overlap >= self.tile:
            raise ValueError("the overlap leaves no new token in a tile")
        return self


class ProfileSettings(StudySection):
    """Of which units the logits of the four bases are kept, position by position."""

    units: tuple[str, ...] = Field(
        default=(), description="ids; empty: max_units of the scored ones, evenly over types"
    )
    max_units: int = Field(ge=1)
    figure_bases: int = Field(default=200, ge=10, description="positions of a unit that are drawn")


class GenerationSettings(StudySection):
    """What is drawn from the model."""

    prompts: tuple[str, ...] = Field(
        default=(), description="sequences; empty: the first bases of some test units"
    )
    prompt_bases: int = Field(default=100, ge=1)
    max_prompts: int = Field(default=4, ge=1)
    samples: int = Field(ge=1, description="of each prompt")
    new_bases: int = Field(ge=1)
    temperature: float = Field(default=1.0, ge=0, description="0: always the likeliest")
    top_k: int = Field(default=0, ge=0, description="0: all")
    top_p: float = Field(default=1.0, gt=0, le=1)
    only_bases: bool = Field(default=True, description="nothing but A, C, G and T is drawn")


class ExperimentSettings(StudySection):
    """Sequences with a measured value, which scores are compared with."""

    file: str = Field(description="CSV or TSV, also gzipped; `demo` for a generated one")
    sequence: str = Field(default="sequence", description="column")
    value: str = Field(default="value", description="column")
    where: dict[str, str] = Field(default_factory=dict, description="only rows with these values, by column")
    before: str = Field(default="", description="bases put before each sequence")
    after: str = Field(default="", description="bases put after each sequence")
    max_rows: int = Field(default=2_000, ge=3, description="drawn at random where there are more")


class SearchSettings(StudySection):
    """What the search varies."""

    trials: int = Field(ge=1)
    steps: int = Field(ge=1, description="optimiser steps of a trial")
    learning_rate: tuple[float, float] = (1e-5, 1e-2)
    ranks: tuple[int, ...] = (4, 8, 16, 32)
    alpha_per_rank: tuple[float, ...] = (1.0, 2.0)
    dropout: tuple[float, float] = (0.0, 0.2)
    targets: dict[str, tuple[str, ...]] = Field(min_length=1, description="sets of modules by name")


class GenomeProfileSettings(StudySection):
    """What the genome's figures count."""

    max_gene: int = Field(
        default=50_000, description="longer genes are left out of the plots of lengths, and counted"
    )
    max_exons: int = Field(default=20)
    max_intron: int = Field(default=10_000)
    repeats: dict[int, int] = Field(
        default={2: 6, 3: 5, 4: 5, 5: 5, 6: 5}, description="microsatellites: least copies, by bases of the motif"
    )


class SugarcaneConfiguration(StudySection):
    """The values of one fine-tuning study."""

    name: str = Field(min_length=1)
    varieties: dict[str, Variety] | Literal["demo"] = Field(
        description="genomes by name; `demo` for generated ones"
    )
    units: UnitSettings
    split: SplitSettings
    shards: ShardSettings
    model: ModelSettings
    training: TrainingSettings
    scoring: ScoringSettings
    profiles: ProfileSettings
    generation: GenerationSettings
    experiment: ExperimentSettings | None = None
    search: SearchSettings
    genome_profile: GenomeProfileSettings = GenomeProfileSettings()
    resamples: int = Field(ge=100, description="of the intervals")
    seed: int = Field(ge=0, lt=2**32)

    @field_validator("varieties")
    @classmethod
    def _are_partitions(
        cls, varieties: dict[str, Variety] | Literal["demo"]
    ) -> dict[str, Variety] | Literal["demo"]:
        if varieties != DEMO:
            require_partitions(varieties, "variety")
        return varieties
