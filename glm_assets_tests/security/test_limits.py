"""Endless answers and decompression bombs stop at a limit, long before memory or disk are full."""

from __future__ import annotations

import gzip
import hashlib
import resource
import tracemalloc
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest

from glm_assets.errors import DownloadError, FormatError, GlmError, IntegrityError
from glm_assets.evaluation.experiment import read_experiment
from glm_assets.evaluation.predictor_tables import read_scores
from glm_assets.settings import Settings
from glm_assets.sources.compression import line_blocks, refuse_bomb
from glm_assets.sources.fetch import fetch, read_text
from glm_assets.sources.reference import ARCHIVE, ASSEMBLY_FOLDER, fetch_reference
from glm_assets.sources.vcf import parse_records
from glm_assets.storage.limits import LIMITS
from glm_assets.storage.npz import NpzFile
from glm_assets.variants.user_vcf import header_lines, read_user_vcf, text_vcf
from glm_assets_tests.sources.files import HEADER
from glm_assets_tests.sources.servers import QUICK, serve

MIB = 1 << 20
ZEROS = 10 << 30  # what the bomb decompresses to


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """10 GiB of zeros after a VCF header, in 10 MB of gzip: a small member, again and again."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.vcf.gz"
    member = gzip.compress(bytes(64 * MIB), 9, mtime=0)
    with path.open("wb") as stream:
        stream.write(gzip.compress(HEADER + b"1\t", mtime=0))
        for _ in range(ZEROS // (64 * MIB)):
            stream.write(member)
    assert path.stat().st_size < 11e6
    return path


@contextmanager
def little_memory(most: int = 100 * MIB):
    """What Python allocates in the block stays small."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@pytest.fixture
def limited(monkeypatch):
    """8 MB a file and 2 MiB a line, so that the test is quick."""
    monkeypatch.setattr(LIMITS, "max_bytes", 8_000_000)
    monkeypatch.setattr(LIMITS, "longest_line", 2 * MIB)


READERS = {
    "a release": lambda path, work: parse_records(path, work / "out.parquet"),
    "a stream": lambda path, _: list(line_blocks(path)),
    "a user's VCF": lambda path, _: read_user_vcf(path),
    "its header": lambda path, _: header_lines(path),
    "an experiment": lambda path, _: read_experiment(path),
    "a predictor": lambda path, _: read_scores(path, None, None),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("reader", [name for name in READERS if name != "its header"])
def test_a_bomb_of_one_line_stops_at_the_longest_line(bomb, tmp_path, limited, reader):
    with little_memory(), pytest.raises(GlmError, match=r"bomb\.vcf\.gz.* line of more than 2,097,152 bytes"):
        READERS[reader](bomb, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reader", list(READERS))
def test_a_bomb_of_many_lines_stops_at_the_largest_file(tmp_path, limited, reader):
    path = tmp_path / "lines.vcf.gz"
    start = HEADER[: -len(HEADER.split(b"\n")[-2]) - 1] if reader == "its header" else HEADER
    if reader in ("an experiment", "a predictor"):
        start = b"chrom\tpos\tref\talt\tscore\n1\t5\tA\tC\t0.5\n"
    line = b"##" + b"x" * 997 + b"\n" if reader == "its header" else b"1\t5\t7\tA\tC\t.\t.\t" + b"x" * 980 + b"\n"
    if reader in ("an experiment", "a predictor"):
        line = b"1\t5\tA\tC\t0." + b"5" * 980 + b"\n"
    path.write_bytes(gzip.compress(start, 1) + 20 * gzip.compress(line * 1000, 9))
    with pytest.raises(IntegrityError, match=r"8,000,000 bytes.*GLM_MAX_GB.*set GLM_MAX_GB to more"):
        READERS[reader](path, tmp_path)


def test_a_bomb_in_place_of_the_reference(bomb, tmp_path, limited):
    folder = tmp_path / "tree" / ASSEMBLY_FOLDER
    folder.mkdir(parents=True)
    data = gzip.compress(b">NC_000001.11\n", 1) + gzip.compress((b"A" * 79 + b"\n") * 200_000, 9)
    (folder / ARCHIVE).write_bytes(data)
    (folder / "md5checksums.txt").write_text(f"{hashlib.md5(data).hexdigest()}  ./{ARCHIVE}\n")
    with pytest.raises(IntegrityError, match="GLM_MAX_GB"):
        fetch_reference(str(tmp_path / "tree"), tmp_path / "reference")
    assert not list((tmp_path / "reference").rglob("*.bgz"))


def test_a_bcf_bomb_never_reaches_htslib(tmp_path, limited):
    path = tmp_path / "x.bcf"
    path.write_bytes(gzip.compress(b"BCF\2\2", 1) + gzip.compress(bytes(64 * MIB), 1))
    with pytest.raises(IntegrityError, match=r"x\.bcf"):
        text_vcf(path, tmp_path)
    assert not (tmp_path / "input.vcf").exists()


def test_a_small_file_is_not_read_twice(tmp_path, monkeypatch):
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"x\n" * 1000))
    monkeypatch.setattr(gzip, "open", None)
    refuse_bomb(path)


