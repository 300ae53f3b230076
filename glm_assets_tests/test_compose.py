"""The files of deploy/compose/ fit together, keep secrets out and publish nothing beyond this machine."""

from __future__ import annotations

import re
import tomllib

import pytest
import yaml

from glm_assets_tests.compose import FOLDER, VARIABLE, services
from glm_assets_tests.conftest import REPOSITORY

OVERRIDE = yaml.safe_load((FOLDER / "gpu.yaml").read_text())["services"]


def example() -> dict[str, str]:
    """Variables of .env.example with their values."""
    lines = (FOLDER / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_everything_that_is_published_is_published_on_loopback_only():
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert set(published) == {"mlflow", "webserver"}
    for ports in published.values():
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert not any("network_mode" in service for service in services().values())


def test_the_example_names_every_variable_and_holds_no_secret():
    used = {found[1]: found[2] for found in VARIABLE.finditer((FOLDER / "compose.yaml").read_text())}
    assert set(used) == set(example())
    required = {name for name, kind in used.items() if kind == "?"}
    assert required == {name for name, value in example().items() if not value} - {"GLM_CHROMOSOMES"}
    ignored = (REPOSITORY / ".gitignore").read_text().splitlines()
    assert ".env" in ignored


@pytest.mark.parametrize("name", services())
def test_a_service_has_what_it_names(name):
    service = services()[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    volumes = yaml.safe_load((FOLDER / "compose.yaml").read_text())["volumes"]
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        assert (FOLDER / source).is_file() if source.startswith(".") else source in volumes
    for other, on in service.get("depends_on", {}).items():
        assert on == {"condition": "service_healthy"}
        assert other in services()
    for variable, value in service.get("environment", {}).items():
        if re.search("PASSWORD|SECRET|AUTH_KEY|ACCESS_KEY", variable):
            assert VARIABLE.sub("", value).strip('",') == ""


def test_our_own_services_share_one_image_with_what_they_need():
    own = {name: service for name, service in services().items() if "build" in service}
    assert set(own) == {"mlflow", "code", "webserver", "daemon"}
    (image,) = {service["image"] for service in own.values()}
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert image == f"glm-assets:{project['version']}"
    for service in own.values():
        dockerfile = FOLDER / service["build"]["context"] / service["build"]["dockerfile"]
    extras = re.search(r"^ARG EXTRAS=(.*)$", dockerfile.read_text(), re.MULTILINE)[1].split(",")
    assert {"tracking", "s3", "postgres"} <= set(extras) <= set(project["optional-dependencies"])
    assert any(line.startswith("boto3") for line in project["optional-dependencies"]["s3"])  # for MLflow


def test_the_workspace_leads_to_the_code_location():
    (location,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text())["load_from"]
    server = location["grpc_server"]
    command = services()[server["host"]]["command"]
    assert command[command.index("--port") + 1] == str(server["port"])
    assert server["location_name"] == "glm_assets"


def test_the_override_gives_a_service_that_exists_the_gpus():
    assert set(OVERRIDE) == {"code"} <= set(services())
    (device,) = OVERRIDE["code"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
