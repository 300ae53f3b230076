"""Leases: one owner each, and who counts as dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from glm_assets.encoders.engines import leases
from glm_assets.encoders.engines.leases import Heartbeat, LeaseWatch, take_lease

OWNER = """
import sys, time
from pathlib import Path
from glm_assets.encoders.engines.leases import take_lease
assert take_lease(Path(sys.argv[1]))
print("taken", flush=True)
time.sleep(600)
"""


@pytest.fixture
def lease(tmp_path):
    return tmp_path / "lease"


def rewrite(lease, **changes) -> None:
    lease.write_text(json.dumps(json.loads(lease.read_text()) | changes))


def test_of_many_takers_one_gets_a_lease(lease):
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(take_lease, [lease] * 50)) == [False] * 49 + [True]


def test_a_killed_owner_on_this_machine_is_dead_at_once(lease, repository):
    environment = os.environ | {"PYTHONPATH": str(repository)}
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(lease)], env=environment, stdout=subprocess.PIPE)
    assert owner.stdout
    assert owner.stdout.readline() == b"taken\n"
    watch = LeaseWatch()
    assert not watch.is_dead(lease)
    os.kill(owner.pid, signal.SIGKILL)
    os.waitid(os.P_PID, owner.pid, os.WEXITED | os.WNOWAIT)
    assert watch.is_dead(lease), "a zombie does not work"
    owner.wait()
    assert watch.is_dead(lease)


def test_a_process_that_got_the_owners_number_is_not_the_owner(lease):
    take_lease(lease)
    assert not LeaseWatch().is_dead(lease)
    rewrite(lease, created=1000.0)
    assert LeaseWatch().is_dead(lease)


def test_an_owner_elsewhere_is_dead_when_its_time_stamp_stands_still_whatever_the_clocks_say(lease):
    take_lease(lease)
    rewrite(lease, machine="elsewhere", pid=1)
    watch = LeaseWatch(patience_s=0.2)
    for second in (0, 1, 2):  # a clock that is half a century behind
        os.utime(lease, (second, second))
        assert not watch.is_dead(lease)
        time.sleep(0.15)
    time.sleep(0.1)
    assert watch.is_dead(lease)


def test_an_owner_that_is_just_writing_is_alive(lease):
    lease.write_text('{"machine": "he')
    assert not LeaseWatch().is_dead(lease)


def test_a_heartbeat_renews_the_lease_while_its_block_runs(lease, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT_S", 0.01)
    take_lease(lease)
    os.utime(lease, (0, 0))
    beats = []
    with Heartbeat(lease, lambda: beats.append(lease.stat().st_mtime)):
        while len(beats) < 2:
            time.sleep(0.01)
    assert beats[0] > 0
    os.utime(lease, (0, 0))
    time.sleep(0.05)
    assert lease.stat().st_mtime == 0
