import gzip

import pytest

from glm_assets.errors import FormatError, IntegrityError
from glm_assets.sources.compression import check_gzip, line_blocks
from glm_assets_tests.sources.files import bgzf, bgzf_blocks, gzipped, record

TEXT = b"".join(record(position) for position in range(30_000))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.gz"


def read_through(path):
    check_gzip(path)
    return list(line_blocks(path))


@pytest.mark.parametrize("pack", [gzipped, bgzf])
def test_a_whole_file_comes_back_in_blocks_of_whole_lines(path, pack):
    path.write_bytes(pack(TEXT))
    blocks = read_through(path)
    assert b"".join(blocks) == TEXT
    assert len(blocks) > 1
    assert all(block.endswith(b"\n") for block in blocks)
    assert max(map(len, blocks)) < 1.1 * 2**20


@pytest.mark.parametrize("content", [b"", b"no line end", b"\n"])
def test_small_files_come_back_too(path, content):
    path.write_bytes(gzipped(content))
    assert b"".join(read_through(path)) == content


@pytest.mark.parametrize("pack", [gzipped, bgzf])
@pytest.mark.parametrize("lost", [1, 4, 9, 5_000])
def test_a_file_cut_short_is_damaged(path, pack, lost):
    path.write_bytes(pack(TEXT)[:-lost])
    with pytest.raises(IntegrityError, match=r"data\.gz is damaged"):
        read_through(path)


def test_bgzf_cut_between_blocks_is_damaged_although_gzip_reads_it(path):
    whole = bgzf(TEXT)
    for cut in bgzf_blocks(whole)[-2:]:
        path.write_bytes(whole[:cut])
        assert TEXT.startswith(gzip.decompress(path.read_bytes()))
        with pytest.raises(IntegrityError, match="end marker"):
            check_gzip(path)


@pytest.mark.parametrize("at", [0.3, 0.6])
def test_a_flipped_byte_is_found(path, at):
    data = bytearray(gzipped(TEXT))
    data[int(len(data) * at)] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(IntegrityError):
        list(line_blocks(path))


@pytest.mark.parametrize("content", [b"", b"\x1f", b"<html>", TEXT])
def test_another_file_is_not_gzip(path, content):
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"data\.gz is no gzip file"):
        check_gzip(path)
