"""A classification study of test size: some 200 reads of 20 generated genomes, and the demo's tiny Llama."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from glm_assets.demo.metagenome import make_demo_metagenome
from glm_assets.demo.metagenome_recipe import TINY_METAGENOME
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.metagenome.configuration import MetagenomeConfiguration
from glm_assets.studies.metagenome.evaluation import make_evaluation
from glm_assets.studies.metagenome.labelled_reads import make_reads, make_splits
from glm_assets.studies.metagenome.study import MetagenomeStudy
from glm_assets.studies.metagenome.training import make_classifier
from glm_assets.tracking.protocol import NullTracker


def tiny_values(files: Path, **changes) -> MetagenomeConfiguration:
    """The demo's values at test size; `changes` are merged into its sections."""
    # Reads of few lengths share batches of an encoder that pads nothing.
    made = make_demo_metagenome(files, replace(TINY_METAGENOME, lengths=(97, 100)))
    demo = read_configuration(MetagenomeConfiguration, "glm_assets.studies.metagenome", "GLM_METAGENOME", "demo")
    values = demo.model_dump()
    values["reads"] |= {
        "files": [{"path": str(made.fasta)}, {"path": str(made.fastq)}],
        "mapping": str(made.mapping),
    }
    values["predict"] |= {"files": [str(made.samples), str(made.sample_reads)]}
    values["split"] |= {"val": 20, "test": 20}
    values["training"] |= {"epochs": 2, "warmup_steps": 2}
    values |= {"resamples": 100, "baseline_k": 3}
    for section, change in changes.items():
        values[section] = values[section] | change if isinstance(change, dict) else change
    return MetagenomeConfiguration.model_validate(values)


def tiny_metagenome(folder: Path, files: Path, **changes) -> MetagenomeStudy:
    """A study in `folder`, of the generated reads in `files`."""
    return MetagenomeStudy(Study(Settings(data_root=str(folder), device="cpu")), tiny_values(files, **changes))


def copy_of(study: MetagenomeStudy, folder: Path, **changes) -> MetagenomeStudy:
    """The same with everything that is made, in a data root that a test may change."""
    shutil.copytree(study.main.root, folder / "data")
    main = Study(Settings(data_root=str(folder / "data"), device="cpu"))
    return another_of(study, main, **changes)


def another_of(study: MetagenomeStudy, main: Study | None = None, **changes) -> MetagenomeStudy:
    """A study whose sections differ in some keys, in the same data root or in another."""
    values = study.values.model_dump()
    for section, change in changes.items():
        values[section] |= change
    return MetagenomeStudy(main or study.main, MetagenomeConfiguration.model_validate(values))


def quiet(_: str) -> None:
    """Progress that nobody reads."""


def train(study: MetagenomeStudy, progress=quiet):
    """Reads, splits and classifier."""
    make_reads(study)
    make_splits(study)
    return make_classifier(study, NullTracker(), progress, dagster_run_id="test")


def judge(study: MetagenomeStudy):
    """The evaluation of a trained classifier."""
    return make_evaluation(study, quiet)
