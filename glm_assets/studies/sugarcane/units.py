"""Bringing the units of a variety, and the split of its genome, up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.unit_figures import plot_regions, plot_unit_lengths
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.genome.splits import SPLITS
from glm_assets.sources.genome_files import FASTA
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_sugarcane import OUTER, REGIONS, UNITS
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.sugarcane.annotation import contig_lengths
from glm_assets.studies.sugarcane.leaks import Leak, find_leaks
from glm_assets.studies.sugarcane.splitting import split_faults, split_regions
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets.studies.sugarcane.unit_cutting import UnitCut, cut_units

_SHOWN = 20


def make_units(study: SugarcaneStudy, variety: str, progress: Callable[[str], None]) -> Manifest:
    """Split the genome of a variety, cut its units, and look for sequence that the sides share.

    Raises:
        FormatError: The annotation has no gene.
        SettingsError: The genome has too few homology groups or blocks.
        MissingUpstreamError: The genome or the annotation is absent or out of date.
    """

    def build(work: Path) -> Facts:
        values, lengths = study.values, contig_lengths(study, variety)
        features = read_part(study.files("annotation", variety))
        regions = split_regions(lengths, values.split, values.seed)
        cut = cut_units(features, lengths, regions, values.units)
        progress(f"{cut.units.height:,} units; looking for sequence that the splits share")
        leaks = find_leaks(IndexedFasta(study.files("genome", variety) / FASTA), regions)
        name = pl.lit(variety).alias(OUTER)
        UNITS.write(cut.units.select(name, pl.all()), work / PART)
        REGIONS.write(regions.select(name, pl.all()), work / REGIONS.file_name)
        save_figure(plot_unit_lengths(cut.units), work / "unit_lengths.png")
        save_figure(plot_regions(regions, lengths), work / "regions.png")
        return _facts(cut, regions, leaks) | {
            "max_leak": values.split.max_leak,
            "split_by": values.split.by,
            "split_faults": split_faults(regions, values.split),
        }

    return study.units(variety).make(build)


def _facts(cut: UnitCut, regions: pl.DataFrame, leaks: dict[str, Leak]) -> Facts:
    units = cut.units
    return {
        "rows": units.height,
        "types": dict(units["unit_type"].value_counts().sort("unit_type").iter_rows()),
        "splits": {name: int((units["split"] == name).sum()) for name in SPLITS},
        "across_splits": units["split"].null_count(),
        "bases": {
            name: int((part["end"] - part["start"]).sum())
            for name in SPLITS
            if (part := regions.filter(pl.col("split") == name)).height
        },
        "groups": {
            name: regions.filter(pl.col("split") == name)["group"].unique().sort().to_list()[:_SHOWN]
            for name in SPLITS
        },
        "regulatory_elements": cut.elements,
        "clamped": cut.clamped,
        "longest": units["length"].max(),
        "leak": {name: leak.share for name, leak in leaks.items()},
        "leak_unmasked": {name: leak.unmasked for name, leak in leaks.items()},
        "sketch": {name: leak.hashes for name, leak in leaks.items()},
    }
