"""A run that fails says what is wrong and what to do next, in the events that the UI and the terminal show."""

from __future__ import annotations

import errno
import os

import dagster as dg
import pytest
from dagster._config import process_config
from dagster._core.definitions.job_base import InMemoryJob

from glm_assets.defs.assets import submission
from glm_assets.defs.executor import OwnedRunExecutor
from glm_assets.defs.executors import chosen_executor
from glm_assets.defs.failures import in_brief
from glm_assets.lineage import sources
from glm_assets.settings import Settings
from glm_assets_tests.checkouts import make_checkout
from glm_assets_tests.defs.conftest import open_lineage
from glm_assets_tests.lineage.studies import tiny_environment


@pytest.fixture(scope="module")
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def own(tmp_path, tiny_tree, instance):
    return open_lineage(tmp_path, tiny_tree, instance)


def failing_event(lineage, asset: str) -> dg.DagsterEvent:
    result = lineage.run(asset, raise_on_error=False)
    (event,) = (event for event in result.all_events if event.is_step_failure)
    return event


def explanation(event: dg.DagsterEvent) -> dict[str, str]:
    """What the UI shows beside the failed step."""
    shown = event.step_failure_data.user_failure_data
    return {name: value.value for name, value in shown.metadata.items()} | {"all": shown.description}


def missing_upstream(monkeypatch) -> None:
    """A fresh data root has none."""


def full_disk(monkeypatch) -> None:
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sources, "parse_records", full)


def no_csv(monkeypatch) -> None:
    def absent(study):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/some/disk/file")

    monkeypatch.setattr(submission, "make_test_sequences", absent)


@pytest.mark.parametrize(
    ("asset", "cause", "kind", "words", "fix"),
    [
        ("head_v0", missing_upstream, "MissingUpstreamError", "absent or out of date", "materialise"),
        ("clinvar_release", full_disk, "StorageError", "has no room: more is needed", "free space"),
        ("test_sequences", no_csv, "StorageError", "has no room", "free space"),
    ],
)
def test_the_failed_step_says_what_is_wrong_and_what_to_do(own, monkeypatch, asset, cause, kind, words, fix):
    cause(monkeypatch)
    event = failing_event(own, asset)
    shown = explanation(event)
    assert shown["kind"] == kind
    assert words in shown["problem"]
    assert fix in shown["fix"]
    assert shown["problem"] in shown["all"]
    assert shown["fix"] in shown["all"]
    assert event.step_failure_data.error.cause.cls_name == kind  # the traceback is there for who wants it
    error = in_brief(event).step_failure_data.error
    assert error.to_string() == f"{kind}: {shown['all']}\n"


def test_a_fault_of_the_code_keeps_its_traceback(own, monkeypatch):
    def broken(study):
        raise KeyError("column")

    monkeypatch.setattr(submission, "make_test_sequences", broken)
    event = failing_event(own, "test_sequences")
    assert event.step_failure_data.user_failure_data is None
    assert in_brief(event) is event
    assert "in broken" in str(event.step_failure_data.error.cause.stack)


def test_every_asset_explains_itself(own):
    unexplained = [
        str(asset.key) for asset in own.defs.assets if not hasattr(asset.op.compute_fn.decorated_fn, "__wrapped__")
    ]
    assert unexplained == []


@pytest.mark.system
def test_the_last_words_of_a_failed_command_are_what_to_do(tmp_path, tiny_tree):
    checkout = make_checkout(tmp_path, tiny_environment(tmp_path, tiny_tree))
    output = checkout.run("! dagster asset materialize -m glm_assets.definitions --select submission 2>&1")
    last = output.rpartition("RUN_FAILURE")[2]
    assert "MissingUpstreamError: " in last
    assert "Fix: " in last
    assert "Traceback" not in last
    assert "File " not in last


def test_steps_on_other_machines_are_told_of_in_the_same_words(own):
    """Their events come to the run through the event log."""
    event = failing_event(own, "head_v0")
    arrived = dg.deserialize_value(dg.serialize_value(event), dg.DagsterEvent)
    assert in_brief(arrived).step_failure_data.error == in_brief(event).step_failure_data.error
    assert in_brief(arrived).step_failure_data.error.to_string().startswith("MissingUpstreamError: ")


@pytest.mark.parametrize(
    ("executor", "package"), [("processes", "dagster"), ("ray", "ray"), ("k8s", "dagster_k8s")]
)
def test_every_executor_lets_the_run_say_it_in_brief(instance, monkeypatch, executor, package):
    pytest.importorskip(package)
    if executor == "k8s":
        monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)  # there is no cluster here
    chosen = chosen_executor(Settings(executor=executor, device="cpu"))
    assert isinstance(made_by(chosen, instance), OwnedRunExecutor)


def made_by(executor: dg.ExecutorDefinition, instance: dg.DagsterInstance) -> dg.Executor:
    """What an executor definition makes for a job with its defaults."""

    @dg.job(executor_def=executor)
    def nothing():
        """No step."""

    config = {"job_image": "image"} if executor.name == "k8s_steps" else {}
    processed = process_config(executor.config_schema.config_type, config)
    context = dg.InitExecutorContext(
        job=InMemoryJob(nothing), executor_def=executor, executor_config=processed.value, instance=instance
    )
    return executor.executor_creation_fn(context)
