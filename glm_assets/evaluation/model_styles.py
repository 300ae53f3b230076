"""What language models are called in figures and which colour each has, the same everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from glm_assets.evaluation.figures import BENIGN, CATEGORIES, NEUTRAL

ZERO_SHOT: Final = "zero_shot"
FINE_TUNED: Final = "fine_tuned"

_TITLES: Final = {ZERO_SHOT: "zero-shot", FINE_TUNED: "fine-tuned"}
_COLOURS: Final = {ZERO_SHOT: NEUTRAL, FINE_TUNED: BENIGN}


def model_title(name: str) -> str:
    """A model's name as people write it.

    Args:
        name: As in the tables, such as `zero_shot`.
    """
    return _TITLES.get(name, name)


def model_colours(names: Iterable[str]) -> dict[str, str]:
    """Name to colour, in the order of the names: before and after training have their own, others take turns.

    Args:
        names: Of models, species or whatever is told apart.
    """
    colours: dict[str, str] = {}
    for name in names:
        taken = len(colours.keys() - _COLOURS.keys())
        colours[name] = _COLOURS.get(name, CATEGORIES[taken % len(CATEGORIES)])
    return colours
