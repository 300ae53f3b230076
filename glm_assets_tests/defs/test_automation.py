"""What the automation conditions request when an upstream changes: cheap work by default, a GPU's only if asked."""

from __future__ import annotations

import dagster as dg
import pytest

from glm_assets.defs.automation import automated_assets
from glm_assets.defs.build import build_defs
from glm_assets.errors import StorageError
from glm_assets.tracking import NullTracker
from glm_assets_tests.lineage.finished import finish, finish_release
from glm_assets_tests.lineage.studies import tiny_study

CHROMOSOMES = ("21", "22")
HEADS = {"head_v0", "head_v1", "head_v2", "head_v3"}


class Automation:
    """Dagster's evaluation of the conditions, tick by tick, over materialisations that tests report."""

    def __init__(self, study, instance: dg.DagsterInstance) -> None:
        self.study, self.instance, self.cursor = study, instance, None
        self.defs = build_defs(study, NullTracker(), executor=dg.in_process_executor)

    def report(self, version: str, *assets: str, partitions: tuple[str | None, ...] = (None,)) -> None:
        for asset in assets:
            for partition in partitions:
                tags = {"dagster/data_version": version}
                event = dg.AssetMaterialization(asset, partition=partition, tags=tags)
                self.instance.report_runless_asset_event(event)

    def tick(self) -> dict[str, list[str] | None]:
        """What is requested now: asset to its partitions."""
        result = dg.evaluate_automation_conditions(self.defs, instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        return {
            found.key.to_user_string(): sorted(found.true_subset.expensively_compute_partition_keys())
            if found.true_subset.is_partitioned
            else None
            for found in result.results
            if not found.true_subset.is_empty
        }

    def is_gpu(self, asset: str) -> bool:
        node = self.defs.resolve_asset_graph().get(dg.AssetKey(asset))
        return node.tags.get("glm/resource") == "gpu"


@pytest.fixture
def automation(tmp_path):
    """A function that gives the automation of a study by its `refresh` values."""
    with dg.DagsterInstance.ephemeral() as instance:

        def of(**refresh):
            values = {"train": True, "submit": True} | refresh
            study = tiny_study(tmp_path, tmp_path / "source", {"refresh": values})
            automation = Automation(study, instance)
            assert automation.tick() == {}
            return automation

        yield of


def everything_to_the_embeddings(automation: Automation) -> list[dict[str, list[str] | None]]:
    """Report a lineage stage by stage; gives what each tick requested."""
    finish_release(automation.study, "20260101", "a" * 32)
    ticks = []
    for assets, partitions in (
        (("clinvar_release", "reference_genome", "glm_checkpoint"), (None,)),
        (("clinvar_variants",), CHROMOSOMES),
        (("variant_windows",), CHROMOSOMES),
        (("variant_embeddings",), CHROMOSOMES),
        (("split_audit", "mutation_ladders"), (None,)),
    ):
        automation.report("first", *assets, partitions=partitions)
        ticks.append(automation.tick())
    return ticks


def test_by_default_cheap_assets_follow_and_nothing_asks_for_a_gpu(automation):
    automation = automation()
    ticks = everything_to_the_embeddings(automation)
    expected = [*CHROMOSOMES]
    assert ticks == [
        # One run makes variants and windows, so they are requested together and the windows not once more.
        {"clinvar_release_diff": None, "clinvar_variants": expected, "variant_windows": expected},
        {},
        {"split_audit": None},
        {},
        {},
    ]
    assert not any(automation.is_gpu(asset) for asset in automated_assets(automation.study))


def test_with_automate_gpu_embeddings_and_heads_follow_once_all_upstream_is_there(automation):
    ticks = everything_to_the_embeddings(automation(automate_gpu=True))
    assert ticks[0]["variant_embeddings"] == [*CHROMOSOMES]  # in the run that makes their windows
    assert "mutation_ladders" in ticks[2]
    assert not any(HEADS & tick.keys() for tick in ticks[:4])  # the audit and the ladders were not there
    assert ticks[4].keys() >= HEADS


def test_the_profile_can_leave_training_and_submission_out_of_it(automation):
    automation = automation(automate_gpu=True, train=False, submit=False)
    names = set().union(*everything_to_the_embeddings(automation))
    assert names == {
        *("clinvar_release_diff", "clinvar_variants", "variant_windows", "split_audit"),
        *("variant_embeddings", "mutation_ladders"),
    }


def test_only_another_content_is_a_reason(automation):
    automation = automation()
    everything_to_the_embeddings(automation)
    automation.report("first", "clinvar_release")  # found up to date and reported again
    assert automation.tick() == {}
    automation.report("second", "clinvar_release")
    requested = automation.tick()
    assert requested.keys() >= {"clinvar_variants", "clinvar_release_diff"}
    assert automation.tick() == {}


def test_a_refused_release_goes_no_further(automation):
    automation = automation()
    everything_to_the_embeddings(automation)
    finish_release(automation.study, "20260108", "b" * 32, chr21=10)
    automation.report("second", "clinvar_release")
    assert automation.tick() == {"clinvar_release_diff": None}


def test_a_data_root_that_cannot_be_read_holds_back_one_tick_and_loses_nothing(automation, monkeypatch):
    automation = automation()
    finish_release(automation.study, "20260101", "a" * 32)
    automation.report("first", "clinvar_release", "reference_genome", "glm_checkpoint")

    def no_answer(study):
        raise StorageError("s3://glm does not answer")

    with monkeypatch.context() as broken:
        broken.setattr("glm_assets.defs.automation.judge_release", no_answer)
        assert automation.tick() == {"clinvar_release_diff": None}
    assert automation.tick().keys() >= {"clinvar_variants", "variant_windows"}


def test_no_submission_takes_the_place_of_one_whose_head_was_asked_for(automation):
    automation = automation(automate_gpu=True)
    study = automation.study
    submission = study.product("submission", study.submission_csv.parent, {"head_v3/4": "c" * 64}, {})
    automation.report("first", *HEADS, "test_embeddings", "submission")
    automation.tick()
    automation.report("second", "head_v3")
    assert "submission" in automation.tick()
    automation.tick()  # what is requested in one tick counts as handled in the next
    finish(submission, head="head_v3 version 4")
    automation.report("third", "head_v3")
    assert "submission" not in automation.tick()


def test_evaluation_that_takes_gpu_hours_is_never_automated(automation):
    automated = automated_assets(automation(automate_gpu=True).study)
    assert not automated & {"variant_likelihoods", "covariance_embeddings", "head_search", "layer_comparison"}


def test_the_release_is_expected_weekly(automation):
    spec = automation().defs.resolve_asset_graph().get(dg.AssetKey("clinvar_release"))
    policy = spec.freshness_policy
    assert (policy.warn_window.to_timedelta().days, policy.fail_window.to_timedelta().days) == (8, 15)
