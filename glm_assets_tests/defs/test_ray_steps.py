"""What a step asks of a Ray cluster, and what the executor makes of jobs and clusters that fail."""

import os
import shlex
import subprocess
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type

from glm_assets.defs.ray_environment import shown_to_all, without
from glm_assets.defs.ray_steps import CONFIG_TAG, RaySteps, _device, connect, step_needs
from glm_assets.defs.tags import SHARDED, gpu_work
from glm_assets.errors import SettingsError
from glm_assets.settings import Settings
from glm_assets_tests.conftest import REPOSITORY

pytest.importorskip("ray")

# As dagster stores the tags of an op.
GPU_STEP = {CONFIG_TAG: '{"num_gpus": 1}'}


def asked(tags: dict[str, str], *, gpus: bool = True, **settings) -> tuple[float, float]:
    needs = step_needs(tags, Settings(**settings), gpus=gpus)
    return needs["entrypoint_num_cpus"], needs["entrypoint_num_gpus"]


def test_a_step_asks_for_what_its_tags_say():
    assert asked({}) == (1.0, 0)
    assert asked(GPU_STEP) == (1.0, 1)
    assert asked({CONFIG_TAG: '{"num_cpus": 4, "num_gpus": 2}'}, step_cpus=0.5) == (4, 2)
    assert asked(GPU_STEP, step_cpus=0.25) == (0.25, 1)


def test_a_step_whose_shards_other_machines_compute_leaves_them_the_gpus():
    """On a cluster with one GPU its worker would else wait for ever."""
    sharded = GPU_STEP | {SHARDED: "true"}
    elsewhere = {"engine": "workers", "worker_command": "ray job submit -- python {job}"}
    assert asked(sharded, **elsewhere) == (1.0, 0)
    assert asked(sharded, engine="workers") == (1.0, 1)  # processes of the step's own node
    assert asked(GPU_STEP, **elsewhere) == (1.0, 1)


def test_without_gpus_nobody_waits_for_one():
    assert asked(GPU_STEP, gpus=False) == (1.0, 0)


def test_a_step_that_waits_for_actors_takes_nothing_from_them():
    tags = GPU_STEP | {name: value for name, value in gpu_work(sharded=True)["op_tags"].items() if value == "true"}
    assert len(tags) == 2
    assert asked(tags, engine="ray") == (0, 0)
    assert asked(tags, engine="local") == (1.0, 1)
    assert asked(GPU_STEP, engine="ray") == (1.0, 1)  # a head trains itself


