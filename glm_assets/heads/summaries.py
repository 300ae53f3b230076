"""The JSON side files of a training under the names the original pipeline gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glm_assets.heads.shapes import Version
from glm_assets.storage.atomic import write_json


def write_summaries(
    folder: Path,
    version: Version,
    *,
    history: Sequence[Mapping[str, Any]],
    best: Mapping[str, float],
    soup: Mapping[str, Any],
) -> list[Path]:
    """Write the four files of a version.

    The score is called `score`, in v3 `score_lb`. The original's soup summary of v0 has the figures of the last
    mix it tried; here it is the soup's in every version.

    Args:
        folder: Where they go.
        version: Whose names are used.
        history: Per epoch `epoch` and `validation`.
        best: Figures of the best single epoch, read back from its checkpoint, and its `epoch`.
        soup: Its figures, ingredients and steps.

    Returns:
        The files' paths.
    """
    stem = "v0_full" if version == "v0" else version

    def named(figures: Mapping[str, Any]) -> dict[str, Any]:
        return {
            ("score_lb" if version == "v3" and key == "score" else key): value for key, value in figures.items()
        }

    epochs = [named({"epoch": record["epoch"], **record["validation"]}) for record in history]
    recorded = next(record for record in epochs if record["epoch"] == best["epoch"])
    contents: dict[str, Any] = {
        f"{stem}_best_single_val_summary": recorded,
        f"{stem}_epoch_val_metrics": epochs,
        f"{stem}_best_single_val_final_summary": named(best),
        f"{version}_epoch_soup_val_summary": named(soup),
    }
    paths = [folder / f"{name}.json" for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_json(path, content)
    return paths
