"""Who takes part in a comparison: what is up to date in the study, and champions that are other versions of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glm_assets.encoders.base import EncoderSpec
from glm_assets.errors import EncoderError, GlmError, StorageError
from glm_assets.heads.apply import load_head
from glm_assets.heads.scorers import HeadScorer, Scorer
from glm_assets.lineage.champion import champion_of, is_registered_as
from glm_assets.lineage.head_choice import check_encoder, choose_head
from glm_assets.lineage.scorers import StudyScorer, study_scorers
from glm_assets.lineage.study import HEADS, Study
from glm_assets.tracking import Registry

if TYPE_CHECKING:
    from glm_assets.heads.networks import Head


@dataclass(frozen=True)
class Champion:
    """The champion of a head that is in the study.

    Attributes:
        version: Its version; None where nobody is champion.
        run_id: The run that registered it, as numbers begin anew in every registry.
        scorer: It, under a name of its own; None where the study's head is this very version, or there is none.
    """

    version: str | None = None
    run_id: str | None = None
    scorer: HeadScorer | None = None

    def __str__(self) -> str:
        """What a comparison is a function of: `version 4 of run 1f0c...`, or `none`."""
        return f"version {self.version} of run {self.run_id}" if self.version else "none"


@dataclass(frozen=True)
class Contenders:
    """Who takes part.

    Attributes:
        present: Name to scorer, of the study.
        champions: Head of the study to its champion; absent where the registry could not be asked, or the champion
            cannot judge this study's pairs.
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
        """Name of each that was trained to the version of what it is, and who is champion of each head.

        A champion that is not judged counts too: whether a comparison still holds for `promote` depends on it.
        """
        trained = {name: one.manifest.data_version for name, one in self.present.items() if one.manifest}
        return trained | {_champion_name(name): str(one) for name, one in self.champions.items()}


def find_contenders(study: Study, registry: Registry) -> Contenders:
    """Load everything that can be compared.

    A registry that cannot be reached, or a champion that cannot be loaded or was trained on other vectors, costs the
    comparison that champion, not its result.

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
        except StorageError:  # the data root, not the registry
            raise
        except GlmError as error:
            absent[_champion_name(name)] = error.problem
    return Contenders(present, champions, absent)


def _champion(study: Study, registry: Registry, name: str, own: StudyScorer) -> Champion:
    found = champion_of(registry, name)
    if found is None:
        return Champion()
    facts = own.manifest.facts if own.manifest else {}
    if is_registered_as(found, facts.get("registered_version"), facts.get("mlflow_run_id")):
        return Champion(found.version, found.run_id)
    scorer = HeadScorer(_champion_name(name), _pair_head(study, registry, f"{name}/{found.version}"))
    return Champion(found.version, found.run_id, scorer)


def _pair_head(study: Study, registry: Registry, reference: str) -> Head:
    """A registered head that takes the vectors of this study's pairs."""
    choice = choose_head(study, reference, registry)
    check_encoder(choice, study, study.encoder_spec, pooling=True)
    head = load_head(choice.weights)
    _check_width(choice.label, head, study.encoder_spec)
    return head


def _check_width(label: str, head: Head, vectors: EncoderSpec) -> None:
    """All that can be compared of a head whose encoder is unknown."""
    if head.shape.in_dim != vectors.dimension:
        raise EncoderError(
            f"{label} takes vectors of width {head.shape.in_dim}",
            expected=f"vectors of width {vectors.dimension}, as this study's pairs have",
        )


def _champion_name(head: str) -> str:
    return f"{head} champion"
