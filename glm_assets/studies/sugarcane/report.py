"""The page of a variety: what training changed, with every figure and table of the study in one file."""

from __future__ import annotations

from pathlib import Path

from glm_assets.evaluation.report import StudyPage
from glm_assets.storage.products import Facts, Manifest, Product
from glm_assets.studies.report_parts import Part, write_report
from glm_assets.studies.sugarcane.report_sections import sections
from glm_assets.studies.sugarcane.report_sentences import answer, unknown
from glm_assets.studies.sugarcane.study import SugarcaneStudy


def make_report(study: SugarcaneStudy, variety: str) -> Manifest:
    """Put all figures, tables and facts of a variety on one page that opens from disk and fetches nothing.

    Raises:
        MissingUpstreamError: A product is absent or out of date.
    """
    products = {
        "lora_adapter": study.lora_adapter(variety),
        "unit_scores": study.unit_scores(variety),
        "model_comparison": study.model_comparison(variety),
        "token_profiles": study.token_profiles(variety),
        "generations": study.generations(variety),
        "genome_profile": study.genome_profile(variety),
    }

    def build(work: Path) -> Facts:
        parts = {name: _part(study, name, product, variety) for name, product in products.items()}
        page = StudyPage(
            title=f"{variety}: adapting a language model to a genome",
            subtitle=_subtitle(study, parts),
            answer=answer(parts),
            sections=sections(parts),
            unknown=unknown(parts, study.values.model.encoder),
            facts=_how(study, variety, parts),
        )
        return write_report(work, page)

    return study.report(variety).make(build)


def _part(study: SugarcaneStudy, name: str, product: Product, variety: str) -> Part:
    return Part.of(study.main.require(product), study.files(name, variety))


def _subtitle(study: SugarcaneStudy, parts: dict[str, Part]) -> str:
    model, compared = study.values.model, parts["model_comparison"].facts
    trained = "adapters (LoRA)" if model.method == "lora" else "all weights"
    return (
        f"{model.encoder}, {trained} trained in windows of {study.values.training.context:,} bases; "
        f"judged on {compared['units']:,} {compared['judged_split']} units"
    )


def _how(study: SugarcaneStudy, variety: str, parts: dict[str, Part]) -> dict[str, dict[str, str]]:
    """What the page is a function of: files by name alone, as it may be passed on."""
    values = study.values
    weights = study.weights()
    training = values.training
    model = {
        "model": values.model.encoder,
        "weights (SHA-256)": weights.sha256,
        "method": values.model.method,
        "context": f"{training.context:,} tokens",
        "optimiser steps": f"at most {training.steps:,}, of {training.items_in_a_step:,} windows",
        "largest learning rate": f"{training.learning_rate:g}",
    }
    if lora := values.model.lora:
        targets = lora.targets if isinstance(lora.targets, str) else ", ".join(lora.targets)
        model["adapters"] = f"rank {lora.rank}, alpha {lora.alpha:g}, dropout {lora.dropout:g}, on {targets}"
    data = {
        "genome": study.fasta(variety).name,
        "annotation": study.gff3(variety).name,
        "split": f"by {values.split.by.replace('_', ' ')}: {values.split.val} % val, {values.split.test} % test",
    }
    if file := study.experiment_file():
        data["experiment"] = file.name
    chance = {
        "seed": f"{values.seed}",
        "resamples of an interval": f"{values.resamples:,}",
        "sampling": f"temperature {values.generation.temperature:g}, top-k {values.generation.top_k},"
        f" top-p {values.generation.top_p:g}",
    }
    versions = {name.replace("_", " "): part.data_version for name, part in parts.items()}
    return {"Model": model, "Data": data, "Chance": chance, "Versions of the data": versions}
