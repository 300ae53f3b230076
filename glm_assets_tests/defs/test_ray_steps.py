"""What a step asks of a Ray cluster, and what the executor makes of jobs and clusters that fail."""

import time
from types import SimpleNamespace

import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type

from glm_assets.defs.ray_steps import CONFIG_TAG, RaySteps, _device, _shown_to_all, connect, step_needs
from glm_assets.defs.tags import gpu_work
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


def test_a_password_does_not_reach_rays_dashboard():
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI holds") as caught:
        _shown_to_all({"MLFLOW_TRACKING_URI": "http://me:hush@mlflow:5000/x"})
    assert "hush" not in str(caught.value)
    harmless = {"GLM_DATA_ROOT": "s3://bucket/a@b", "GLM_PROFILE": "me@home.yaml"}
    assert _shown_to_all(harmless) == harmless


def test_the_settings_reach_the_steps(monkeypatch):
    given = {"GLM_PROFILE": "full", "GLM_OFFLINE": "1", "GLM_GPU_POD": '{"a": [1]}', "MLFLOW_TRACKING_URI": "x"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    before = Settings.from_environment()
    for name, value in before.variables.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_environment() == before
    assert set(given) <= set(before.variables)


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


def test_all_steps_have_one_device(monkeypatch):
    nodes = [SimpleNamespace(resources_total={"CPU": 8.0}), SimpleNamespace(resources_total={"GPU": 1.0})]
    monkeypatch.setattr("ray.util.state.list_nodes", lambda _: nodes)
    jobs = SimpleNamespace(get_address=lambda: "http://head:8265")
    assert _device("auto", jobs) == "cuda:0"
    del nodes[1]
    assert _device("auto", jobs) == "cpu"
    assert _device("cuda:0", jobs) == "cuda:0"


def test_the_launcher_hands_on_every_setting(monkeypatch):
    pytest.importorskip("dagster_ray")
    from dagster_ray import RayRunLauncher

    monkeypatch.setenv("RAY_ADDRESS", "http://head:8265")
    launcher = yaml.safe_load((REPOSITORY / "deploy/ray/dagster.yaml").read_text())["run_launcher"]["config"]
    found = process_config(resolve_to_config_type(RayRunLauncher.config_type()), launcher)
    assert found.success, found.errors
    settings = {name for name, field in Settings.model_fields.items() if not field.validation_alias} - {"gpu_pod"}
    assert set(found.value["ray"]["env_vars"]) >= {f"GLM_{name.upper()}" for name in settings}
    assert found.value["ray"]["address"] == "http://head:8265"
    assert found.value["ray"]["num_cpus"] < 1


def test_the_launchers_queue_is_as_on_one_machine():
    here = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text())
    there = yaml.safe_load((REPOSITORY / "deploy/ray/dagster.yaml").read_text())
    differ = {"run_launcher", "storage", "local_artifact_storage", "compute_logs"}
    assert {k: v for k, v in there.items() if k not in differ} == {
        k: v for k, v in here.items() if k not in differ
    }
