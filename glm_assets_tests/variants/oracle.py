"""The original pipeline's selection as a plain loop over VCF records, to hold the vectorised code against.

Written from the description of its rules, with pysam's readers, 1-based positions and strings; it shares no code
with the package.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pysam

LENGTH = 1024
HALF = 512
INDEL_MAX = 50
DROP = {
    "Conflicting_interpretations_of_pathogenicity",
    "Uncertain_significance",
    "not_provided",
    "no_assertion_provided",
    "no_assertion_criteria_provided",
    "risk_factor",
    "protective",
    "association",
    "drug_response",
}


class Dropped(Exception):
    """An ALT fails; the argument is the name of its counter."""


def check_alleles(ref: str, alt: str) -> None:
    if set(ref) - set("ACGT"):
        raise Dropped("fail_ref_dna4")
    if set(alt) - set("ACGT"):
        raise Dropped("fail_alt_dna4")
    if ref == alt:
        raise Dropped("fail_same_allele")


def kind_of(ref: str, alt: str) -> tuple[str, int]:
    if len(ref) == 1 and len(alt) == 1:
        return "snv", 1
    delta = abs(len(alt) - len(ref))
    if delta == 0 or delta > INDEL_MAX:
        raise Dropped("fail_len")
    return ("ins" if len(alt) > len(ref) else "del"), delta


def label_of(info, index: int) -> int:
    significance, review = info.get("CLNSIG") or ("",), info.get("CLNREVSTAT") or ("",)
    significance = significance[index] if index < len(significance) else significance[0]
    review = review[index] if index < len(review) else review[0]
    tokens = [token for token in re.split(r"[|/,;&\s]", significance) if token]
    if any(token in DROP for token in tokens):
        raise Dropped("fail_label")
    pathogenic = any(token in ("Pathogenic", "Likely_pathogenic") for token in tokens)
    benign = any(token in ("Benign", "Likely_benign") for token in tokens)
    if pathogenic == benign:
        raise Dropped("fail_label")
    if not any(word in review for word in ("expert_panel", "practice_guideline", "criteria_provided")):
        raise Dropped("fail_label")
    return 1 if pathogenic else 0


def window_of(fasta: pysam.FastaFile, contig: str, pos: int) -> tuple[int, str]:
    start = max(1, pos - HALF)
    window = fasta.fetch(contig, start - 1, start - 1 + LENGTH).upper()
    if len(window) != LENGTH:
        raise Dropped("fail_window")
    return start, window


def apply(
    fasta: pysam.FastaFile, contig: str, place: tuple[int, int], window: str, alleles: tuple[str, str]
) -> str:
    (pos, start), (ref, alt) = place, alleles
    offset = pos - start
    if offset + len(ref) > LENGTH or window[offset : offset + len(ref)] != ref:
        raise Dropped("fail_apply")
    changed = window[:offset] + alt + window[offset + len(ref) :]
    if len(changed) >= LENGTH:
        return changed[:LENGTH]
    end = start - 1 + LENGTH
    changed += fasta.fetch(contig, end, end + LENGTH - len(changed)).upper()
    return changed + "N" * (LENGTH - len(changed))


def split_of(contig: str, start: int) -> str:
    bucket = int(hashlib.md5(f"{contig}:{start}".encode()).hexdigest()[:8], 16) % 100
    return "train" if bucket < 80 else "val" if bucket < 90 else "test"


def row_of(fasta: pysam.FastaFile, record: pysam.VariantRecord, index: int, contig: str) -> dict:
    ref, alt = record.ref.upper(), record.alts[index].upper()
    check_alleles(ref, alt)
    kind, var_len = kind_of(ref, alt)
    label = label_of(record.info, index)
    start, window = window_of(fasta, contig, record.pos)
    changed = apply(fasta, contig, (record.pos, start), window, (ref, alt))
    return {
        "variation_id": int(record.id),
        "pos": record.pos,
        "ref": ref,
        "alt": alt,
        "kind": kind,
        "var_len": var_len,
        "label": label,
        "window_start": start - 1,
        "split": split_of(contig, start),
        "ref_seq": window,
        "var_seq": changed,
    }


def select(vcf: Path, fasta: pysam.FastaFile, chrom: str, contig: str, counters: Counter[str]) -> Iterator[dict]:
    """Yield the kept rows of a chromosome in the file's order and count every ALT under its first failure."""
    for record in pysam.VariantFile(str(vcf)):
        if record.chrom != chrom:
            continue
        for index in range(len(record.alts or ())):
            counters["total_alt"] += 1
            try:
                row = row_of(fasta, record, index, contig)
            except Dropped as reason:
                counters[str(reason)] += 1
            else:
                counters["kept"] += 1
                yield row
