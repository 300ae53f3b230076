"""Names of human chromosomes: the platform's 25 keys, GRCh38's RefSeq accessions and every alias between them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CHROMOSOMES: tuple[str, ...] = (*(str(number) for number in range(1, 23)), "X", "Y", "MT")

# Assembly report of GCF_000001405.40 (GRCh38.p14).
GRCH38_REFSEQ: dict[str, str] = {
    "1": "NC_000001.11",
    "2": "NC_000002.12",
    "3": "NC_000003.12",
    "4": "NC_000004.12",
    "5": "NC_000005.10",
    "6": "NC_000006.12",
    "7": "NC_000007.14",
    "8": "NC_000008.11",
    "9": "NC_000009.12",
    "10": "NC_000010.11",
    "11": "NC_000011.10",
    "12": "NC_000012.12",
    "13": "NC_000013.11",
    "14": "NC_000014.9",
    "15": "NC_000015.10",
    "16": "NC_000016.10",
    "17": "NC_000017.11",
    "18": "NC_000018.10",
    "19": "NC_000019.10",
    "20": "NC_000020.11",
    "21": "NC_000021.9",
    "22": "NC_000022.11",
    "X": "NC_000023.11",
    "Y": "NC_000024.10",
    "MT": "NC_012920.1",
}

_NUCLEAR_REFSEQ = re.compile(r"NC_0*([0-9]{1,3})\.[0-9]+")
_MITOCHONDRIAL_REFSEQ = "NC_012920"
_MITOCHONDRIAL_NAME = re.compile(rf"{_MITOCHONDRIAL_REFSEQ}(\.[0-9]+)?")
_MITOCHONDRIAL_LENGTH = 16569
_MITOCHONDRIAL_ALIASES = ("MT", "chrM", "M")
# RefSeq numbers the nuclear chromosomes 1 to 24.
_BY_REFSEQ_NUMBER = dict(enumerate(CHROMOSOMES[:24], start=1))
_BY_PLAIN_NAME = {name: name for name in CHROMOSOMES} | {"M": "MT"}


def chromosome_key(name: str) -> str | None:
    """The platform's key of a chromosome under any of its names.

    Args:
        name: A contig name as files use it: `13`, `chr13`, `NC_000013.11` (any version), `MT`, `M`, `chrM`.

    Returns:
        One of `CHROMOSOMES`, or None for anything else (`NT_` and `NW_` contigs, patches, other species).
    """
    if _MITOCHONDRIAL_NAME.fullmatch(name):
        return "MT"
    return _refseq_key(name) or _BY_PLAIN_NAME.get(name.removeprefix("chr"))


@dataclass(frozen=True)
class ContigMap:
    """Translates chromosome names to the names that one FASTA uses, by the original pipeline's rules.

    Source of the rules: GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-.

    Attributes:
        names: The FASTA's own contig names, in file order.
        aliases: Every name that is understood to the FASTA's name for it.
    """

    names: tuple[str, ...]
    aliases: dict[str, str]

    @classmethod
    def from_fasta(cls, names: Sequence[str], lengths: Sequence[int]) -> ContigMap:
        """Build the map of a FASTA; where two contigs claim an alias, the first keeps it.

        Args:
            names: Contig names in file order.
            lengths: Their lengths in bases, in the same order.
        """
        aliases = {name: name for name in names}
        for name in names:
            for alias in _nuclear_aliases(name):
                aliases.setdefault(alias, name)
        for name, length in zip(names, lengths, strict=True):
            if _MITOCHONDRIAL_REFSEQ in name or length == _MITOCHONDRIAL_LENGTH:
                for alias in _MITOCHONDRIAL_ALIASES:
                    aliases.setdefault(alias, name)
                break
        return cls(tuple(names), aliases)

    def resolve(self, name: str) -> str:
        """The FASTA's name for `name`; `name` itself when it is unknown."""
        return self.aliases.get(name, name)

    def chromosomes(self) -> dict[str, str]:
        """The chromosome keys that this FASTA holds, in the order of `CHROMOSOMES`, with its names for them."""
        return {chrom: self.aliases[chrom] for chrom in CHROMOSOMES if chrom in self.aliases}


def _nuclear_aliases(name: str) -> Iterator[str]:
    if name.startswith("chr"):
        yield name.removeprefix("chr")
    if key := _refseq_key(name):
        yield key


def _refseq_key(name: str) -> str | None:
    match = _NUCLEAR_REFSEQ.fullmatch(name)
    return _BY_REFSEQ_NUMBER.get(int(match[1])) if match else None
