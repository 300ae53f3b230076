"""Bringing a species' genome up to date."""

from __future__ import annotations

from glm_assets.storage.products import Manifest
from glm_assets.storage.schemas_plant import GENOME
from glm_assets.studies.genomes import Progress, make_genome_product
from glm_assets.studies.plant.study import PlantStudy


def make_genome(study: PlantStudy, species: str, progress: Progress) -> Manifest:
    """Check and index the FASTA files of a species.

    Raises:
        FormatError: One is no usable FASTA, or two have a contig of the same name.
        SettingsError: One does not exist, or there is no such species.
        IntegrityError: One is damaged.
    """
    return make_genome_product(study.genome(species), study.genome_files(species), GENOME, species, progress)
