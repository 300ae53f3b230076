"""Pathogenic (1) or benign (0): two policies that turn CLNSIG and CLNREVSTAT into a label or a drop reason.

`faithful` is the original pipeline's rule to the letter, its faults included (GitHub
Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-). `strict` reads every term, and review status as stars.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import polars as pl

from glm_assets.errors import SettingsError
from glm_assets.variants.vocabulary import (
    BENIGN,
    PATHOGENIC,
    SIGNIFICANCE_CLASSES,
    UNKNOWN_TERM,
    review_stars,
    significance_class,
    significance_terms,
    unknown_words,
)

NO_SIGNIFICANCE: Final = "no_significance"
EXCLUDED_TERM: Final = "excluded_term"
MIXED: Final = "mixed_significance"
NO_LABEL_TERM: Final = "no_label_term"
REVIEW_STATUS: Final = "review_status"


class Verdict(NamedTuple):
    """A label (1 pathogenic, 0 benign), or None and the reason why there is none."""

    label: int | None
    drop_reason: str | None = None


@dataclass(frozen=True)
class LabelPolicy:
    """How labels are made.

    Args:
        rule: `faithful` or `strict`.
        min_stars: Review stars, 0 to 4, that a labelled record needs under `strict`. `faithful` has its own gate
            on the review status and takes only 0 here.

    Raises:
        SettingsError: A value is out of range.
    """

    rule: Literal["faithful", "strict"] = "strict"
    min_stars: int = 1

    def __post_init__(self) -> None:
        if self.rule not in ("faithful", "strict"):
            raise SettingsError(f"Unknown label rule {self.rule!r}", expected="faithful or strict")
        if not 0 <= self.min_stars <= 4:
            raise SettingsError(f"Minimum review stars {self.min_stars}", expected="a number from 0 to 4")
        if self.rule == "faithful" and self.min_stars:
            raise SettingsError(
                f"Minimum review stars {self.min_stars} with the label rule faithful",
                expected="0, because faithful judges the review status in its own way",
                fix="set the minimum to 0 or the label rule to strict",
            )

    def judge(self, clnsig: str | None, clnrevstat: str | None, alt_index: int = 0) -> Verdict:
        """Label one ALT.

        Args:
            clnsig: The record's CLNSIG, None when absent.
            clnrevstat: The record's CLNREVSTAT, None when absent.
            alt_index: 0-based place of the ALT in its record; only `faithful` looks at it.
        """
        if self.rule == "faithful":
            return _judge_faithfully(clnsig, clnrevstat, alt_index)
        return _judge_strictly(clnsig, clnrevstat, self.min_stars)


FAITHFUL: Final = LabelPolicy(rule="faithful", min_stars=0)

_EXCLUDED_TERMS = frozenset(
    {
        "Conflicting_interpretations_of_pathogenicity",
        "Uncertain_significance",
        "not_provided",
        "no_assertion_provided",
        "no_assertion_criteria_provided",
        "risk_factor",
        "protective",
        "association",
        "drug_response",
    }
)
_REVIEW_GATES = ("expert_panel", "practice_guideline", "criteria_provided")
_PATHOGENIC_TERMS = frozenset(SIGNIFICANCE_CLASSES[PATHOGENIC])
_BENIGN_TERMS = frozenset(SIGNIFICANCE_CLASSES[BENIGN])
_REASON_ORDER = (*SIGNIFICANCE_CLASSES, UNKNOWN_TERM)


def _comma_part(value: str | None, index: int) -> str:
    """Return the comma part of that index, or the first: VCF readers split these keys (Number=.) on commas."""
    parts = (value or "").split(",")
    return parts[index] if index < len(parts) else parts[0]


def _judge_faithfully(clnsig: str | None, clnrevstat: str | None, alt_index: int) -> Verdict:
    terms = set(re.split(r"[|/,;&\s]+", _comma_part(clnsig, alt_index))) - {""}
    is_pathogenic, is_benign = bool(terms & _PATHOGENIC_TERMS), bool(terms & _BENIGN_TERMS)
    if not terms:
        return Verdict(None, NO_SIGNIFICANCE)
    if terms & _EXCLUDED_TERMS:
        return Verdict(None, EXCLUDED_TERM)
    if is_pathogenic and is_benign:
        return Verdict(None, MIXED)
    if not (is_pathogenic or is_benign):
        return Verdict(None, NO_LABEL_TERM)
    # A substring test: "no_assertion_criteria_provided" passes too.
    if not any(gate in _comma_part(clnrevstat, alt_index) for gate in _REVIEW_GATES):
        return Verdict(None, REVIEW_STATUS)
    return Verdict(int(is_pathogenic))


def _judge_strictly(clnsig: str | None, clnrevstat: str | None, min_stars: int) -> Verdict:
    classes = {significance_class(term) for term in significance_terms(clnsig)}
    if not classes:
        return Verdict(None, NO_SIGNIFICANCE)
    if others := classes - {PATHOGENIC, BENIGN}:
        return Verdict(None, min(others, key=_REASON_ORDER.index))
    if len(classes) == 2:
        return Verdict(None, MIXED)
    if review_stars(clnrevstat) < min_stars:
        return Verdict(None, REVIEW_STATUS)
    return Verdict(int(classes == {PATHOGENIC}))


def add_labels(rows: pl.DataFrame, policy: LabelPolicy) -> pl.DataFrame:
    """Add label, label_reason and review_stars, judging each distinct combination of values once.

    Args:
        rows: One row per ALT with `clnsig`, `clnrevstat` and `alt_index`.
        policy: The label policy. The stars do not depend on it.

    Returns:
        The rows in their order, with `label` int8, `label_reason` str (null where there is a label) and
        `review_stars` int8.
    """
    keys = ["clnsig", "clnrevstat", "alt_index"]
    distinct = rows.select(keys).unique(maintain_order=True)
    verdicts = [policy.judge(*key) for key in distinct.iter_rows()]
    judged = distinct.with_columns(
        pl.Series("label", [verdict.label for verdict in verdicts], dtype=pl.Int8),
        pl.Series("label_reason", [verdict.drop_reason for verdict in verdicts], dtype=pl.String),
        pl.Series("review_stars", [review_stars(status) for status in distinct["clnrevstat"]], dtype=pl.Int8),
    )
    return rows.join(judged, on=keys, how="left", nulls_equal=True, maintain_order="left")


def count_unknown_words(rows: pl.DataFrame) -> dict[str, int]:
    """Count the records' words that ClinVar's vocabulary, as we know it, does not have.

    Args:
        rows: Rows with `clnsig` and `clnrevstat`.

    Returns:
        Number of rows by `CLNSIG=<term>` or `CLNREVSTAT=<status>`, most frequent first.
    """
    counts: dict[str, int] = {}
    for clnsig, clnrevstat, number in rows.group_by("clnsig", "clnrevstat").len().iter_rows():
        for word in unknown_words(clnsig, clnrevstat):
            counts[word] = counts.get(word, 0) + number
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
