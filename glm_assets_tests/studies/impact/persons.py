"""Studies of one person at test size."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

import yaml

from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.studies.impact.configuration import ImpactConfiguration
from glm_assets.studies.impact.embeddings import make_read_embeddings
from glm_assets.studies.impact.examples import make_read_examples
from glm_assets.studies.impact.individual import make_individual_alignments, make_individual_variants
from glm_assets.studies.impact.study import ImpactStudy
from glm_assets_tests.lineage.studies import tiny_study

_SECTIONS = ("carried", "reads", "encoder", "split", "balancing", "head", "new")


def demo_values() -> dict:
    """The built-in configuration `demo`, as plain values."""
    return yaml.safe_load((files("glm_assets.studies.impact") / "demo.yaml").read_text(encoding="utf-8"))


def configuration(**changes) -> ImpactConfiguration:
    """The demo's configuration; a section that is given as a mapping changes some of its keys."""
    return ImpactConfiguration.model_validate(_changed(demo_values(), changes))


def _changed(values: dict, changes: dict) -> dict:
    return values | {name: values[name] | value if name in _SECTIONS else value for name, value in changes.items()}


def small(files) -> dict:
    """Changes of the demo's configuration to the least that has something of everything.

    Args:
        files: As `make_demo_individual` gives them.
    """
    return {
        "alignments": str(files.alignments),
        "variants": str(files.variants),
        "new": {"reads": str(files.new_reads), "variants": str(files.new_variants)},
        "reads": {"per_variant": 1, "absent_variants": 12},
        "head": {"channels": (4, 4), "epochs": 4},
        "resamples": 100,
    }


def person(folder: Path, source: Path | str, main: dict | None = None, **changes) -> ImpactStudy:
    """A study in `folder/data` with the main study's sources in it."""
    from glm_assets.lineage.sources import make_clinvar_release, make_reference_genome

    study = tiny_study(folder, source, **main or {})
    study.claim()
    make_clinvar_release(study, silent)
    make_reference_genome(study, silent)
    return ImpactStudy(study, configuration(**changes))


def another_of(study: ImpactStudy, main: Study | None = None, **changes) -> ImpactStudy:
    """A study whose configuration differs in some keys, in the same data root or in another."""
    values = _changed(study.values.model_dump(), changes)
    return ImpactStudy(main or study.main, ImpactConfiguration.model_validate(values))


def copy_of(study: ImpactStudy, folder: Path, **changes) -> ImpactStudy:
    """The same with everything that is made, in a data root that a test may change."""
    shutil.copytree(study.main.root, folder / "data")
    values = study.main.settings.model_dump() | {"data_root": str(folder / "data")}
    return another_of(study, Study(Settings.model_validate(values)), **changes)


def embed(study: ImpactStudy, chrom: str) -> None:
    """Everything of a chromosome, up to its vectors."""
    make_individual_alignments(study, chrom)
    make_individual_variants(study, chrom, silent)
    make_read_examples(study, chrom, silent)
    make_read_embeddings(study, chrom, silent)


def silent(_: str) -> None:
    """Nobody listens."""
