"""A person's BAM or CRAM: opening it with an index, its contigs under any name, and what it holds.

An index that is missing is made in a folder of ours, never beside the user's file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from glm_assets.errors import FormatError, IntegrityError, ReferenceMismatchError, SettingsError
from glm_assets.genome.contigs import ContigMap, chromosome_key
from glm_assets.sources.cram_reference import reference_for
from glm_assets.storage.atomic import atomic_path, digest_of, file_digest

if TYPE_CHECKING:
    import pysam

_HASHED_UP_TO: Final = 2 << 30
_INDEXES: Final = (".bai", ".csi", ".crai")
_EXPECTED: Final = "an undamaged BAM or CRAM, sorted by coordinate"


class Alignments:
    """An open BAM or CRAM. A context manager; `open_alignments` makes it.

    Args:
        path: The file.
        file: It, opened with its index.
    """

    def __init__(self, path: Path, file: pysam.AlignmentFile) -> None:
        self.path = path
        self._file = file
        self._map = ContigMap.from_fasta(file.references, file.lengths)

    def __enter__(self) -> Alignments:
        return self

    def __exit__(self, *exception: object) -> None:
        with _damage(self.path):
            self._file.close()

    def has(self, chrom: str) -> bool:
        """Whether the file has the chromosome, under any of its names."""
        return self._resolve(chrom) in self._map.aliases

    def contig(self, chrom: str) -> str:
        """The file's name for a chromosome.

        Raises:
            ReferenceMismatchError: The file has no such contig.
        """
        name = self._resolve(chrom)
        if name not in self._map.aliases:
            held = ", ".join(self._map.chromosomes()) or ", ".join(self._map.names[:5]) or "none"
            raise ReferenceMismatchError(
                f"the reads {self.path.name} know no chromosome {chrom}",
                expected=f"one of those in the file's header: {held}",
                fix="take reads of this species and assembly, or leave the chromosome out",
            )
        return name

    def length(self, chrom: str) -> int:
        """Bases of a chromosome by the file's header; another build of the genome has another length.

        Raises:
            ReferenceMismatchError: The file has no such contig.
        """
        return self._file.get_reference_length(self.contig(chrom))

    def reads(
        self, chrom: str, start: int | None = None, end: int | None = None
    ) -> Iterator[pysam.AlignedSegment]:
        """Reads that overlap [start, end) (0-based), in the file's order; of the whole chromosome by default.

        Unmapped reads that were put beside their mate are among them.

        Raises:
            ReferenceMismatchError: The file has no such contig.
            IntegrityError: The file is damaged, or a CRAM was compressed against another reference.
        """
        contig = self.contig(chrom)
        with _damage(self.path):
            yield from self._file.fetch(contig, start, end)

    def _resolve(self, chrom: str) -> str:
        return self._map.resolve(chromosome_key(chrom) or chrom)


def open_alignments(path: Path, *, index_folder: Path, reference: Path | None = None) -> Alignments:
    """Open a BAM or CRAM for reading by region.

    Args:
        path: The file; its index is looked for beside it.
        index_folder: Where an index is made if there is none, and looked for again.
        reference: FASTA with its .fai that a CRAM was compressed against, under any names of the contigs; a BAM needs
            none.

    Raises:
        SettingsError: There is no such file, or a CRAM comes without a reference.
        FormatError: It is neither BAM nor CRAM, or not sorted by coordinate.
        IntegrityError: It, or the index beside it, is cut short or damaged.
    """
    file = _open(path)
    if not (file.is_bam or file.is_cram):
        raise _no_alignments(path, "text")
    cram = file.is_cram
    fasta = _reference(path, file, reference, index_folder) if cram else None
    file.close()
    index = _index_beside(path) or _made_index(path, index_folder, cram=cram)
    return Alignments(path, _open(path, index=index, reference=fasta))


def alignments_stamp(path: Path) -> str:
    """What identifies a file's content: its SHA-256, or from 2 GiB on that of its size, time of change and header.

    Raises:
        SettingsError: There is no such file.
        FormatError, IntegrityError: A large file has no header that can be read.
    """
    _require_file(path)
    stat = path.stat()
    if stat.st_size < _HASHED_UP_TO:
        return file_digest(path)
    with _damage(path), _open(path) as file:
        return digest_of([stat.st_size, stat.st_mtime_ns, str(file.header)])


def _open(path: Path, *, index: Path | None = None, reference: Path | None = None) -> pysam.AlignmentFile:
    import pysam

    _require_file(path)
    with _damage(path), _quiet():
        try:
            return pysam.AlignmentFile(
                str(path),
                index_filename=str(index) if index else None,
                reference_filename=str(reference) if reference else None,
                require_index=index is not None,
            )
        except ValueError as error:
            raise _no_alignments(path, str(error)) from error


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise SettingsError(
            f"the reads {path} do not exist", expected="a BAM or CRAM", fix="correct `alignments` of the study"
        )


def _reference(path: Path, file: pysam.AlignmentFile, reference: Path | None, folder: Path) -> Path:
    if reference is None:
        raise SettingsError(
            f"{path.name} is a CRAM, and no reference is given",
            expected="the FASTA that it was compressed against",
            fix="materialise reference_genome, or turn it into a BAM: samtools view -b -T REFERENCE",
        )
    return reference_for(file.references, reference, folder)


def _index_beside(path: Path) -> Path | None:
    places = [Path(f"{path}{suffix}") for suffix in _INDEXES] + [path.with_suffix(suffix) for suffix in _INDEXES]
    return next((place for place in places if place.is_file()), None)


def _made_index(path: Path, folder: Path, *, cram: bool) -> Path:
    """Index the file in `folder`, under a name that another file of the same name does not have."""
    from filelock import FileLock

    stat = path.stat()
    suffix, kind = (".crai", []) if cram else (".csi", ["-c"])
    index = folder / f"{path.name}.{stat.st_size:x}-{stat.st_mtime_ns:x}{suffix}"
    if index.is_file():
        return index
    folder.mkdir(parents=True, exist_ok=True)
    # The chromosomes of a person are worked on at once, and one pass over a large file is enough.
    with FileLock(folder / f".{index.name}.lock"):
        if not index.is_file():
            _write_index(path, index, kind)
    return index


def _write_index(path: Path, index: Path, kind: list[str]) -> None:
    import pysam
    import pysam.samtools

    with atomic_path(index) as temporary, _quiet():
        try:
            # pysam makes these functions while it is imported.
            pysam.samtools.index(*kind, "-o", str(temporary), str(path))  # pyright: ignore[reportAttributeAccessIssue]
        except pysam.SamtoolsError as error:
            raise _unsorted(path) from error


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into an error that names it."""
    try:
        yield
    except OSError as error:
        raise IntegrityError(
            f"the reads {path} cannot be read ({error})",
            expected=f"{_EXPECTED}, its own index beside it and, for a CRAM, the reference that it was made with",
            fix="copy or download the file again with its index; samtools quickcheck tells whether it is whole",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without htslib's own lines on stderr: what they say is said by our errors."""
    import pysam

    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)


def _no_alignments(path: Path, reason: str) -> FormatError:
    return FormatError(
        f"{path} is neither BAM nor CRAM ({reason})",
        expected=_EXPECTED,
        fix="turn a SAM into a BAM: samtools sort -o reads.bam reads.sam",
    )


def _unsorted(path: Path) -> FormatError:
    return FormatError(
        f"{path} cannot be indexed: it is not sorted by coordinate, or damaged",
        expected=_EXPECTED,
        fix=f"samtools sort -o sorted.bam {path.name}, and give that file",
    )
