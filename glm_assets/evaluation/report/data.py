"""What a comparison's page is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glm_assets.evaluation.comparison import Comparison
from glm_assets.evaluation.scores import Scored, SealedTest

Fact = str | tuple[str, str]
"""A fact's text, or the text and the address of a link."""


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows; nothing is read from elsewhere.

    Attributes:
        comparison: The numbers.
        test: The sealed test they were computed on.
        facts: What the numbers are a function of: section to name to fact. A reader expects releases with their
            checksums, the encoder, the split with its audit, MLflow runs, versions and how to make it again.
        histories: By head, one record per epoch: `epoch`, `kept`, `train` and `validation` with their figures.
        soups: By head, `score`, `ingredients` and `steps` of its soup.
        absent: Scorers that could not be compared, with the reason.
        cautions: Further sentences about what the reader must not conclude, such as random weights.
        sealed: Whether the test rows were kept from all training and choosing.
        title: Of the page.
    """

    comparison: Comparison
    test: SealedTest
    facts: Mapping[str, Mapping[str, Fact]] = field(default_factory=dict)
    histories: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    soups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    cautions: Sequence[str] = ()
    sealed: bool = True
    title: str = "Comparison of variant-effect heads"

    @property
    def scored(self) -> tuple[Scored, ...]:
        """The scorers in the order of the page."""
        return self.test.scored
