"""Bytes of small VCF and FASTA files, and their compression."""

from __future__ import annotations

import gzip
import random
import struct
from pathlib import Path
from tempfile import TemporaryDirectory

HEADER = (
    b"##fileformat=VCFv4.1\n"
    b'##INFO=<ID=CLNSIG,Number=.,Type=String,Description="Classification">\n'
    b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
FASTA = (
    b">NC_000021.9 Homo sapiens chromosome 21\nACGTNacgtn\nACGTACGTAC\nAC\n"
    b">NT_187633.1 a contig > of no chromosome\nTTTTTTTTTT\n"
    b">NC_012920.1 mitochondrion\nGGCC\n"
)


def record(position: int, *, contig: str = "1", info: str | None = None) -> bytes:
    """A VCF line; its INFO hardly compresses, so that files are large enough to be cut."""
    noise = random.Random(position).randbytes(40).hex()
    info = f"ALLELEID={position};CLNHGVS={noise};CLNSIG=Benign;RS={position}" if info is None else info
    return f"{contig}\t{position}\t{position}\tA\tC\t.\t.\t{info}\n".encode()


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def bgzf(data: bytes) -> bytes:
    import pysam

    with TemporaryDirectory() as folder:
        path = Path(folder, "data.gz")
        with pysam.BGZFile(str(path), "wb") as writer:
            writer.write(data)
        return path.read_bytes()


def bgzf_blocks(data: bytes) -> list[int]:
    """Where the blocks of a BGZF file begin."""
    starts, at = [], 0
    while at < len(data):
        starts.append(at)
        at += struct.unpack_from("<H", data, at + 16)[0] + 1
    return starts
