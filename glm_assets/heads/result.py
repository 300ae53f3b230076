"""What a training gives, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glm_assets.heads.files import HISTORY_FILE, SUMMARIES_FOLDER
from glm_assets.heads.metrics import Contrast
from glm_assets.heads.recipes import HeadRecipe
from glm_assets.heads.summaries import write_summaries
from glm_assets.storage.atomic import write_json
from glm_assets.tracking import TrackedRun

if TYPE_CHECKING:
    from glm_assets.heads.dormant import Dormant


@dataclass(frozen=True)
class HeadResult:
    """What a training gave.

    Attributes:
        recipe: What it followed.
        metrics: Figures of the soup, which is what `model.safetensors` holds, on the pairs that chose it. They flatter
            it by as much as a choice can; those of the sealed test do not.
        history: Per epoch its learning rate, training loss and terms, validation figures, checkpoint digest and
            whether the checkpoint was kept; JSON values.
        soup: Its validation figures, ingredients and steps; JSON values.
        parameters: Parameters of the head.
        dead: Share of blocks and of parameters that cannot move, at the `start` (after a warm start) and at the `end`.
        warm_started: Tensors taken over from the teacher.
        teacher_sha256: Digest of the teacher's weights, or None.
        val_distance: Distances under the soup of the pairs that chose it, (n,) in their order.
    """

    recipe: HeadRecipe
    metrics: Contrast
    history: list[dict[str, Any]]
    soup: dict[str, Any]
    parameters: int
    dead: dict[str, dict[str, float]]
    warm_started: int
    teacher_sha256: str | None
    val_distance: NDArray[np.float32]

    @property
    def chosen_on(self) -> str:
        """Name of the pairs that chose the soup and that `metrics` are of."""
        return "soup_val" if self.recipe.separate_soup_val else "val"

    def as_dict(self) -> dict[str, Any]:
        """All but the distances as JSON values, for `meta.json`."""
        return {
            "recipe": self.recipe.as_dict(),
            "metrics": self.metrics.as_dict(),
            "history": self.history,
            "soup": self.soup,
            "parameters": self.parameters,
            "chosen_on": self.chosen_on,
            "dead": self.dead,
            "warm_started": self.warm_started,
            "teacher_sha256": self.teacher_sha256,
        }


def dead_shares(dormant: Dormant) -> dict[str, float]:
    """Share of blocks and of parameters that cannot move, as JSON values."""
    return {"blocks": dormant.block_share, "parameters": dormant.parameter_share}


def report(result: HeadResult, best: Mapping[str, float], out: Path, run: TrackedRun) -> None:
    """Write a training's JSON files and hand its outcome to the tracker.

    Args:
        result: The outcome.
        best: Figures of the best single epoch, read back from its checkpoint, and its `epoch`.
        out: Folder for `history.json` and `summaries`.
        run: Receives the soup's figures, its ingredients and the files.
    """
    write_json(out / HISTORY_FILE, result.history)
    summaries = write_summaries(
        out / SUMMARIES_FOLDER,
        result.recipe.version,
        history=result.history,
        best=best,
        soup=result.soup,
    )
    run.log_metrics({f"soup/{name}": value for name, value in result.metrics.as_dict().items()})
    run.set_tags(
        {
            "parameters": str(result.parameters),
            "soup_ingredients": ", ".join(
                f"{item['epoch']}: {item['weight']:.4f}" for item in result.soup["ingredients"]
            ),
        }
    )
    for path in [out / HISTORY_FILE, *summaries]:
        run.log_artifact(path, "training")
