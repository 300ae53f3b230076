"""A small checkout in a temporary folder, and the project's commands run in it as a user would."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from glm_assets_tests.conftest import REPOSITORY

_COPIED = ("dagster.yaml", "workspace.yaml", "pyproject.toml", "constraints.txt", "Makefile")
_FOREIGN = ("GLM_", "DAGSTER_", "MLFLOW_", "PYTEST_")


@dataclass(frozen=True)
class Checkout:
    """A folder with the project's own files and package, and the environment that commands in it see."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, command: str, *, timeout: float = 300) -> str:
        """Run a shell command to its end and return what it printed; it must succeed."""
        done = subprocess.run(
            ["bash", "-c", command],
            check=False,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    @contextmanager
    def start(self, command: str) -> Iterator[subprocess.Popen]:
        """Start a command in a session of its own; whatever it left is killed at the end of the block."""
        log = self.folder / f"{shlex.split(command)[0]}-{time.monotonic_ns()}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                shlex.split(command),
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        family = [psutil.Process(process.pid)]
        try:
            yield process
        except BaseException as error:
            error.add_note(f"{command}\n{log.read_text()[-6000:]}")
            raise
        finally:
            with suppress(psutil.NoSuchProcess):
                family += family[0].children(recursive=True)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            process.wait()


def make_checkout(folder: Path, settings: Mapping[str, str]) -> Checkout:
    """Copy into `folder` what the commands need, so that history and data come to lie there too.

    Args:
        folder: Made here.
        settings: `GLM_*` variables; all others of this process are hidden from the commands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        shutil.copy(REPOSITORY / name, folder / name)
    shutil.copytree(REPOSITORY / "glm_assets", folder / "glm_assets", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    fixed = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own.get('PATH', os.defpath)}",
        "NO_PROXY": "127.0.0.1,localhost",
        "OMP_NUM_THREADS": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return Checkout(folder, own | fixed | dict(settings))


def make_installed_checkout(folder: Path) -> Checkout:
    """A checkout whose environment is this one, so that make finds everything installed.

    Args:
        folder: Made here.
    """
    checkout = make_checkout(folder, {})
    environment = checkout.folder / ".venv"
    environment.unlink()
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    for stamp in (".pip", ".demo", ".studies"):
        (environment / stamp).touch()
    return checkout


def wait_until(condition: Callable[[], object], what: str, *, seconds: float = 120, pause: float = 0.05) -> None:
    """Wait for a condition; fails with `what` when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(pause)
