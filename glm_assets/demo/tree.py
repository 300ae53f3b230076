"""The synthetic copy of NCBI's directories: made once, whole or not at all, and found again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm_assets.demo.catalogue import make_decoy_records, make_records
from glm_assets.demo.genome import Contig, make_genome, write_fasta
from glm_assets.demo.publishing import make_once
from glm_assets.demo.recipe import DEFAULT_RECIPE, GENERATOR_VERSION, DemoRecipe, random_stream
from glm_assets.demo.records import Record
from glm_assets.demo.releases import NEWER_DATE, OLDER_DATE, two_releases
from glm_assets.demo.sequences import write_test_csv
from glm_assets.demo.vcf import write_release
from glm_assets.storage.atomic import file_digest

RELEASES = Path("pub/clinvar/vcf_GRCh38/weekly")
ASSEMBLY = Path("genomes/all/GCF/000/001/405/GCF_000001405.40_GRCh38.p14")
FASTA = ASSEMBLY / "GCF_000001405.40_GRCh38.p14_genomic.fna.gz"
TEST_CSV, TEST_TRUTH = Path("test.csv"), Path("test_truth.csv")
RECORD = "demo_tree.json"


@dataclass(frozen=True)
class DemoTree:
    """A finished tree.

    Attributes:
        root: Its folder; usable as the base of NCBI's paths.
        counts: `older` and `newer` release: per contig the `records`, `pathogenic` and `benign` ones with at least
            one star; `changes` between the releases by kind; `test_sequences`.
    """

    root: Path
    counts: dict[str, Any]

    @property
    def vcfs(self) -> tuple[Path, Path]:
        """The older and the newer release."""
        return _vcf(self.root, OLDER_DATE), _vcf(self.root, NEWER_DATE)

    @property
    def fasta(self) -> Path:
        """The genome, plain gzip."""
        return self.root / FASTA

    @property
    def test_csv(self) -> Path:
        """`ID,seq`."""
        return self.root / TEST_CSV

    @property
    def test_truth(self) -> Path:
        """`ID,group,substitutions,label` of the rows of `test_csv`."""
        return self.root / TEST_TRUTH


def make_demo_tree(folder: Path, recipe: DemoRecipe = DEFAULT_RECIPE) -> DemoTree:
    """Make the tree in `folder`, or find it finished there.

    The tree is built beside `folder` and renamed, so it is whole or absent; processes that ask for the same folder
    take turns. A tree of another recipe or generator version is replaced.

    Args:
        folder: Where the tree shall be.
        recipe: What to make.

    Raises:
        DataRootError: `folder` holds something that is no demo tree.
        SettingsError: The recipe asks for more records than its genes have places for.
    """
    made_of = {"generator_version": GENERATOR_VERSION, "recipe": recipe.as_dict()}
    return DemoTree(folder, make_once(folder, RECORD, made_of, lambda work: _build(work, recipe)))


def _build(root: Path, recipe: DemoRecipe) -> dict[str, Any]:
    """Write all files of the tree and count what is in them."""
    genome = make_genome(recipe)
    releases = two_releases(make_records(genome, recipe), random_stream(recipe.seed, "releases"))
    _write_assembly(genome, root)
    (root / RELEASES).mkdir(parents=True)
    decoys = make_decoy_records(genome)
    for date, records in ((OLDER_DATE, releases.older), (NEWER_DATE, releases.newer)):
        write_release(records, date, _vcf(root, date))
        write_release(decoys, date, _vcf(root, f"{date}_papu"))
    rows = write_test_csv(genome, releases.newer, recipe, root / TEST_CSV, root / TEST_TRUTH)
    return {
        "older": _count(releases.older),
        "newer": _count(releases.newer),
        "changes": releases.changes,
        "test_sequences": len(rows),
    }


def _write_assembly(genome: tuple[Contig, ...], root: Path) -> None:
    (root / ASSEMBLY).mkdir(parents=True)
    write_fasta(genome, root / FASTA)
    checksums = f"{file_digest(root / FASTA, 'md5')}  ./{FASTA.name}\n"
    (root / ASSEMBLY / "md5checksums.txt").write_text(checksums, encoding="ascii")


def _vcf(root: Path, date: str) -> Path:
    return root / RELEASES / f"clinvar_{date}.vcf.gz"


def _count(records: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Per contig: all records, and those labelled pathogenic or benign."""
    counts: dict[str, Counter[str]] = {}
    for record in records:
        of_contig = counts.setdefault(record.contig.name, Counter(records=0, pathogenic=0, benign=0))
        of_contig["records"] += 1
        if record.classification.label is not None:
            of_contig["pathogenic" if record.classification.label else "benign"] += 1
    return {name: dict(of_contig) for name, of_contig in counts.items()}
