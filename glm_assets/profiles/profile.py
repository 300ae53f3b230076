"""The keys of a profile, their types and allowed values, and how a profile is read."""

from __future__ import annotations

from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from glm_assets.encoders.evo2.plan import is_paired_layer
from glm_assets.encoders.pooling import Pooling
from glm_assets.errors import EncoderError, SettingsError
from glm_assets.genome.contigs import CHROMOSOMES
from glm_assets.genome.splits import check_chromosome_sides
from glm_assets.genome.windows import WindowRecipe
from glm_assets.tracking.secrets import bare

DEMO_TREE = "demo"
BUILT_IN = ("demo", "full", "faithful")
INDEL_LIMIT = 32_767  # `var_len` is an int16


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelSettings(_Section):
    """How CLNSIG and CLNREVSTAT become a label."""

    policy: Literal["strict", "faithful"] = Field(description="full token parsing, or the original's rule")
    min_stars: int = Field(ge=0, le=4, description="fewest review stars of a kept row; strict only")
    indel_max: int = Field(ge=1, le=INDEL_LIMIT, description="largest difference of allele lengths in bases")

    @field_validator("min_stars")
    @classmethod
    def _strict_only(cls, min_stars: int, info: Any) -> int:
        if min_stars and info.data.get("policy") == "faithful":
            raise ValueError("the policy faithful judges the review status in its own way: allowed is 0")
        return min_stars


class WindowSettings(_Section):
    """The window recipe, owned by `variant_windows`; see `genome.windows.WindowRecipe`."""

    length: int = Field(ge=2, le=8192, description="bases in a window")
    anchor: int | None = Field(
        default=None, ge=0, description="centred: 0-based index of the variant in a window away from contig ends"
    )
    layout: Literal["centred", "grid"] = Field(
        default="centred", description="a window a variant, or a fixed grid"
    )
    stride: int | None = Field(default=None, ge=1, description="grid: bases between the starts of windows")
    reach: int | None = Field(
        default=None, ge=1, description="grid: bases from the variant on that its window holds at least"
    )

    @model_validator(mode="after")
    def _fits_its_layout(self) -> WindowSettings:
        try:
            self.recipe()
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return self

    def recipe(self) -> WindowRecipe:
        """The recipe that windows are cut by."""
        return WindowRecipe(**self.model_dump(exclude_none=True))

    def as_dict(self) -> dict[str, Any]:
        """The recipe's values: what a data root, a product and a vector's key are a function of."""
        values = self.recipe().as_dict()
        return {name: value for name, value in values.items() if (name, value) != ("layout", "centred")}


class SplitSettings(_Section):
    """Which rows train, choose and test."""

    rule: Literal["locus", "gene", "chromosome", "temporal", "faithful"] = Field(
        description="by overlapping windows, genes, chromosomes, date, or md5 of the window start"
    )
    merge_test_into_train: bool = Field(description="train on the test rows too, as the original does")
    test_chromosomes: tuple[str, ...] = Field(default=(), description="rule chromosome: those that test")
    val_chromosomes: tuple[str, ...] = Field(default=(), description="rule chromosome: those that validate")
    train_release: date | None = Field(
        default=None, description="rule temporal: what was not in the newest release by that date tests"
    )

    @field_validator("train_release", mode="before")
    @classmethod
    def _release_date(cls, value: Any) -> Any:
        return _as_date(value)

    @model_validator(mode="after")
    def _has_what_its_rule_needs(self) -> SplitSettings:
        chosen = bool(self.test_chromosomes or self.val_chromosomes)
        if chosen != (self.rule == "chromosome") or bool(self.test_chromosomes) != bool(self.val_chromosomes):
            raise ValueError("test_chromosomes and val_chromosomes go with the rule chromosome, which needs both")
        if (self.train_release is not None) != (self.rule == "temporal"):
            raise ValueError("train_release goes with the rule temporal, which needs it")
        return self


class GroupSettings(_Section):
    """Which variants the PCC term compares with each other."""

    by: Literal["window_number", "genomic_bin", "gene"] = Field(
        description="runs of consecutive windows as in the original, bins of the chromosome, or genes"
    )
    size: int = Field(ge=1, description="windows in a run; bases in a bin, also of variants without a gene")


class LadderSettings(_Section):
    """Mutation ladders: windows with 1, 2, 4 .. substitutions."""

    windows: int = Field(ge=0, description="reference windows that ladders start from")


class ProbeSettings(_Section):
    """Linear models on embeddings."""

    covariance: int = Field(ge=2, le=128, description="width of the covariance pooling of the covariance probe")
    max_rows: int = Field(ge=2, description="most training rows of a probe")


class ComparisonSettings(_Section):
    """How heads are compared on the sealed test."""

    resamples: int = Field(ge=100, description="bootstrap resamples of loci")
    small_class: int = Field(ge=1, description="a slice with fewer rows of its rarer class is marked small")