def test_an_archive_of_arrays(tmp_path, limited, monkeypatch):
    path = tmp_path / "x.npz"
    monkeypatch.setattr("glm_assets.storage.npz._MOST_ROW_BYTES", 1_000_000)
    np.savez_compressed(path, label=np.zeros(1_100_000), wide=np.zeros((1, 200_000)), fine=np.arange(3))
    file = NpzFile(path)
    with pytest.raises(IntegrityError, match=r"'label' holds more than 8,000,000 bytes.*GLM_MAX_GB"):
        file.array("label")
    with pytest.raises(FormatError, match=r"a row of array 'wide'"):
        next(file.blocks("wide", 1))
    assert file.array("fine").tolist() == [0, 1, 2]


def test_an_array_that_claims_to_be_huge_is_not_allocated(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("label.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with little_memory(), pytest.raises(FormatError, match=r"1000000000000.*read as a whole"):
        NpzFile(path).array("label")


def test_an_archive_with_pickled_objects_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, label=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FormatError, match="Python objects"):
        NpzFile(path).array("label")


@pytest.mark.parametrize("place", ["server", "folder"])
def test_a_download_is_limited_without_anybody_asking(tmp_path, limited, monkeypatch, place):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(LIMITS, "max_bytes", 1000)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "x").write_bytes(bytes(1001))
    with serve(tmp_path / "there") as site:
        url = f"{site.url}/x" if place == "server" else str(tmp_path / "there" / "x")
        with pytest.raises(DownloadError, match=r"1,001 bytes.*at most 1,000 bytes.*GLM_MAX_GB"):
            fetch(url, tmp_path / "here" / "x", policy=QUICK)
    assert list((tmp_path / "here").iterdir()) == []


def test_a_text_of_a_source_is_never_large(tmp_path):
    (tmp_path / "list").write_bytes(bytes(17 * MIB))
    with pytest.raises(DownloadError, match=r"16,777,216 bytes"):
        read_text(str(tmp_path / "list"))


def test_the_limit_is_a_setting(monkeypatch):
    before = LIMITS.max_bytes
    monkeypatch.setattr(LIMITS, "max_bytes", before)
    monkeypatch.setenv("GLM_MAX_GB", "0.5")
    Settings.from_environment()
    assert LIMITS.max_bytes == 500_000_000
    monkeypatch.delenv("GLM_MAX_GB")
    Settings.from_environment()
    assert LIMITS.max_bytes == before == 64 * 10**9


@pytest.mark.system
def test_the_bomb_as_it_is_without_lower_limits(bomb, tmp_path):
    """With the limits as they are: the memory of this process grows by less than 3 GB, and nothing is left."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(GlmError, match="line of more than"):
        parse_records(bomb, tmp_path / "out.parquet")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3_000_000
    assert list(tmp_path.iterdir()) == []
