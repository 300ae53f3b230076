"""What reads show, against pysam's own aligned pairs and against reads whose alleles are known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pysam
import pytest

from glm_assets.studies.impact.sightings import Alleles, Blocks, ReadThresholds, allele_at, seen_reads
from glm_assets_tests.alignment_files import Read, parse_cigar, random_bases, read_of, write_bam
from glm_assets_tests.studies.impact.toys import opened

REFERENCE = random_bases(400, seed=5)
OPERATIONS = "MIDNSHP=X"


def cigar_of(text: str) -> list[tuple[int, int]]:
    return [(OPERATIONS.index(letter), length) for letter, length in parse_cigar(text)]


def random_cigar(generator: np.random.Generator) -> str:
    """Match blocks with insertions, deletions and jumps between them, clips at the ends."""
    parts = [f"{generator.integers(1, 9)}H"] if generator.random() < 0.2 else []
    parts += [f"{generator.integers(1, 9)}S"] if generator.random() < 0.5 else []
    for _ in range(generator.integers(0, 6)):
        parts.append(f"{generator.integers(1, 20)}{generator.choice(list('M=X'))}")
        parts.append(f"{generator.integers(1, 6)}{generator.choice(list('IDN'), p=[0.45, 0.45, 0.1])}")
    parts.append(f"{generator.integers(1, 20)}M")
    parts += [f"{generator.integers(1, 9)}S"] if generator.random() < 0.5 else []
    return "".join(parts)


def test_places_agree_with_pysams_aligned_pairs():
    generator = np.random.default_rng(11)
    checked = 0
    for _ in range(300):
        segment = pysam.AlignedSegment()
        segment.cigarstring = cigar = random_cigar(generator)
        segment.query_sequence = "A" * sum(n for letter, n in parse_cigar(cigar) if letter in "MIS=X")
        segment.reference_start = start = int(generator.integers(0, 1000))
        places = {place: query for query, place in segment.get_aligned_pairs(matches_only=True)}
        blocks = Blocks(segment.cigartuples, start)
        for position in range(start - 3, segment.reference_end + 3):
            assert blocks.index(position) == places.get(position), (cigar, position)
            checked += 1
    assert checked > 5000


def shown(cigar: str, sequence: str, start: int, ref: str, alt: str, read_start: int = 100) -> tuple | None:
    return allele_at(Blocks(cigar_of(cigar), read_start), sequence, start, ref, alt)


@pytest.mark.parametrize(
    ("cigar", "sequence", "variant", "allele", "bases"),
    [
        # Substitutions; the read is ACGTACGTAC from 100 on.
        ("10M", "ACGTACGTAC", (104, "A", "G"), "reference", "A"),
        ("10M", "ACGTGCGTAC", (104, "A", "G"), "alternate", "G"),
        ("10M", "ACGTTCGTAC", (104, "A", "G"), "other", "T"),
        ("10M", "ACGTTTGTAC", (104, "AC", "TT"), "alternate", "TT"),
        ("10M", "ACGTTCGTAC", (104, "AC", "TT"), "other", "TC"),
        # At either end of the read, and behind a clip.
        ("10M", "ACGTACGTAC", (100, "A", "G"), "reference", "A"),
        ("10M", "ACGTACGTAC", (109, "C", "G"), "reference", "C"),
        ("3S7M", "GGGACGTACG", (100, "A", "G"), "reference", "A"),
        # An insertion right behind a base is another matter than the base.
        ("5M2I5M", "ACGTGTTCGTAC", (104, "A", "G"), "alternate", "G"),
        ("5M2D3M", "ACGTGTAC", (104, "A", "G"), "alternate", "G"),
        # Insertions: all of it, and nothing more.
        ("5M2I5M", "ACGTATTCGTAC", (104, "A", "ATT"), "alternate", "ATT"),
        ("10M", "ACGTACGTAC", (104, "A", "ATT"), "reference", "A"),
        ("5M1I5M", "ACGTATCGTAC", (104, "A", "ATT"), "other", "AT"),
        ("5M3I5M", "ACGTATTTCGTAC", (104, "A", "ATT"), "other", "ATTT"),
        # Deletions: all of it, and nothing more.
        ("5M2D3M", "ACGTATAC", (104, "ACG", "A"), "alternate", "A"),
        ("10M", "ACGTACGTAC", (104, "ACG", "A"), "reference", "ACG"),
        ("5M1D4M", "ACGTAGTAC", (104, "ACG", "A"), "other", "AG"),
        # One base replaced by others.
        ("4M2I6M", "ACGTTTACGTAC", (103, "T", "TTT"), "alternate", "TTT"),
        ("5M2D1I3M", "ACGTATTAC", (104, "ACG", "AT"), "alternate", "AT"),
    ],
)  # fmt: skip
def test_alleles_are_spelled_letter_by_letter(cigar, sequence, variant, allele, bases):
    found = shown(cigar, sequence, *variant)
    assert found is not None
    assert (found[0], sequence[found[1] : found[2]]) == (allele, bases)


@pytest.mark.parametrize(
    ("cigar", "sequence", "variant"),
    [
        # Longer than the variant's deletion: the base behind it is gone too.
        ("5M3D2M", "ACGTAAC", (104, "ACG", "A")),
        # The variant's base itself is deleted.
        ("4M2D4M", "ACGTGTAC", (104, "A", "G")),
    ],
)
def test_a_read_that_lacks_the_place_shows_another_allele(cigar, sequence, variant):
    assert shown(cigar, sequence, *variant) == ("other", 0, 0)


@pytest.mark.parametrize(
    ("cigar", "sequence", "variant"),
    [
        ("10M", "ACGTACGTAC", (99, "A", "G")),
        ("10M", "ACGTACGTAC", (110, "A", "G")),
        # The read ends where the insertion would begin: nobody knows.
        ("10M", "ACGTACGTAC", (109, "C", "CTT")),
        ("10M2S", "ACGTACGTACTT", (109, "C", "CTT")),
        ("10M", "ACGTACGTAC", (108, "ACG", "A")),
        # Clipped bases lie nowhere.
        ("3S7M", "GGGACGTACG", (99, "G", "T")),
        # A spliced read jumps over the variant.
        ("4M4N4M", "ACGTACGT", (105, "A", "G")),
        ("4M4N4M", "ACGTACGT", (103, "TA", "T")),
    ],
)
def test_a_read_that_does_not_span_a_variant_shows_nothing(cigar, sequence, variant):
    assert shown(cigar, sequence, *variant) is None


def see(path, alleles: list[tuple[int, str, str]], thresholds=ReadThresholds(20, 20)):  # noqa: B008
    counts: Counter[str] = Counter()
    starts, refs, alts = zip(*alleles, strict=True)
    with opened(path) as alignments:
        reads = list(seen_reads(alignments, "21", Alleles(np.asarray(starts), refs, alts), thresholds, counts))
    return {read.name: [(s.variant, s.allele) for s in read.sightings] for read in reads}, dict(counts)


def other_base(position: int) -> str:
    return "ACGT"["ACGT".index(REFERENCE[position]) - 1]


def snv(position: int) -> tuple[int, str, str]:
    return position, REFERENCE[position], other_base(position)


def test_reads_that_do_not_count_are_counted(tmp_path):
    flags = ["unmapped", "secondary", "supplementary", "qc_fail", "duplicate"]
    # An unmapped read lies at its mate's place alone.
    reads = [read_of(REFERENCE, flag, 80 if flag == "unmapped" else 50, "60M", flags=[flag]) for flag in flags]
    reads += [
        read_of(REFERENCE, "good", 50, "60M"),
        read_of(REFERENCE, "unsure", 50, "60M", mapping_quality=19),
        read_of(REFERENCE, "dim", 50, "60M", low=[30]),
        read_of(REFERENCE, "dim_elsewhere", 50, "60M", low=[29, 31]),
    ]
    found, counts = see(write_bam(tmp_path / "reads.bam", reads), [snv(80)])
    assert found == {"good": [(0, "reference")], "dim_elsewhere": [(0, "reference")]}
    dropped = {f"dropped_reads:{reason}": 1 for reason in [*flags, "low_mapping_quality"]}
    assert counts == {"reads": 9, "sightings": 2, "dropped:low_base_quality": 1, **dropped}


def test_without_thresholds_all_but_the_flags_pass(tmp_path):
    reads = [read_of(REFERENCE, "dim", 50, "60M", mapping_quality=0, quality=0)]
    found, _ = see(write_bam(tmp_path / "reads.bam", reads), [snv(80)], ReadThresholds(0, 0))
    assert found == {"dim": [(0, "reference")]}


def test_missing_base_qualities_pass_only_where_none_are_asked(tmp_path):
    read = Read("bare", 50, "60M", REFERENCE[50:110])
    path = write_bam(tmp_path / "reads.bam", [read], index=False)
    bare = tmp_path / "bare.bam"
    with pysam.AlignmentFile(str(path)) as source, pysam.AlignmentFile(str(bare), "wb", template=source) as out:
        for segment in source:
            segment.query_qualities = None
            out.write(segment)
    assert see(bare, [snv(80)])[1] == {"reads": 1, "sightings": 0, "dropped:no_base_quality": 1}
    assert see(bare, [snv(80)], ReadThresholds(20, 0))[0] == {"bare": [(0, "reference")]}


def test_a_read_is_seen_with_all_of_its_variants_in_one_pass(tmp_path):
    reads = [read_of(REFERENCE, "r", 50, "100M", snv={60: other_base(60), 140: other_base(140)})]
    far = (40_000, "A", "C")
    alleles = [snv(60), snv(100), snv(140), snv(160), far]
    found, counts = see(write_bam(tmp_path / "reads.bam", reads), alleles)
    assert found == {"r": [(0, "alternate"), (1, "reference"), (2, "alternate")]}
    assert counts["reads"] == 1


def test_near_variants_are_fetched_together():
    starts = np.asarray([10, 900, 1899, 2900, 50_000, 50_001])
    assert list(Alleles(starts, ["A"] * 6, ["C"] * 6).stretches()) == [(0, 3), (3, 4), (4, 6)]
    assert list(Alleles(starts, ["A"] * 6, ["C"] * 6).stretches(1001)) == [(0, 4), (4, 6)]
    assert list(Alleles(starts[:0], [], []).stretches()) == []
