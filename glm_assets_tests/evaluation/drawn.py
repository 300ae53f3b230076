"""What a figure becomes as a file."""

from __future__ import annotations

from pathlib import Path

from glm_assets.evaluation.figures import save_figure

LARGEST = 150_000
"""Bytes that Dagster's metadata carries without trouble."""


def saved(figure, folder: Path) -> bytes:
    """The PNG of a figure, which is no larger than it may be."""
    save_figure(figure, folder / "figure.png")
    content = (folder / "figure.png").read_bytes()
    assert content[:4] == b"\x89PNG"
    assert len(content) < LARGEST
    return content
