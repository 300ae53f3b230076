import pickle

import numpy as np
import pysam
import pytest

from glm_assets.errors import IntegrityError, MissingUpstreamError, ReferenceMismatchError
from glm_assets.genome.fasta import ReferenceGenome

SEQUENCES = {"NC_000013.11": "ACGTNacgtnRY" * 9_000, "NT_187361.1": "TTTT", "NC_012920.1": "ggcc"}


@pytest.fixture
def path(tmp_path):
    fasta = tmp_path / "genome.fna.bgz"
    with pysam.BGZFile(str(fasta), "wb", None) as stream:
        for name, sequence in SEQUENCES.items():
            lines = [sequence[start : start + 80] for start in range(0, len(sequence), 80)]
            stream.write("\n".join([f">{name} described", *lines, ""]).encode())
    pysam.faidx(str(fasta))
    return fasta


@pytest.mark.parametrize(("chrom", "name"), [("13", "NC_000013.11"), ("MT", "NC_012920.1"), ("NT_187361.1",) * 2])
def test_a_contig_is_its_upper_case_bytes(path, chrom, name):
    genome = ReferenceGenome(path)
    sequence = genome.sequence(chrom)
    assert sequence.dtype == np.uint8
    assert sequence.tobytes().decode() == SEQUENCES[name].upper()
    assert genome.fasta_name(chrom) == name
    assert genome.has(chrom)


def test_names_and_lengths_are_in_file_order(path):
    genome = ReferenceGenome(path)
    assert genome.names == tuple(SEQUENCES)
    assert genome.lengths == tuple(map(len, SEQUENCES.values()))


def test_the_last_contig_is_kept_and_cannot_be_changed(path):
    genome = ReferenceGenome(path)
    first = genome.sequence("13")
    assert genome.sequence("NC_000013.11") is first
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0
    assert genome.sequence("MT").tobytes() == b"GGCC"
    assert genome.sequence("13") is not first
    assert np.array_equal(genome.sequence("13"), first)


@pytest.mark.parametrize("chrom", ["7", "chr13", "NT_1.1"])
def test_an_absent_chromosome_is_named_with_what_is_there(path, chrom):
    genome = ReferenceGenome(path)
    assert not genome.has(chrom)
    with pytest.raises(ReferenceMismatchError, match=rf"chromosome {chrom} is not in .*genome.*holds: 13, MT"):
        genome.sequence(chrom)


def test_a_genome_travels_to_another_process(path):
    genome = ReferenceGenome(path)
    genome.sequence("13")
    data = pickle.dumps(genome)
    assert len(data) < 1_000
    assert pickle.loads(data).sequence("MT").tobytes() == b"GGCC"


@pytest.mark.parametrize("suffix", ["", ".fai", ".gzi"])
def test_a_missing_file_is_named_before_anything_is_indexed_anew(path, suffix):
    missing = path.with_name(path.name + suffix)
    missing.unlink()
    with pytest.raises(MissingUpstreamError, match=rf"{missing} is absent.*reference_genome"):
        ReferenceGenome(path).sequence("13")
    assert not missing.exists()


def test_a_damaged_file_is_named(path):
    data = bytearray(path.read_bytes())
    data[100:200] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"genome\.fna\.bgz cannot be read"):
        ReferenceGenome(path).sequence("13")


@pytest.mark.parametrize("suffix", [".fai", ".gzi"])
def test_a_damaged_index_is_named(path, suffix):
    path.with_name(path.name + suffix).write_bytes(b"\xff" * 10)
    with pytest.raises(IntegrityError, match=r"genome\.fna\.bgz cannot be read with its indexes.*materialise"):
        ReferenceGenome(path).sequence("13")
