"""What scores a user's variants: a head, a probe, likelihoods; and why one of them cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from glm_assets.encoders.base import EncoderSpec
from glm_assets.errors import GlmError, MissingUpstreamError, SettingsError, StorageError
from glm_assets.heads.apply import load_head
from glm_assets.heads.probes import load_probe
from glm_assets.heads.scorers import (
    CosineDistance,
    HeadScorer,
    LikelihoodRatio,
    ProbeScorer,
    Scorer,
    VectorKind,
)
from glm_assets.lineage.head_choice import HeadChoice, check_encoder, choose_head
from glm_assets.lineage.probes import PROBES, probe_product
from glm_assets.lineage.study import Study
from glm_assets.tracking import Registry

NONE: Final = "none"


@dataclass(frozen=True)
class Choices:
    """What a user chooses.

    Attributes:
        head: A reference as `head_choice` reads it, or `none`.
        probe: `linear_probe`, `covariance_probe` or `none`.
        likelihood: Whether log-likelihood ratios are wanted; they take a pass through the whole model.
    """

    head: str = "head_v3"
    probe: str = "linear_probe"
    likelihood: bool = True


@dataclass(frozen=True)
class ScoringPlan:
    """Who scores.

    Attributes:
        head: The head; None where none is wanted.
        head_encoder: What was compared of the head's encoder and the study's.
        probe: The probe; None where there is none.
        specs: Kind of vectors to what they are, in the order in which they are computed.
        inputs: Head, probe and encoders to their versions: what scores are a function of.
        absent: Column of `scored_variants` to the reason why it is null.
    """

    head: HeadChoice | None
    head_encoder: str | None
    probe: ProbeScorer | None
    specs: Mapping[VectorKind, EncoderSpec]
    inputs: Mapping[str, str]
    absent: Mapping[str, str]

    def scorers(self, kind: VectorKind) -> dict[str, Scorer]:
        """Column to who fills it, of those that take vectors of a kind; the head is loaded here."""
        found: dict[str, Scorer] = {}
        if kind == "pooled":
            if self.head:
                found["head_distance"] = HeadScorer("head", load_head(self.head.weights))
            found["raw_distance"] = CosineDistance()
        if self.probe and self.probe.vectors == kind:
            found["probe_probability"] = self.probe
        if kind == "likelihood":
            found["log_likelihood_ratio"] = LikelihoodRatio()
        return found


def plan_scoring(study: Study, choices: Choices, registry: Registry) -> ScoringPlan:
    """Find everything that was chosen. Only an absent head is an error; other parts may be lacking.

    Args:
        study: The main study.
        choices: What is wanted.
        registry: Asked only where the head is named by alias or version.

    Raises:
        MissingUpstreamError: The head, or the encoder's weights, are absent or out of date.
        EncoderError: The head was trained on vectors of another encoder.
        SettingsError: There is no such probe.
    """
    found = _Found({"pooled": study.encoder_spec})
    head = _find_head(study, choices.head, registry)
    checked = check_encoder(head, study, study.encoder_spec, pooling=True) if head else None
    if head:
        found.inputs |= head.inputs
    else:
        found.absent["head_distance"] = "no head was asked for"
    probe = _find_probe(study, choices.probe, found)
    _find_likelihood(study, found, wanted=choices.likelihood)
    found.inputs |= {f"encoder/{kind}": spec.fingerprint for kind, spec in found.specs.items()}
    return ScoringPlan(head, checked, probe, found.specs, found.inputs, found.absent)


@dataclass
class _Found:
    specs: dict[VectorKind, EncoderSpec]
    inputs: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def _find_head(study: Study, name: str, registry: Registry) -> HeadChoice | None:
    if name == NONE:
        return None
    try:
        return choose_head(study, name, registry)
    except MissingUpstreamError as error:
        raise MissingUpstreamError(
            f"the head {name} cannot be used: {error.problem}",
            expected="a head that is up to date",
            fix="train it (dagster job launch -m glm_assets.definitions -j train), name a registered one or a file "
            "in the configuration's head, or set head: none and score without",
        ) from error


def _find_probe(study: Study, name: str, found: _Found) -> ProbeScorer | None:
    if name == NONE:
        found.absent["probe_probability"] = "no probe was asked for"
        return None
    if name not in PROBES:
        raise SettingsError(f"unknown probe {name!r}", expected=f"one of {', '.join([*PROBES, NONE])}")
    kind = PROBES[name]
    try:
        product = probe_product(study, name, allow_partial=True)
        version = study.require(product).data_version
        probe = ProbeScorer(name, load_probe(product.files()), kind)
        if kind == "covariance":
            found.specs[kind] = study.covariance_spec
    except StorageError:  # what cannot be asked for is not absent
        raise
    except GlmError as error:
        found.absent["probe_probability"] = error.problem
        return None
    found.inputs[name] = version
    return probe


def _find_likelihood(study: Study, found: _Found, *, wanted: bool) -> None:
    if not wanted:
        found.absent["log_likelihood_ratio"] = "likelihoods were not asked for"
        return
    try:
        found.specs["likelihood"] = study.likelihood_spec
    except GlmError as error:
        found.absent["log_likelihood_ratio"] = error.problem
