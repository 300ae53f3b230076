"""Who becomes champion: by an interval that supports it, or by hand."""

from __future__ import annotations

import math

import pytest

from glm_assets import cli
from glm_assets.lineage.champion import Evidence, appoint, champion_of, champion_weights, decide, describe, promote
from glm_assets.tracking import MlflowTracker, ModelVersion, NullTracker
from glm_assets_tests.tracking.stores import register

CHAMPION = ModelVersion("head_v3", "3", None, ("champion",), {})


@pytest.mark.parametrize(
    ("champion", "against", "interval", "moved"),
    [
        (None, None, (0.93, 0.90, 0.95), True),
        (None, None, (0.62, 0.49, 0.74), False),  # a demo of undecided
        (None, None, (0.62, 0.5, 0.74), False),
        (CHAMPION, "3", (0.02, 0.001, 0.04), True),
        (CHAMPION, "3", (0.02, -0.001, 0.04), False),
        (CHAMPION, "3", (0.0, 0.0, 0.0), False),
        (CHAMPION, "3", (-0.02, -0.04, -0.01), False),
        (CHAMPION, "3", (math.nan, math.nan, math.nan), False),
    ],
)
def test_only_an_interval_that_supports_it_moves_the_champion(champion, against, interval, moved):
    promotion = decide("4", champion, Evidence(against, *interval))
    assert promotion.moved is moved
    assert f"{interval[1]:.4f} to {interval[2]:.4f}" in promotion.reason
    assert ("not above" in promotion.reason) is not moved


@pytest.mark.parametrize(("champion", "against"), [(None, None), (CHAMPION, "3")])
def test_figures_without_an_interval_move_nothing(champion, against):
    promotion = decide("4", champion, Evidence(against, 0.9, None, None))
    assert not promotion.moved
    assert "has no interval" in promotion.reason


@pytest.mark.parametrize(("champion", "against"), [(None, "3"), (CHAMPION, None), (CHAMPION, "2")])
def test_a_comparison_with_somebody_else_moves_nothing(champion, against):
    promotion = decide("4", champion, Evidence(against, 0.9, 0.8, 1.0))
    assert not promotion.moved
    assert "compare again" in promotion.reason


def test_the_champion_does_not_beat_itself():
    promotion = decide("3", CHAMPION, Evidence("3", 0.1, 0.1, 0.1))
    assert (promotion.moved, promotion.reason) == (False, "version 3 is champion already")


def test_without_tracking_nobody_is_promoted(tmp_path):
    registry = NullTracker().registry
    assert not promote(registry, "head_v3", None, Evidence(None, 0.9, 0.8, 1.0), run_id=None).moved
    assert champion_weights(registry, "head_v3", tmp_path) is None


@pytest.fixture(scope="module")
def tracker(tmp_path_factory) -> MlflowTracker:
    """Three versions of `head_v3`, and no champion at first."""
    pytest.importorskip("mlflow")
    folder = tmp_path_factory.mktemp("champions")
    tracker = MlflowTracker(f"sqlite:///{folder / 'mlflow.db'}")
    for number in "123":
        register(tracker, folder / number, "head_v3", number.encode())
    return tracker


def promoted(registry, version, evidence):
    """Asked for by the run that registered the version."""
    return promote(registry, "head_v3", version, evidence, run_id=registry.resolve("head_v3", version).run_id)


@pytest.mark.parametrize("run_id", ["0" * 32, None])
def test_a_version_that_another_run_registered_is_somebody_elses(tmp_path, run_id):
    pytest.importorskip("mlflow")
    tracker = MlflowTracker(f"sqlite:///{tmp_path / 'mlflow.db'}")
    register(tracker, tmp_path / "theirs", "head_v3", b"theirs")
    promotion = promote(tracker.registry, "head_v3", "1", Evidence(None, 0.9, 0.8, 1.0), run_id=run_id)
    assert not promotion.moved
    assert "the registry's version 1 is not this head_v3" in promotion.reason
    assert champion_of(tracker.registry, "head_v3") is None


def test_the_history_of_a_champion(tracker, tmp_path, monkeypatch, capsys):
    """One story, told in order: the fixture's database is the only one it needs."""
    registry = tracker.registry
    assert champion_of(registry, "head_v3") is None
    assert champion_weights(registry, "head_v3", tmp_path) is None

    assert not promoted(registry, "1", Evidence(None, 0.6, 0.4, 0.8)).moved
    assert champion_of(registry, "head_v3") is None
    assert promoted(registry, "1", Evidence(None, 0.9, 0.8, 0.95, comparison="c0ffee")).moved
    weights = champion_weights(registry, "head_v3", tmp_path)
    assert (weights / "model.safetensors").read_bytes() == b"1"

    assert promoted(registry, "2", Evidence("1", 0.03, 0.01, 0.05)).moved
    assert not promoted(registry, "3", Evidence("1", 0.04, 0.02, 0.06)).moved  # 1 is champion no more
    assert not promoted(registry, "3", Evidence("2", 0.01, -0.01, 0.03)).moved
    crowned = champion_of(registry, "head_v3")
    assert crowned.version == "2"
    assert (crowned.tags["champion/low"], crowned.tags["champion/estimate"]) == ("0.01", "0.03")
    assert registry.resolve("head_v3", "previous_champion").version == "1"

    for name in ("GLM_PROFILE", "GLM_DATA_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracker.uri)
    assert cli.main(["champion", "head_v3", "--version", "3", "--reason", "it is the newest"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in shown] == [
        "head_v3 version 1",
        "head_v3 version 2 [previous_champion]",
        "head_v3 version 3 [champion]",
    ]
    assert "c0ffee" in shown[0]
    assert "AUROC minus that of version 1 0.0300, 95 % interval 0.0100 to 0.0500" in shown[1]
    assert shown[2].endswith("by hand: it is the newest")
    assert champion_of(registry, "head_v3").version == "3"

    assert cli.main(["champion", "head_v3", "--show"]) == 0
    assert capsys.readouterr().out.splitlines() == shown
    assert cli.main(["champion", "head_v3", "--version", "9"]) == 1
    assert "has no version 9" in capsys.readouterr().err
    assert describe(registry, "head_v9") == "head_v9 has no versions\n"
    assert "[champion, previous_champion]" not in appoint(registry, "head_v3", "champion", "again")
