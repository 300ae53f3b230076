import gzip
import tracemalloc

import numpy as np
import pysam
import pytest

from glm_assets.errors import FormatError, IntegrityError
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.sources import genome_files
from glm_assets.sources.genome_files import FASTA, index_genome
from glm_assets.storage.limits import LIMITS

LETTERS = list("ACGTacgtNnRYKMSWBDHVryk")


def sequence(length, seed):
    return "".join(np.random.default_rng(seed).choice(LETTERS, length))


CONTIGS = {"Chr1A": sequence(1_000, 0), "Chr1B": sequence(7, 1), "scaffold_3": sequence(80, 2), "x": "NNN"}


def text(contigs, width=50, end="\n"):
    lines = []
    for name, bases in contigs.items():
        lines += [f">{name} of a plant", *(bases[start : start + width] for start in range(0, len(bases), width))]
    return "".join(line + end for line in lines)


def written(path, content):
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def indexed(folder, *files):
    made = folder / "made"
    made.mkdir(exist_ok=True)
    frame = index_genome(files, made)
    genome = IndexedFasta(made / FASTA)
    return frame, {name: genome.fetch(name).tobytes().decode() for name in genome.names}


@pytest.mark.parametrize("name", ["a.fa", "a.fna.gz", "a.fasta", "no_suffix"])
@pytest.mark.parametrize(("width", "end"), [(50, "\n"), (80, "\r\n"), (10**6, "\n"), (1, "\n")])
@pytest.mark.parametrize("block", [1 << 20, 64, 7])
def test_any_layout_gives_the_same_sequence(tmp_path, monkeypatch, name, width, end, block):
    monkeypatch.setattr(genome_files, "_BLOCK", block)
    frame, found = indexed(tmp_path, written(tmp_path / name, text(CONTIGS, width, end)))
    assert found == CONTIGS
    assert frame["contig"].to_list() == list(CONTIGS)


def test_the_table_counts_what_python_counts(tmp_path):
    frame, _ = indexed(tmp_path, written(tmp_path / "a.fa", text(CONTIGS)))
    for name, length, gc, unknown, masked in frame.iter_rows():
        bases = CONTIGS[name]
        known = [base for base in bases.upper() if base in "ACGT"]
        assert length == len(bases)
        assert unknown == len(bases) - len(known)
        assert masked == sum(base.islower() for base in bases)
        assert gc == (pytest.approx(sum(base in "CG" for base in known) / len(known)) if known else None)


def test_several_files_are_one_genome_in_their_order(tmp_path):
    first = written(tmp_path / "1.fa.gz", ">b\nACGT")
    second = written(tmp_path / "2.fa", "\ufeff>a\nGG\n\nTT\n")
    frame, found = indexed(tmp_path, first, second)
    assert found == {"b": "ACGT", "a": "GGTT"}
    assert frame["contig"].to_list() == ["b", "a"]


def test_a_chromosome_of_one_line_may_be_longer_than_a_line_that_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(LIMITS, "longest_line", 500)
    monkeypatch.setattr(genome_files, "_BLOCK", 64)
    long = {"Chr1": sequence(5_000, 3), "Chr2": sequence(3_000, 4)}
    assert indexed(tmp_path, written(tmp_path / "a.fa", text(long, 10**6)))[1] == long
    with pytest.raises(IntegrityError, match="a line of more than 500 bytes"):
        indexed(tmp_path, written(tmp_path / "b.fa", ">" + "x" * 600 + "\nACGT\n"))


def test_rna_is_read_as_dna(tmp_path):
    assert indexed(tmp_path, written(tmp_path / "a.fa", ">a\nACGUu\n"))[1] == {"a": "ACGTt"}


def test_a_mark_within_a_line_begins_no_contig(tmp_path, monkeypatch):
    monkeypatch.setattr(genome_files, "_BLOCK", 4)
    with pytest.raises(FormatError, match=r"contig a holds b'>' as base 5"):
        indexed(tmp_path, written(tmp_path / "a.fa", ">a\nACGT>b\nAC\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (">a\nACGT\nAC-T\n", r"a\.fa .*contig a holds b'-' as base 7"),
        (">a\nAC\n>b\nACG*\n", r"contig b holds b'\*' as base 4"),
        (">a\nAC GT\n", r"contig a holds b' ' as base 3"),
        (">a\n>b\nAC\n", "contig a is empty"),
        (">a\nAC\n>b\n", "contig b is empty"),
        (">a\nAC\n>a\nAC\n", "contig a occurs twice"),
        (">a\nAC\n> b\nAC\n", "the contig after a has no name"),
        ("ACGT\n", "begins with b'ACGT'"),
        ("", "holds no contig"),
        ("\n\n", "holds no contig"),
        ("@r\nACGT\n+\nIIII\n", "begins with"),
    ],
)
def test_what_is_no_genome_is_refused_with_the_place(tmp_path, content, message):
    with pytest.raises(FormatError, match=message):
        indexed(tmp_path, written(tmp_path / "a.fa", content))


def test_a_name_in_two_files_is_refused_with_both(tmp_path):
    files = [written(tmp_path / name, ">Chr1\nACGT\n") for name in ("one.fa", "two.fa")]
    with pytest.raises(FormatError, match=r"two\.fa .*contig Chr1 occurs there and in one\.fa"):
        indexed(tmp_path, *files)


def test_a_file_cut_short_is_refused(tmp_path):
    path = written(tmp_path / "a.fa.gz", text({"a": sequence(50_000, 3)}))
    path.write_bytes(path.read_bytes()[:-5_000])
    with pytest.raises(IntegrityError, match=r"a\.fa\.gz is damaged"):
        indexed(tmp_path, path)


def test_the_same_sequence_gives_the_same_bytes(tmp_path):
    made = []
    for number, (width, end) in enumerate([(50, "\n"), (33, "\r\n")]):
        folder = tmp_path / str(number)
        folder.mkdir()
        index_genome([written(folder / "a.fa", text(CONTIGS, width, end))], folder)
        made.append([(folder / f"{FASTA}{suffix}").read_bytes() for suffix in ("", ".fai", ".gzi")])
    assert made[0] == made[1]
    assert pysam.FastaFile(str(tmp_path / "0" / FASTA)).references == list(CONTIGS)


def test_memory_does_not_grow_with_a_contig_of_one_line(tmp_path):
    path = written(tmp_path / "a.fa", b">a\n" + b"ACGT" * (4 << 20) + b"\n")
    tracemalloc.start()
    index_genome([path], tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 14 << 20
