"""Seconds to load the definitions, in fresh processes, against `import dagster` alone.

Every step process of a run pays this. The runs alternate, so that a busy machine slows both alike.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

RUNS = 5
REPOSITORY = Path(__file__).resolve().parent.parent
TIMER = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def seconds_to_import(module: str) -> float:
    """Import a module in a fresh interpreter and return the seconds it took, without the interpreter's start."""
    command = [sys.executable, "-c", TIMER.format(module)]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Print each run and, last, the medians as JSON."""
    modules = ("dagster", "glm_assets.definitions")
    for module in modules:
        seconds_to_import(module)  # compiles the bytecode and fills the file cache
    seconds: dict[str, list[float]] = {module: [] for module in modules}
    for run in range(1, RUNS + 1):
        for module in modules:
            seconds[module].append(seconds_to_import(module))
            print(f"run {run}: import {module} {seconds[module][-1]:.3f} s")
    dagster, definitions = (statistics.median(seconds[module]) for module in modules)
    figures = {"seconds": round(definitions, 3), "dagster_seconds": round(dagster, 3), "runs": RUNS}
    print(json.dumps({"name": "import", "ratio": round(definitions / dagster, 3), **figures}))


if __name__ == "__main__":
    main()
