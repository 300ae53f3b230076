"""Examples from synthetic reads whose alleles are known."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest

from glm_assets.errors import ReferenceMismatchError
from glm_assets.storage.schemas_impact import READ_EXAMPLES
from glm_assets.studies.impact.read_choice import cut_start
from glm_assets.studies.impact.reads import read_examples
from glm_assets_tests.alignment_files import Read, random_bases, read_of, write_bam
from glm_assets_tests.studies.impact.toys import CHROM, opened, read_settings, variants

REFERENCE = random_bases(3000, seed=5)
PLACE = 1000
"""0-based position of the variant."""

REF = REFERENCE[PLACE]
ALT = "ACGT"["ACGT".index(REF) - 1]
PAIR = ("paired", "read1")
MATE = ("paired", "read2", "reverse")


def examples(path, rows: list[tuple], *, chrom: str = CHROM, **settings):
    with opened(path) as alignments:
        return read_examples(variants(rows), alignments, read_settings(**settings), chrom=chrom)


def showing(name: str, start: int, cigar: str, *, alt: bool = True, **other) -> Read:
    return read_of(REFERENCE, name, start, cigar, snv={PLACE: ALT} if alt else None, **other)


def require_invariant(frame: pl.DataFrame, length: int = 150) -> None:
    """The variant is where the row says that it is, on the forward strand."""
    for row in frame.iter_rows(named=True):
        allele = {"alternate": row["alt"], "reference": row["ref"]}[row["allele_in_read"]]
        offset = row["variant_offset"]
        assert row["sequence"][offset : offset + len(allele)] == allele
        assert len(row["sequence"]) == length
        assert row["sequence_digest"] == hashlib.sha256(row["sequence"].encode()).hexdigest()[:32]
        assert row["target"] == (row["score"] / 10 if row["allele_in_read"] == "alternate" else 0)


SNV = (PLACE + 1, REF, ALT, 5.0, True)


def test_the_base_at_the_offset_is_the_allele_on_both_strands_and_at_any_length(tmp_path):
    reads = [
        showing("forward", 950, "150M"),
        showing("reverse", 940, "150M", flags=["reverse"]),
        showing("long", 920, "160M"),
        showing("short", 930, "148M"),
        showing("clipped", 960, "40S110M"),
        showing("reference", 955, "150M", alt=False),
    ]
    frame, counts = examples(write_bam(tmp_path / "reads.bam", reads), [SNV], per_variant=9)
    require_invariant(frame)
    READ_EXAMPLES.check(
        frame.with_columns(group=pl.lit(""), split=pl.lit("")).select(READ_EXAMPLES.schema.names())
    )
    by_name = {row["read_name"]: row for row in frame.iter_rows(named=True)}
    # The best first: 75 is the middle.
    assert frame["read_name"].to_list() == ["long", "clipped", "reverse", "forward", "reference"]
    assert [by_name[name]["variant_offset"] for name in by_name] == [75, 80, 60, 50, 45]
    assert [by_name[name]["strand"] for name in by_name] == ["+", "+", "-", "+", "+"]
    assert by_name["reverse"]["sequence"] == REFERENCE[940:1000] + ALT + REFERENCE[1001:1090]
    assert by_name["long"]["sequence"] == REFERENCE[925:1000] + ALT + REFERENCE[1001:1075]
    # Soft-clipped bases stay in the sequence, though they show nothing.
    assert by_name["clipped"]["sequence"] == "T" * 40 + REFERENCE[960:1000] + ALT + REFERENCE[1001:1070]
    assert frame["target"].to_list() == [0.5, 0.5, 0.5, 0.5, 0]
    assert counts["dropped:short"] == 1
    assert (counts["variants_carried"], counts["variants_without_reads"], counts["examples"]) == (1, 0, 5)


@pytest.mark.parametrize(
    ("allele", "shown"),
    [("alternate", ["alternate"]), ("reference", ["reference"]), ("both", ["alternate", "reference"])],
)
def test_the_asked_for_allele_is_taken(tmp_path, allele, shown):
    reads = [showing("a", 950, "150M"), showing("r", 950, "150M", alt=False)]
    frame, counts = examples(write_bam(tmp_path / "reads.bam", reads), [SNV], allele=allele)
    assert frame["allele_in_read"].to_list() == shown
    assert counts.get("dropped:unwanted_allele", 0) == 2 - len(shown)


def test_a_variant_that_the_person_lacks_gives_reference_reads_of_target_0(tmp_path):
    reads = [showing("a", 950, "150M"), showing("r", 950, "150M", alt=False)]
    path = write_bam(tmp_path / "reads.bam", reads)
    frame, _ = examples(path, [(*SNV[:4], False)], absent_variants=5, allele="alternate")
    assert frame.select("read_name", "target", "carried", "score").rows() == [("r", 0.0, False, 5.0)]
    assert examples(path, [(*SNV[:4], False)], absent_variants=0)[0].is_empty()


def insertion(size: int) -> tuple:
    return PLACE + 1, REF, REF + "T" * size, 10.0, True


def deletion(size: int) -> tuple:
    return PLACE + 1, REFERENCE[PLACE : PLACE + size + 1], REF, 10.0, True


@pytest.mark.parametrize(
    ("variant", "cigar"), [(insertion(3), "51M3I96M"), (deletion(7), "51M7D99M"), (deletion(60), "51M60D99M")]
)
def test_indels_are_read_through_the_cigar(tmp_path, variant, cigar):
    reads = [
        read_of(REFERENCE, "alternate", 950, cigar),
        read_of(REFERENCE, "reverse", 945, cigar.replace("51", "56"), flags=["reverse"]),
        read_of(REFERENCE, "reference", 950, "150M"),
        read_of(REFERENCE, "other", 950, "51M5I94M"),
        read_of(REFERENCE, "ends_here", 851, "150M"),
    ]
    frame, counts = examples(write_bam(tmp_path / "reads.bam", reads), [variant])
    require_invariant(frame)
    shown = dict(frame.select("read_name", "allele_in_read").iter_rows())
    assert shown == {"alternate": "alternate", "reverse": "alternate", "reference": "reference"}
    assert (counts["dropped:other_allele"], counts["dropped:not_spanned"]) == (1, 1)


def test_the_best_reads_are_taken_whatever_the_order_of_the_file(tmp_path):
    """Nearest to the middle, then mapping quality, then name."""
    reads = [
        showing("b", 925, "150M"),
        showing("a", 925, "150M"),
        showing("c", 925, "150M", mapping_quality=61),
        showing("d", 924, "150M"),
        showing("e", 900, "150M", mapping_quality=61),
    ]
    for number, order in enumerate([reads, reads[::-1]]):
        path = write_bam(tmp_path / f"{number}.bam", order)
        frame, counts = examples(path, [SNV], per_variant=3)
        assert frame["read_name"].to_list() == ["c", "a", "b"]
        assert counts["dropped:beyond_per_variant"] == 2


def test_a_pair_gives_one_read(tmp_path):
    reads = [
        showing("pair", 950, "150M", flags=PAIR),
        showing("pair", 930, "150M", flags=MATE),
        showing("single", 910, "150M"),
    ]
    frame, counts = examples(write_bam(tmp_path / "reads.bam", reads), [SNV])
    assert frame.select("read_name", "strand").rows() == [("pair/2", "-"), ("single", "+")]
    assert counts["dropped:mate"] == 1


def test_unknown_bases_are_left_out_only_inside_the_cut(tmp_path):
    outside = showing("outside", 920, "160M")
    outside.sequence = "N" + outside.sequence[1:]
    inside = showing("inside", 920, "160M")
    inside.sequence = inside.sequence[:70] + "N" + inside.sequence[71:]
    frame, counts = examples(write_bam(tmp_path / "reads.bam", [outside, inside]), [SNV])
    assert frame["read_name"].to_list() == ["outside"]
    assert counts["dropped:ambiguous_bases"] == 1


def test_a_read_is_no_reference_read_if_it_shows_a_worse_allele_nearby(tmp_path):
    near, far = 1020, 1300
    other = {place: "ACGT"["ACGT".index(REFERENCE[place]) - 1] for place in (near, far)}
    rows = [
        (near + 1, REFERENCE[near], other[near], 1.0, True),
        (far + 1, REFERENCE[far], other[far], 10.0, True),
    ]
    reads = [
        read_of(REFERENCE, "shows_both", 950, "150M", snv={PLACE: ALT, near: other[near]}),
        read_of(REFERENCE, "shows_near", 951, "150M", snv={near: other[near]}),
        read_of(REFERENCE, "shows_none", 952, "150M"),
        # The worse allele lies outside the cut.
        read_of(REFERENCE, "long", 950, "500M", snv={far: other[far]}),
    ]
    frame, counts = examples(write_bam(tmp_path / "reads.bam", reads), [SNV, *rows])
    at_place = frame.filter(pos=PLACE + 1)
    assert set(at_place["read_name"]) == {"shows_both", "shows_none", "long"}
    # For the variant of score 1, the read that shows the one of score 5 would be called 0.1.
    at_near = frame.filter(pos=near + 1)
    assert set(at_near["read_name"]) == {"shows_near", "shows_none", "long"}
    assert counts["dropped:worse_allele"] == 2


def test_a_worse_allele_counts_anywhere_in_a_long_cut(tmp_path):
    far = 2300
    other = "ACGT"["ACGT".index(REFERENCE[far]) - 1]
    reads = [
        read_of(REFERENCE, "shows_both", 50, "2500M", snv={PLACE: ALT, far: other}),
        read_of(REFERENCE, "shows_own", 60, "2500M", snv={PLACE: ALT}),
    ]
    rows = [SNV, (far + 1, REFERENCE[far], other, 10.0, True)]
    frame, counts = examples(write_bam(tmp_path / "reads.bam", reads), rows, length=2400)
    assert frame.filter(pos=PLACE + 1)["read_name"].to_list() == ["shows_own"]
    # Nor may the read that shows the reference at the far place, and the near allele besides, stand for 0.
    assert frame.filter(pos=far + 1)["read_name"].to_list() == ["shows_both"]
    assert (counts["dropped:worse_allele"], counts["reads"]) == (2, 2)


def test_carried_alleles_that_are_excluded_keep_reads_from_passing_as_reference_reads(tmp_path):
    reads = [showing("a", 950, "150M"), showing("r", 950, "150M", alt=False)]
    near = (1021, REFERENCE[1020], "ACGT"["ACGT".index(REFERENCE[1020]) - 1], 1.0, False)
    rows = variants([SNV, near], excluded=["no_dbsnp", None])
    with opened(write_bam(tmp_path / "reads.bam", reads)) as alignments:
        frame, counts = read_examples(rows, alignments, read_settings(absent_variants=3), chrom=CHROM)
    assert frame.select("pos", "read_name").rows() == [(1021, "r")]
    assert (counts["variants_carried"], counts["variants_absent"]) == (0, 1)


def test_absent_variants_are_drawn_by_their_names(tmp_path):
    rows = [(p + 1, REFERENCE[p], "ACGT"["ACGT".index(REFERENCE[p]) - 1], 1.0, False) for p in range(900, 1100)]
    reads = [read_of(REFERENCE, f"r{start}", start, "150M") for start in range(700, 1200, 10)]
    path = write_bam(tmp_path / "reads.bam", reads)
    drawn = [
        set(examples(path, order, absent_variants=20)[0]["pos"]) for order in (rows, rows[::-1], [*rows, SNV])
    ]
    assert len(drawn[0]) == 20
    assert drawn[0] == drawn[1]
    assert drawn[2] - {PLACE + 1} >= drawn[0] - {PLACE + 1}
    # They lie all over, not at the start.
    assert max(drawn[0]) - min(drawn[0]) > 100
    assert drawn[0] <= set(examples(path, rows, absent_variants=40)[0]["pos"])


def test_the_invariant_holds_for_any_alignment(tmp_path):
    """Reads with indels, clips and substitutions anywhere; variants of every kind every few bases."""
    generator = np.random.default_rng(29)
    rows, reads = [], []
    for place in range(60, 2900, 5):
        size = int(generator.integers(1, 4))
        ref = REFERENCE[place]
        alt = "ACGT"["ACGT".index(ref) - 1]
        rows += [
            [(place + 1, ref, alt, 5.0, True)],
            [(place + 1, ref, ref + "T" * size, 10.0, True)],
            [(place + 1, REFERENCE[place : place + size + 1], ref, 2.0, True)],
            [(place + 1, REFERENCE[place : place + 2], "TT", 1.0, True)],
        ][int(generator.integers(4))]
    for number in range(300):
        start, clip = int(generator.integers(0, 2700)), int(generator.integers(0, 20))
        cigar = f"{clip}S" if clip else ""
        for _ in range(int(generator.integers(0, 4))):
            cigar += f"{generator.integers(5, 40)}M{generator.integers(1, 4)}{generator.choice(list('ID'))}"
        cigar += f"{generator.integers(60, 160)}M"
        snv = {int(p): "ACGT"[generator.integers(4)] for p in generator.integers(start, start + 150, 6)}
        strand = ["reverse"] if generator.random() < 0.5 else []
        reads.append(read_of(REFERENCE, f"r{number}", start, cigar, snv=snv, flags=strand))
    path = write_bam(tmp_path / "reads.bam", reads)
    frame, _ = examples(path, rows, length=100, per_variant=50)
    require_invariant(frame, length=100)
    kinds = frame.filter(allele_in_read="alternate").select(
        pl.col("ref").str.len_bytes().cast(int) - pl.col("alt").str.len_bytes().cast(int)
    )
    assert {-2, 0, 2} <= set(kinds.to_series())
    assert frame.height > 1500


def test_the_cut_holds_every_allele():
    for read in (8, 9, 12):
        for first in range(read):
            for size in range(1, min(8, read - first) + 1):
                start = cut_start(first, size, read, 8)
                assert 0 <= start <= first
                assert first + size <= start + 8 <= read


def test_a_longer_allele_than_the_example_is_left_out(tmp_path):
    reads = [read_of(REFERENCE, "long", 950, "51M160I60M")]
    frame, counts = examples(write_bam(tmp_path / "reads.bam", reads), [insertion(160)])
    assert frame.is_empty()
    assert counts["dropped:long_allele"] == 1
    assert counts["variants_without_reads"] == 1


def test_no_variants_and_no_reads(tmp_path):
    path = write_bam(tmp_path / "reads.bam", [])
    for rows in ([], [SNV]):
        for policy in ("strict", "faithful"):
            frame, counts = examples(path, rows, policy=policy)
            assert frame.schema == {n: t for n, t in READ_EXAMPLES.schema.items() if n not in {"group", "split"}}
            assert counts["variants_without_reads"] == len(rows)


def test_names_the_missing_chromosome(tmp_path):
    path = write_bam(tmp_path / "reads.bam", [])
    with pytest.raises(ReferenceMismatchError, match=r"reads\.bam know no chromosome 7.*header: 21"):
        examples(path, [], chrom="7")
