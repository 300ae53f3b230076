"""What the products of the study are functions of: what changes one of them makes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from glm_assets.errors import SettingsError
from glm_assets.lineage.study import Study
from glm_assets.studies.plant.configuration import PlantConfiguration
from glm_assets.studies.plant.phenotype_head import make_phenotype_head
from glm_assets.studies.plant.phenotypes import make_phenotypes
from glm_assets.studies.plant.study import PlantStudy
from glm_assets_tests.studies.plant.tiny import make_tokens, tiny_plant
from glm_assets_tests.studies.plant.toys import SPECIES


def with_species(study: PlantStudy, species: dict) -> PlantStudy:
    """The same study and data root with other species."""
    values = study.values.model_dump() | {"species": species}
    return PlantStudy(Study(study.main.settings), PlantConfiguration.model_validate(values))


def test_the_order_of_the_species_is_part_of_the_model(tmp_path: Path) -> None:
    """It numbers them: a model that was trained in another order would be asked as the wrong species."""
    study = tiny_plant(tmp_path)
    make_tokens(study)
    species = study.values.model_dump()["species"]
    turned = with_species(study, {name: species[name] for name in reversed(SPECIES)})
    assert turned.species == SPECIES[::-1]
    assert turned.lm().inputs == study.lm().inputs
    assert turned.lm().input_digest != study.lm().input_digest
    assert with_species(study, species).lm().input_digest == study.lm().input_digest


def test_the_page_is_made_anew_where_it_would_name_other_files(tmp_path: Path) -> None:
    study = tiny_plant(tmp_path)
    make_tokens(study)
    for name in ("lm", "evaluation", "generations"):
        getattr(study, name)().make(lambda work: {"rows": (work / "made").write_text("x")})
    species = study.values.model_dump()["species"]
    renamed = tmp_path / "renamed.fa"
    renamed.write_bytes(Path(species[SPECIES[0]]["files"][0]).read_bytes())
    other = with_species(study, species | {SPECIES[0]: species[SPECIES[0]] | {"files": [str(renamed)]}})
    assert other.generations().input_digest == study.generations().input_digest
    assert other.report().input_digest != study.report().input_digest


def test_without_phenotypes_the_page_alone_is_made(tmp_path: Path) -> None:
    study = tiny_plant(tmp_path)
    make_tokens(study)
    for name in ("lm", "evaluation", "generations"):
        getattr(study, name)().make(lambda work: {"rows": (work / "made").write_text("x")})
    for make in (make_phenotypes, make_phenotype_head):
        with pytest.raises(SettingsError, match="the study plant has no phenotypes"):
            make(study, print)
    assert set(study.report().inputs) == {"plant/lm", "plant/evaluation", "plant/generations"}
