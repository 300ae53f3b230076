"""What the plant model's page says first: whether it beats its baselines, and what these data cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from glm_assets.evaluation.report.numbers import count, decimal, interval, signed
from glm_assets.studies.plant.judged_figures import ALL
from glm_assets.studies.report_parts import Part


def answer(parts: Mapping[str, Part]) -> list[str]:
    """Sentences that say what the model is worth, what its memory is, and what the phenotype head is.

    Args:
        parts: Product to its files and facts, those of phenotypes only where the study has some.
    """
    return [
        *_prediction(parts["evaluation"].facts),
        *_memory(parts["evaluation"].facts),
        *_phenotypes(parts["phenotype_head"].facts if "phenotype_head" in parts else None),
    ]


def unknown(parts: Mapping[str, Part], *, generated: bool) -> list[str]:
    """What the reader must not conclude.

    Args:
        parts: As of `answer`.
        generated: Whether the genomes are the demo's.
    """
    said = ["One training is judged: how much another seed would differ is not part of any interval."]
    if generated:
        said.append("The genomes and samples are generated: the figures say nothing of real plants.")
    if "phenotype_head" in parts:
        said.append(
            "Samples that are kin share their genes, and a fold may hold out the sister of one that it fits to:"
            " the table names no families, so nothing here keeps them together."
        )
    return said


def _prediction(facts: Mapping[str, Any]) -> Iterator[str]:
    bits = facts["metrics"][f"bits_per_base_{ALL}"]
    yield (
        f"On {count(facts['test_tokens'])} test tokens the model needs {decimal(bits)} bits per base;"
        " a guess needs 2."
    )
    if "over_markov_2" in facts:
        yield _against_second_order(facts)
    order, saved = facts["best_markov_order"], facts["over_best_markov"]
    yield (
        f"Of the Markov models that of order {order} is best, with {decimal(facts['baseline'][f'markov_{order}'])};"
        f" the language model needs {decimal(abs(saved))} {'fewer' if saved > 0 else 'MORE, and does not beat it'}."
    )


def _against_second_order(facts: Mapping[str, Any]) -> str:
    saved, low, high = (facts[f"over_markov_2{end}"] for end in ("", "_low", "_high"))
    verdict = (
        "does NOT beat"
        if saved <= 0
        else "beats"
        if low is not None and low > 0
        else "is ahead of, but not for sure,"
    )
    bounds = interval(low, high) or "too few blocks for an interval"
    return (
        f"It {verdict} the Markov model of order 2, which needs {decimal(facts['baseline']['markov_2'])}:"
        f" it saves {signed(saved)} bits per base ({bounds})."
    )


def _memory(facts: Mapping[str, Any]) -> Iterator[str]:
    if "memory" not in facts:
        yield "The model has no memory to judge."
        return
    bounds = interval(facts["memory_saves_low"], facts["memory_saves_high"], 4) or "no interval"
    yield f"Its memory {facts['memory']} ({signed(facts['memory_saves'], 4)} bits per base, {bounds})."


def _phenotypes(facts: Mapping[str, Any] | None) -> Iterator[str]:
    yield "There are no phenotypes to tell." if facts is None else f"Of phenotypes, {facts['verdict']}."
