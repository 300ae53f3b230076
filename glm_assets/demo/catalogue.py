"""All records of the synthetic genome, in VCF order and numbered."""

from __future__ import annotations

from dataclasses import replace

from glm_assets.demo.changes import substitutions
from glm_assets.demo.classifications import AWKWARD, SINGLE, UNCERTAIN, Classification
from glm_assets.demo.collection import collect_records
from glm_assets.demo.genome import SCAFFOLDS, Contig
from glm_assets.demo.recipe import DemoRecipe, random_stream
from glm_assets.demo.records import Record

_FIRST_ID = 9_000_001  # above ClinVar's numbers of 2026
_FIRST_DECOY_ID = 9_900_001
_POSITIONS, _DECOY_POSITIONS = (700, 1_500, 2_200), (900, 1_700, 2_400)


def make_records(genome: tuple[Contig, ...], recipe: DemoRecipe) -> list[Record]:
    """Every record that either release has, chromosomes as the recipe orders them, scaffolds last."""
    contigs = {contig.name: contig for contig in genome}
    found: list[Record] = []
    for index, chromosome in enumerate(recipe.chromosomes):
        rng = random_stream(recipe.seed, "records", chromosome.name)
        awkward = AWKWARD[index :: len(recipe.chromosomes)]
        found += collect_records(contigs[chromosome.name], chromosome.labelled, awkward, rng)
    found += _on_scaffolds(genome, _POSITIONS)
    numbers = random_stream(recipe.seed, "numbers").permutation(len(found))
    return [
        replace(record, variation_id=_FIRST_ID + int(number))
        for record, number in zip(found, numbers, strict=True)
    ]


def make_decoy_records(genome: tuple[Contig, ...]) -> list[Record]:
    """The few records of the `_papu` file beside each release, which nobody should read."""
    return [
        replace(record, variation_id=_FIRST_DECOY_ID + number)
        for number, record in enumerate(_on_scaffolds(genome, _DECOY_POSITIONS))
    ]


def _on_scaffolds(genome: tuple[Contig, ...], positions: tuple[int, ...]) -> list[Record]:
    """One pathogenic, one benign and one uncertain record on each contig outside the 25 chromosomes."""
    said = (Classification("Pathogenic", SINGLE, 1), Classification("Benign", SINGLE, 0), UNCERTAIN)
    return [
        Record(contig, substitutions(contig.sequence, position)[0], classification)
        for contig in genome
        if contig.name in SCAFFOLDS
        for position, classification in zip(positions, said, strict=True)
    ]
