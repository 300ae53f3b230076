"""Who takes part in a comparison: what is up to date in the study, and champions that are other versions of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glm_assets.errors import GlmError
from glm_assets.heads.apply import load_head
from glm_assets.heads.scorers import HeadScorer, Scorer
from glm_assets.lineage.champion import champion_of
from glm_assets.lineage.scorers import HEADS, StudyScorer, study_scorers
from glm_assets.lineage.study import Study
from glm_assets.tracking import Registry


@dataclass(frozen=True)
class Champion:
    """The champion of a head that is in the study.

    Attributes:
        version: Its version; None where nobody is champion.
        scorer: It, under a name of its own; None where the study's head is this very version, or there is none.
    """

    version: str | None
    scorer: HeadScorer | None


@dataclass(frozen=True)
class Contenders:
    """Who takes part.

    Attributes:
        present: Name to scorer, of the study.
        champions: Head of the study to its champion; absent where the registry could not be asked.
        absent: Name to the reason why it takes no part.
    """

    present: Mapping[str, StudyScorer]
    champions: Mapping[str, Champion]
    absent: Mapping[str, str]

    @property
    def scorers(self) -> list[Scorer]:
        """All of them, the study's first."""
        return [one.scorer for one in self.present.values()] + [
            one.scorer for one in self.champions.values() if one.scorer
        ]

    @property
    def inputs(self) -> dict[str, str]:
        """Name of each that was trained to the version of what it is."""
        trained = {name: one.manifest.data_version for name, one in self.present.items() if one.manifest}
        return trained | {
            one.scorer.name: f"version {one.version}" for one in self.champions.values() if one.scorer
        }


def find_contenders(study: Study, registry: Registry) -> Contenders:
    """Load everything that can be compared.

    A registry that cannot be reached costs the comparison its champions, not its result.

    Args:
        study: The main study.
        registry: Asked for the champion of every head that is there.
    """
    present, absent = study_scorers(study)
    champions: dict[str, Champion] = {}
    for name in HEADS:
        if name not in present:
            continue
        try:
            champions[name] = _champion(study, registry, name, present[name])
        except GlmError as error:
            absent[f"{name} champion"] = error.problem
    return Contenders(present, champions, absent)


def _champion(study: Study, registry: Registry, name: str, own: StudyScorer) -> Champion:
    found = champion_of(registry, name)
    if found is None:
        return Champion(None, None)
    if own.manifest and own.manifest.facts.get("registered_version") == found.version:
        return Champion(found.version, None)
    head = load_head(registry.fetch(found, study.models_folder))
    return Champion(found.version, HeadScorer(f"{name} champion", head))
