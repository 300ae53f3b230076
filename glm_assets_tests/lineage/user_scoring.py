"""A tiny study with a fitted probe and heads in files, which scores what a user brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from glm_assets.genome.fasta import ReferenceGenome
from glm_assets.lineage.embeddings import make_variant_embeddings
from glm_assets.lineage.probes import make_probe
from glm_assets.lineage.scored_variants import make_scored_variants
from glm_assets.lineage.scoring_plan import Choices
from glm_assets.lineage.sources import make_clinvar_release, make_glm_checkpoint, make_reference_genome
from glm_assets.lineage.study import Study
from glm_assets.lineage.variants import make_clinvar_variants, make_variant_windows
from glm_assets.sources.reference import FASTA
from glm_assets.storage.tables import read_part
from glm_assets.tracking import NullTracker
from glm_assets_tests.lineage.studies import tiny_study

HEADER = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr21>\n##contig=<ID=chr22>\n##contig=<ID=un>\n"
    '##INFO=<ID=NOTE,Number=1,Type=String,Description="a note">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
PLACE = 12_000


def silent(line: str) -> None:
    """Progress that nobody reads."""


def scoring_study(folder: Path, tree: Path) -> Study:
    """A study with a fitted probe on chromosome 22, and two heads in files."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("vortex")
    study = tiny_study(folder, tree, {"chromosomes": ["22"]})
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    make_glm_checkpoint(study, silent)
    make_clinvar_variants(study, "22")
    make_variant_windows(study, "22")
    make_variant_embeddings(study, "22", silent)
    make_probe(study, "linear_probe", NullTracker(), silent, dagster_run_id="test")
    for seed in (1, 2):
        torch.manual_seed(seed)
        write_head(study, study.root / f"head_{seed}.safetensors")
    return study


def write_head(study: Study, path: Path) -> None:
    from glm_assets.heads.networks import Head
    from glm_assets.heads.weights import write_state
    from glm_assets.lineage.recipes import head_recipe

    write_state(Head(head_recipe(study.profile, "head_v0", study.encoder_spec.dimension).shape), path)


def asking(study: Study, **settings) -> Study:
    """The same study with what a user sets."""
    return Study(study.settings.model_copy(update=settings))


def score(study: Study, *, head: int | None = 1, probe: str = "linear_probe", likelihood: bool = True, log=silent):
    choice = str(study.root / f"head_{head}.safetensors") if head else "none"
    manifest = make_scored_variants(study, Choices(choice, probe, likelihood), NullTracker.registry, log)
    return manifest, read_part(study.tables / "scored_variants"), study.tables / "scored_variants"


def genome(study: Study, chrom: str) -> str:
    return ReferenceGenome(study.reference_folder / FASTA).sequence(chrom).tobytes().decode()


def other_base(base: str) -> str:
    return "ACGT"["ACGT".index(base) - 1]
