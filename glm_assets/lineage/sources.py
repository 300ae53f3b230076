"""Bringing the sources up to date: the release, the reference and the encoder's weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glm_assets.demo.tree import make_demo_tree
from glm_assets.encoders.weights import link_weights, resolve_weights
from glm_assets.lineage.shared_sources import shared_release, shared_weights
from glm_assets.lineage.source_catalogue import RECORDS_FILE, file_stamp
from glm_assets.lineage.study import Study
from glm_assets.sources.clinvar import ClinvarRelease, fetch_release, latest_release
from glm_assets.sources.location import is_remote, public_url
from glm_assets.sources.patience import within
from glm_assets.sources.reference import fetch_reference, stated_md5
from glm_assets.sources.vcf import parse_records
from glm_assets.sources.web import RetryPolicy
from glm_assets.storage.products import Facts, Manifest

Progress = Callable[[str], None]

_GLANCE = RetryPolicy(attempts=2, timeout_s=8)
_LONGEST_GLANCE_S = 40


def offered_release(study: Study) -> tuple[ClinvarRelease, str]:
    """The release that the source offers at or before the cutoff, and its stated MD5; nothing is downloaded.

    Less patient than a download: a sensor asks, and Dagster ends a sensor after 60 seconds.
    """
    source, cutoff, offline = _source(study), study.profile.clinvar_cutoff, study.settings.offline
    return within(
        _LONGEST_GLANCE_S,
        lambda: latest_release(source, cutoff, offline=offline, policy=_GLANCE),
        source=public_url(source),
    )


def make_clinvar_release(study: Study, progress: Progress) -> Manifest:
    """Fetch the newest release at or before the cutoff, unless it is there, and parse it once."""
    from filelock import FileLock

    source, folder = _source(study), study.releases_folder
    if shared := shared_release(study, source):
        return shared
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".fetch.lock"):  # two runs at once would write the same partial download
        files = fetch_release(
            source, study.profile.clinvar_cutoff, folder, offline=study.settings.offline, progress=progress
        )

    def build(work: Path) -> Facts:
        counts = parse_records(files.vcf, work / RECORDS_FILE, progress=progress)
        return {
            "data_version": files.md5,
            "release": files.release.date.isoformat(),
            "url": files.url,
            "md5": files.md5,
            "bytes": files.size,
            "rows": sum(counts.by_chromosome.values()),
            "records_in_file": counts.records,
            "chromosomes": counts.by_chromosome,
            "other_contigs": counts.foreign,
        }

    return study.clinvar_release(files.release.folder_name, files.md5).make(build)


def make_reference_genome(study: Study, progress: Progress) -> Manifest:
    """Fetch GRCh38, unless the archive that the source states is there already, and index it."""
    source, offline = _source(study), study.settings.offline

    def build(work: Path) -> Facts:
        files = fetch_reference(source, work, offline=offline, progress=progress)
        lengths = {contig.chromosome: contig.length for contig in files.contigs if contig.chromosome}
        return {
            "data_version": files.checksum,
            "url": files.url,
            "md5": files.md5,
            "archive_bytes": files.size,
            "contigs": len(files.contigs),
            "chromosomes": lengths,
        }

    kept = study.reference_or_none()
    if kept and offline and is_remote(source):
        return study.reference_genome(kept.inputs["md5"]).make(build)
    return study.reference_genome(stated_md5(source, offline=offline, progress=progress)).make(build)


def make_glm_checkpoint(study: Study, progress: Progress) -> Manifest:
    """Bring the encoder's weights to this machine and record what they are."""
    if shared := shared_weights(study):
        return shared
    encoder = study.profile.encoder
    weights = resolve_weights(
        encoder.name,
        local_file=study.settings.checkpoint,
        folder=study.weights_folder,
        offline=study.settings.offline,
        progress=progress,
        revision=encoder.revision,
        expected_sha256=encoder.sha256,
    )

    def build(work: Path) -> Facts:
        known = {
            "data_version": weights.sha256,
            "encoder": encoder.name,
            "revision": weights.revision,
            "origin": weights.source,
            "bytes": weights.size,
        }
        if study.remote:  # other machines get them from the product
            return known | {"path": link_weights(weights.path, work)}
        return known | {"path": str(weights.path), "stamp": file_stamp(weights.path)}

    return study.glm_checkpoint(weights.sha256).make(build)


def _source(study: Study) -> str:
    """Base of the NCBI-like tree; the generated one is made first."""
    if study.settings.uses_demo_tree:
        make_demo_tree(study.settings.demo_tree)
    return study.settings.source_url
