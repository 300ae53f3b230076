"""Which version of a head is champion: a new one takes over only when a comparison's interval supports it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from glm_assets.tracking import CHAMPION, ModelVersion, Registry

_CHANCE = 0.5  # AUROC of a coin


@dataclass(frozen=True)
class Evidence:
    """What a comparison on the sealed test found of a candidate.

    Attributes:
        against: Version of the champion it was compared with, on the same rows; None where there was none.
        estimate: The candidate's AUROC minus that champion's; its AUROC where there was none.
        low: Lower end of the 95 % interval of the estimate; None where too few loci gave no interval.
        high: Upper end, or None.
        comparison: Data version of the comparison, for whoever looks later.
    """

    against: str | None
    estimate: float | None
    low: float | None
    high: float | None
    comparison: str = ""


@dataclass(frozen=True)
class Promotion:
    """Whether the champion changed, and why or why not."""

    moved: bool
    reason: str


def promote(
    registry: Registry, name: str, candidate: str | None, evidence: Evidence, *, run_id: str | None
) -> Promotion:
    """Make a version champion if the evidence supports it.

    Args:
        registry: Where the alias is.
        name: Of the registered model.
        candidate: Its version; None where nothing is tracked.
        evidence: About exactly this version.
        run_id: The run that registered it; another registry's version of that number is somebody else's model.

    Returns:
        What was done.

    Raises:
        TrackingError: The registry cannot be reached, or lacks the candidate.
    """
    if candidate is None:
        return Promotion(moved=False, reason=f"{name} is not in a registry")
    registered = registry.resolve(name, candidate)
    if not is_registered_as(registered, candidate, run_id):
        return Promotion(
            moved=False,
            reason=f"the registry's version {candidate} is not this {name}: run {registered.run_id} registered it, "
            f"and this one was registered by run {run_id}; train {name} with this tracking server",
        )
    decision = decide(candidate, champion_of(registry, name), evidence)
    if decision.moved:
        known = {"estimate": evidence.estimate, "low": evidence.low, "high": evidence.high}
        figures = {key: value for key, value in known.items() if value is not None}
        reason = f"{decision.reason}; comparison {evidence.comparison}".removesuffix("; comparison ")
        registry.set_alias(name, CHAMPION, candidate, reason=reason, figures=figures)
    return decision


def decide(candidate: str, champion: ModelVersion | None, evidence: Evidence) -> Promotion:
    """The rule: the interval of the difference lies above 0; that of a first champion's AUROC above 0.5.

    Args:
        candidate: Version that was compared.
        champion: Who is champion now.
        evidence: What the comparison found.

    Returns:
        Whether to move the alias. An interval that is not a number supports nothing.
    """
    now = champion.version if champion else None
    if candidate == now:
        return Promotion(moved=False, reason=f"version {candidate} is champion already")
    if evidence.against != now:
        return Promotion(
            moved=False,
            reason=f"the comparison was with {_named(evidence.against)}, and now there is {_named(now)}: compare again",
        )
    what, bar = ("AUROC", _CHANCE) if now is None else (f"AUROC minus that of version {now}", 0.0)
    if evidence.estimate is None or evidence.low is None or evidence.high is None:
        return Promotion(moved=False, reason=f"{what} has no interval, as where there are too few loci")
    supported = evidence.low > bar
    figures = f"{what} {evidence.estimate:.4f}, 95 % interval {evidence.low:.4f} to {evidence.high:.4f}"
    return Promotion(supported, f"{figures}: {'' if supported else 'not '}above {bar:g}")


def is_registered_as(registered: ModelVersion, version: str | None, run_id: str | None) -> bool:
    """Whether a registry's version is the one that a run registered; numbers alone begin anew in every registry."""
    return None not in (version, run_id) and (registered.version, registered.run_id) == (version, run_id)


def champion_of(registry: Registry, name: str) -> ModelVersion | None:
    """Who is champion; None if nobody is."""
    return next((version for version in registry.versions(name) if CHAMPION in version.aliases), None)


def champion_weights(registry: Registry, name: str, cache: Path) -> Path | None:
    """Folder with the champion's weights, for a comparison to score it on the same rows; None if nobody is.

    Args:
        registry: Where the alias is.
        name: Of the registered model.
        cache: Folder of fetched models, `Study.models_folder`.

    Raises:
        IntegrityError: Its files are not those that were registered.
        TrackingError: The registry cannot be reached.
    """
    champion = champion_of(registry, name)
    return registry.fetch(champion, cache) if champion else None


def appoint(registry: Registry, name: str, version: str, reason: str) -> str:
    """Make a version champion by hand; returns what `describe` says then.

    Raises:
        TrackingError: There is no such version.
    """
    registry.set_alias(name, CHAMPION, version, reason=f"by hand: {reason}")
    return describe(registry, name)


def describe(registry: Registry, name: str) -> str:
    """A line a version, oldest first: its aliases, and why it is or was champion."""
    versions = registry.versions(name)
    if not versions:
        return f"{name} has no versions\n"
    return "".join(_line(version) for version in versions)


def _line(version: ModelVersion) -> str:
    aliases = f" [{', '.join(version.aliases)}]" if version.aliases else ""
    reason = version.tags.get(f"{CHAMPION}/reason")
    since = version.tags.get(f"{CHAMPION}/since", "")
    return f"{version}{aliases}" + (f": champion since {since}, {reason}" if reason else "") + "\n"


def _named(version: str | None) -> str:
    return "no champion" if version is None else f"champion version {version}"
