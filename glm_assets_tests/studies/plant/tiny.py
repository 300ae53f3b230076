"""A study of two toy species of test size, whose tokens are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.plant.configuration import PlantConfiguration
from glm_assets.studies.plant.study import PlantStudy
from glm_assets_tests.studies.plant.toys import BLOCK_BASES, MODEL_VALUES, SPECIES, TRAINING_VALUES, K, toy_tokens


def tiny_plant(folder: Path, **changes: Any) -> PlantStudy:
    """A study in `folder`; `changes` are merged into its sections."""
    values = read_configuration(PlantConfiguration, "glm_assets.studies.plant", "GLM_PLANT", "demo").model_dump()
    files = {species: folder / f"{species}.fa" for species in SPECIES}
    for path in files.values():
        path.write_text(">chr1\nACGT\n")
    values |= {
        "name": "tiny",
        "species": {name: {"files": [str(path)], "weight": 1.0} for name, path in files.items()},
        "phenotypes": None,
        "resamples": 200,
    }
    sections = {
        "tokens": {"k": K},
        "split": {"block_bases": BLOCK_BASES},
        "model": MODEL_VALUES | {"dropout": 0.0},
        "training": TRAINING_VALUES
        | {"steps": 60, "validate_steps": 20, "learning_rate": 0.02, "sampling": "exact"},
        "evaluation": {"markov_order": 3, "max_windows": 1_000},
        "generation": {"samples": 3, "tokens": 12, "prompt_tokens": 5},
    }
    for section, change in sections.items():
        values[section] |= change
    for section, change in changes.items():
        values[section] = values[section] | change if isinstance(change, dict) else change
    main = Study(Settings(data_root=str(folder / "data"), device="cpu"))
    return PlantStudy(main, PlantConfiguration.model_validate(values))


def make_tokens(study: PlantStudy) -> None:
    """The toy tokens of both species, as if they had been cut from genomes."""
    for seed, species in enumerate(SPECIES):

        def genome(work: Path) -> dict[str, Any]:
            (work / "part.parquet").write_bytes(b"")
            return {}

        def tokens(work: Path, species: str = species, seed: int = seed) -> dict[str, Any]:
            toy_tokens(work, species, seed)
            return {}

        study.genome(species).make(genome)
        study.tokens(species).make(tokens)