class SearchSettings(_Section):
    """What `head_search` tries."""

    head: Literal["v0", "v1", "v2", "v3"] = Field(description="which head")
    trials: int = Field(ge=1)
    epochs: int = Field(ge=1, description="of a trial")


class EncoderSettings(_Section):
    """Which model makes the vectors, and how."""

    name: str
    revision: str = Field(description="Hugging Face revision of the weights")
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-fA-F]{64}$", description="refuse other weights")
    layer: str = Field(description="hooked submodule")
    pooling: str = Field(
        description="mean, mean_bf16 (the original's), downstream[:positions], centre:positions, covariance:width"
    )
    sequence_pooling: str = Field(description="pooling of single test sequences")
    reverse_complement: bool = Field(default=False, description="average over both strands")
    precision: Literal["auto", "bfloat16", "float32_residual", "bfloat16x2", "float32"] = Field(
        default="auto", description="arithmetic; auto is float32 on a CPU, bfloat16 on a GPU"
    )
    cast_all_bf16: bool = Field(description="cast poles and filters too, as the original does; CUDA only")
    fp8: bool = Field(description="FP8 input projections; they make a vector depend on its batch")
    store_dtype: Literal["float32", "float16"] = Field(description="type of the stored vectors")
    batch_tokens: int = Field(ge=1, description="bases in one forward pass")
    shard_rows: int = Field(ge=1, description="variants in a shard: what a kill can cost at most")

    @field_validator("pooling", "sequence_pooling")
    @classmethod
    def _is_a_pooling(cls, name: str, info: Any) -> str:
        try:
            pooling = Pooling.parse(name)
        except EncoderError as error:
            raise ValueError(str(error)) from error
        if pooling.kind == "log_likelihood":
            raise ValueError(
                "log_likelihood makes no vectors for heads; the asset variant_likelihoods takes it by itself"
            )
        if pooling.kind == "positions":
            raise ValueError(
                "positions makes no vectors for heads, which take pairs and sequences of one pooled width"
            )
        if info.field_name == "sequence_pooling" and pooling.needs_variant:
            raise ValueError(
                "a test sequence has no variant to pool around; allowed: mean, mean_bf16, covariance:N"
            )
        return name

    @model_validator(mode="after")
    def _sequences_fit_pairs(self) -> EncoderSettings:
        pair, sequence = Pooling.parse(self.pooling), Pooling.parse(self.sequence_pooling)
        if "covariance" in (pair.kind, sequence.kind) and pair != sequence:
            raise ValueError("with a covariance, pooling and sequence_pooling must be the same: a head takes both")
        return self


class SweepSettings(_Section):
    """What the layer sweep compares."""

    layers: tuple[str, ...] = Field(min_length=1, description="blocks, their mlp or mlp.l3")
    variants: int = Field(ge=2, description="variants in the sample, half of each class")

    @field_validator("layers")
    @classmethod
    def _from_one_forward(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        if odd := [layer for layer in layers if not is_paired_layer(layer)]:
            allowed = "blocks.N, blocks.N.mlp, blocks.N.mlp.l3"
            raise ValueError(f"{odd[0]!r} cannot be had from one forward; allowed: {allowed}")
        if len(set(layers)) < len(layers):
            raise ValueError("a layer is named twice")
        return layers


class HeadSettings(_Section):
    """Widths and length of one head's training; all else is the recipe's."""

    widths: tuple[PositiveInt, PositiveInt] = Field(description="hidden and output width")
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    mixed_precision: bool = Field(default=False, description="bfloat16 products in training on a GPU")


class SubmissionSettings(_Section):
    """The contest's format."""

    max_length: int = Field(ge=1, description="longest test sequence in bases")
    significant_digits: int | None = Field(ge=6, le=8, description="of the numbers; null for the exact float32")
    max_dimensions: int = Field(ge=1, description="most embedding columns the contest takes")


class RefreshSettings(_Section):
    """What follows a new release by itself, and when a release is refused."""

    train: bool = Field(description="train the heads once all embeddings are there")
    submit: bool = Field(description="write the submission once the last head is trained")
    max_row_drop: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="largest share of rows that a release may lack against the one before",
    )
    automate_gpu: bool = Field(
        default=False, description="whether automation conditions, where switched on, request GPU work too"
    )


