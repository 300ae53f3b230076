"""A study whose genome and units are a few lines, and whose two models are tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.sources.genome_files import index_genome
from glm_assets.storage.products import Product
from glm_assets.storage.schemas_sugarcane import GENOME, UNITS
from glm_assets.storage.tables import PART
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.sugarcane.configuration import SugarcaneConfiguration
from glm_assets.studies.sugarcane.study import SugarcaneStudy
from glm_assets_tests.language.markov_model import MarkovModel

VARIETY = "tiny"
TYPES = ("gene_with_regulatory", "gene_only", "gene_cluster")


def bases(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGTacgtN"), length, p=[*[0.12] * 8, 0.04]))


CONTIGS = {"Chr1": bases(3_000, 1), "Chr2": bases(1_000, 2) + "N" * 100}

# unit_id, contig, start, end, strand, type, split
ROWS = [
    *(
        (f"u{n}", "Chr1", 100 * n, 100 * n + 60 + n, "+-"[n % 2], TYPES[n % 3], ("train", "test")[n > 3])
        for n in range(20)
    ),
    ("long", "Chr1", 2_000, 2_900, "-", "gene_only", "test"),
    ("beyond", "Chr2", -10, 50, "+", "gene_only", "test"),
    ("unknown", "Chr2", 1_020, 1_080, "+", "gene_only", "test"),
]


class TinySugarcane(SugarcaneStudy):
    """Products of it depend on nothing upstream."""

    def lora_adapter(self, variety: str) -> Product:
        return self._product("lora_adapter", variety, {}, {})

    def versions(self, *products: Product) -> dict[str, str]:
        return {product.asset: "made by hand" for product in products}


def tiny_study(folder: Path, **changes) -> TinySugarcane:
    """With genome and units in place; `changes` are merged into the demo's sections."""
    folder.mkdir(parents=True, exist_ok=True)
    fasta = folder / "tiny.fa"
    fasta.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in CONTIGS.items()))
    (folder / "tiny.gff3").write_text("##gff-version 3\n")
    demo = read_configuration(SugarcaneConfiguration, "glm_assets.studies.sugarcane", "GLM_SUGARCANE", "demo")
    values = demo.model_dump() | {
        "varieties": {VARIETY: {"fasta": str(fasta), "gff3": str(folder / "tiny.gff3")}},
    }
    values["scoring"] |= {"max_units": None, "tile": 256, "overlap": 64, "batch_tokens": 512}
    for section, change in changes.items():
        values[section] = values[section] | change if isinstance(change, dict) else change
    study = TinySugarcane(
        Study(Settings(data_root=str(folder / "data"), device="cpu")),
        SugarcaneConfiguration.model_validate(values),
    )
    genome, units = study.folder("genome", VARIETY), study.folder("units", VARIETY)
    genome.mkdir(parents=True, exist_ok=True)
    contigs = index_genome([fasta], genome).select(pl.lit(VARIETY).alias("variety"), pl.all())
    GENOME.write(contigs, genome / PART)
    UNITS.write(units_table(), units / PART)
    return study


def units_table() -> pl.DataFrame:
    rows = [
        {
            "variety": VARIETY,
            "unit_id": name,
            "contig": contig,
            "start": start,
            "end": end,
            "strand": strand,
            "unit_type": kind,
            "n_features": 1,
            "gene_ids": name,
            "strands": strand,
            "length": end - start,
            "group": contig[3:],
            "split": split,
        }
        for name, contig, start, end, strand, kind, split in ROWS
    ]
    return pl.DataFrame(rows, UNITS.schema)


def sequence_of(name: str) -> str:
    """A unit's bases by Python's own slices."""
    _, contig, start, end, strand, *_ = next(row for row in ROWS if row[0] == name)
    text = CONTIGS[contig][max(0, start) : end].upper()
    return text[::-1].translate(str.maketrans("ACGT", "TGCA")) if strand == "-" else text


def two_models(study: SugarcaneStudy | None = None, variety: str = VARIETY) -> dict[str, MarkovModel]:
    """In place of Evo2 without and with its adapter."""
    return {"zero_shot": MarkovModel(seed=0), "fine_tuned": MarkovModel(seed=1)}


def quiet(_: str) -> None:
    """Progress that nobody reads."""
