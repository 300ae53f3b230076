"""The command that starts a worker on Kubernetes, against a stand-in for kubectl that runs Jobs on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glm_assets.encoders.engines.worker_processes import WorkerProcesses, command_worker
from glm_assets_tests.conftest import REPOSITORY
from glm_assets_tests.encoders.conftest import variant_frame
from glm_assets_tests.encoders.engines.jobs import demo_job, embed
from glm_assets_tests.encoders.engines.test_worker_processes import assert_as_in_process

# The fixtures of the encoders' tests.
from glm_assets_tests.encoders.conftest import spec, weights  # noqa: F401  isort: skip

START = REPOSITORY / "deploy" / "kubernetes" / "start_worker"

# `create` runs the Job's command and notes its status; `get` shows that as kubectl does.
KUBECTL = f"""#!{sys.executable}
import subprocess, sys, yaml
from pathlib import Path
folder = Path(__file__).parent
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
verb = sys.argv[1]
if verb == "create":
    job = yaml.safe_load(sys.stdin)
    name = job["metadata"]["generateName"] + "x7"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {{"nvidia.com/gpu": 1}}
    program, *arguments = container["command"]
    assert program == "python"
    script = '"$@"; echo $? > "$0"'
    command = ["sh", "-c", script, str(folder / name), sys.executable, *arguments]
    silent = subprocess.DEVNULL
    subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent, start_new_session=True)
    sys.stdout.write(name)
elif verb == "get":
    status = folder / sys.argv[3]
    text = status.read_text().strip() if status.exists() else ""
    sys.stdout.write({{"": "/", "0": "1/"}}.get(text, "/1"))
elif verb == "logs":
    sys.stdout.write("the last lines\\n")
"""


@pytest.fixture
def kubectl(tmp_path, monkeypatch) -> Path:
    """The folder of the stand-in, which is first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kubectl").write_text(KUBECTL)
    (folder / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("POLL_SECONDS", "0.2")
    return folder


@pytest.mark.system
def test_a_job_computes_the_shards_and_is_removed(tmp_path, kubectl, spec, weights):  # noqa: F811
    job, windows = demo_job(spec, weights, tmp_path / "store"), variant_frame(4)
    engine = WorkerProcesses(job, tmp_path / "scratch", 1, command_worker(f"{START} {{job}}"))
    found, _ = embed(windows, job, engine, 4)
    assert_as_in_process(windows, job, found, tmp_path / "alone", 4)
    assert "delete job glm-worker-x7" in (kubectl / "calls").read_text()


@pytest.mark.system
def test_a_job_that_fails_shows_its_last_lines_and_fails_the_command(tmp_path, kubectl):
    done = subprocess.run([START, tmp_path / "job.json"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.splitlines()) == (1, ["the last lines"])
    assert "delete job glm-worker-x7" in (kubectl / "calls").read_text()
