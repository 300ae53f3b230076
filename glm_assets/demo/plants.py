"""The synthetic plants: genomes of three species and samples with phenotypes, made once and found again."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from glm_assets.demo.background import Bases
from glm_assets.demo.plants_genomes import PlantGenome, make_plant_genomes
from glm_assets.demo.plants_recipe import DEFAULT_PLANTS, PLANTS_VERSION, SPECIES, PlantsRecipe
from glm_assets.demo.plants_samples import Sample, make_samples
from glm_assets.demo.publishing import make_once
from glm_assets.genome.alphabet import UNKNOWN_ID, encode_ids, upper

RECORD: Final = "demo_plants.json"
PHENOTYPES: Final = Path("phenotypes.csv")

_SUFFIXES: Final = (".fna.gz", ".fa", ".fasta")
_FASTA: Final = {species: Path(f"{species}{suffix}") for species, suffix in zip(SPECIES, _SUFFIXES, strict=True)}
_LINE: Final = 80


@dataclass(frozen=True)
class DemoPlants:
    """Finished files.

    Attributes:
        root: Their folder.
        counts: `bases`: by species; `unknown`: N and ambiguous ones among them, by species; `samples`: by phenotype
            (those without one left out); `without_phenotype`; `missing`: empty genes of all samples.
    """

    SPECIES: ClassVar[tuple[str, ...]] = SPECIES

    root: Path
    counts: dict[str, Any]

    def fasta(self, species: str) -> Path:
        """The genome of a species: one gzipped `.fna`, one `.fa` and one `.fasta`."""
        return self.root / _FASTA[species]

    @property
    def phenotypes(self) -> Path:
        """Table with semicolons: `Sample_ID`, `Phenotype` and the sequences `geneType1`, `geneType2`, ..."""
        return self.root / PHENOTYPES


def make_demo_plants(folder: Path, recipe: PlantsRecipe = DEFAULT_PLANTS) -> DemoPlants:
    """Make the files in `folder`, or find them finished there; whole or absent.

    Args:
        folder: Where they shall be.
        recipe: What to make.

    Raises:
        DataRootError: `folder` holds something else.
    """
    made_of = {"generator_version": PLANTS_VERSION, "recipe": recipe.as_dict()}
    return DemoPlants(folder, make_once(folder, RECORD, made_of, lambda work: _build(work, recipe)))


def _build(root: Path, recipe: PlantsRecipe) -> dict[str, Any]:
    root.mkdir(parents=True, exist_ok=True)
    genomes = make_plant_genomes(recipe)
    for genome in genomes:
        _write_fasta(root / _FASTA[genome.species], genome.records)
    samples = make_samples(genomes[0].clean[0], recipe)
    _write_table(root / PHENOTYPES, samples, len(recipe.samples.genes))
    return _counts(genomes, samples)


def _write_fasta(path: Path, records: Mapping[str, Bases]) -> None:
    lines = []
    for name, bases in records.items():
        text = bases.tobytes().decode("ascii")
        lines += [f">{name} invented", *(text[start : start + _LINE] for start in range(0, len(text), _LINE))]
    content = "".join(f"{line}\n" for line in lines).encode("ascii")
    # Without name and time in the gzip header, equal content has equal bytes.
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _write_table(path: Path, samples: list[Sample], genes: int) -> None:
    with path.open("w", newline="", encoding="ascii") as stream:
        writer = csv.writer(stream, delimiter=";", lineterminator="\n")
        writer.writerow(["Sample_ID", "Phenotype", *(f"geneType{number}" for number in range(1, genes + 1))])
        writer.writerows([sample.name, sample.phenotype, *sample.genes] for sample in samples)


def _counts(genomes: tuple[PlantGenome, ...], samples: list[Sample]) -> dict[str, Any]:
    letters = {genome.species: np.concatenate(list(genome.records.values())) for genome in genomes}
    known = Counter(sample.phenotype for sample in samples if sample.phenotype)
    return {
        "bases": {species: len(own) for species, own in letters.items()},
        "unknown": {
            species: int((encode_ids(upper(own)) == UNKNOWN_ID).sum()) for species, own in letters.items()
        },
        "samples": dict(sorted(known.items())),
        "without_phenotype": sum(not sample.phenotype for sample in samples),
        "missing": sum(not gene for sample in samples for gene in sample.genes),
    }
