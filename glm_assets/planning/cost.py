"""What planned work takes: hours of GPUs, money and disk, by `lineage.capacity`; and how much disk there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from glm_assets.encoders.evo2.config import EVO2_MODELS, model_config
from glm_assets.encoders.evo2.flops import Evo2Flops
from glm_assets.errors import GlmError, SettingsError
from glm_assets.lineage.capacity import CARDS, Throughput, embedding_estimate, pair_cost
from glm_assets.lineage.study import HEADS, Study
from glm_assets.planning.staleness import Finding
from glm_assets.planning.windows import Work
from glm_assets.profiles.profile import HeadSettings

# The original reports 10 to 15 hours for its four heads at full width, on the labelled variants of all chromosomes.
_ALL_HEADS_HOURS: Final = 12.5
_ALL_HEADS_PAIRS: Final = 1_500_000
_ALL_HEADS_UNITS: Final = 1.064e10
"""`_units` of the four heads of the profile `full`, summed."""

_SOURCE_BYTES: Final = {"clinvar_release": 300_000_000, "reference_genome": 2_000_000_000}
"""Downloads and what is made of them: the VCF and its records, GRCh38 as it comes and as BGZF."""

_HEAD_BYTES: Final = 2_000_000_000
"""Of a head: its checkpoints while it trains."""


@dataclass(frozen=True)
class Cost:
    """What a plan takes.

    Attributes:
        windows: Windows that go through the model.
        gpu_hours: Of all cards together; None where a model's speed is not known.
        hours: From the start to the end, one asset after the other; None likewise.
        head_hours: The part of both that training heads takes, scaled from what the original reports.
        disk_bytes: What will be added to disks.
    """

    windows: int
    gpu_hours: float | None
    hours: float | None
    head_hours: float
    disk_bytes: int


@dataclass(frozen=True)
class WorkCost:
    """What one asset's partition takes; hours are None where the model's speed is not known."""

    gpu_hours: float | None
    hours: float | None
    disk_bytes: int


def card(name: str) -> Throughput:
    """A card's measured or published speed.

    Raises:
        SettingsError: It is not known.
    """
    try:
        return CARDS[name.lower()]
    except KeyError:
        raise SettingsError(
            f"the speed of card {name!r} is not known", expected=f"one of {', '.join(CARDS)}"
        ) from None


def work_cost(study: Study, work: Work, throughput: Throughput, gpus: int) -> WorkCost:
    """What one asset's partition takes."""
    disk = work.pairs * work.vector_bytes
    if not work.pairs:
        return WorkCost(0.0, 0.0, 0)
    if work.spec is None or work.spec.name not in EVO2_MODELS:
        return WorkCost(None, None, disk)
    sequences = work.asset == "test_embeddings"
    cost = pair_cost(work.spec, model_config(work.spec.name), work.length, min(work.offset, work.length - 1))
    estimate = embedding_estimate(
        cost,
        pairs=0 if sequences else work.pairs,
        distinct_references=0 if sequences else work.references,
        vector_bytes=work.vector_bytes,
        card=throughput,
        shard_rows=study.profile.encoder.shard_rows,
        gpus=gpus,
    )
    if sequences:  # a sequence costs what a reference window of its length does
        hours = work.pairs * cost.reference / (throughput.tflops * 1e12) / 3600
        return WorkCost(hours, hours / gpus, disk)
    return WorkCost(estimate.gpu_hours, estimate.hours, estimate.disk_bytes)


def total_cost(
    study: Study, findings: Sequence[Finding], works: Sequence[tuple[Work, WorkCost]], rows: int
) -> Cost:
    """What a plan takes in all.

    Args:
        study: The main study.
        findings: What is planned.
        works: The embedding among it, each with its cost.
        rows: Variants with windows, which heads train on.
    """
    heads = sum(_head_hours(study, finding.asset, rows) for finding in findings if finding.asset in HEADS)
    disk = sum(cost.disk_bytes for _, cost in works) + sum(_other_bytes(study, finding) for finding in findings)
    known = all(cost.hours is not None for _, cost in works)
    return Cost(
        windows=sum(work.windows for work, _ in works),
        gpu_hours=heads + sum(cost.gpu_hours or 0.0 for _, cost in works) if known else None,
        hours=heads + sum(cost.hours or 0.0 for _, cost in works) if known else None,
        head_hours=heads,
        disk_bytes=disk,
    )


def _head_hours(study: Study, name: str, rows: int) -> float:
    """Hours of one head on one GPU, by its multiplications an epoch and its epochs."""
    if study.profile.encoder.name not in EVO2_MODELS:
        return 0.0
    return _ALL_HEADS_HOURS * rows / _ALL_HEADS_PAIRS * head_units(study, name) / _ALL_HEADS_UNITS


def head_units(study: Study, name: str) -> float:
    """Size of a head's training: products of its widths, times epochs."""
    scale = _scale(study, name)
    width, out = scale.widths
    dimension = model_config(study.profile.encoder.name)["hidden_size"]
    return scale.epochs * width * (dimension + width + out)


def _scale(study: Study, name: str) -> HeadSettings:
    return {f"head_{version}": scale for version, scale in study.profile.heads.items()}[name]


def _other_bytes(study: Study, finding: Finding) -> int:
    """Disk for what is no vector."""
    if finding.asset in HEADS:
        scale = _scale(study, finding.asset)
        return round(_HEAD_BYTES * scale.widths[0] * scale.widths[1] / (3072 * 2048))
    if study.settings.uses_demo_tree or "://" not in study.settings.source_url:
        return 0 if finding.asset != "glm_checkpoint" else weights_bytes(study)
    if finding.asset == "glm_checkpoint":
        return weights_bytes(study)
    return _SOURCE_BYTES.get(finding.asset, 0)


def weights_bytes(study: Study) -> int:
    """What weights take that would be downloaded: two bytes a parameter; 0 for a local file or an unknown model."""
    name = study.profile.encoder.name
    if study.settings.checkpoint or name not in EVO2_MODELS:
        return 0
    try:
        config = model_config(name)
    except GlmError:
        return 0
    return round(Evo2Flops(config, config["num_layers"], unembeds=True).token)  # two operations a parameter
