"""NCBI's archive of releases that have left the weekly folder: a folder a year, each with its releases."""

from __future__ import annotations

import re
from datetime import date

from glm_assets.errors import DownloadError
from glm_assets.sources.listing import list_folders, list_names
from glm_assets.sources.location import join_url, public_url
from glm_assets.sources.progress import Progress
from glm_assets.sources.releases import ClinvarRelease, newest_release
from glm_assets.sources.web import RetryPolicy

_YEAR = re.compile("[0-9]{4}")


def find_archived(
    archive: str,
    cutoff: date,
    none_there: DownloadError,
    *,
    offline: bool,
    progress: Progress,
    policy: RetryPolicy,
) -> tuple[ClinvarRelease, str, list[str]]:
    """The newest archived release at or before a date, looked for from that year backwards.

    Args:
        archive: Address or path of the folder of years.
        cutoff: Last date that counts.
        none_there: What the weekly folder had to say; part of the message when the archive does not help either.
        offline: Refuse web addresses.
        progress: Told of failed attempts.
        policy: Patience with a web server.

    Returns:
        The release, the folder that has it, and the names in that folder.

    Raises:
        DownloadError: There is no archive, it cannot be read, or it holds no such release; the message names every
            folder that was looked into.
    """
    try:
        found = list_folders(archive, offline=offline, progress=progress, policy=policy)
    except DownloadError as error:
        raise _nothing(none_there, f"there is no archive to look into either: {error.problem}") from error
    years = sorted((name for name in found if _YEAR.fullmatch(name) and int(name) <= cutoff.year), reverse=True)
    for year in years:
        folder = join_url(archive, year)
        names = list_names(folder, offline=offline, progress=progress, policy=policy)
        if release := newest_release(names, cutoff):
            progress(f"{release.file_name} is taken from the archive, {public_url(folder)}")
            return release, folder, names
    looked = (
        f"{public_url(archive)}/{', '.join(years)}" if years else f"{public_url(archive)} (no year to {cutoff})"
    )
    raise _nothing(none_there, f"nor does the archive: {looked}")


def _nothing(none_there: DownloadError, archive: str) -> DownloadError:
    return DownloadError(f"{none_there.problem}; {archive}", expected=none_there.expected, fix=none_there.fix)
