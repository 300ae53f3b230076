"""Whether a release is plausible beside the one before it: releases grow, so one that shrank is broken or cut."""

from __future__ import annotations

from dataclasses import dataclass

from glm_assets.errors import ImplausibleReleaseError
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Manifest

ALL = "all"
# A chromosome of a few records loses one in twenty when ClinVar merges some; all together are never that few.
_LOSS_THAT_COUNTS = 100


@dataclass(frozen=True)
class RowDrop:
    """Records that a release lacks against an earlier one.

    Attributes:
        part: A chromosome, or `all`.
        before: Records of the earlier release.
        now: Records of the release.
    """

    part: str
    before: int
    now: int

    @property
    def share(self) -> float:
        """Lost records as a share of those before; 0 where none is lost."""
        return max(0, self.before - self.now) / self.before if self.before else 0.0

    def exceeds(self, allowed: float) -> bool:
        """Whether more than a share is lost and, on one chromosome, at least 100 records or all there were."""
        counts = self.part == ALL or not self.now or self.before - self.now >= _LOSS_THAT_COUNTS
        return counts and self.share > allowed

    def __str__(self) -> str:
        """Both counts."""
        where = "all chromosomes together" if self.part == ALL else f"chromosome {self.part}"
        return f"{where}: {self.now:,} records, {self.before:,} before"


@dataclass(frozen=True)
class Plausibility:
    """A release beside the last plausible one before it.

    Attributes:
        release: ISO date.
        before: ISO date of the earlier release; None where there is none, which makes any release plausible.
        compared: Every expected chromosome that the earlier release has, and all together.
        drops: Those of them that lost more than is allowed.
    """

    release: str
    before: str | None
    compared: tuple[RowDrop, ...]
    drops: tuple[RowDrop, ...]


def judge_release(study: Study) -> Plausibility:
    """Compare the study's release with the last plausible one that is there; only manifests are read.

    An earlier release that was itself refused is no measure, or a fault that lasts for two weeks would pass in the
    second.

    Raises:
        MissingUpstreamError: There is no release.
    """
    releases = [*reversed(list(study.earlier_releases())), study.release()]
    measure: Manifest | None = None
    verdict = Plausibility("", None, (), ())
    for release in releases:
        verdict = _judge(study, release, measure)
        if not verdict.drops:
            measure = release
    return verdict


def _judge(study: Study, release: Manifest, before: Manifest | None) -> Plausibility:
    date = release.facts["release"]
    if before is None:
        return Plausibility(date, None, (), ())
    old, new = before.facts["chromosomes"], release.facts["chromosomes"]
    compared = (
        *(RowDrop(chrom, old[chrom], new.get(chrom, 0)) for chrom in study.profile.chromosomes if chrom in old),
        RowDrop(ALL, before.facts["rows"], release.facts["rows"]),
    )
    allowed = study.profile.refresh.max_row_drop
    return Plausibility(
        date, before.facts["release"], compared, tuple(drop for drop in compared if drop.exceeds(allowed))
    )


def require_plausible(study: Study) -> None:
    """Refuse to go on from a release that lost too many rows.

    Raises:
        ImplausibleReleaseError: Naming the chromosomes and both counts.
        MissingUpstreamError: There is no release.
    """
    verdict = judge_release(study)
    if not verdict.drops:
        return
    allowed = study.profile.refresh.max_row_drop
    raise ImplausibleReleaseError(
        f"ClinVar release {verdict.release} has fewer rows than {verdict.before}: "
        + "; ".join(map(str, verdict.drops)),
        expected=f"at most {allowed:.1%} fewer (refresh.max_row_drop)",
        fix="look at clinvar_release_diff; if the release is right, raise refresh.max_row_drop in the profile or "
        f"remove the release {verdict.before}, else set GLM_CLINVAR_CUTOFF={verdict.before}",
    )
