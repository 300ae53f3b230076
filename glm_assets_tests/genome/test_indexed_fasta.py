import pickle

import numpy as np
import pysam
import pytest

from glm_assets.errors import IntegrityError, MissingUpstreamError, ReferenceMismatchError
from glm_assets.genome.indexed_fasta import IndexedFasta

CONTIGS = {"Chr2B": "ACGTNacgtnRYkm" * 9_000, "scaffold:1-2|x": "TTTTc", "Chr1": "ggcc" * 30}


@pytest.fixture
def path(tmp_path):
    fasta = tmp_path / "genome.fa.gz"
    with pysam.BGZFile(str(fasta), "wb", None) as stream:
        for name, sequence in CONTIGS.items():
            lines = [sequence[start : start + 60] for start in range(0, len(sequence), 60)]
            stream.write("\n".join([f">{name} described", *lines, ""]).encode())
    pysam.faidx(str(fasta))
    return fasta


def test_names_and_lengths_are_in_the_order_of_the_file(path):
    genome = IndexedFasta(path)
    assert genome.names == tuple(CONTIGS)
    assert genome.lengths == {name: len(sequence) for name, sequence in CONTIGS.items()}


@pytest.mark.parametrize("contig", CONTIGS)
def test_a_stretch_is_a_slice_with_case_and_codes_kept(path, contig):
    genome, text = IndexedFasta(path), CONTIGS[contig]
    assert genome.fetch(contig).tobytes().decode() == text
    rng = np.random.default_rng(1)
    for start, end in np.sort(rng.integers(0, len(text) + 1, (20, 2)), axis=1).tolist():
        found = genome.fetch(contig, start, end)
        assert found.dtype == np.uint8
        assert found.tobytes().decode() == text[start:end]
    assert genome.fetch(contig, 2).tobytes().decode() == text[2:]


def test_what_is_read_cannot_be_changed(path):
    with pytest.raises(ValueError, match="read-only"):
        IndexedFasta(path).fetch("Chr1")[0] = 0


def test_an_absent_contig_is_named_with_what_is_there(path):
    with pytest.raises(ReferenceMismatchError, match=r"contig chr1 is not in genome\.fa\.gz.*3: Chr2B, "):
        IndexedFasta(path).fetch("chr1")


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (4, 3), (0, 121), (121, None)])
def test_what_lies_outside_is_refused(path, start, end):
    with pytest.raises(ReferenceMismatchError, match=r"Chr1 has no bases .* end <= 120"):
        IndexedFasta(path).fetch("Chr1", start, end)


def test_it_travels_to_another_process(path):
    genome = IndexedFasta(path)
    genome.fetch("Chr2B")
    data = pickle.dumps(genome)
    assert len(data) < 1_000
    assert pickle.loads(data).fetch("Chr1", 1, 3).tobytes() == b"gc"


@pytest.mark.parametrize("suffix", ["", ".fai", ".gzi"])
def test_a_missing_file_is_named_and_what_to_do(path, suffix):
    missing = path.with_name(path.name + suffix)
    missing.unlink()
    with pytest.raises(MissingUpstreamError, match=rf"{missing} is absent.*make it again"):
        IndexedFasta(path, fix="make it again").fetch("Chr1")
    assert not missing.exists()


def test_damage_is_named(path):
    data = bytearray(path.read_bytes())
    data[100:200] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"genome\.fa\.gz cannot be read"):
        IndexedFasta(path).fetch("Chr2B")


def test_an_index_of_another_file_is_seen(path):
    index = path.with_name(path.name + ".fai")
    index.write_text(index.read_text().replace("\t120\t", "\t12000\t"))
    with pytest.raises(IntegrityError, match="cannot be read at contig Chr1"):
        IndexedFasta(path).fetch("Chr1")


def test_an_empty_index_is_damage(path):
    path.with_name(path.name + ".fai").write_text("")
    with pytest.raises(IntegrityError, match=r"with its indexes \(there is no contig in them\)"):
        IndexedFasta(path).fetch("Chr1")
