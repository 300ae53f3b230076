"""Making the samples: their phenotypes as a table, the tokens of their genes as a memory-mapped array."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import FormatError
from glm_assets.evaluation.class_count_figures import plot_sample_counts
from glm_assets.evaluation.figures import save_figure
from glm_assets.storage.atomic import write_json
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_plant import PHENOTYPES
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.plant.phenotype_table import SamplePhenotype, cut_segment, gene_columns, read_samples
from glm_assets.studies.plant.study import PlantStudy

Progress = Callable[[str], None]

TOKENS, MASK, GENES = "tokens.npy", "mask.npy", "genes.json"

_PROGRESS_SAMPLES: Final = 100


@dataclass(frozen=True)
class PhenotypeData:
    """The samples with a phenotype.

    Attributes:
        table: A row per sample, as `PHENOTYPES` says.
        tokens: (samples, genes, segment_tokens) uint16, memory-mapped; noughts where the mask is false.
        mask: (samples, genes) whether the gene has a sequence.
    """

    table: pl.DataFrame
    tokens: NDArray[np.uint16]
    mask: NDArray[np.bool_]


def make_phenotypes(study: PlantStudy, progress: Progress) -> Manifest:
    """Read the samples' table and cut their genes into tokens.

    Samples without a phenotype are left out and counted. A gene without a sequence is masked, and no token stands for
    it: the original read it as a run of AAAAAA.

    Raises:
        FormatError: A column is lacking, a sample is there twice, or none has a phenotype.
    """

    def build(work: Path) -> Facts:
        path, settings = study.phenotype_file, study.phenotype_settings
        genes = gene_columns(path, settings)
        there = list(read_samples(path, settings))
        kept = sum(sample.phenotype is not None for sample in there)
        if not kept:
            raise FormatError(
                f"no sample of {path.name} has a phenotype", expected=f"values in the column {settings.phenotype}"
            )
        shape = (kept, len(genes), settings.segment_tokens)
        tokens = np.lib.format.open_memmap(work / TOKENS, mode="w+", dtype=np.uint16, shape=shape)
        mask = np.zeros(shape[:2], dtype=bool)
        rows = []
        for sample in read_samples(path, settings, genes):
            if sample.phenotype is not None:
                number = len(rows)
                rows.append(_cut_sample(sample, study.values.tokens.k, tokens[number], mask[number]))
                if len(rows) % _PROGRESS_SAMPLES == 0 or len(rows) == kept:
                    progress(f"{len(rows):,} of {kept:,} samples")
        tokens.flush()
        np.save(work / MASK, mask)
        write_json(work / GENES, list(genes))
        table = pl.DataFrame(rows, PHENOTYPES.schema, orient="row")
        PHENOTYPES.write(table, work / PART)
        save_figure(plot_sample_counts(table["phenotype"], table["genes"], of=len(genes)), work / "samples.png")
        return _facts(table, len(genes), len(there) - kept)

    return study.phenotypes().make(build)


def open_phenotypes(folder: Path) -> PhenotypeData:
    """Open what `make_phenotypes` made.

    Raises:
        FormatError: A file is damaged or does not belong to the others.
    """
    table = read_part(folder)
    try:
        tokens, mask = np.load(folder / TOKENS, mmap_mode="r"), np.load(folder / MASK)
    except (OSError, ValueError) as error:
        raise FormatError(
            f"the tokens of {folder} cannot be read ({error})", fix="materialise plant/phenotypes again"
        ) from error
    if tokens.shape[:2] != mask.shape or len(mask) != table.height:
        raise FormatError(
            f"{folder} has tokens {tokens.shape}, a mask {mask.shape} and {table.height} samples",
            expected="the same samples and genes",
            fix="materialise plant/phenotypes again",
        )
    return PhenotypeData(table, tokens, mask)


def _cut_sample(
    sample: SamplePhenotype, k: int, tokens: NDArray[np.uint16], mask: NDArray[np.bool_]
) -> tuple[str, str | None, int, int, int, int]:
    """Fill a sample's tokens (genes, segment_tokens) and mask (genes,), and give its row of the table."""
    repeated = unknown = 0
    for place, sequence in enumerate(sample.sequences):
        segment = cut_segment(sequence, k, tokens.shape[1])
        unknown += segment.unknown
        if segment.tokens is not None:
            tokens[place], mask[place] = segment.tokens, True
            repeated += segment.repeated
    present = int(mask.sum())
    return sample.name, sample.phenotype, present, len(mask) - present, repeated, unknown


def _facts(table: pl.DataFrame, genes: int, dropped: int) -> dict[str, Any]:
    counts = Counter(table["phenotype"].to_list())
    return {
        "rows": table.height,
        "genes": genes,
        "samples_of_a_phenotype": dict(counts.most_common()),
        "samples_without_phenotype": dropped,
        "samples_without_genes": int((table["genes"] == 0).sum()),
        "missing_genes": int(table["missing"].sum()),
        "repeated_genes": int(table["repeated"].sum()),
        "unknown_kmers": int(table["unknown"].sum()),
    }