@pytest.mark.parametrize("address", ["127.0.0.1:9", "http://127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_head_that_is_down_is_named_at_once(address):
    begin = time.monotonic()
    with pytest.raises(SettingsError, match=r"no Ray cluster.*127\.0\.0\.1:9.*Fix: ray start --head"):
        connect(address)
    assert time.monotonic() - begin < 10


def test_a_clusters_password_is_not_told(monkeypatch):
    password = "hu" + "sh"  # so that the traceback's lines of source do not hold it

    def refuse(address: str) -> None:
        raise ConnectionError(f"failed to connect to {address}")

    monkeypatch.setattr("glm_assets.defs.ray_steps.knock", refuse)
    with pytest.raises(SettingsError, match=r"http://\*\*\*@head:8265") as caught:
        connect(f"http://me:{password}@head:8265")
    assert password not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "address",
    ["http://me:hush@mlflow:5000/x", "http://me:a/hush@mlflow:5000", "https://ncbi/x?X-Amz-Signature=hush"],
)
def test_a_password_does_not_reach_rays_dashboard(address):
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI holds") as caught:
        shown_to_all({"GLM_PROFILE": "full", "MLFLOW_TRACKING_URI": address})
    assert "hush" not in str(caught.value)


def test_what_only_looks_like_a_password_does():
    harmless = {
        "GLM_DATA_ROOT": "s3://bucket/a@b",
        "GLM_EMBEDDINGS_URL": "abfs://container@account.dfs.core.windows.net/x",
        "GLM_PROFILE": "me@home.yaml",
        "GLM_CLINVAR_CUTOFF": "",
    }
    assert shown_to_all(harmless) == harmless


def test_the_settings_reach_the_steps(monkeypatch):
    given = {"GLM_PROFILE": "full", "GLM_OFFLINE": "1", "GLM_GPU_POD": '{"a": [1]}', "MLFLOW_TRACKING_URI": "x"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    before = Settings.from_environment()
    for name, value in before.variables.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == before
    assert set(given) <= set(before.variables)


def test_the_settings_and_no_others_reach_the_steps():
    """What was exported before `ray start` is in the environment of every job of that node."""
    settings = Settings(profile="full", clinvar_cutoff="", ray_address="head:8265")
    assert settings.variables == {"GLM_PROFILE": "full", "GLM_CLINVAR_CUTOFF": ""}
    line = without(settings.absent_variables, shlex.join(["sh", "-c", "env | grep -E '^(GLM|MLFLOW|RAY)_'"]))
    exported = {"GLM_CHROMOSOMES": "1", "MLFLOW_TRACKING_URI": "http://other", "RAY_ADDRESS": "mine:1"}
    environment = {"PATH": os.environ["PATH"]} | exported | settings.variables
    shown = subprocess.check_output(["sh", "-c", line], env=environment, text=True)
    assert set(shown.splitlines()) == {"GLM_PROFILE=full", "GLM_CLINVAR_CUTOFF=", "RAY_ADDRESS=mine:1"}


class Jobs:
    """A client whose only job is in a given state, or that reaches nobody."""

    def __init__(self, status: str, message: str = "") -> None:
        self.status, self.message = status, message

    def get_job_info(self, job: str) -> SimpleNamespace:
        from ray.job_submission import JobStatus

        if self.status == "unreachable":
            raise ConnectionError("refused")
        return SimpleNamespace(status=JobStatus(self.status), message=self.message)


def health(jobs: Jobs, **values):
    steps = RaySteps(jobs=jobs, needs=lambda _: {}, variables={}, folder=None, **values)
    arguments = SimpleNamespace(run_id="run", step_keys_to_execute=["step"], known_state=None)
    return lambda: steps.check_step_health(SimpleNamespace(execute_step_args=arguments))


@pytest.mark.parametrize(("status", "healthy"), [("PENDING", True), ("RUNNING", True), ("SUCCEEDED", True)])
def test_a_job_that_goes_on_is_healthy(status, healthy):
    assert health(Jobs(status))().is_healthy is healthy


@pytest.mark.parametrize("status", ["FAILED", "STOPPED"])
def test_a_job_that_was_ended_fails_its_step(status):
    found = health(Jobs(status, "the node died"))()
    assert not found.is_healthy
    assert "the node died. Fix: run the same command again" in found.unhealthy_reason


def test_a_cluster_may_be_away_for_a_while_only():
    check = health(Jobs("unreachable"), patience_s=0.2)
    assert check().is_healthy
    time.sleep(0.3)
    assert "has not answered" in check().unhealthy_reason


def test_a_cluster_that_answers_again_has_all_its_time_back():
    jobs = Jobs("unreachable")
    check = health(jobs, patience_s=0.2)
    assert check().is_healthy
    jobs.status = "RUNNING"
    time.sleep(0.3)
    assert check().is_healthy
    jobs.status = "unreachable"
    assert check().is_healthy


class Cluster:
    """Takes jobs, unless it is down, and forgets its answer to the next `lost` requests that it takes."""

    def __init__(self, *, down: bool = False, lost: int = 0, refusal: str = "") -> None:
        self.down, self.lost, self.refusal = down, lost, refusal
        self.jobs: dict[str, dict] = {}
        self.stopped: list[str] = []

    def _answer(self) -> None:
        if self.lost:
            self.lost -= 1
            raise ConnectionError("reset")

    def _listen(self) -> None:
        if self.down:
            raise ConnectionError("refused by http://me:hush@head:8265")

    def submit_job(self, *, submission_id: str, **request: object) -> None:
        self._listen()
        if self.refusal:
            raise RuntimeError(f"Request failed with status code 400: {self.refusal}.")
        if submission_id in self.jobs:
            raise RuntimeError("Request failed with status code 500: used already.")
        self.jobs[submission_id] = request
        self._answer()

    def get_job_info(self, job: str) -> SimpleNamespace:
        self._listen()
        if job not in self.jobs:
            raise RuntimeError(f"Request failed with status code 404: Job {job} does not exist.")
        from ray.job_submission import JobStatus

        return SimpleNamespace(status=JobStatus.RUNNING, message="")

    def stop_job(self, job: str) -> bool:
        self.get_job_info(job)
        self.stopped.append(job)
        self._answer()
        return True


@pytest.fixture
def told(monkeypatch):
    """Events are their messages."""
    for name in ("step_worker_starting", "engine_event"):
        monkeypatch.setattr(dg.DagsterEvent, name, staticmethod(lambda _, message, *__, **___: message))
    monkeypatch.setattr("glm_assets.defs.ray_steps._PAUSE_S", 0.01)


def a_step(cluster: Cluster, **values):
    """Handler of steps of a cluster, and the context of one whose program shows its settings."""
    show = "import os; print(sorted(name for name in os.environ if name.startswith('GLM_')))"
    arguments = SimpleNamespace(
        run_id="run",
        step_keys_to_execute=["step"],
        known_state=None,
        get_command_args=lambda **_: ["timeit", "-n1", "-r1", show],
        get_command_env=list,
    )
    context = SimpleNamespace(
        execute_step_args=arguments,
        dagster_run=SimpleNamespace(run_id="run", job_name="job"),
        step_tags={"step": {}},
        get_step_context=lambda _: None,
    )
    values = {"patience_s": 0.2, "address": "http://me:hush@head:8265", "folder": Path("/"), **values}
    return RaySteps(jobs=cluster, needs=lambda _: {"entrypoint_num_cpus": 1}, variables={}, **values), context


def test_a_steps_job_runs_without_its_nodes_settings(told):
    cluster = Cluster()
    steps, context = a_step(cluster, absent=Settings(profile="full").absent_variables)
    list(steps.launch_step(context))
    environment = {"GLM_PROFILE": "full", "GLM_CHROMOSOMES": "1"}
    shown = subprocess.check_output(
        ["sh", "-c", cluster.jobs["run-step-0"]["entrypoint"]],
        env={"PATH": os.environ["PATH"]} | environment,
        text=True,
    )
    assert shown.splitlines()[0] == "['GLM_PROFILE']"


def test_a_job_is_sent_again_when_the_cluster_is_back(told):
    cluster = Cluster(down=True)
    steps, context = a_step(cluster, patience_s=60)
    messages = list(steps.launch_step(context))
    assert "not sent yet" in messages[-1]
    assert "hush" not in messages[-1]
    assert steps.check_step_health(context).is_healthy
    assert cluster.jobs == {}
    cluster.down = False
    assert steps.check_step_health(context).is_healthy
    assert list(cluster.jobs) == ["run-step-0"]
    assert cluster.jobs["run-step-0"]["entrypoint_num_cpus"] == 1


def test_a_job_that_arrived_without_an_answer_is_not_sent_twice(told):
    cluster = Cluster(lost=1)
    steps, context = a_step(cluster)
    list(steps.launch_step(context))
    assert steps.check_step_health(context).is_healthy
    assert steps.check_step_health(context).is_healthy


def test_a_cluster_that_stays_away_fails_the_step_and_not_the_run(told):
    steps, context = a_step(Cluster(down=True))
    list(steps.launch_step(context))
    time.sleep(0.3)
    found = steps.check_step_health(context).unhealthy_reason
    assert "has not answered" in found
    assert "hush" not in found


def test_a_job_that_the_cluster_refuses_fails_its_step_at_once(told):
    steps, context = a_step(Cluster(refusal="no such resource"), patience_s=60)
    list(steps.launch_step(context))
    assert "does not take job run-step-0 of step step" in steps.check_step_health(context).unhealthy_reason


def test_a_job_is_stopped_even_if_the_cluster_was_away(told):
    cluster = Cluster(lost=2)
    cluster.jobs["run-step-0"] = {}
    steps, context = a_step(cluster, patience_s=60)
    assert list(steps.terminate_step(context)) == ["Stopping Ray job run-step-0."]
    assert cluster.stopped == ["run-step-0"] * 3


def test_stopping_a_job_that_is_gone_or_out_of_reach_ends(told):
    steps, context = a_step(Cluster())
    assert list(steps.terminate_step(context)) == ["Stopping Ray job run-step-0."]
    steps, context = a_step(Cluster(down=True))
    assert "was not stopped: the Ray cluster has not answered" in list(steps.terminate_step(context))[-1]


def test_all_steps_have_one_device(monkeypatch):
    """That of the nodes that live; of others Ray keeps a record, and it lists a hundred unless told."""
    nodes = [SimpleNamespace(state="ALIVE", resources_total={"CPU": 8.0}) for _ in range(150)]
    nodes.append(SimpleNamespace(state="ALIVE", resources_total={"GPU": 1.0}))

    monkeypatch.setattr("ray.util.state.list_nodes", lambda _, limit=100: nodes[:limit])
    jobs = SimpleNamespace(get_address=lambda: "http://head:8265")
    assert _device("auto", jobs) == "cuda:0"
    nodes[-1].state = "DEAD"
    assert _device("auto", jobs) == "cpu"
    assert _device("cuda:0", jobs) == "cuda:0"


@pytest.fixture
def launcher(monkeypatch):
    """The launcher of deploy/ray, whose cluster takes notes."""
    pytest.importorskip("dagster_ray")
    from glm_assets.defs.ray_runs import SettingsRayRunLauncher

    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    config = yaml.safe_load((REPOSITORY / "deploy/ray/dagster.yaml").read_text())["run_launcher"]
    assert config["class"] == SettingsRayRunLauncher.__name__
    assert config["module"] == SettingsRayRunLauncher.__module__
    found = process_config(resolve_to_config_type(SettingsRayRunLauncher.config_type()), config["config"])
    assert found.success, found.errors
    assert found.value["ray"]["address"] == "http://head:8265"
    assert found.value["ray"]["num_cpus"] < 1
    launcher = SettingsRayRunLauncher.from_config_value(None, found.value)
    launcher.client = Cluster()
    silent = SimpleNamespace(report_engine_event=lambda *_, **__: None)
    monkeypatch.setattr(SettingsRayRunLauncher, "_instance", silent)
    return launcher


def launched(launcher) -> tuple[str, dict[str, str]]:
    """Command and environment of a run."""
    origin = SimpleNamespace(job_name="embed")
    run = SimpleNamespace(job_code_origin=origin, remote_job_origin=None, run_id="run", tags={})
    launcher._launch_ray_job("run", "dagster api execute_run", run)
    request = launcher.client.jobs.pop("run")
    return request["entrypoint"], request["runtime_env"]["env_vars"]


def test_the_launcher_hands_on_the_settings_and_no_others(launcher, monkeypatch):
    for name in os.environ:
        if name.startswith("GLM_") or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)
    given = {"DAGSTER_HOME": "/home", "GLM_EXECUTOR": "ray", "GLM_CLINVAR_CUTOFF": ""}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    command, environment = launched(launcher)
    assert environment == given | {"DAGSTER_RUN_JOB_NAME": "embed"}
    assert command.endswith(" dagster api execute_run")
    assert {"GLM_CHROMOSOMES", "GLM_PROFILE", "MLFLOW_TRACKING_URI"} < set(command.split())
    assert set(command.split()) & set(given) == set()
    monkeypatch.delenv("GLM_CLINVAR_CUTOFF")
    assert "GLM_CLINVAR_CUTOFF" not in launched(launcher)[1]  # nothing is left of the last launch


def test_the_launcher_sends_no_password(launcher, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hush@mlflow:5000")
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI holds"):
        launched(launcher)
    assert launcher.client.jobs == {}


def test_the_launchers_queue_is_as_on_one_machine():
    here = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    there = yaml.safe_load((REPOSITORY / "deploy/ray/dagster.yaml").read_text())
    differ = {"run_launcher", "storage", "local_artifact_storage", "compute_logs"}
    assert {k: v for k, v in there.items() if k not in differ} == {
        k: v for k, v in here.items() if k not in differ
    }
