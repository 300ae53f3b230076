"""Data roots that lack vectors which the original pipeline has computed, and its arrays."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from glm_assets.lineage.embeddings import load_encoder
from glm_assets.lineage.imports import ImportReport, import_embeddings
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.storage.tables import read_part
from glm_assets_tests.lineage import original
from glm_assets_tests.lineage.studies import tiny_study

LENGTH = 128
LAYER = "blocks.25.mlp.l3"
CHROMOSOMES = ("21", "22")
ORIGINAL_LABELS = {"labels": {"policy": "faithful", "min_stars": 0, "indel_max": 50}}


def silent(line: str) -> None:
    """Progress that nobody reads."""


@dataclass
class Past:
    """What a user has: a data root with windows but without vectors, and the original's arrays."""

    folder: Path
    tree: Path
    study: Study
    windows: dict[str, np.ndarray]
    vectors: dict[str, np.ndarray]

    def bring(self, path: Path, **changes) -> ImportReport:
        """Import, with a sample of 24 unless told otherwise."""
        return import_embeddings(self.study, path, **({"sample": 24, "progress": silent} | changes))

    def rows(self) -> pl.DataFrame:
        """The data root's variants in order."""
        return pl.concat([read_part(self.study.variant_windows(chrom).folder) for chrom in CHROMOSOMES])


def make_past(folder: Path, tree: Path) -> Past:
    """Make the windows of a tree and, from the same tree, the original's arrays."""
    study = tiny_study(folder, tree, profile=ORIGINAL_LABELS)
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    for chrom in CHROMOSOMES:
        make_clinvar_variants(study, chrom)
        make_variant_windows(study, chrom)
    windows = original.preprocess(tree, folder, LENGTH)
    model = load_encoder(study, study.encoder_spec)._model
    return Past(folder, tree, study, windows, original.embed(windows, model, LAYER, in_bfloat16=False))


def copy_of(made: Past, folder: Path, **encoder) -> Past:
    """The same in another folder, with other values of the profile's encoder."""
    values = dict(ORIGINAL_LABELS)
    if encoder:
        values["encoder"] = made.study.profile.encoder.model_dump() | encoder
    shutil.copytree(made.folder / "data", folder / "data")
    study = tiny_study(folder, made.tree, profile=values)
    arrays = ({name: array.copy() for name, array in part.items()} for part in (made.windows, made.vectors))
    return Past(folder, made.tree, study, *arrays)


def of_chromosomes(past: Past) -> Past:
    """Only the rows on the data root's chromosomes, in both archives."""
    here = np.isin(past.windows["chrom"].astype(str), CHROMOSOMES)
    past.windows = {name: array[here] for name, array in past.windows.items()}
    past.vectors = {name: array[here] for name, array in past.vectors.items()}
    return past


def save(past: Past) -> Path:
    """Write the two archives; returns their folder."""
    return original.save(past.folder / "past", past.windows, past.vectors)


def assert_nothing_stored(past: Past) -> None:
    """Neither a vector nor a record."""
    assert not list(past.study.root.glob("embeddings/*"))
    assert not (past.study.root / "imports").exists()
