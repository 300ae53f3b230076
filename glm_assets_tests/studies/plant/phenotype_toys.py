"""A plant study whose language model was never trained, and tables of samples written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.storage.products import Facts
from glm_assets.studies.configuration import read_configuration
from glm_assets.studies.plant.configuration import PlantConfiguration
from glm_assets.studies.plant.study import PlantStudy


def toy_study(folder: Path, table: Path | None = None, **phenotypes: Any) -> PlantStudy:
    """The demo's values with a small network and few epochs; `phenotypes` are merged into that section."""
    demo = read_configuration(PlantConfiguration, "glm_assets.studies.plant", "GLM_PLANT", "demo").model_dump()
    demo["model"] |= {"width": 32, "heads": 2, "layers": 1, "context": 16, "positions": 16}
    demo["phenotypes"] |= {"epochs": 15, "segment_tokens": 12} | phenotypes
    if table is not None:
        demo["phenotypes"]["file"] = str(table)
    demo |= {"resamples": 200}
    main = Study(Settings(data_root=str(folder), device="cpu"))
    return PlantStudy(main, PlantConfiguration.model_validate(demo))


def make_untrained_lm(study: PlantStudy) -> None:
    """A random network in place of the trained one; the genomes and tokens above it are placeholders."""

    def placeholder(work: Path) -> Facts:
        (work / "placeholder").write_text("nothing", encoding="ascii")
        return {}

    def build(work: Path) -> Facts:
        import torch

        from glm_assets.encoders.plant_lm.config import PlantLmConfig
        from glm_assets.encoders.plant_lm.files import save_plant_lm
        from glm_assets.encoders.plant_lm.network import PlantLm

        torch.manual_seed(0)
        values = study.values
        network = PlantLm(PlantLmConfig(species=study.species, k=values.tokens.k, **values.model.model_dump()))
        save_plant_lm(network, work)
        return {}

    for species in study.species:
        study.genome(species).make(placeholder)
        study.tokens(species).make(placeholder)
    study.lm().make(build)


def write_table(path: Path, rows: list[tuple[str, ...]], delimiter: str = ";") -> Path:
    """A table whose first row names the columns."""
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows), encoding="utf-8")
    return path
