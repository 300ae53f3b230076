"""The Helm values, the image and the executor for Kubernetes, against dagster's own schemas; no cluster is there.

What the chart makes of the values is written down in `instance_yaml`, after configmap-instance.yaml and
helpers/instance/*.tpl in helm/dagster/templates of dagster-io/dagster; the steps' pods are those that a stand-in for
the API server receives.
"""

from __future__ import annotations

import json
import os
import re
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config_schema

from glm_assets.defs.build import build_defs
from glm_assets.defs.executors import chosen_executor
from glm_assets.errors import SettingsError
from glm_assets.lineage.study import Study
from glm_assets.settings import Settings
from glm_assets.tracking import MlflowTracker
from glm_assets_tests.conftest import REPOSITORY

pytest.importorskip("dagster_k8s")

DEPLOY = REPOSITORY / "deploy"
VALUES = yaml.safe_load((DEPLOY / "kubernetes/values.yaml").read_text())
USER = VALUES["dagster-user-deployments"]["deployments"][0]
LAUNCHER = VALUES["runLauncher"]["config"]["k8sRunLauncher"]

# Keys of the chart that the values may use, read in helm/dagster/schema/schema/charts of dagster-io/dagster:
# dagster/values.py, dagster/subschema/*.py and dagster_user_deployments/subschema/user_deployments.py. A `*` stands
# for what Kubernetes or Dagster itself defines; other tests look at that.
CHART = """
global.postgresqlSecretName generatePostgresqlPasswordSecret
postgresql.enabled postgresql.postgresqlHost postgresql.postgresqlUsername postgresql.postgresqlDatabase
postgresql.service.port
dagster-user-deployments.enabled
dagster-user-deployments.deployments[].name dagster-user-deployments.deployments[].image.*
dagster-user-deployments.deployments[].dagsterApiGrpcArgs dagster-user-deployments.deployments[].port
dagster-user-deployments.deployments[].includeConfigInLaunchedRuns.enabled
dagster-user-deployments.deployments[].env.* dagster-user-deployments.deployments[].envSecrets
dagster-user-deployments.deployments[].resources.*
runLauncher.type runLauncher.config.k8sRunLauncher.imagePullPolicy
runLauncher.config.k8sRunLauncher.loadInclusterConfig runLauncher.config.k8sRunLauncher.envConfigMaps
runLauncher.config.k8sRunLauncher.envSecrets runLauncher.config.k8sRunLauncher.envVars
runLauncher.config.k8sRunLauncher.volumeMounts runLauncher.config.k8sRunLauncher.volumes
runLauncher.config.k8sRunLauncher.failPodOnRunFailure
runLauncher.config.k8sRunLauncher.runK8sConfig.podSpecConfig.*
runLauncher.config.k8sRunLauncher.runK8sConfig.jobSpecConfig.*
concurrency.enabled concurrency.pools.granularity concurrency.pools.defaultLimit
concurrency.runs.maxConcurrentRuns concurrency.runs.tagConcurrencyLimits
dagsterDaemon.image.* dagsterDaemon.runCoordinator.enabled dagsterDaemon.runCoordinator.type
dagsterDaemon.runCoordinator.config.queuedRunCoordinator.maxConcurrentRuns
dagsterDaemon.runMonitoring.enabled dagsterDaemon.runMonitoring.startTimeoutSeconds
dagsterDaemon.runMonitoring.cancelTimeoutSeconds dagsterDaemon.runMonitoring.pollIntervalSeconds
dagsterDaemon.runMonitoring.freeSlotsAfterRunEndSeconds
dagsterDaemon.runRetries.enabled dagsterDaemon.runRetries.maxRetries
retention.enabled retention.sensor.purgeAfterDays.* retention.schedule.purgeAfterDays
telemetry.enabled pythonLogs.pythonLogLevel
dagsterWebserver.image.* dagsterWebserver.service.type dagsterWebserver.service.port dagsterWebserver.enableReadOnly
""".split()


