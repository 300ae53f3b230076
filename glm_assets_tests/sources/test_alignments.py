"""BAM and CRAM files, whole and broken."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pysam
import pytest

from glm_assets.errors import (
    FormatError,
    IntegrityError,
    MissingUpstreamError,
    ReferenceMismatchError,
    SettingsError,
)
from glm_assets.sources import alignments as module
from glm_assets.sources.alignment_summary import alignment_summary
from glm_assets.sources.alignments import alignments_stamp, open_alignments
from glm_assets.storage.schemas_impact import ALIGNMENT_SUMMARY
from glm_assets_tests.alignment_files import Read, random_bases, read_of, write_bam

REFERENCE = random_bases(20_000, seed=1)
READS = [read_of(REFERENCE, f"r{i}", 40 * i, "100M") for i in range(400)]


@pytest.fixture(scope="module")
def bam(tmp_path_factory) -> Path:
    return write_bam(tmp_path_factory.mktemp("reads") / "reads.bam", READS, length=len(REFERENCE))


def names(path: Path, *region, **options) -> list[str]:
    options.setdefault("index_folder", path.parent / "indexes")
    with open_alignments(path, **options) as found:
        return [read.query_name for read in found.reads("21", *region)]


@pytest.mark.parametrize("contig", ["chr21", "21", "NC_000021.9"])
@pytest.mark.parametrize("asked", ["21", "chr21"])
def test_a_chromosome_is_found_under_any_name(tmp_path, contig, asked):
    path = write_bam(tmp_path / "reads.bam", READS[:3], contig=contig, length=20_000)
    with open_alignments(path, index_folder=tmp_path) as found:
        assert found.contig(asked) == contig
        assert found.has(asked)
        assert not found.has("20")
        assert found.length(asked) == 20_000
        assert sum(1 for _ in found.reads(asked)) == 3


def test_reads_of_a_region(bam):
    expected = [read.name for read in READS if read.start < 5000 and read.start + 100 > 4000]
    assert names(bam, 4000, 5000) == expected


def test_a_missing_index_is_made_in_our_folder_once(tmp_path):
    path = write_bam(tmp_path / "reads.bam", READS, length=20_000, index=False)
    assert len(names(path)) == 400
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith("reads")] == ["reads.bam"]
    (index,) = (tmp_path / "indexes").glob("reads*")
    before = index.stat().st_mtime_ns
    assert len(names(path)) == 400
    assert index.stat().st_mtime_ns == before
    # Another file of the same name gets an index of its own.
    write_bam(path, READS[:200], length=20_000, index=False)
    assert len(names(path, 0, 20_000)) == 200
    assert len(list((tmp_path / "indexes").glob("reads*"))) == 2


def test_those_who_need_an_index_at_once_share_the_one_that_is_made(tmp_path, monkeypatch):
    path = write_bam(tmp_path / "reads.bam", READS, length=20_000, index=False)
    make, made = pysam.samtools.index, []

    def slow(*arguments):
        made.append(arguments)
        time.sleep(0.3)
        return make(*arguments)

    monkeypatch.setattr(pysam.samtools, "index", slow)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: len(names(path)), range(4))) == [400] * 4
    assert len(made) == 1


def test_a_missing_chromosome_is_named(bam, tmp_path):
    with (
        open_alignments(bam, index_folder=tmp_path) as found,
        pytest.raises(ReferenceMismatchError, match=r"reads\.bam know no chromosome 7.*: 21\."),
    ):
        list(found.reads("7"))


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"gone\.bam do not exist"):
        names(tmp_path / "gone.bam")
    with pytest.raises(SettingsError, match=r"gone\.bam do not exist"):
        alignments_stamp(tmp_path / "gone.bam")


@pytest.mark.parametrize("content", [b"", b"no reads at all\n" * 100])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "reads.bam"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"reads\.bam is neither BAM nor CRAM"):
        names(path)


def test_a_sam_is_refused(bam, tmp_path):
    path = tmp_path / "reads.sam"
    path.write_text(pysam.view("-h", str(bam)))
    with pytest.raises(FormatError, match=r"neither BAM nor CRAM \(text\).*samtools sort"):
        names(path)


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("lost", [28, 2000])
def test_a_cut_file_is_refused(bam, tmp_path, lost, index):
    """By 28 bytes, and only the end marker is gone: all reads are there, but nobody can know that."""
    path = tmp_path / "cut.bam"
    path.write_bytes(bam.read_bytes()[:-lost])
    if index:
        shutil.copy(f"{bam}.bai", f"{path}.bai")
    with pytest.raises(IntegrityError, match=r"cut\.bam cannot be read.*samtools quickcheck"):
        names(path)


def test_damage_in_the_middle_is_found(bam, tmp_path):
    content = bytearray(bam.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path = tmp_path / "damaged.bam"
    path.write_bytes(bytes(content))
    shutil.copy(f"{bam}.bai", f"{path}.bai")
    with pytest.raises(IntegrityError, match=r"damaged\.bam cannot be read"):
        names(path)


def test_a_damaged_index_is_named_with_its_file(bam, tmp_path):
    path = tmp_path / "reads.bam"
    shutil.copy(bam, path)
    Path(f"{path}.bai").write_bytes(b"junk")
    with pytest.raises(IntegrityError, match=r"reads\.bam cannot be read.*with its index"):
        names(path)


@pytest.mark.parametrize("order", ["queryname", "unsorted", "coordinate"])
def test_an_unsorted_file_is_refused(tmp_path, order):
    """Whether its header says so or not."""
    path = write_bam(tmp_path / "mixed.bam", READS[::-1], length=20_000, order="unsorted", index=False)
    relabelled = tmp_path / "relabelled.bam"
    with pysam.AlignmentFile(str(path)) as source:
        header = source.header.to_dict()
        header["HD"]["SO"] = order
        with pysam.AlignmentFile(str(relabelled), "wb", header=header) as out:
            for read in source:
                out.write(read)
    with pytest.raises(
        FormatError, match=r"relabelled\.bam cannot be indexed: it is not sorted.*samtools sort -o"
    ):
        names(relabelled)
    assert not list((tmp_path / "indexes").glob("relabelled*"))


def test_a_sorted_file_whose_header_denies_it_is_read(tmp_path):
    path = write_bam(tmp_path / "reads.bam", READS, length=20_000, order="unsorted", index=False)
    assert len(names(path, 0, 20_000)) == 400


def test_the_stamp_follows_the_content(bam, tmp_path):
    copy = tmp_path / "copy.bam"
    shutil.copy(bam, copy)
    assert alignments_stamp(copy) == alignments_stamp(bam) == hashlib.sha256(bam.read_bytes()).hexdigest()
    copy.write_bytes(copy.read_bytes() + b"\0")
    assert alignments_stamp(copy) != alignments_stamp(bam)


def test_a_large_file_is_stamped_without_reading_it(bam, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_HASHED_UP_TO", 1)
    copy = tmp_path / "copy.bam"
    shutil.copy2(bam, copy)
    first = alignments_stamp(copy)
    assert first == alignments_stamp(bam) != hashlib.sha256(bam.read_bytes()).hexdigest()
    os.utime(copy, ns=(1, 1))
    assert alignments_stamp(copy) != first


def test_the_summary_counts_reads(tmp_path):
    flags = [
        (),
        ("reverse",),
        ("duplicate",),
        ("secondary",),
        ("supplementary",),
        ("qc_fail",),
        ("paired", "read1"),
    ]
    reads = [
        Read(f"r{i}", 10 * i, "50M", REFERENCE[:50], flags=flag, mapping_quality=30 + i % 2)
        for i, flag in enumerate(flags)
    ]
    reads += [
        Read("clipped", 5, "10S30M", REFERENCE[:40]),
        Read("lost", 7, "50M", REFERENCE[:50], flags=["unmapped"]),
    ]
    path = write_bam(tmp_path / "reads.bam", reads)
    with open_alignments(path, index_folder=tmp_path) as found:
        frame = alignment_summary(found, "21", "P")
    ALIGNMENT_SUMMARY.check(frame)
    assert frame.select("individual", "chrom").unique().rows() == [("P", "21")]
    plain = frame.filter(frame["value"].is_null()).select("figure", "reads").rows()
    assert dict(plain) == {
        "reads": 9,
        "mapped": 6,
        "paired": 1,
        "unmapped": 1,
        "reverse": 1,
        "secondary": 1,
        "qc_fail": 1,
        "duplicate": 1,
        "supplementary": 1,
    }
    by_value = frame.filter(frame["value"].is_not_null()).select("figure", "value", "reads").rows()
    assert by_value == [
        ("mapping_quality", 30, 3),
        ("mapping_quality", 31, 2),
        ("mapping_quality", 60, 1),
        ("length", 40, 1),
        ("length", 50, 5),
    ]


def fasta(folder: Path, name: str, sequence: str = REFERENCE) -> Path:
    path = folder / "genome.fa.gz"
    with pysam.BGZFile(str(path), "wb", None) as writer:
        writer.write(f">{name} some words\n{sequence}\n".encode())
    pysam.faidx(str(path))
    return path


def cram(bam: Path, folder: Path, *, index: bool = True) -> Path:
    """Compressed against a FASTA that is gone afterwards, so that only the given one can be used."""
    source = folder / "source"
    source.mkdir()
    reference = source / "chr21.fa"
    reference.write_text(f">chr21\n{REFERENCE}\n")
    out = folder / "reads.cram"
    pysam.view("-C", "-T", str(reference), "-o", str(out), str(bam), catch_stdout=False)
    if index:
        pysam.index(str(out))
    shutil.rmtree(source)
    return out


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    """htslib must not find references elsewhere."""
    monkeypatch.setenv("REF_PATH", str(tmp_path / "nowhere"))
    monkeypatch.setenv("REF_CACHE", str(tmp_path / "nowhere/%s"))


@pytest.mark.parametrize("contig", ["chr21", "NC_000021.9", "21"])
@pytest.mark.parametrize("index", [True, False])
def test_a_cram_is_read_with_a_reference_of_any_names(bam, tmp_path, no_cache, contig, index):
    path = cram(bam, tmp_path, index=index)
    reference = fasta(tmp_path, contig)
    with open_alignments(path, index_folder=tmp_path / "work", reference=reference) as found:
        read = {read.query_name: read.query_sequence for read in found.reads("21", 4000, 5000)}
    assert read == {r.name: r.sequence for r in READS if r.start < 5000 and r.start + 100 > 4000}
    assert (
        sorted(entry.name for entry in tmp_path.iterdir() if entry.suffix == ".crai")
        == ["reads.cram.crai"] * index
    )


def test_a_cram_without_its_reference_is_refused(bam, tmp_path, no_cache):
    path = cram(bam, tmp_path)
    with pytest.raises(SettingsError, match=r"reads\.cram is a CRAM, and no reference is given"):
        names(path)
    with pytest.raises(MissingUpstreamError, match=r"absent\.fa is absent"):
        names(path, reference=tmp_path / "absent.fa")
    other = fasta(tmp_path, "chr21", random_bases(20_000, seed=2))
    with pytest.raises(IntegrityError, match=r"reads\.cram cannot be read.*the reference that it was made with"):
        names(path, reference=other)


def test_a_cut_cram_is_refused(bam, tmp_path, no_cache):
    path = cram(bam, tmp_path)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(IntegrityError, match=r"reads\.cram cannot be read"):
        names(path, reference=fasta(tmp_path, "chr21"))


@pytest.mark.real_data
def test_real_reads(real_data, tmp_path):
    with open_alignments(real_data / "reads/HG00096.brca1.bam", index_folder=tmp_path) as found:
        frame = alignment_summary(found, "17", "HG00096")
        assert found.length("17") == 83_257_441
    assert list(tmp_path.iterdir()) == []
    assert frame.filter(figure="reads")["reads"].to_list() == [2025]
    assert frame.filter(figure="duplicate")["reads"].to_list() == [26]
    assert frame.filter(figure="length").select("value", "reads").rows() == [(100, 2025)]
