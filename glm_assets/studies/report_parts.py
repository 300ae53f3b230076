"""What the pages of studies have in common: finished products as a page sees them, and writing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from glm_assets.evaluation.report import PageFigure, StudyPage, write_study_page
from glm_assets.storage.products import Facts, Manifest

PAGE: Final = "report.html"


@dataclass(frozen=True)
class Part:
    """A finished product as the page sees it.

    Attributes:
        facts: Of its manifest.
        folder: Where its files lie.
        names: Of its files, sorted.
        data_version: Of its content.
    """

    facts: Mapping[str, Any]
    folder: Path
    names: tuple[str, ...]
    data_version: str

    @classmethod
    def of(cls, manifest: Manifest, folder: Path) -> Part:
        """A product by its manifest, and where its files lie on this machine."""
        return cls(manifest.facts, folder, tuple(sorted(manifest.files)), manifest.data_version)

    def figures(self, captions: Mapping[str, str]) -> list[PageFigure]:
        """Its PNG files, those with a caption of their own first and in the captions' order.

        Args:
            captions: By name of the file without its ending; the others are called by their names.
        """
        order = {f"{stem}.png": place for place, stem in enumerate(captions)}
        pictures = [name for name in self.names if name.endswith(".png")]
        return [
            PageFigure(self.folder / name, captions.get(Path(name).stem, Path(name).stem.replace("_", " ")))
            for name in sorted(pictures, key=lambda name: (order.get(name, len(order)), name))
        ]


def write_report(work: Path, page: StudyPage) -> Facts:
    """Write the page into the folder of its product, and say what is on it.

    Args:
        work: The folder.
        page: What it shows.
    """
    write_study_page(work / PAGE, page)
    return {
        "sections": len(page.sections),
        "figures": sum(len(section.figures) for section in page.sections),
        "tables": sum(len(section.tables) for section in page.sections),
        "missing": [sentence for section in page.sections for sentence in section.missing],
        "answer": " ".join(page.answer),
    }
