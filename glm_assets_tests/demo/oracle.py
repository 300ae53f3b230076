"""Plain readers and an independent translation, to hold the generated files against."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

from glm_assets.demo.genes import Gene

# Amino acid to codons: NCBI translation table 1, and where table 2 differs from it.
_STANDARD = {
    "F": "TTT TTC", "L": "TTA TTG CTT CTC CTA CTG", "I": "ATT ATC ATA", "M": "ATG", "V": "GTT GTC GTA GTG",
    "S": "TCT TCC TCA TCG AGT AGC", "P": "CCT CCC CCA CCG", "T": "ACT ACC ACA ACG", "A": "GCT GCC GCA GCG",
    "Y": "TAT TAC", "H": "CAT CAC", "Q": "CAA CAG", "N": "AAT AAC", "K": "AAA AAG", "D": "GAT GAC",
    "E": "GAA GAG", "C": "TGT TGC", "W": "TGG", "R": "CGT CGC CGA CGG AGA AGG", "G": "GGT GGC GGA GGG",
    "*": "TAA TAG TGA",
}  # fmt: skip
_MITOCHONDRIAL_CHANGES = {"TGA": "W", "ATA": "M", "AGA": "*", "AGG": "*"}
_COMPLEMENT = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


@dataclass(frozen=True)
class Row:
    chrom: str
    pos: int
    variation_id: str
    ref: str
    alt: str
    info: dict[str, str]

    @property
    def key(self) -> tuple[str, int, str, str]:
        return self.chrom, self.pos, self.ref, self.alt

    @property
    def significance(self) -> tuple[str | None, str | None]:
        return self.info.get("CLNSIG"), self.info.get("CLNREVSTAT")

    @property
    def consequence(self) -> str | None:
        return self.info["MC"].split(",")[0].split("|")[1] if "MC" in self.info else None

    @property
    def is_plain(self) -> bool:
        return set(self.ref + self.alt) <= set("ACGT")

    @property
    def is_snv(self) -> bool:
        return self.is_plain and len(self.ref) == len(self.alt) == 1

    @property
    def label(self) -> int | None:
        """All terms (likely) pathogenic or all (likely) benign, and a review status that earns a star."""
        significance, review = self.significance
        terms = set((significance or "").replace("/", "|").split("|"))
        starred = {
            "criteria_provided,_single_submitter",
            "criteria_provided,_multiple_submitters,_no_conflicts",
            "reviewed_by_expert_panel",
            "practice_guideline",
        }
        if review not in starred:
            return None
        if terms <= {"Pathogenic", "Likely_pathogenic"}:
            return 1
        return 0 if terms <= {"Benign", "Likely_benign"} else None


def read_header(path: Path) -> list[str]:
    with gzip.open(path, "rt") as stream:
        return [line.rstrip("\n") for line in stream if line.startswith("#")]


def read_rows(path: Path) -> list[Row]:
    rows = []
    with gzip.open(path, "rt") as stream:
        for line in stream:
            if line.startswith("#"):
                continue
            chrom, pos, variation_id, ref, alt, quality, passed, info = line.rstrip("\n").split("\t")
            assert (quality, passed) == (".", ".")
            rows.append(
                Row(chrom, int(pos), variation_id, ref, alt, dict(f.split("=", 1) for f in info.split(";")))
            )
    return rows


def read_fasta(path: Path) -> dict[str, str]:
    """Accession to sequence as the file shows it, lower case included."""
    found: dict[str, list[str]] = {}
    with gzip.open(path, "rt") as stream:
        for line in stream:
            if line.startswith(">"):
                lines = found.setdefault(line[1:].split()[0], [])
            else:
                lines.append(line.rstrip("\n"))
    return {name: "".join(lines) for name, lines in found.items()}


def translate(coding: str, *, mitochondrial: bool = False) -> str:
    """Every codon, stops included."""
    table = {codon: amino for amino, codons in _STANDARD.items() for codon in codons.split()}
    if mitochondrial:
        table |= _MITOCHONDRIAL_CHANGES
    assert len(coding) % 3 == 0
    return "".join(table[coding[i : i + 3]] for i in range(0, len(coding), 3))


def spliced(gene: Gene, sequence: str, row: Row | None = None) -> str:
    """The coding sequence, base by base; with a row, after its change, whose bases go with the exon before them."""
    bases = {position: sequence[position] for start, end in gene.exons for position in range(start, end)}
    if row is not None:
        first = row.pos - 1
        assert sequence[first : first + len(row.ref)] == row.ref
        shared = 1 if len(row.ref) != len(row.alt) and row.ref[0] == row.alt[0] else 0
        for position in range(first + shared, first + len(row.ref)):
            del bases[position]
        holder = first if shared else first - 0.5
        bases[holder] = bases.get(holder, "") + row.alt[shared:]
    forward = "".join(bases[position] for position in sorted(bases))
    return "".join(_COMPLEMENT[base] for base in reversed(forward)) if gene.reverse else forward
