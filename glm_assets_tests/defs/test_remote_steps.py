"""Steps that a cluster started: they end when nobody waits for them any more."""

import os
import socket
import subprocess
from types import SimpleNamespace

import psutil
import pytest
from sqlalchemy.exc import OperationalError

from glm_assets.defs import remote_steps
from glm_assets.defs.ownership import OWNER_TAG
from glm_assets.defs.remote_steps import end_with_run
from glm_assets_tests.checkouts import wait_until
from glm_assets_tests.defs.databases import ABSENT

HOST = socket.gethostname()
DEAD = f"{HOST}:{2**22 + 7}:1.00"  # beyond the largest process id
ELSEWHERE = "another-host:17:1.00"


class Ended(Exception):
    """Raised in the place of the process's end."""


class Instance:
    """Answers with one state of the run after the other; the last stays."""

    def __init__(self, *states: object) -> None:
        self.states = list(states)
        self.asked = 0

    def get_run_by_id(self, run_id: str) -> object:
        self.asked += 1
        assert self.asked < 20, "the watch never ends"
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return state


def run(owner: str | None, *, finished: bool = False) -> SimpleNamespace:
    return SimpleNamespace(tags={OWNER_TAG: owner} if owner else {}, is_finished=finished)


@pytest.fixture
def step(monkeypatch):
    """Calls `end_with_run` in a step of an instance; True when it ended the process, None when it did not watch."""

    def call(*states: object) -> bool | None:
        context = SimpleNamespace(instance=Instance(*states), run=SimpleNamespace(run_id="run"))
        monkeypatch.setattr(remote_steps.dg.AssetExecutionContext, "get", lambda: context)
        watched: list[bool] = []

        def start(target, **_: object) -> SimpleNamespace:
            with pytest.raises(Ended):
                target()
            watched.append(True)
            return SimpleNamespace(start=lambda: None)

        def end(status: int) -> None:
            raise Ended(status)

        monkeypatch.setattr(remote_steps, "_INTERVAL_S", 0.01)
        monkeypatch.setattr(remote_steps.threading, "Thread", start)
        monkeypatch.setattr(remote_steps.os, "_exit", end)
        end_with_run()
        return watched[0] if watched else None

    return call


def test_it_ends_when_the_run_has_ended(step):
    goes_on = run(ELSEWHERE)
    assert step(goes_on, goes_on, goes_on, run(ELSEWHERE, finished=True))


def test_it_ends_when_the_runs_process_on_this_host_has_died(step):
    assert step(run(DEAD))


def test_a_dead_process_that_nobody_collected_is_dead(step):
    """As in a container whose first process waits for no children."""
    with subprocess.Popen(["true"]) as child:
        created = psutil.Process(child.pid).create_time()
        wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE, "it has ended")
        assert step(run(f"{HOST}:{child.pid}:{created:.2f}"))


def test_it_ends_when_the_run_was_deleted(step):
    assert step(run(ELSEWHERE), run(ELSEWHERE), None)


BUSY = OperationalError("select", {}, Exception("database is locked"))


@pytest.mark.parametrize("error", [BUSY, ABSENT], ids=["busy", "absent"])
def test_a_database_that_is_away_does_not_end_it_nor_the_watch(step, error):
    assert step(run(ELSEWHERE), error, error, run(ELSEWHERE, finished=True))


def test_the_runs_own_process_is_left_alone(step):
    """A run in one process is over before its process is."""
    me = f"{HOST}:{os.getpid()}:{psutil.Process().create_time():.2f}"
    assert step(run(me, finished=True)) is None


def test_a_run_that_nobody_claimed_is_left_alone(step):
    assert step(run(None, finished=True)) is None
