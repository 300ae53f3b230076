"""The shape of a plant language model, and its JSON; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, get_args

from glm_assets.errors import EncoderError

PLANT_LM = "plant_lm"
"""Its name among the encoders, and the `kind` of its configuration file."""

Local = Literal["sliding", "block"]
Rule = Literal["none", "sum", "ema", "content"]

_CHOICES: Final = {"local": get_args(Local), "memory": get_args(Rule)}
_AT_LEAST_ONE: Final = ("k", "width", "heads", "layers", "context", "window", "positions", "normalise_steps")


@dataclass(frozen=True, kw_only=True)
class PlantLmConfig:
    """What the network is made of. The optional fields' meaning in full is in `memory` and `attention`.

    Attributes:
        species: Names in the order of their numbers.
        k: Bases of a token.
        width: d, of every vector.
        heads: Of both attentions.
        layers: Of three parts each: local attention, memory, feed-forward.
        dropout: Rate, of attention weights and inside the feed-forward part.
        context: Longest sequence in tokens.
        window: w: tokens that local attention sees at most, the token itself among them.
        local: `sliding`, or `block` for the original's disjoint blocks of w.
        positions: Rows of the position table; positions beyond begin again at 0.
        tied: Whether the output layer is the token embedding, with a bias of its own.
        memory: How the bucket matrix is filled; `none` leaves memory out of the network.
        memory_per_species: A matrix for each species, or one for all.
        memory_is_trained: Whether the matrix is a parameter besides, as the original's.
        memory_rate: Of the moving means.
        normalise_steps: Updates between normalisations of the rows.
    """

    species: tuple[str, ...]
    k: int = 6
    width: int
    heads: int
    layers: int
    dropout: float = 0.1
    context: int
    window: int
    local: Local = "sliding"
    positions: int
    tied: bool
    memory: Rule
    memory_per_species: bool = True
    memory_is_trained: bool = False
    memory_rate: float = 0.001
    normalise_steps: int = 1000

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", tuple(self.species))
        for field, choices in _CHOICES.items():
            if getattr(self, field) not in choices:
                raise _unfit(f"its {field} is {getattr(self, field)!r}", f"one of {', '.join(choices)}")
        for field in _AT_LEAST_ONE:
            if not _is_whole(getattr(self, field)) or getattr(self, field) < 1:
                raise _unfit(f"its {field} is {getattr(self, field)!r}", "a whole number of at least 1")
        if not self.species or len(set(self.species)) != len(self.species):
            raise _unfit(f"its species are {list(self.species)}", "at least one name, each once")
        if self.width % self.heads:
            raise _unfit(f"its width {self.width} is no multiple of its {self.heads} heads", "a multiple")
        if self.context > self.positions:
            raise _unfit(
                f"its context of {self.context} tokens has {self.positions} positions", "as many at least"
            )

    @property
    def vocabulary(self) -> int:
        """V: all words of k letters of A, C, G and T."""
        return 4**self.k

    @property
    def matrices(self) -> int:
        """How many bucket matrices there are."""
        if self.memory == "none":
            return 0
        return len(self.species) if self.memory_per_species else 1

    def species_index(self, name: str) -> int:
        """The number of a species.

        Raises:
            EncoderError: The model has not seen it.
        """
        if name not in self.species:
            raise EncoderError(
                f"the plant language model does not know the species {name!r}",
                expected=f"one of {', '.join(self.species)}",
            )
        return self.species.index(name)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able values that `from_dict` reads."""
        return {"kind": PLANT_LM} | asdict(self) | {"species": list(self.species)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PlantLmConfig:
        """Read what `as_dict` gave.

        Raises:
            EncoderError: It is another model's, a field is missing or unknown, or a value does not fit.
        """
        if values.get("kind") != PLANT_LM:
            raise _unfit(f"its kind is {values.get('kind')!r}", repr(PLANT_LM))
        known = {field.name for field in fields(cls)}
        given = set(values) - {"kind"}
        if given != known:
            odd = sorted(given ^ known)
            raise _unfit(
                f"these fields are missing or unknown: {', '.join(odd)}", f"exactly {', '.join(sorted(known))}"
            )
        return cls(**{name: values[name] for name in known})


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _unfit(problem: str, expected: str) -> EncoderError:
    return EncoderError(
        f"the configuration of the plant language model does not fit: {problem}", expected=expected
    )
