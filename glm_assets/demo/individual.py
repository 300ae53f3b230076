"""An invented person on the synthetic genome: their variants and reads, and new ones to predict."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm_assets.demo import tree as demo_tree
from glm_assets.demo.alignments import count_reads, draw_reads, write_bam
from glm_assets.demo.catalogue import make_records
from glm_assets.demo.genome import make_genome
from glm_assets.demo.genotypes import LOW_QUALITY, NO_CALL, Genotypes, draw_genotypes
from glm_assets.demo.individual_files import write_new_reads, write_new_variants, write_person
from glm_assets.demo.publishing import make_once
from glm_assets.demo.recipe import GENERATOR_VERSION, MITOCHONDRION, DemoRecipe, random_stream
from glm_assets.demo.releases import two_releases

INDIVIDUAL = "DEMO1"
RECORD = "demo_individual.json"

# Raised by hand whenever the same tree gives another person.
INDIVIDUAL_VERSION = 1

_NEW = 15  # reads and variants to predict, of each chromosome


@dataclass(frozen=True)
class DemoIndividual:
    """One person's finished files. Contigs are called `chr21` and so on, the mitochondrion `chrM`.

    Attributes:
        root: Their folder.
        counts: By chromosome key: `calls`, ClinVar's alleles `carried` (with `heterozygous` and `homozygous`, the
            latter including those on the mitochondrion) and their `terms`, alleles `foreign` to ClinVar, calls
            `filtered`, `uncalled` and of the `reference` alone, places `elsewhere` that are covered, and of reads
            those of `alignments.count_reads`. Besides, `new_reads` and `new_variants`.
    """

    root: Path
    counts: dict[str, Any]

    @property
    def individual(self) -> str:
        """The person's name, and that of the sample in both files."""
        return INDIVIDUAL

    @property
    def alignments(self) -> Path:
        """BAM, sorted, with a `.bai` beside it."""
        return self.root / f"{INDIVIDUAL}.bam"

    @property
    def variants(self) -> Path:
        """VCF, BGZF, with a `.tbi` beside it."""
        return self.root / f"{INDIVIDUAL}.vcf.gz"

    @property
    def new_reads(self) -> Path:
        """FASTQ, gzip: reads of other people."""
        return self.root / "new_reads.fastq.gz"

    @property
    def new_variants(self) -> Path:
        """VCF without samples, BGZF, with a `.tbi` beside it."""
        return self.root / "new_variants.vcf.gz"


def make_demo_individual(folder: Path, tree: Path) -> DemoIndividual:
    """Make the person's files in `folder`, or find them finished there; whole or absent, as `publishing.make_once`.

    Args:
        folder: Where the files shall be.
        tree: A demo tree's folder, whose genome and newer release the person is made for; made if it is absent.

    Raises:
        DataRootError: `folder` holds something else, or `tree` no demo tree.
    """
    recipe = _recipe_of(tree)
    made_of = {
        "generator_version": GENERATOR_VERSION,
        "individual_version": INDIVIDUAL_VERSION,
        "recipe": recipe.as_dict(),
    }
    return DemoIndividual(folder, make_once(folder, RECORD, made_of, lambda work: _build(work, recipe)))


def _recipe_of(tree: Path) -> DemoRecipe:
    record = tree / demo_tree.RECORD
    if not record.is_file():
        demo_tree.make_demo_tree(tree)
    return DemoRecipe.from_dict(json.loads(record.read_text(encoding="utf-8"))["recipe"])


def _build(root: Path, recipe: DemoRecipe) -> dict[str, Any]:
    """Write all files and count what is in them."""
    root.mkdir(parents=True)
    files = DemoIndividual(root, {})
    chromosomes = _draw(recipe)
    reads = {
        name: draw_reads(genotypes, name, random_stream(recipe.seed, "reads of the individual", name))
        for name, genotypes in chromosomes
    }
    lengths = [(name, len(genotypes.contig.sequence)) for name, genotypes in chromosomes]
    write_person(chromosomes, INDIVIDUAL, files.variants)
    write_bam([read for own in reads.values() for read in own], lengths, INDIVIDUAL, files.alignments)
    rng = random_stream(recipe.seed, "new reads")
    return {
        **{genotypes.contig.name: _count(genotypes) | count_reads(reads[name]) for name, genotypes in chromosomes},
        "new_reads": write_new_reads(chromosomes, _NEW, rng, files.new_reads),
        "new_variants": write_new_variants(chromosomes, _NEW, files.new_variants),
    }


def _draw(recipe: DemoRecipe) -> Sequence[tuple[str, Genotypes]]:
    """Name in the person's files and genotypes of each chromosome, in the order of the recipe."""
    genome = make_genome(recipe)
    contigs = {contig.name: contig for contig in genome}
    records = two_releases(make_records(genome, recipe), random_stream(recipe.seed, "releases")).newer
    return [
        (
            "chrM" if chromosome.name == MITOCHONDRION else f"chr{chromosome.name}",
            draw_genotypes(
                contigs[chromosome.name],
                [record for record in records if record.contig.name == chromosome.name],
                random_stream(recipe.seed, "individual", chromosome.name),
            ),
        )
        for chromosome in recipe.chromosomes
    ]


def _count(genotypes: Genotypes) -> dict[str, Any]:
    calls = genotypes.calls
    carried = [(call, record) for call in calls for record in call.carried]
    several = sum(len(set(call.genotype)) > 1 for call, _ in carried)
    foreign = [call for call in calls if any(record is None for record in call.known)]
    return {
        "calls": len(calls),
        "carried": len(carried),
        "heterozygous": several,
        "homozygous": len(carried) - several,
        "terms": dict(sorted(Counter(str(record.consequence) for _, record in carried).items())),
        "foreign": len(foreign),
        "filtered": sum(call.passes == LOW_QUALITY for call in calls),
        "uncalled": sum(NO_CALL in call.genotype for call in calls),
        "reference": sum(set(call.genotype) == {0} for call in calls),
        "elsewhere": len(genotypes.elsewhere),
    }
