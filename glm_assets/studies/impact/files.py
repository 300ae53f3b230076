"""The files that a configuration names: the user's own, or the generated ones of the demo."""

from __future__ import annotations

from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from glm_assets.settings import Settings
from glm_assets.sources.alignments import alignments_stamp
from glm_assets.studies.files import existing_file, require_demo_tree
from glm_assets.studies.impact.configuration import DEMO, ImpactConfiguration

if TYPE_CHECKING:
    from glm_assets.demo.individual import DemoIndividual

VARIABLE: Final = "GLM_IMPACT"
CRAM: Final = ".cram"
DEMO_FOLDER: Final = "demo_individual"


class IndividualFiles:
    """Where one person's files lie.

    Args:
        settings: Say where generated files go, and whether they would fit the sources.
        values: Name the files.

    Raises:
        SettingsError: On use: a file does not exist, or generated files are asked for beside real sources.
    """

    def __init__(self, settings: Settings, values: ImpactConfiguration) -> None:
        self._settings = settings
        self._values = values

    @property
    def alignments(self) -> Path:
        """The person's BAM or CRAM."""
        named = self._values.alignments
        return self.demo.alignments if named == DEMO else existing_file(named, "alignments", VARIABLE)

    @property
    def variants(self) -> Path | None:
        """The person's VCF; None without one."""
        named = self._values.variants
        if named is None:
            return None
        return self.demo.variants if named == DEMO else existing_file(named, "variants", VARIABLE)

    def new_reads(self, instead: str | None = None) -> Path | None:
        """Reads to predict; `instead` names others than the configuration does."""
        named = instead or self._values.new.reads
        if named is None:
            return None
        return self.demo.new_reads if named == DEMO else existing_file(named, "new.reads", VARIABLE)

    def new_variants(self, instead: str | None = None) -> Path | None:
        """A VCF to predict; `instead` names another than the configuration does."""
        named = instead or self._values.new.variants
        if named is None:
            return None
        return self.demo.new_variants if named == DEMO else existing_file(named, "new.variants", VARIABLE)

    @cached_property
    def demo(self) -> DemoIndividual:
        """The generated person, made if need be."""
        from glm_assets.demo.individual import make_demo_individual

        require_demo_tree(self._settings, "impact", VARIABLE, "reads and variants of a person")
        return make_demo_individual(self._settings.root / DEMO_FOLDER, self._settings.demo_tree)


def alignments_digest(path: Path) -> str:
    """What identifies a BAM's or CRAM's content, read once for each of its states."""
    stat = path.stat()
    return _alignments_digest(path, stat.st_size, stat.st_mtime_ns)


@cache
def _alignments_digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - they tell the states apart
    return alignments_stamp(path)
