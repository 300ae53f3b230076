"""The page of the plant language model: what it is worth, with every figure of the study in one file."""

from __future__ import annotations

from pathlib import Path

from glm_assets.evaluation.report import StudyPage
from glm_assets.storage.products import Facts, Manifest
from glm_assets.studies.plant.configuration import DEMO
from glm_assets.studies.plant.report_sections import sections
from glm_assets.studies.plant.report_sentences import answer, unknown
from glm_assets.studies.plant.study import PlantStudy
from glm_assets.studies.report_parts import Part, write_report


def make_report(study: PlantStudy) -> Manifest:
    """Put all figures, tables and facts on one page that opens from disk and fetches nothing.

    Raises:
        MissingUpstreamError: A product is absent or out of date.
    """
    products = {"lm": study.lm(), "evaluation": study.evaluation(), "generations": study.generations()}
    if study.values.phenotypes is not None:
        products |= {"phenotypes": study.phenotypes(), "phenotype_head": study.phenotype_head()}

    def build(work: Path) -> Facts:
        parts = {
            name: Part.of(study.main.require(product), study.files(name)) for name, product in products.items()
        }
        page = StudyPage(
            title=f"A language model of {len(study.species)} plants",
            subtitle=", ".join(study.species),
            answer=answer(parts),
            sections=sections(parts),
            unknown=unknown(parts, generated=study.values.species == DEMO),
            facts=_how(study, parts),
        )
        return write_report(work, page)

    return study.report().make(build)


def _how(study: PlantStudy, parts: dict[str, Part]) -> dict[str, dict[str, str]]:
    """What the page is a function of: files by name alone, as it may be passed on."""
    values, trained = study.values, parts["lm"].facts
    model, training, split = values.model, values.training, values.split
    network = {
        "parameters": f"{trained['parameters']:,}",
        "shape": f"{model.layers} layers of width {model.width}, {model.heads} heads",
        "local attention": f"{model.local}, {model.window} tokens",
        "memory": model.memory,
        "context": f"{model.context:,} tokens of {values.tokens.k} bases",
    }
    steps = {
        "optimiser steps": f"{trained['steps']:,}, the best after {trained['best_step']:,}",
        "windows in a step": f"{training.items_in_a_step:,}",
        "largest learning rate": f"{training.learning_rate:g}",
        "species": f"{training.sampling} weights",
    }
    data = {name: ", ".join(path.name for path in study.genome_files(name)) for name in study.species}
    data["split"] = (
        f"blocks of {split.block_bases:,} bases, {split.gap_bases:,} between: {split.val} % val, {split.test} % test"
    )
    chance = {"seed": f"{values.seed}", "resamples of an interval": f"{values.resamples:,}"}
    if values.phenotypes is not None:
        data["samples"] = study.phenotype_file.name
        chance["folds"] = f"{parts['phenotype_head'].facts['folds']}"
    versions = {name.replace("_", " "): part.data_version for name, part in parts.items()}
    return {"Model": network, "Training": steps, "Data": data, "Chance": chance, "Versions of the data": versions}
