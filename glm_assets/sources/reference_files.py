"""The finished reference on disk: its files, its contigs and the record that vouches for them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from glm_assets.storage.atomic import write_json

RECORD = "reference.json"


@dataclass(frozen=True)
class Contig:
    """A contig: its name in the FASTA, its length in bases and its chromosome key, None for other contigs."""

    name: str
    length: int
    chromosome: str | None


@dataclass(frozen=True)
class ReferenceFiles:
    """A reference on disk.

    Attributes:
        url: Address of NCBI's archive, without credentials.
        fasta: The BGZF FASTA; its `.fai` and `.gzi` lie beside it.
        md5: Verified MD5 of the archive.
        size: Bytes of the archive.
        checksum: SHA-256 of names and upper-case sequences: equal for equal sequence, however it was compressed.
        contigs: All contigs in file order.
        reused: The reference was there already.
    """

    url: str
    fasta: Path
    md5: str
    size: int
    checksum: str
    contigs: tuple[Contig, ...]
    reused: bool

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """The FASTA, its `.fai` and its `.gzi`."""
        return self.fasta, Path(f"{self.fasta}.fai"), Path(f"{self.fasta}.gzi")


def write_record(folder: Path, reference: ReferenceFiles) -> None:
    """Record a finished reference whose files lie in `folder`."""
    record = asdict(reference) | {"fasta": reference.fasta.name}
    del record["reused"]
    write_json(
        folder / RECORD, record | {"file_sizes": {path.name: path.stat().st_size for path in reference.files}}
    )


def read_record(folder: Path) -> ReferenceFiles | None:
    """The finished reference in a folder; None if there is none or its files are not the recorded ones."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        sizes = record.pop("file_sizes")
        if any((folder / name).stat().st_size != size for name, size in sizes.items()):
            return None
        contigs = tuple(Contig(**contig) for contig in record.pop("contigs"))
        return ReferenceFiles(**(record | {"fasta": folder / record["fasta"]}), contigs=contigs, reused=True)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
