"""One process of a training: `python -m glm_assets.training.rank FOLDER NUMBER`, started by `launch`.

Importing this module imports torch.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from glm_assets.errors import GlmError
from glm_assets.storage.atomic import write_json
from glm_assets.training.distributed import join, leave
from glm_assets.training.launch import JOB, PROGRESS, RENDEZVOUS, RESULT, RankJob


def main(arguments: list[str]) -> None:
    """Do this process's part."""
    folder, number = Path(arguments[0]), int(arguments[1])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = RankJob(**json.loads((folder / JOB).read_text(encoding="utf-8")))
    if job.backend == "gloo":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // job.processes))
    ranks = join(number, job.processes, job.backend, str(folder / RENDEZVOUS))
    sys.excepthook = _end_at_once  # after torch has set its own
    tell = _teller(folder / PROGRESS) if ranks.is_first else _ignore
    value = _function(job.target)(job.job, ranks, tell)
    ranks.barrier()
    if ranks.is_first:
        write_json(folder / RESULT, value)
    leave()


def _function(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _teller(path: Path) -> Callable[[str], None]:
    def tell(line: str) -> None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(line.replace("\n", " ") + "\n")

    return tell


def _ignore(_: str) -> None:
    pass


def _end_with_parent() -> None:
    """End this process, whatever it waits for, when the one that started it is no more."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _end_at_once(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say what is wrong and end: an orderly end would wait for the other processes, which wait for this one."""
    if isinstance(error, GlmError):
        sys.stderr.write(f"{error}\n")
    else:
        sys.__excepthook__(kind, error, trace)
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
