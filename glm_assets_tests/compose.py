"""What deploy/compose/ says, and its services' commands as processes of this machine: there is no Docker in a test."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from glm_assets_tests.checkouts import Checkout
from glm_assets_tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "compose"
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


def services() -> dict[str, dict[str, Any]]:
    """The services of compose.yaml, each with its parts merged in."""
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


@dataclass(frozen=True)
class LocalServices:
    """Runs the services' own commands in a checkout, with other addresses.

    Args:
        checkout: Stands for the containers' file system.
        variables: What stands in `.env`.
        places: What is written in compose.yaml, such as `mlflow:5000` or `/data`, to what it is here.
    """

    checkout: Checkout
    variables: Mapping[str, str]
    places: Mapping[str, str]

    def start(self, name: str, program: str = ""):
        """Start a service's command; `program` is the image's entry point."""
        service = services()[name]
        command = [*shlex.split(program), *(self.here(word) for word in service["command"])]
        return self._as(service).start(shlex.join(command))

    def is_healthy(self, name: str) -> bool:
        """Whether the service's health check succeeds."""
        service = services()[name]
        kind, *words = service["healthcheck"]["test"]
        assert kind == "CMD"
        with self._as(service).start(shlex.join(self.here(word) for word in words)) as check:
            return check.wait(timeout=60) == 0

    def here(self, text: str) -> str:
        """A text of compose.yaml with the variables' values and the places of this machine."""
        text = VARIABLE.sub(lambda found: self.variables.get(found[1]) or _default(found), text)
        longest_first = sorted(self.places, key=len, reverse=True)
        places = re.compile("|".join(re.escape(place) for place in longest_first))
        return places.sub(lambda found: self.places[found[0]], text)

    def _as(self, service: Mapping[str, Any]) -> Checkout:
        own = {name: self.here(value) for name, value in service.get("environment", {}).items()}
        return replace(self.checkout, environment={**self.checkout.environment, **own})


def _default(found: re.Match[str]) -> str:
    assert found[2] == "-", f"{found[1]} must be set"
    return found[3]


def write_workspace(path: Path, port: int) -> None:
    """The workspace of the webserver and the daemon, with the code location on this machine."""
    workspace = yaml.safe_load((FOLDER / "workspace.yaml").read_text())
    workspace["load_from"][0]["grpc_server"] |= {"host": "127.0.0.1", "port": port}
    path.write_text(yaml.safe_dump(workspace))