class Profile(_Section):
    """Everything a run is a function of, besides the data."""

    name: str = Field(min_length=1)
    ncbi_url: str = Field(min_length=1, description="base of an NCBI-like tree, or `demo` for the generated one")
    clinvar_cutoff: date | None = Field(description="newest release date to use; null for no limit")
    chromosomes: tuple[str, ...] = Field(min_length=1, description="what jobs and heads expect")
    labels: LabelSettings
    windows: WindowSettings
    split: SplitSettings
    groups: GroupSettings
    encoder: EncoderSettings
    sweep: SweepSettings
    ladders: LadderSettings
    probes: ProbeSettings
    recipe: Literal["open", "faithful"] = Field(description="how heads are trained: mended, or to the letter")
    seed: int = Field(ge=0, lt=2**32)
    heads: dict[Literal["v0", "v1", "v2", "v3"], HeadSettings]
    search: SearchSettings
    comparison: ComparisonSettings
    submission: SubmissionSettings
    refresh: RefreshSettings

    @field_validator("clinvar_cutoff", mode="before")
    @classmethod
    def _cutoff(cls, value: Any) -> Any:
        return _as_date(value)

    @field_validator("chromosomes")
    @classmethod
    def _known(cls, chromosomes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [chrom for chrom in chromosomes if chrom not in CHROMOSOMES]
        if unknown:
            raise ValueError(f"unknown chromosomes {unknown}; allowed: {', '.join(CHROMOSOMES)}")
        return tuple(chrom for chrom in CHROMOSOMES if chrom in chromosomes)

    @model_validator(mode="after")
    def _chromosomes_have_a_side(self) -> Profile:
        if self.split.rule == "chromosome":
            try:
                check_chromosome_sides(self.split.test_chromosomes, self.split.val_chromosomes, self.chromosomes)
            except SettingsError as error:
                raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _windows_hold_what_is_pooled(self) -> Profile:
        pooling, recipe = Pooling.parse(self.encoder.pooling), self.windows.recipe()
        before, after = pooling.positions_before_variant, pooling.positions_from_variant or 0
        if self.encoder.reverse_complement:  # the other strand looks the other way
            before = after = max(before, after)
        if before > recipe.least_before or after > recipe.least_after:
            raise ValueError(
                f"pooling {pooling.name} takes {before} positions before a variant and {after} from it on; windows "
                f"hold at least {recipe.least_before} and {recipe.least_after}: change encoder.pooling or windows"
            )
        return self

    @field_validator("heads")
    @classmethod
    def _all_heads(cls, heads: dict[str, HeadSettings]) -> dict[str, HeadSettings]:
        if missing := {"v0", "v1", "v2", "v3"} - set(heads):
            raise ValueError(f"heads lacks {sorted(missing)}; each is distilled from the one before")
        return heads


def read_profile(name: str) -> dict[str, Any]:
    """Read a built-in profile or a YAML file as plain values.

    Args:
        name: `demo`, `full`, `faithful` or the path of a YAML file.

    Raises:
        SettingsError: There is no such profile, or it is no YAML mapping.
    """
    if name in BUILT_IN:
        text = (files("glm_assets.profiles") / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"GLM_PROFILE={name!r} is no profile ({error})",
                expected=f"one of {', '.join(BUILT_IN)}, or the path of a YAML file in UTF-8 with the same keys",
            ) from error
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"profile {name!r} is no YAML: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"profile {name!r} holds {type(values).__name__}", expected="a mapping of keys")
    return values


def build_profile(values: dict[str, Any], origin: str) -> Profile:
    """Check a profile's values.

    Args:
        values: As `read_profile` gives them, overrides applied.
        origin: What to call them in an error.

    Raises:
        SettingsError: Naming each unknown key or bad value and what is allowed.
    """
    try:
        return Profile.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"{origin}: {describe(error, Profile)}") from error


def parse_date(text: str) -> date:
    """Read `YYYY-MM-DD` or `YYYYMMDD`.

    Raises:
        ValueError: It is neither.
    """
    for form in ("%Y-%m-%d", "%Y%m%d"):
        try:
            return datetime.strptime(text, form).date()
        except ValueError:
            continue
    raise ValueError(f"{text!r} is no date; allowed: YYYY-MM-DD or YYYYMMDD")


def _as_date(value: Any) -> Any:
    """Parse text; YAML reads YYYYMMDD as a number, which pydantic would take for seconds since 1970."""
    return parse_date(str(value)) if isinstance(value, str | int) else value


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in one line what pydantic found: each key, the value, and what would have been right."""
    problems = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            problems.append(f"unknown key {key!r} (allowed: {', '.join(_siblings(model, item['loc']))})")
        elif item["type"] == "missing":
            problems.append(f"key {key!r} is missing")
        else:
            shown = _shown(item["input"])
            problems.append(f"{key} = {shown!r}: {item['msg'].replace(str(item['input']), str(shown))}")
    return "; ".join(problems)


def _shown(value: Any) -> Any:
    """A value without the user, password and query of an address."""
    return bare(value) if isinstance(value, str) and "://" in value else value


def _siblings(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names that are allowed where an unknown one was found."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
        elif part == "heads":
            model = HeadSettings
    return list(model.model_fields)
