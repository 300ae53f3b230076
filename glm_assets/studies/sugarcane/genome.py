"""Bringing a variety's genome up to date."""

from __future__ import annotations

from glm_assets.storage.products import Manifest
from glm_assets.storage.schemas_sugarcane import GENOME
from glm_assets.studies.genomes import Progress, make_genome_product
from glm_assets.studies.sugarcane.study import SugarcaneStudy


def make_genome(study: SugarcaneStudy, variety: str, progress: Progress) -> Manifest:
    """Check and index the FASTA of a variety.

    Raises:
        FormatError: It is no usable FASTA.
        SettingsError: It does not exist, or there is no such variety.
        IntegrityError: It is damaged.
    """
    return make_genome_product(study.genome(variety), (study.fasta(variety),), GENOME, variety, progress)
