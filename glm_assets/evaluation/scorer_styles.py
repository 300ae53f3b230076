"""One colour and dash for each scorer, the same in every figure of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from glm_assets.evaluation.figures import CATEGORIES
from glm_assets.evaluation.scores import Scored

_GREYS: Final = ("#4D4D4D", "#7F7F7F", "#ABABAB")

_DASHES: Final = {"head": "", "probe": "", "zero_shot": "6 3", "baseline": "2 2", "predictor": "8 3 2 3"}


@dataclass(frozen=True)
class Style:
    """How a scorer is drawn.

    Attributes:
        colour: As #rrggbb.
        dash: Lengths of strokes and gaps as in SVG, or nothing for a solid line.
    """

    colour: str
    dash: str

    @property
    def matplotlib_dash(self) -> str | tuple[int, tuple[float, ...]]:
        """The dash as matplotlib takes it."""
        return (0, tuple(float(part) for part in self.dash.split())) if self.dash else "-"


def scorer_styles(scored: Sequence[Scored]) -> dict[str, Style]:
    """A style by scorer: colours in order, dashes by kind; sequence-blind baselines are grey.

    Args:
        scored: The scorers of a comparison, in its order.
    """
    styles: dict[str, Style] = {}
    used = {"baseline": 0, "other": 0}
    for one in scored:
        group, colours = ("baseline", _GREYS) if one.kind == "baseline" else ("other", CATEGORIES)
        styles[one.name] = Style(colours[used[group] % len(colours)], _DASHES[one.kind])
        used[group] += 1
    return styles