def key_paths(value: object, path: str = "") -> Iterator[str]:
    """Dotted paths of all leaves; lists of mappings are entered, other lists are leaves."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from key_paths(inner, f"{path}.{key}" if path else key)
    elif path.endswith(".deployments"):
        for inner in value:
            yield from key_paths(inner, f"{path}[]")
    else:
        yield path


def known(path: str) -> bool:
    return any(path == key or (key.endswith("*") and path.startswith(key[:-1])) for key in CHART)


def instance_yaml(kubeconfig: str | None = None) -> dict:
    """The dagster.yaml that the chart renders, as far as our values say it; passwords come from the environment."""
    daemon, retention = VALUES["dagsterDaemon"], VALUES["retention"]
    concurrency, monitoring = VALUES["concurrency"], daemon["runMonitoring"]
    run_config = LAUNCHER["runK8sConfig"]
    launcher = {
        "load_incluster_config": LAUNCHER["loadInclusterConfig"] and kubeconfig is None,
        "job_namespace": "default",
        "image_pull_policy": LAUNCHER["imagePullPolicy"],
        "service_account_name": "dagster",
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
        "fail_pod_on_run_failure": LAUNCHER["failPodOnRunFailure"],
        "run_k8s_config": {
            "pod_spec_config": run_config["podSpecConfig"],
            "job_spec_config": run_config["jobSpecConfig"],
        },
    }
    if kubeconfig:
        launcher["kubeconfig_file"] = kubeconfig
    return {
        "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher},
        "run_coordinator": {"module": "dagster._core.run_coordinator", "class": daemon["runCoordinator"]["type"]},
        "concurrency": {
            "pools": {
                "granularity": concurrency["pools"]["granularity"],
                "default_limit": concurrency["pools"]["defaultLimit"],
            },
            "runs": {
                "max_concurrent_runs": concurrency["runs"]["maxConcurrentRuns"],
                "tag_concurrency_limits": concurrency["runs"]["tagConcurrencyLimits"],
            },
        },
        "run_monitoring": {
            "enabled": monitoring["enabled"],
            "start_timeout_seconds": monitoring["startTimeoutSeconds"],
            "cancel_timeout_seconds": monitoring["cancelTimeoutSeconds"],
            "poll_interval_seconds": monitoring["pollIntervalSeconds"],
            "free_slots_after_run_end_seconds": monitoring["freeSlotsAfterRunEndSeconds"],
        },
        "run_retries": {
            "enabled": daemon["runRetries"]["enabled"],
            "max_retries": daemon["runRetries"]["maxRetries"],
        },
        "retention": {
            kind: {"purge_after_days": retention[kind]["purgeAfterDays"]} for kind in ("sensor", "schedule")
        },
        "telemetry": VALUES["telemetry"],
        "python_logs": {"python_log_level": VALUES["pythonLogs"]["pythonLogLevel"]},
    }


def test_the_chart_has_every_key():
    assert [path for path in key_paths(VALUES) if not known(path)] == []


def test_dagster_takes_what_the_chart_renders():
    found = process_config(dagster_instance_config_schema(), instance_yaml())
    assert found.success, found.errors
    from dagster_k8s import K8sRunLauncher

    launcher = instance_yaml()["run_launcher"]["config"]
    found = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), launcher)
    assert found.success, found.errors


def test_queue_and_retries_are_as_on_one_machine():
    here, there = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text()), instance_yaml()
    assert there["concurrency"] == here["concurrency"]
    assert there["run_retries"]["max_retries"] == here["run_retries"]["max_retries"]
    assert here["retention"]["sensor"]["purge_after_days"].items() <= (
        there["retention"]["sensor"]["purge_after_days"].items()
    )
    assert there["telemetry"] == here["telemetry"]


def test_the_code_location_starts_with_the_values_variables(monkeypatch):
    for name in os.environ:
        if name.startswith("GLM_"):
            monkeypatch.delenv(name)
    for name, value in USER["env"].items():
        assert isinstance(value, str), f"{name}: Kubernetes takes strings only"
        monkeypatch.setenv(name, value)
    settings = Settings.from_environment()
    assert (settings.executor, settings.device) == ("k8s", "cuda:0")
    assert chosen_executor(settings).name == "k8s_steps"
    secret = re.compile("PASSWORD|SECRET|TOKEN|ACCESS_KEY")
    assert not [name for name in USER["env"] if secret.search(name)]


class ApiServer(HTTPServer):
    """Takes notes of the jobs it is asked to create, and refuses them so that the run ends at once."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Refusal)
        self.jobs: list[dict] = []


