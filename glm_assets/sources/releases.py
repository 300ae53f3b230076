"""Which file names are ClinVar releases, and which of them to take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from glm_assets.errors import DownloadError

_RELEASE_NAME = re.compile(r"clinvar_([0-9]{8})\.vcf\.gz")
_MOST_NAMED_DATES = 3


@dataclass(frozen=True)
class ClinvarRelease:
    """One weekly release: its date and the name of its VCF."""

    date: date
    file_name: str

    @property
    def folder_name(self) -> str:
        """The date as ClinVar writes it, `YYYYMMDD`."""
        return f"{self.date:%Y%m%d}"


def choose_release(
    names: Iterable[str], cutoff: date | None, *, where: str = "the ClinVar folder"
) -> ClinvarRelease:
    """The newest release at or before a date.

    Args:
        names: File names; all but `clinvar_YYYYMMDD.vcf.gz` with a real date are ignored (`_papu` files, indices).
        cutoff: Last date that counts; None for the newest of all.
        where: Where the names come from, for the message.

    Raises:
        DownloadError: No release fits; the message names what is there.
    """
    releases = _releases(names)
    if fitting := _newest(releases, cutoff):
        return fitting
    until = f" of {cutoff} or before" if cutoff else ""
    raise DownloadError(
        f"{where} holds no ClinVar release{until}; {_describe(releases)}",
        expected="a file clinvar_YYYYMMDD.vcf.gz",
        fix="choose a later GLM_CLINVAR_CUTOFF" if releases else "check GLM_NCBI_URL",
    )


def newest_release(names: Iterable[str], cutoff: date | None) -> ClinvarRelease | None:
    """As `choose_release`, but None where no release fits."""
    return _newest(_releases(names), cutoff)


def _releases(names: Iterable[str]) -> list[ClinvarRelease]:
    """The releases among file names, oldest first."""
    return sorted(filter(None, map(_as_release, names)), key=lambda release: release.date)


def _newest(releases: list[ClinvarRelease], cutoff: date | None) -> ClinvarRelease | None:
    fitting = [release for release in releases if cutoff is None or release.date <= cutoff]
    return fitting[-1] if fitting else None


def _as_release(name: str) -> ClinvarRelease | None:
    match = _RELEASE_NAME.fullmatch(name)
    try:
        return ClinvarRelease(date.fromisoformat(match[1]), name) if match else None
    except ValueError:  # eight digits that are no date
        return None


def _describe(releases: list[ClinvarRelease]) -> str:
    if not releases:
        return "it holds none at all"
    newest = ", ".join(str(release.date) for release in releases[: -_MOST_NAMED_DATES - 1 : -1])
    return f"it holds {len(releases)}, the newest {newest}, the oldest {releases[0].date}"
