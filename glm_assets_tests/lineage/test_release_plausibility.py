"""When a release is refused because rows are missing, and that nothing downstream is made from it."""

from __future__ import annotations

import gzip

import dagster as dg
import pytest

from glm_assets.defs.build import build_defs
from glm_assets.defs.checks.sources import row_result
from glm_assets.errors import ImplausibleReleaseError
from glm_assets.lineage.release_diff import make_release_diff
from glm_assets.lineage.release_plausibility import judge_release, require_plausible
from glm_assets.lineage.sources import make_clinvar_release
from glm_assets.lineage.variants import make_clinvar_variants
from glm_assets.sources.clinvar import WEEKLY
from glm_assets.tracking import NullTracker
from glm_assets_tests.lineage.finished import finish_release
from glm_assets_tests.lineage.studies import tiny_study
from glm_assets_tests.sources.conftest import publish


def study_with(folder, *releases: dict[str, int], share: float = 0.05, **settings):
    """A study on chromosomes 21 and 22 with releases a week apart, by their records on each chromosome."""
    refresh = {"train": True, "submit": True, "max_row_drop": share}
    study = tiny_study(folder, folder / "source", {"refresh": refresh}, **settings)
    for number, chromosomes in enumerate(releases, start=1):
        counts = {f"chr{chrom}": rows for chrom, rows in chromosomes.items()}
        finish_release(study, f"202601{7 * number:02}", f"{number:032}", **counts)
    return study


def dropped(study) -> dict[str, tuple[int, int]]:
    return {drop.part: (drop.before, drop.now) for drop in judge_release(study).drops}


def test_a_first_release_is_plausible_whatever_it_holds(tmp_path):
    verdict = judge_release(study_with(tmp_path, {"21": 1, "22": 0}))
    assert (verdict.before, verdict.compared, verdict.drops) == (None, (), ())


@pytest.mark.parametrize(
    ("before", "now", "drops"),
    [
        ({"21": 1000, "22": 1000}, {"21": 1100, "22": 1000}, {}),
        ({"21": 10_000, "22": 1000}, {"21": 9500, "22": 1000}, {}),  # the allowed share exactly
        ({"21": 10_000, "22": 1000}, {"21": 9499, "22": 1100}, {"21": (10_000, 9499)}),
        ({"21": 10_000, "22": 10}, {"21": 10_000, "22": 0}, {"22": (10, 0)}),  # wholly missing
        # Few records more or less are no sign of a cut on one chromosome; on all together any share is.
        ({"21": 10_000, "22": 66}, {"21": 10_000, "22": 62}, {}),
        ({"21": 10_000, "22": 150}, {"21": 10_000, "22": 51}, {}),
        ({"21": 10_000, "22": 150}, {"21": 10_000, "22": 50}, {"22": (150, 50)}),
        ({"21": 10, "22": 10}, {"21": 9, "22": 9}, {"all": (20, 18)}),
        (
            {"21": 1000, "22": 1000},
            {"21": 500, "22": 500},
            {"21": (1000, 500), "22": (1000, 500), "all": (2000, 1000)},
        ),
        # A chromosome that is not expected counts only among all.
        ({"21": 1000, "22": 1000, "1": 100}, {"21": 1000, "22": 1000, "1": 0}, {}),
        ({"21": 100, "22": 100, "1": 9800}, {"21": 100, "22": 100, "1": 9000}, {"all": (10_000, 9200)}),
    ],
)
def test_rows_are_compared_by_expected_chromosome_and_in_all(tmp_path, before, now, drops):
    assert dropped(study_with(tmp_path, before, now)) == drops


def test_the_check_of_the_asset_says_what_dropped(tmp_path):
    study = study_with(tmp_path, {"21": 1000, "22": 1000}, {"21": 800, "22": 1000})
    found = row_result(study)
    assert not found.passed
    assert "chromosome 21: 800 records, 1,000 before" in found.metadata["dropped"].value
    assert row_result(study_with(tmp_path / "whole", {"21": 1000, "22": 1000})).passed


def test_the_profile_states_the_share(tmp_path):
    counts = {"21": 1000, "22": 1000}, {"21": 700, "22": 1000}
    assert dropped(study_with(tmp_path / "strict", *counts, share=0.0)).keys() == {"21", "all"}
    assert dropped(study_with(tmp_path / "lax", *counts, share=0.3)) == {}


