"""How each head is trained: to the letter of the original pipeline, or mended, and how that scales to smaller runs.

`faithful` is the original (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-). `open` has the same networks, lengths and
rates, and mends what cannot work there: gates that never move, a margin out of reach, a distillation too small to
matter, a PCC term over pairs and ties, weight decay on norms and gates, soups chosen on the pairs that chose epochs.

Plain values only: a recipe is part of a head's manifest and of its input digest. `train` carries it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

from glm_assets.errors import SettingsError
from glm_assets.heads.groups import ORIGINAL_GROUPS, GroupRule
from glm_assets.heads.metrics import Scoring
from glm_assets.heads.shapes import ORIGINAL_SHAPES, HeadShape, Version

RecipeName = Literal["faithful", "open"]


@dataclass(frozen=True)
class Phase:
    """Weights of the loss terms up to and including an epoch.

    Attributes:
        until: Last epoch of the phase, counted from 1.
        cdd: Weight of the pathogenic/benign contrast.
        pcc: Weight of the agreement with the variant's length.
        cd_floor: Weight of the floor under the mean distance.
        distil: Weight of the distillation from the teacher.
    """

    until: int
    cdd: float = 0.0
    pcc: float = 0.0
    cd_floor: float = 0.0
    distil: float = 0.0


@dataclass(frozen=True)
class SoupRule:
    """How checkpoints are averaged into one.

    Attributes:
        share: Share of the kept checkpoints that are tried, best first (rounded down, at least one).
        alphas: Weights that each candidate is tried with against the soup so far; empty for a running mean of
            all ingredients.
    """

    share: float = 1.0
    alphas: tuple[float, ...] = ()

    def candidates(self, kept: int) -> int:
        """How many of the kept checkpoints are tried."""
        return max(1, int(self.share * kept))


@dataclass(frozen=True)
class HeadRecipe:
    """Everything a head is a function of, besides its data and its teacher's weights.

    Attributes:
        shape: Architecture and widths.
        phases: Loss weights by epoch, in order; the last phase ends with the training.
        batch_size: Pairs in a step.
        learning_rate: Of the first epoch; it falls along a cosine.
        keep: Checkpoints kept for the soup, by validation score; None for all.
        soup: How they are averaged.
        teacher: Version it is distilled from, or None.
        warm_start: Whether it takes over tensors of its teacher.
        seed: Of python's, numpy's and torch's generators.
        weight_decay: Of AdamW.
        dropout: Rate in every block.
        clip_norm: Largest gradient norm of a step.
        min_learning_rate: What the cosine falls towards.
        name: Which of the recipes this is.
        gate: Where the gates of v2 and v3 start. The last linear layers behind them start at zero.
        decay_small: Whether weight decay shrinks gates, norms, layer scales and biases too.
        distillation: Mean squared difference per number, or cosine distance.
        cdd_margin: Contrast of the classes from which on the contrast term is 0.
        groups: Which groups the PCC term takes, and whether ties count as neighbours.
        members: Rows of a group that are put into a batch together; 1 for a plain shuffle.
        ladders: Mutation ladders in a step.
        separate_soup_val: Whether soups are chosen on other pairs than epochs.
        scoring: How CD, CDD and PCC become the score.
        mixed_precision: Whether a GPU multiplies matrices in bfloat16.
    """

    shape: HeadShape
    phases: tuple[Phase, ...]
    batch_size: int
    learning_rate: float
    keep: int | None
    soup: SoupRule
    teacher: Version | None = None
    warm_start: bool = False
    seed: int = 2025
    weight_decay: float = 1e-3
    dropout: float = 0.1
    clip_norm: float = 1.0
    min_learning_rate: float = 1e-6
    name: RecipeName = "faithful"
    gate: float = 0.0
    decay_small: bool = True
    distillation: Literal["mse", "cosine"] = "mse"
    cdd_margin: float = 2.0
    groups: GroupRule = ORIGINAL_GROUPS
    members: int = 1
    ladders: int = 0
    separate_soup_val: bool = False
    scoring: Scoring = "raw_sum"
    mixed_precision: bool = False

    @property
    def version(self) -> Version:
        """Which of the four heads this is."""
        return self.shape.version

    @property
    def epochs(self) -> int:
        """Epochs of the whole training."""
        return self.phases[-1].until

    def phase(self, epoch: int) -> Phase:
        """The phase an epoch lies in, epochs counted from 1."""
        return next(phase for phase in self.phases if epoch <= phase.until)

    def scaled(
        self,
        *,
        in_dim: int | None = None,
        widths: Sequence[int] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        seed: int | None = None,
        mixed_precision: bool | None = None,
    ) -> HeadRecipe:
        """The same recipe at another size.

        Phases keep their share of the training, at least one epoch each where there are enough; earlier phases
        make way first. Ladders keep their share of the batch, at least two where there are any.

        Args:
            in_dim: Width of the encoder's vectors.
            widths: Hidden and output width.
            epochs: Length of the training.
            batch_size: Pairs in a step.
            seed: Of all generators.
            mixed_precision: Whether a GPU multiplies matrices in bfloat16.
        """
        hidden, out_dim = widths or (self.shape.hidden, self.shape.out_dim)
        shape = replace(self.shape, in_dim=in_dim or self.shape.in_dim, hidden=hidden, out_dim=out_dim)
        size = batch_size or self.batch_size
        return replace(
            self,
            shape=shape,
            phases=_rescale(self.phases, epochs or self.epochs),
            batch_size=size,
            seed=self.seed if seed is None else seed,
            ladders=max(2, round(self.ladders * size / self.batch_size)) if self.ladders else 0,
            mixed_precision=self.mixed_precision if mixed_precision is None else mixed_precision,
        )

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON values."""
        return asdict(self)


