"""Programs in a mount namespace of their own, where they may mount a file system that nobody else sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from glm_assets_tests.conftest import REPOSITORY


def run_in_a_namespace(program: str, *arguments: Path, said: str) -> None:
    """Run a Python program that mounts something; nothing stays mounted.

    Args:
        program: Its text.
        arguments: Of the program.
        said: What it prints once its work was done. Where neither that nor a traceback comes, it could not mount, and
            the test is skipped.
    """
    command = [sys.executable, "-c", program, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    for namespace in (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]):
        if not shutil.which("unshare"):
            break
        done = subprocess.run([*namespace, *command], env=environment, capture_output=True, text=True, check=False)
        if said in done.stdout or "Traceback" in done.stderr:
            assert done.returncode == 0, done.stderr
            return
    pytest.skip("this user may not mount a file system, not even in a namespace")