def test_a_fault_that_lasts_two_weeks_does_not_pass_in_the_second(tmp_path):
    good, bad = {"21": 1000, "22": 1000}, {"21": 500, "22": 1000}
    study = study_with(tmp_path, good, bad, bad)
    assert judge_release(study).before == "2026-01-07"
    assert dropped(study)["21"] == (1000, 500)
    assert dropped(study_with(tmp_path / "mended", good, bad, good)) == {}


def test_a_release_before_the_cutoff_is_judged_by_what_was_before_it(tmp_path):
    counts = {"21": 1000, "22": 1000}, {"21": 500, "22": 500}
    assert dropped(study_with(tmp_path, *counts, clinvar_cutoff="2026-01-10")) == {}


def test_the_refusal_names_counts_and_every_way_out(tmp_path):
    study = study_with(tmp_path, {"21": 1000, "22": 1000}, {"21": 800, "22": 1000})
    with pytest.raises(ImplausibleReleaseError) as caught:
        require_plausible(study)
    message = str(caught.value)
    for part in (
        "ClinVar release 2026-01-14 has fewer rows than 2026-01-07",
        "chromosome 21: 800 records, 1,000 before",
        "all chromosomes together: 1,800 records, 2,000 before",
        "at most 5.0% fewer",
        "refresh.max_row_drop",
        "remove the release 2026-01-07",
        "GLM_CLINVAR_CUTOFF=2026-01-07",
    ):
        assert part in message


@pytest.fixture
def shrunk(tmp_path, tiny_tree):
    """A study on a release, and one on a later release that lacks half of it."""
    weekly = tmp_path / "source" / WEEKLY
    weekly.mkdir(parents=True)
    newest = sorted((tiny_tree / WEEKLY).glob("clinvar_????????.vcf.gz"))[-1]
    lines = gzip.decompress(newest.read_bytes()).splitlines(keepends=True)
    publish(weekly / "clinvar_20260101.vcf.gz", newest.read_bytes())
    kept = [line for number, line in enumerate(lines) if line.startswith(b"#") or number % 2]
    publish(weekly / "clinvar_20260108.vcf.gz", gzip.compress(b"".join(kept)))

    def study(cutoff):
        return tiny_study(tmp_path, tmp_path / "source", clinvar_cutoff=cutoff, test_csv=None)

    make_clinvar_release(study("2026-01-02"), lambda _: None)
    return study("2026-01-02"), study(None)


@pytest.mark.system
def test_a_run_fails_at_the_check_and_its_message_and_nothing_follows(shrunk):
    whole, half = shrunk
    with dg.DagsterInstance.ephemeral() as instance:
        defs = build_defs(half, NullTracker(), executor=dg.in_process_executor)
        job = defs.get_implicit_global_asset_job_def()

        def run(*assets, partition=None):
            return job.execute_in_process(
                asset_selection=[dg.AssetKey(asset) for asset in assets],
                partition_key=partition,
                instance=instance,
                raise_on_error=False,
            )

        result = run("clinvar_release", "clinvar_variants", partition="21")
        assert not result.success
        assert [event.asset_key for event in result.get_asset_materialization_events()] == [
            dg.AssetKey("clinvar_release")
        ]
        (check,) = (e for e in result.get_asset_check_evaluations() if e.check_name == "rows_do_not_drop")
        assert not check.passed
        assert check.metadata["dropped"].value == "all chromosomes together: 64 records, 129 before"

        alone = run("clinvar_variants", partition="21")  # as `dagster asset materialize --select clinvar_variants`
        assert not alone.success
        assert "fewer rows than 2026-01-01" in str(alone.failure_data_for_node("clinvar_variants"))
        # The way to see what is gone stays open, and so does going back.
        assert run("clinvar_release_diff").success
        assert make_release_diff(half).facts["removed"] > 10
        assert make_clinvar_variants(whole, "21").facts["rows"] > 0


def test_removing_the_earlier_release_is_a_way_out(shrunk):
    _, half = shrunk
    make_clinvar_release(half, lambda _: None)
    with pytest.raises(ImplausibleReleaseError):
        make_clinvar_variants(half, "21")
    import shutil

    shutil.rmtree(half.releases_folder / "20260101")
    assert make_clinvar_variants(half, "21").facts["rows"] > 0
