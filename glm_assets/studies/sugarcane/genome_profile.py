"""What a genome is like, counted on all of it: nothing is sampled or drawn, and what the data do not say is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from glm_assets.evaluation.figures import save_figure
from glm_assets.evaluation.genome_profile_figures import (
    plot_codon_usage,
    plot_domains,
    plot_gene_structure,
    plot_repeats,
)
from glm_assets.genome.codon_usage import codon_counts, relative_usage
from glm_assets.genome.gene_structure import coding_sequences, gene_structures, is_gene
from glm_assets.genome.indexed_fasta import IndexedFasta
from glm_assets.genome.intervals import merge_intervals
from glm_assets.genome.microsatellites import NAMES, microsatellites
from glm_assets.sources.genome_files import FASTA
from glm_assets.storage.products import Facts, Manifest
from glm_assets.storage.schemas_sugarcane import GENOME_PROFILE
from glm_assets.storage.tables import PART, read_part
from glm_assets.studies.sugarcane.configuration import GenomeProfileSettings
from glm_assets.studies.sugarcane.study import SugarcaneStudy

Progress = Callable[[str], None]
Row = tuple[str, str, str, float | None]

GENES_FILE: Final = "genes.parquet"
_REPEATS: Final = ("repeat", "transposable", "transposon", "satellite")
_DOMAINS: Final = ("protein_match", "polypeptide_domain", "protein_hmm_match")
_SOFT_MASKED: Final = "soft-masked"


@dataclass
class _Profile:
    """The figures so far."""

    rows: list[Row] = field(default_factory=list)

    def add(self, part: str, name: str, **figures: float | None) -> None:
        self.rows += [(part, name, figure, value) for figure, value in figures.items()]

    def table(self, variety: str) -> pl.DataFrame:
        frame = pl.DataFrame(self.rows, GENOME_PROFILE.schema.names()[1:], orient="row", infer_schema_length=None)
        return frame.select(pl.lit(variety).alias("variety"), pl.all()).cast(GENOME_PROFILE.schema)


def make_genome_profile(study: SugarcaneStudy, variety: str, progress: Progress) -> Manifest:
    """Bring a variety's profile up to date.

    Args:
        study: The study.
        variety: One of its varieties.
        progress: Called with a line now and then.
    """

    def build(work: Path) -> Facts:
        contigs = read_part(study.files("genome", variety))
        features = read_part(study.files("annotation", variety))
        genome = IndexedFasta(study.files("genome", variety) / FASTA)
        profile, settings = _Profile(), study.values.genome_profile
        structure = _genes(profile, contigs, features, settings, work)
        codons, left_out = _codons(profile, coding_sequences(features, genome), work)
        progress(f"{codons:,} codons of {structure['genes_with_exons']:,} genes")
        found = _microsatellites(profile, genome, settings, progress)
        shares = _repeats(profile, contigs, features)
        bases = int(contigs["length"].sum())
        save_figure(plot_repeats(found, shares, bases), work / "repeats.png")
        domains = _domains(profile, features)
        save_figure(plot_domains(domains), work / "domains.png")
        table = profile.table(variety)
        GENOME_PROFILE.write(table, work / PART)
        missing = [name for name, is_there in _parts(codons, shares, domains).items() if not is_there]
        return {
            "rows": table.height,
            **structure,
            "codons": codons,
            "codons_left_out": left_out,
            "microsatellites": dict(found.select("name", "count").iter_rows()),
            "missing": missing or ["nothing"],
        }

    return study.genome_profile(variety).make(build)


def _parts(codons: int, shares: dict[str, float | None], domains: pl.DataFrame) -> dict[str, bool]:
    return {
        "codon usage": codons > 0,
        "classes of repeats": _SOFT_MASKED not in shares,
        "soft-masking": shares.get(_SOFT_MASKED, 1.0) is not None,
        "protein domains": not domains.is_empty(),
    }


def _genes(
    profile: _Profile, contigs: pl.DataFrame, features: pl.DataFrame, settings: GenomeProfileSettings, work: Path
) -> Facts:
    """Size and genes."""
    bases, unknown = int(contigs["length"].sum()), int(contigs["unknown"].sum())
    known = pl.col("length") - pl.col("unknown")
    strong = contigs.select((pl.col("gc") * known).sum()).item()
    genes = features.filter(is_gene(pl.col("type"))).height
    structure, introns = gene_structures(features)
    structure.write_parquet(work / GENES_FILE)
    summary: dict[str, float | None] = {
        "bases": bases,
        "contigs": contigs.height,
        "unknown_share": unknown / bases,
        "gc": strong / (bases - unknown) if bases > unknown else None,
        "genes": genes,
        "pseudogenes_among_them": features.filter(type="pseudogene").height,
        "genes_per_megabase": genes / bases * 1e6,
        "genes_without_exons": genes - structure.height,
    }
    for name, value in summary.items():
        profile.add("summary", name, value=value)
    values = {
        "gene_length": (structure["length"], settings.max_gene),
        "exons": (structure["exons"], settings.max_exons),
        "mean_exon_length": (structure["mean_exon"], settings.max_gene),
        "intron_length": (introns, settings.max_intron),
    }
    for name, (series, _) in values.items():
        profile.add("gene", name, **_spread(series))
    boxes = {
        name.replace("_length", " length (bases)").replace("_", " "): series.filter(series < most).to_list()
        for name, (series, most) in values.items()
    }
    left_out = sum(len(series) for series, _ in values.values()) - sum(map(len, boxes.values()))
    save_figure(plot_gene_structure(boxes, _shown(summary), left_out=left_out), work / "genes.png")
    return {
        "genes": genes,
        "genes_with_exons": structure.height,
        "genes_without_exons": genes - structure.height,
        "introns": len(introns),
        "beyond_the_plots": left_out,
    }


def _spread(values: pl.Series) -> dict[str, float | None]:
    """Count, mean and quartiles; null where there is nothing."""
    if values.is_empty():
        return {"count": 0, "mean": None, "q1": None, "median": None, "q3": None}
    q1, median, q3 = np.percentile(values.to_numpy(), [25, 50, 75]).tolist()
    return {"count": len(values), "mean": float(values.to_numpy().mean()), "q1": q1, "median": median, "q3": q3}


def _shown(summary: dict[str, float | None]) -> list[tuple[str, str]]:
    def say(value: float | None) -> str:
        if value is None:
            return "missing"
        return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"

    return [("GC" if name == "gc" else name.replace("_", " "), say(value)) for name, value in summary.items()]


def _codons(profile: _Profile, coding: Iterable[np.ndarray], work: Path) -> tuple[int, int]:
    counts, left_out = codon_counts(coding)
    usage = relative_usage(counts)
    for codon, amino_acid, count, rscu in usage.iter_rows():
        profile.add("codon", f"{amino_acid} {codon}", count=count, rscu=rscu)
    save_figure(plot_codon_usage(usage), work / "codons.png")
    return int(counts.sum()), left_out


def _microsatellites(
    profile: _Profile, genome: IndexedFasta, settings: GenomeProfileSettings, progress: Progress
) -> pl.DataFrame:
    """Counts by kind, over all contigs."""
    kinds = dict.fromkeys(sorted(settings.repeats), 0)
    bases, motifs = dict(kinds), dict[str, int]()
    for contig in genome.names:
        found = microsatellites(genome.fetch(contig), settings.repeats)
        for period, motif, start, end in found.select("period", "motif", "start", "end").iter_rows():
            kinds[period] += 1
            bases[period] += end - start
            motifs[motif] = motifs.get(motif, 0) + 1
        progress(f"{contig}: {found.height:,} microsatellites")
    for period, count in kinds.items():
        profile.add("microsatellite", NAMES.get(period, str(period)), count=count, bases=bases[period])
    for motif, count in sorted(motifs.items(), key=lambda item: (-item[1], item[0])):
        profile.add("microsatellite", motif, count=count)
    names = [NAMES.get(period, str(period)) for period in kinds]
    return pl.DataFrame({"name": names, "count": list(kinds.values())})


def _repeats(profile: _Profile, contigs: pl.DataFrame, features: pl.DataFrame) -> dict[str, float | None]:
    """Shares of the genome that the annotation's classes of repeats take; what is soft-masked where it has none."""
    bases, masked = int(contigs["length"].sum()), int(contigs["soft_masked"].sum())
    of_repeats = features.filter(pl.col("type").str.to_lowercase().str.contains_any(list(_REPEATS)))
    shares: dict[str, float | None] = {
        str(kind): _union(of_kind) / bases for (kind,), of_kind in of_repeats.group_by("type", maintain_order=True)
    }
    soft = masked / bases if masked else None
    for name, share in {**shares, _SOFT_MASKED: soft}.items():
        profile.add("repeat", name, share=share)
    return shares or {_SOFT_MASKED: soft}


def _union(features: pl.DataFrame) -> int:
    """Bases that features cover, each counted once."""
    total = 0
    for _, of_contig in features.group_by("contig"):
        first, last = merge_intervals(of_contig["start"].to_numpy(), of_contig["end"].to_numpy())
        total += int((last - first).sum())
    return total


def _domains(profile: _Profile, features: pl.DataFrame) -> pl.DataFrame:
    """How many features there are of each protein domain, by its name; by its ID or type where it has none."""
    domains = features.filter(pl.col("type").is_in(_DOMAINS))
    counts = domains.group_by(name=pl.coalesce("name", "feature_id", "type")).agg(count=pl.len()).sort("name")
    for name, count in counts.iter_rows():
        profile.add("domain", name, count=count)
    if counts.is_empty():
        profile.add("domain", "any", count=None)
    return counts
