"""A small NCBI-like tree in a folder, and the servers that give it out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from glm_assets.sources.clinvar import WEEKLY
from glm_assets.sources.reference import ARCHIVE, ASSEMBLY_FOLDER
from glm_assets_tests.sources.files import FASTA, HEADER, bgzf, gzipped, record
from glm_assets_tests.sources.servers import Site, serve, serve_plainly


@pytest.fixture(autouse=True)
def _direct_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' servers are on this machine; a proxy of the environment must not be asked for them."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two weekly releases, a decoy, and a reference of three short contigs."""
    root = tmp_path / "ncbi"
    weekly, assembly = root / WEEKLY, root / ASSEMBLY_FOLDER
    weekly.mkdir(parents=True)
    assembly.mkdir(parents=True)
    for name, rows in {"clinvar_20260101": 3, "clinvar_20260108": 900, "clinvar_20260108_papu": 1}.items():
        data = bgzf(HEADER + b"".join(record(position) for position in range(1, rows + 1)))
        publish(weekly / f"{name}.vcf.gz", data)
        (weekly / f"{name}.vcf.gz.tbi").write_bytes(b"an index of " + name.encode())
    publish_reference(root, gzipped(FASTA))
    return root


@pytest.fixture
def site(tree: Path) -> Iterator[Site]:
    """The tree on a server with ranges, which can be told to fail."""
    with serve(tree) as served:
        yield served


@pytest.fixture
def plain_site(tree: Path) -> Iterator[str]:
    """The tree on `python -m http.server`."""
    with serve_plainly(tree) as url:
        yield url


def publish(path: Path, data: bytes) -> None:
    """Write a file and its `.md5` as ClinVar has it, with a folder before the name."""
    path.write_bytes(data)
    Path(f"{path}.md5").write_text(f"{hashlib.md5(data).hexdigest()}  /export/clinvar/{path.name}\n")


def publish_reference(root: Path, data: bytes) -> None:
    """Write the archive of the reference, and the checksum list that names it among other files."""
    folder = root / ASSEMBLY_FOLDER
    (folder / ARCHIVE).write_bytes(data)
    other = "d41d8cd98f00b204e9800998ecf8427e  ./README.txt\n"
    (folder / "md5checksums.txt").write_text(f"{other}{hashlib.md5(data).hexdigest()}  ./{ARCHIVE}\n")
