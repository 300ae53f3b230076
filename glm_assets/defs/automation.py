"""Automation conditions: Dagster's own way of keeping assets up to date, off until its sensor is switched on.

The sensors of `sensors` and these conditions do the same work: switch on one or the other.
"""

import logging
from collections.abc import Iterable, Sequence

import dagster as dg

from glm_assets.errors import GlmError
from glm_assets.lineage.refresh import chosen_head, release_or_none
from glm_assets.lineage.release_plausibility import judge_release
from glm_assets.lineage.study import HEADS, Study

_LOG = logging.getLogger(__name__)

_CHEAP = ("clinvar_variants", "variant_windows", "split_audit", "clinvar_release_diff")
_EMBEDDINGS = ("variant_embeddings", "mutation_ladders")
_TRAINING = (*HEADS, "linear_probe")
_SUBMISSION = ("test_embeddings", "submission", "submission_score")
_MINUTE = 60


class OfThisStudy(dg.AutomationCondition):
    """The partitions that the study expects: Dagster knows 25 chromosomes in every profile."""

    def __init__(self, study: Study) -> None:
        self._study = study

    @property
    def name(self) -> str:
        """As the UI shows it."""
        return f"expected: {', '.join(self._study.profile.chromosomes)}"

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        """Keep those of the candidates that are expected."""
        candidates = context.candidate_subset
        if context.partitions_def is not None:
            candidates = candidates.compute_intersection_with_partition_keys(set(self._study.profile.chromosomes))
        return dg.AutomationResult(context, candidates)


class NotWithheld(dg.AutomationCondition):
    """All but two: variants of a release that is refused, and a submission in the place of one of another head.

    Nor are variants requested while the release cannot be judged. Nothing downstream follows then, as they are lacking
    or as they were.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    @property
    def name(self) -> str:
        """As the UI shows it."""
        return "neither of a refused release nor instead of a submission that was asked for"

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        """Keep all of the candidates or none."""
        withheld = self._is_withheld(context.key.to_user_string())
        return dg.AutomationResult(context, context.get_empty_subset() if withheld else context.candidate_subset)

    def _is_withheld(self, asset: str) -> bool:
        try:
            if asset == "clinvar_variants":
                return release_or_none(self._study) is not None and bool(judge_release(self._study).drops)
            return asset == "submission" and chosen_head(self._study) is not None
        except GlmError as error:  # the next tick asks again; this one still serves the other assets
            _LOG.warning("%s is not requested, as the data root cannot be read now: %s", asset, error)
            return True


def with_automation(study: Study, assets: Iterable[object]) -> Sequence[dg.AssetsDefinition]:
    """Give assets the conditions that the profile wants: cheap ones always, work for a GPU if it says so.

    Args:
        study: The main study.
        assets: All assets, as Dagster loads them from modules.
    """
    automated = automated_assets(study)
    condition = follow_upstream(study)

    def automate(spec: dg.AssetSpec) -> dg.AssetSpec:
        name = spec.key.to_user_string()
        return spec.replace_attributes(automation_condition=condition) if name in automated else spec

    return dg.map_asset_specs(automate, [asset for asset in assets if isinstance(asset, dg.AssetsDefinition)])


def automated_assets(study: Study) -> set[str]:
    """Names of the assets that follow their upstream by themselves."""
    refresh = study.profile.refresh
    names = {*_CHEAP}
    if refresh.automate_gpu:
        names |= {*_EMBEDDINGS}
        names |= {*_TRAINING} if refresh.train else set()
        names |= {*_SUBMISSION} if refresh.submit else set()
    return names


def follow_upstream(study: Study) -> dg.AutomationCondition:
    """Make what is missing, or older than the content of what it is made from, once all of that is there.

    As `AutomationCondition.eager`, but for the expected chromosomes only, and not when an upstream product was found
    up to date and merely reported again.
    """
    condition, expected = dg.AutomationCondition, OfThisStudy(study)
    changed = condition.any_deps_match(condition.data_version_changed() | condition.will_be_requested())
    lacks = condition.any_deps_match(expected & condition.missing() & ~condition.will_be_requested())
    return (
        expected
        & NotWithheld(study)
        & (condition.newly_missing() | changed).since_last_handled()
        & ~lacks
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    ).with_label("follows its upstream")


# The conditions ask the study, so they are evaluated where it is: in the code location.
automation_sensor = dg.AutomationConditionSensorDefinition(
    "automation_sensor",
    target=dg.AssetSelection.all(),
    use_user_code_server=True,
    minimum_interval_seconds=_MINUTE,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests assets whose upstream changed, by their automation conditions, instead of the other sensors.",
)
