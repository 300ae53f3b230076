"""The reference of a CRAM: a FASTA whose contigs have the CRAM's names.

The bases are not copied. An index of our own, with other names and the same offsets, lies beside a link to the FASTA.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glm_assets.errors import MissingUpstreamError
from glm_assets.genome.contigs import ContigMap, chromosome_key
from glm_assets.storage.atomic import atomic_path, digest_of


def reference_for(names: Sequence[str], fasta: Path, folder: Path) -> Path:
    """The FASTA under the names that a CRAM uses: itself where they agree, else a renamed view of it.

    Contigs that the FASTA lacks are left out: they are missed only if they are read.

    Args:
        names: Contigs in the CRAM's header.
        fasta: The FASTA; its `.fai` lies beside it, and its `.gzi` where it is compressed.
        folder: Where a view is made.

    Raises:
        MissingUpstreamError: The FASTA or its index is absent.
    """
    rows = _index_rows(fasta)
    lengths = [int(length) for _, length, *_ in rows]
    aliases = ContigMap.from_fasta([name for name, *_ in rows], lengths).aliases
    by_name = {name: rest for name, *rest in rows}
    held = {name: aliases.get(name) or aliases.get(chromosome_key(name) or "") for name in names}
    if all(own in {None, name} for name, own in held.items()):
        return fasta
    text = "".join("\t".join([name, *by_name[own]]) + "\n" for name, own in held.items() if own)
    view = folder / f"{digest_of([str(fasta.resolve()), fasta.stat().st_mtime_ns, text])[:16]}.{fasta.name}"
    _link(view, fasta)
    if (gzi := Path(f"{fasta}.gzi")).is_file():
        _link(Path(f"{view}.gzi"), gzi)
    with atomic_path(Path(f"{view}.fai")) as temporary:
        temporary.write_text(text, encoding="ascii")
    return view


def _index_rows(fasta: Path) -> list[list[str]]:
    index = Path(f"{fasta}.fai")
    for path in (fasta, index):
        if not path.is_file():
            raise MissingUpstreamError(
                f"the reference file {path} is absent",
                expected="a FASTA with its .fai",
                fix="dagster asset materialize -m glm_assets.definitions --select reference_genome",
            )
    return [line.split("\t") for line in index.read_text(encoding="ascii").splitlines()]


def _link(link: Path, target: Path) -> None:
    with atomic_path(link) as temporary:
        temporary.symlink_to(target.resolve())
