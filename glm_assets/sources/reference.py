"""The GRCh38.p14 reference from NCBI: fetched, verified, recompressed to BGZF and indexed.

NCBI ships plain gzip, which allows no random access. Reading the result is `glm_assets.genome.fasta`'s task.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from glm_assets.genome.contigs import ContigMap
from glm_assets.sources.bgzf_fasta import bgzf_writer, index_fasta
from glm_assets.sources.checksums import find_md5
from glm_assets.sources.compression import check_gzip, line_blocks
from glm_assets.sources.fasta_stream import SequenceScan
from glm_assets.sources.fetch import FetchReport, fetch, read_text
from glm_assets.sources.location import is_remote, join_url, public_url
from glm_assets.sources.progress import Progress, Ticker
from glm_assets.sources.reference_files import RECORD, Contig, ReferenceFiles, read_record, write_record
from glm_assets.sources.web import DEFAULT_POLICY, RetryPolicy

ASSEMBLY = "GCF_000001405.40_GRCh38.p14"
ASSEMBLY_FOLDER = f"genomes/all/GCF/000/001/405/{ASSEMBLY}"
ARCHIVE = f"{ASSEMBLY}_genomic.fna.gz"
FASTA = f"{ASSEMBLY}_genomic.fna.bgz"

_LOG = logging.getLogger(__name__)
_BUILDING = ".building"


def stated_md5(
    base_url: str, *, offline: bool = False, progress: Progress = _LOG.info, policy: RetryPolicy = DEFAULT_POLICY
) -> str:
    """The MD5 that the source states for its archive, without downloading it.

    Args:
        base_url: Root of an NCBI-like tree.
        offline: Refuse web addresses.
        progress: Told of failed attempts.
        policy: Patience with a web server.

    Raises:
        OfflineError, DownloadError: `md5checksums.txt` cannot be read.
        FormatError: It has no line for the archive.
    """
    address = join_url(base_url, ASSEMBLY_FOLDER, "md5checksums.txt")
    text = read_text(address, offline=offline, progress=progress, policy=policy)
    return find_md5(text, ARCHIVE, where=public_url(address))


def fetch_reference(
    base_url: str,
    folder: Path,
    *,
    offline: bool = False,
    progress: Progress = _LOG.info,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> ReferenceFiles:
    """Bring the reference genome to a folder as BGZF FASTA with `.fai` and `.gzi`.

    A reference that is there and was made from the archive the source now states is kept. The archive is streamed;
    no whole file is held in memory.

    Args:
        base_url: Root of an NCBI-like tree.
        folder: Where the reference goes.
        offline: Refuse web addresses; a finished reference in `folder` is then enough.
        progress: Receives readable lines every few seconds.
        policy: Patience with a web server.

    Raises:
        OfflineError, DownloadError: The source cannot be read.
        IntegrityError: The archive has not the stated MD5, or is cut short.
        FormatError: It is no FASTA, or `md5checksums.txt` does not name it.
    """
    finished = read_record(folder)
    if finished and offline and is_remote(base_url):
        return finished
    md5 = stated_md5(base_url, offline=offline, progress=progress, policy=policy)
    if finished and finished.md5 == md5:
        progress(f"{FASTA}: already here, made from the archive that the source states")
        return finished
    url = join_url(base_url, ASSEMBLY_FOLDER, ARCHIVE)
    archive = fetch(url, folder / ARCHIVE, md5=md5, offline=offline, progress=progress, policy=policy)
    reference = _recompress(archive, folder, progress)
    archive.path.unlink()
    return reference


def _recompress(archive: FetchReport, folder: Path, progress: Progress) -> ReferenceFiles:
    building = folder / _BUILDING
    shutil.rmtree(building, ignore_errors=True)  # what a killed process left
    building.mkdir()
    try:
        scan = _write_bgzf(archive.path, building / FASTA, progress)
        reference = ReferenceFiles(
            url=archive.url,
            fasta=folder / FASTA,
            md5=archive.md5,
            size=archive.size,
            checksum=scan.finish(),
            contigs=_contigs(scan.lengths),
            reused=False,
        )
        index_fasta(building / FASTA)
        # The record is the sign of a whole reference: it goes first and comes back last.
        (folder / RECORD).unlink(missing_ok=True)
        for path in reference.files:
            (building / path.name).replace(path)
        write_record(folder, reference)
        return reference
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_bgzf(archive: Path, fasta: Path, progress: Progress) -> SequenceScan:
    """Recompress an archive; returns what was learned of the sequence on the way."""
    check_gzip(archive)
    scan = SequenceScan(archive.name)
    ticker = Ticker(progress)
    with bgzf_writer(fasta) as writer:
        for block in line_blocks(archive):
            scan.feed(block)
            writer.write(block)
            ticker.tick(lambda: f"{fasta.name}: {scan.bases / 1e6:,.0f} million bases recompressed")
    return scan


def _contigs(lengths: dict[str, int]) -> tuple[Contig, ...]:
    names = ContigMap.from_fasta(list(lengths), list(lengths.values())).chromosomes()
    keys = {name: chrom for chrom, name in names.items()}
    return tuple(Contig(name, length, keys.get(name)) for name, length in lengths.items())
