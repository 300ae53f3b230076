"""Leases: files that say which process works on something, kept young while it lives.

They need nothing but a folder that all machines share: a file that only one can create, and its modification time. No
clocks are compared: whoever watches a lease measures with its own clock how long the time stamp has stood still.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

HEARTBEAT_S = 2.0
# Network file systems may show a time stamp a minute late.
PATIENCE_S = 180.0
# A process's start time is derived from the system clock, which may be set.
_CLOCK_TOLERANCE_S = 10.0


def take_lease(path: Path) -> bool:
    """Note this process as the owner of a lease.

    Args:
        path: The lease's file; its folder is there.

    Returns:
        False when somebody has it already, or the folder has gone.
    """
    process = psutil.Process()
    owner = {"machine": _this_machine(), "pid": process.pid, "created": process.create_time()}
    try:
        with path.open("x", encoding="utf-8") as stream:
            json.dump(owner, stream)
    except (FileExistsError, FileNotFoundError):
        return False
    return True


class LeaseWatch:
    """Tells whether the owners of leases live.

    Args:
        patience_s: An owner on another machine counts as dead when its lease was not renewed for so long.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._seen: dict[Path, tuple[int, float]] = {}

    def is_dead(self, path: Path) -> bool:
        """Whether a lease's owner is dead; a lease that has gone has no owner."""
        try:
            changed, owner = path.stat().st_mtime_ns, path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return True
        now = time.monotonic()
        if path not in self._seen or self._seen[path][0] != changed:
            self._seen[path] = changed, now
        return now - self._seen[path][1] > self._patience_s or _is_gone(owner)


class Heartbeat:
    """A thread that keeps leases young while a block runs, and can watch over another's.

    Attributes:
        lease: The lease to renew now, if any.

    Args:
        lease: As the attribute.
        beat: Called at each beat besides.
    """

    def __init__(self, lease: Path | None = None, beat: Callable[[], None] = lambda: None) -> None:
        self.lease = lease
        self._beat = beat
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(HEARTBEAT_S):
            # A share that is away for a moment must not end the heartbeat; the lease ages meanwhile.
            with contextlib.suppress(OSError):
                if self.lease:
                    os.utime(self.lease)
                self._beat()


def _this_machine() -> str:
    """The host, and the process namespace in it: process ids of another container mean nothing here."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()} {Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _is_gone(owner: str) -> bool:
    """Whether an owner was a process of this machine that has ended; others are judged by their heartbeat."""
    try:
        values = json.loads(owner)
    except ValueError:  # its owner is writing it
        return False
    if values["machine"] != _this_machine():
        return False
    try:
        process = psutil.Process(values["pid"])
        reused = abs(process.create_time() - values["created"]) > _CLOCK_TOLERANCE_S
        return reused or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
