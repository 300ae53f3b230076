"""What a variety's page says first: whether training helped, and what these data cannot say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from glm_assets.evaluation.model_styles import FINE_TUNED, ZERO_SHOT
from glm_assets.evaluation.report.numbers import count, decimal, interval, percent, signed
from glm_assets.studies.report_parts import Part
from glm_assets.studies.sugarcane.configuration import DEMO
from glm_assets.studies.sugarcane.experiment_scores import SCORES_FILE

_VERDICTS = {
    "better": "Fine-tuning made the model better",
    "worse": "Fine-tuning made the model WORSE, not better",
    "undecided": "Whether fine-tuning made the model better is not decided",
}


def answer(parts: Mapping[str, Part]) -> list[str]:
    """Sentences that say whether training helped, by how much, and against what.

    Args:
        parts: Product to its files and facts.
    """
    compared = parts["model_comparison"].facts
    return [
        *_units(compared),
        *_loss(parts["lora_adapter"].facts),
        *_experiment(compared),
    ]


def _units(compared: Mapping[str, Any]) -> Iterator[str]:
    means, split = compared["logprob_mean"], compared["judged_split"]
    bounds = interval(means.get("low"), means.get("high"), 4)
    yield (
        f"{_VERDICTS[compared['verdict']]} on {count(compared['units'])} {split} units: a base's mean log-probability"
        f" is {decimal(means[FINE_TUNED], 4)} after and {decimal(means[ZERO_SHOT], 4)} before, a difference of"
        f" {signed(means['difference'], 4)}{f' {bounds}' if bounds else ' (too few units for an interval)'};"
        f" {percent(compared['better_units'])} of the units became likelier."
    )
    if split == "train":
        yield "These units are of the training split: the comparison flatters the fine-tuned model."


def _loss(trained: Mapping[str, Any]) -> Iterator[str]:
    best, before = trained["best_loss"], trained["zero_shot_loss"]
    uniform = trained.get("uniform_loss", math.log(4))
    yield (
        f"The validation loss is {decimal(best, 4)} nats per base, {_side(best, uniform)} ln 4 = {decimal(uniform, 4)},"
        f" which guessing among four bases reaches, and {_side(best, before)} the {decimal(before, 4)} of the"
        " model before training."
    )
    if best >= before:
        yield "So by the validation loss fine-tuning did NOT help."
    if best >= uniform:
        yield "A model that is no better than guessing has not learned this genome."


def _side(value: float, other: float) -> str:
    return "below" if value < other else "NOT below"


def _experiment(compared: Mapping[str, Any]) -> Iterator[str]:
    if "experiment_rows" not in compared:
        yield "No experiment was compared: the study's values name none."
        return
    parts = []
    for figure, name in (("spearman", "Spearman's rho"), ("pearson", "Pearson's r")):
        values = compared[f"experiment_{figure}"]
        if {ZERO_SHOT, FINE_TUNED} <= values.keys():
            bounds = interval(values.get("low"), values.get("high"), 3)
            parts.append(
                f"{name} {decimal(values[ZERO_SHOT])} before and {decimal(values[FINE_TUNED])} after training"
                + (f", a difference of {signed(values['difference'])} {bounds}" if bounds else "")
            )
        else:
            parts.append(f"no {name}, for scores or measurements do not vary")
    yield f"Against {count(compared['experiment_rows'])} measured sequences: {'; '.join(parts)}."


def unknown(parts: Mapping[str, Part], encoder: str) -> list[str]:
    """What the reader must not conclude.

    Args:
        parts: Product to its files and facts.
        encoder: Name of the model.
    """
    said = []
    if encoder == DEMO:
        said.append(
            "The demo's model began with random weights: its zero-shot scores are those of no published model."
        )
    said += [
        "The model was trained once: intervals show what chance in the units does, not what another seed would.",
        "Intervals take units for independent; neighbours, and copies of a gene, are less than that.",
        "A likelier sequence is not a better one: log-probabilities say how much a sequence looks like the genome.",
    ]
    if SCORES_FILE in parts["model_comparison"].names:
        said.append("A correlation with one experiment says nothing about another.")
    return said
