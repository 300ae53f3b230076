"""The partitions: the 25 chromosomes, fixed in every profile so that history never changes its shape."""

import dagster as dg

from glm_assets.genome.contigs import CHROMOSOMES

chromosomes = dg.StaticPartitionsDefinition(list(CHROMOSOMES))
