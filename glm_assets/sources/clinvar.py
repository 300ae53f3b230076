"""ClinVar's weekly VCF releases: which one to take, and bringing it here verified. Parsing it is `vcf`'s task."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from glm_assets.errors import DownloadError, OfflineError
from glm_assets.sources.archive import find_archived
from glm_assets.sources.checksums import find_md5
from glm_assets.sources.fetch import fetch, read_text
from glm_assets.sources.listing import list_names
from glm_assets.sources.location import is_remote, join_url, public_url
from glm_assets.sources.progress import Progress
from glm_assets.sources.releases import ClinvarRelease, choose_release
from glm_assets.sources.web import DEFAULT_POLICY, RetryPolicy
from glm_assets.storage.atomic import atomic_path, remove_leftovers

__all__ = [
    "ARCHIVE",
    "WEEKLY",
    "ClinvarRelease",
    "ReleaseFiles",
    "choose_release",
    "fetch_release",
    "latest_release",
]

WEEKLY = "pub/clinvar/vcf_GRCh38/weekly"
ARCHIVE = "pub/clinvar/vcf_GRCh38/archive_2.0"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReleaseFiles:
    """A release on disk.

    Attributes:
        release: Which one it is.
        url: Address of its VCF, without credentials.
        vcf: The VCF, BGZF.
        md5_file: ClinVar's own checksum file.
        tbi: The tabix index; None where the source lists none.
        size: Bytes of the VCF.
        md5: Verified MD5 of the VCF.
        seconds: Wall time of fetching the VCF.
        reused: The VCF was there already, verified.
    """

    release: ClinvarRelease
    url: str
    vcf: Path
    md5_file: Path
    tbi: Path | None
    size: int
    md5: str
    seconds: float
    reused: bool


def latest_release(
    base_url: str,
    cutoff: date | None,
    *,
    offline: bool = False,
    progress: Progress = _LOG.info,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> tuple[ClinvarRelease, str]:
    """Which release `fetch_release` would bring, without downloading it.

    Args:
        base_url: Root of an NCBI-like tree.
        cutoff: Last date that counts; None for the newest.
        offline: Refuse web addresses.
        progress: Told of failed attempts.
        policy: Patience with a web server.

    Returns:
        The release, and the MD5 that the source states for it.

    Raises:
        OfflineError, DownloadError: The folder cannot be read or holds no such release.
        FormatError: Its checksum file does not name it.
    """
    offer = _offered(base_url, cutoff, offline=offline, progress=progress, policy=policy)
    return offer.release, offer.md5_in(read_text(offer.url(".md5"), progress=progress, policy=policy))


def fetch_release(
    base_url: str,
    cutoff: date | None,
    folder: Path,
    *,
    offline: bool = False,
    progress: Progress = _LOG.info,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> ReleaseFiles:
    """Bring the newest release at or before a date to `folder`/`YYYYMMDD`, with its checksum file and index.

    One process at a time may do so in a folder: what killed ones have left there is removed or continued.

    Args:
        base_url: Root of an NCBI-like tree.
        cutoff: Last date that counts; None for the newest.
        folder: Where releases are kept. One that is there and whose checksum holds is not downloaded again.
        offline: Refuse web addresses; a release in `folder` is then enough.
        progress: Receives readable lines every few seconds.
        policy: Patience with a web server.

    Raises:
        OfflineError: `offline` is set and `folder` has no fitting release.
        DownloadError: The source cannot be read or holds no such release.
        FormatError: The checksum file does not name the release.
        IntegrityError: The VCF does not have the stated MD5.
    """
    if offline and is_remote(base_url):
        offer = _kept(folder, cutoff, base_url)
    else:
        offer = _offered(base_url, cutoff, offline=offline, progress=progress, policy=policy)
    name, target = offer.release.file_name, folder / offer.release.folder_name
    md5_text = read_text(offer.url(".md5"), progress=progress, policy=policy)
    md5 = offer.md5_in(md5_text)
    remove_leftovers(target / name)
    report = fetch(offer.url(), target / name, md5=md5, progress=progress, policy=policy)
    md5_file, tbi = target / f"{name}.md5", target / f"{name}.tbi"
    with atomic_path(md5_file) as temporary:
        temporary.write_text(md5_text, encoding="utf-8")
    listed = tbi.name in offer.names
    if listed and not (report.reused and tbi.is_file()):
        fetch(offer.url(".tbi"), tbi, progress=progress, policy=policy)
    return ReleaseFiles(
        release=offer.release,
        url=report.url,
        vcf=report.path,
        md5_file=md5_file,
        tbi=tbi if listed else None,
        size=report.size,
        md5=md5,
        seconds=report.seconds,
        reused=report.reused,
    )


@dataclass(frozen=True)
class _Offer:
    """A release, the folder (address or path) that has it, and the names in that folder."""

    release: ClinvarRelease
    folder: str
    names: list[str]

    def url(self, suffix: str = "") -> str:
        return join_url(self.folder, self.release.file_name + suffix)

    def md5_in(self, text: str) -> str:
        return find_md5(text, self.release.file_name, where=public_url(self.url(".md5")))


def _offered(
    base_url: str, cutoff: date | None, *, offline: bool, progress: Progress, policy: RetryPolicy
) -> _Offer:
    """The release that the source offers: a weekly one, or an archived one where none of these is old enough."""
    weekly = join_url(base_url, WEEKLY)
    names = list_names(weekly, offline=offline, progress=progress, policy=policy)
    try:
        return _Offer(choose_release(names, cutoff, where=public_url(weekly)), weekly, names)
    except DownloadError as none_there:
        if cutoff is None:
            raise
        archive = join_url(base_url, ARCHIVE)
        found = find_archived(archive, cutoff, none_there, offline=offline, progress=progress, policy=policy)
        return _Offer(*found)


def _kept(folder: Path, cutoff: date | None, base_url: str) -> _Offer:
    """The newest fitting release that is already in `folder`, if its checksum file is there too."""
    kept = [path for path in folder.glob("*/*.vcf.gz") if path.with_name(f"{path.name}.md5").is_file()]
    try:
        release = choose_release([path.name for path in kept], cutoff)
    except DownloadError as error:
        raise OfflineError(
            f"a ClinVar release would have to be downloaded from {public_url(base_url)}, but downloads are off",
            fix="unset GLM_OFFLINE, point GLM_NCBI_URL to a local copy of NCBI's tree, or put the .vcf.gz and its "
            f".md5 into {folder}/<YYYYMMDD>",
        ) from error
    home = str(folder / release.folder_name)
    return _Offer(release, home, list_names(home))