def _rescale(phases: tuple[Phase, ...], epochs: int) -> tuple[Phase, ...]:
    factor = epochs / phases[-1].until
    scaled: list[Phase] = []
    end = 0
    for index, phase in enumerate(phases):
        room = epochs - (len(phases) - 1 - index)
        until = min(max(end + 1, round(phase.until * factor)), room)
        if until > end:
            scaled.append(replace(phase, until=until))
            end = until
    return tuple(scaled)


_V1_V2_PHASES = (
    Phase(5, distil=1.0),
    Phase(10, cdd=1.0, pcc=0.5, cd_floor=1.0, distil=0.5),
    Phase(100, cdd=1.0, pcc=1.0, cd_floor=1.0),
)

ORIGINAL_RECIPES: dict[Version, HeadRecipe] = {
    "v0": HeadRecipe(
        ORIGINAL_SHAPES["v0"],
        phases=(Phase(10, cdd=1.0), Phase(20, cdd=1.0, pcc=0.5), Phase(100, cdd=1.0, pcc=1.0)),
        batch_size=2048,
        learning_rate=1e-3,
        keep=None,
        soup=SoupRule(),
    ),
    "v1": HeadRecipe(
        ORIGINAL_SHAPES["v1"],
        phases=_V1_V2_PHASES,
        batch_size=4096,
        learning_rate=3e-4,
        keep=10,
        soup=SoupRule(share=0.3),
        teacher="v0",
    ),
    "v2": HeadRecipe(
        ORIGINAL_SHAPES["v2"],
        phases=_V1_V2_PHASES,
        batch_size=4096,
        learning_rate=3e-4,
        keep=10,
        soup=SoupRule(share=0.3, alphas=(0.25, 0.5, 0.75, 1.0)),
        teacher="v1",
        warm_start=True,
    ),
    "v3": HeadRecipe(
        ORIGINAL_SHAPES["v3"],
        phases=(Phase(15, distil=1.0), Phase(150, cdd=1.0, pcc=1.0, cd_floor=1.0)),
        batch_size=4096,
        learning_rate=2e-4,
        keep=10,
        soup=SoupRule(alphas=tuple(step / 10 for step in range(1, 11))),
        teacher="v2",
        warm_start=True,
    ),
}


def _mended(original: HeadRecipe) -> HeadRecipe:
    """The same training with what cannot work in it put right."""
    return replace(
        original,
        phases=tuple(replace(phase, distil=1.0 if phase.distil else 0.0) for phase in original.phases),
        name="open",
        gate=1.0,
        decay_small=False,
        distillation="cosine",
        cdd_margin=1.0,  # benign variants at their reference, pathogenic ones at right angles to it
        groups=GroupRule(min_members=4, min_lengths=2, ties=False),
        members=8,
        ladders=original.batch_size // 256,  # of ten windows each: a batch grows by a twenty-fifth
        separate_soup_val=True,
        scoring="normalised",
    )


RECIPES: dict[RecipeName, dict[Version, HeadRecipe]] = {
    "faithful": ORIGINAL_RECIPES,
    "open": {version: _mended(recipe) for version, recipe in ORIGINAL_RECIPES.items()},
}


def recipe_name(text: str) -> RecipeName:
    """The recipe that a person names.

    Raises:
        SettingsError: There is none of that name.
    """
    if text not in RECIPES:
        raise SettingsError(f"there is no recipe {text!r}", expected=" or ".join(RECIPES))
    return cast("RecipeName", text)