class Refusal(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.jobs.append(json.loads(body))
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def api(tmp_path) -> Iterator[tuple[ApiServer, Path]]:
    server = ApiServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = {"server": f"http://127.0.0.1:{server.server_port}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": address}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "users": [{"name": "me", "user": {}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    yield server, tmp_path / "kubeconfig"
    server.shutdown()


def job_on_kubernetes(name: str) -> dg.JobDefinition:
    """A job of the code location in the environment's settings."""
    settings = Settings.from_environment()
    defs = build_defs(Study(settings), MlflowTracker("sqlite://"), executor=chosen_executor(settings))
    return defs.resolve_job_def(name)


def embed_job() -> dg.JobDefinition:
    return job_on_kubernetes("embed")


def sources_job() -> dg.JobDefinition:
    return job_on_kubernetes("sources")


def pod_of(step: str, job: Callable[[], dg.JobDefinition], api: tuple[ApiServer, Path], **overrides: object):
    """What the API server is asked to run for a step, read by Kubernetes' own client.

    Args:
        step: Which.
        job: Its job.
        api: The API server.
        overrides: What the run's configuration says of the step's pod.
    """
    import kubernetes

    server, kubeconfig = api
    with dg.instance_for_test(overrides=instance_yaml(str(kubeconfig))) as instance:
        dg.execute_job(
            dg.reconstructable(job),
            instance=instance,
            asset_selection=[dg.AssetKey(step)],
            tags={"dagster/partition": "21"} if job is embed_job else None,
            run_config={
                "execution": {
                    "config": {
                        "job_image": "glm-assets:0.1.0",
                        "per_step_k8s_config": {step: overrides} if overrides else {},
                    }
                }
            },
        )
    (sent,) = server.jobs
    job_read = kubernetes.client.ApiClient()._ApiClient__deserialize(sent, "V1Job")
    spec = job_read.spec.template.spec
    (container,) = spec.containers
    assert container.args[-2:] == ["api", "execute_step"]
    return spec, container.resources


@pytest.fixture
def on_kubernetes(monkeypatch, tmp_path):
    for name in ("GLM_EXECUTOR", "GLM_DEVICE", "GLM_GPU_POD"):
        monkeypatch.setenv(name, USER["env"][name])
    monkeypatch.setenv("GLM_DATA_ROOT", str(tmp_path / "data"))
    return monkeypatch


def test_a_gpu_step_gets_a_pod_with_a_gpu_on_a_gpu_node(api, on_kubernetes):
    spec, resources = pod_of("variant_embeddings", embed_job, api)
    assert resources.limits == {"nvidia.com/gpu": "1", "memory": "64Gi"}
    assert resources.requests["memory"] == "48Gi"
    assert spec.node_selector == {"glm/gpu": "true"}
    assert [(t.key, t.operator, t.effect) for t in spec.tolerations] == [
        ("nvidia.com/gpu", "Exists", "NoSchedule")
    ]
    assert spec.security_context.run_as_user == 1000


def test_any_other_step_gets_a_pod_without(api, on_kubernetes):
    spec, resources = pod_of("clinvar_release", sources_job, api)
    assert "nvidia.com/gpu" not in (resources.limits or {} if resources else {})
    assert spec.node_selector is None
    assert spec.tolerations is None


def test_without_gpus_no_pod_waits_for_one(api, on_kubernetes):
    on_kubernetes.setenv("GLM_DEVICE", "cpu")
    spec, resources = pod_of("variant_embeddings", embed_job, api)
    assert resources.limits == {"nvidia.com/gpu": "0"}
    assert spec.node_selector is None


def test_what_a_run_says_of_a_steps_pod_comes_on_top(api, on_kubernetes):
    spec, resources = pod_of(
        "variant_embeddings",
        embed_job,
        api,
        container_config={"resources": {"limits": {"memory": "128Gi"}}},
        pod_spec_config={"node_selector": {"disk": "fast"}},
    )
    assert resources.limits == {"nvidia.com/gpu": "1", "memory": "128Gi"}
    assert resources.requests == {"cpu": "2", "memory": "48Gi"}
    assert spec.node_selector == {"glm/gpu": "true", "disk": "fast"}
    assert [toleration.key for toleration in spec.tolerations] == ["nvidia.com/gpu"]


def test_what_a_run_says_of_a_pod_brings_no_gpu_back(api, on_kubernetes):
    on_kubernetes.setenv("GLM_DEVICE", "cpu")
    _, resources = pod_of(
        "variant_embeddings", embed_job, api, container_config={"resources": {"limits": {"memory": "2Gi"}}}
    )
    assert resources.limits == {"nvidia.com/gpu": "0", "memory": "2Gi"}


def test_what_a_run_says_of_another_steps_pod_stays(api, on_kubernetes):
    limits = {"memory": "2Gi"}
    _, resources = pod_of("clinvar_release", sources_job, api, container_config={"resources": {"limits": limits}})
    assert resources.limits == limits


@pytest.mark.parametrize(
    ("elsewhere", "gpus"),
    [
        ({"GLM_ENGINE": "ray"}, "0"),
        ({"GLM_ENGINE": "workers", "GLM_WORKER_COMMAND": "deploy/kubernetes/start_worker {job}"}, "0"),
        ({"GLM_ENGINE": "workers"}, "1"),
    ],
    ids=["actors", "worker pods", "workers in its own pod"],
)
def test_a_step_whose_shards_others_compute_leaves_them_the_gpu(api, on_kubernetes, elsewhere, gpus):
    for name, value in elsewhere.items():
        on_kubernetes.setenv(name, value)
    spec, resources = pod_of("variant_embeddings", embed_job, api)
    assert resources.limits["nvidia.com/gpu"] == gpus
    assert (spec.node_selector is None) == (gpus == "0")


def test_a_step_whose_workers_share_its_pod_gets_as_many_gpus_as_its_run_says(api, on_kubernetes):
    on_kubernetes.setenv("GLM_ENGINE", "workers")
    limits = {"nvidia.com/gpu": 4}
    spec, resources = pod_of(
        "variant_embeddings", embed_job, api, container_config={"resources": {"limits": limits}}
    )
    assert resources.limits == {"nvidia.com/gpu": "4", "memory": "64Gi"}
    assert spec.node_selector == {"glm/gpu": "true"}


def test_nothing_waits_for_mlflow_in_a_folder_that_ends_with_its_pod():
    assert USER["env"]["GLM_DATA_ROOT"].startswith("s3://")
    assert USER["env"]["GLM_TRACKING"] == "require"


def test_an_open_device_is_refused():
    with pytest.raises(SettingsError, match=r"GLM_DEVICE=auto.*Fix: set GLM_DEVICE=cuda:0"):
        chosen_executor(Settings(executor="k8s", device="auto"))


def test_the_worker_is_a_job_with_one_gpu():
    import kubernetes

    manifest = yaml.safe_load((DEPLOY / "kubernetes/worker.yaml").read_text())
    job = kubernetes.client.ApiClient()._ApiClient__deserialize(manifest, "V1Job")
    (container,) = job.spec.template.spec.containers
    assert container.resources.limits == {"nvidia.com/gpu": "1"}


PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
DOCKERFILE = (DEPLOY / "image/Dockerfile").read_text()


def test_the_image_has_what_the_values_need():
    (extras,) = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert {"evo2", "tracking", "search", "s3", "postgres", "k8s"} <= set(extras.split(","))
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert "--constraint constraints.txt" in DOCKERFILE
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["1000:1000"]
    image = {"repository": "glm-assets", "tag": PROJECT["version"], "pullPolicy": "IfNotPresent"}
    assert [USER["image"], VALUES["dagsterDaemon"]["image"], VALUES["dagsterWebserver"]["image"]] == [image] * 3


def test_the_images_context_holds_what_it_copies_and_nothing_else():
    allowed = {
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    lines = re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE)
    copied = {name for line in lines for name in line.split()[:-1]}
    assert copied == allowed
    assert all((REPOSITORY / name).exists() for name in copied)
