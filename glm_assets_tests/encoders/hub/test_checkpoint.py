"""Downloads from the Hub that break off: a server on this machine counts what it sends."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("huggingface_hub")

from glm_assets.encoders.weights import resolve_weights
from glm_assets.errors import DownloadError, IntegrityError
from glm_assets_tests.encoders.hub.server import COMMIT, NEWER, point_to, serve_hub

SIZE = 6 << 20
WEIGHTS = np.random.default_rng(0).bytes(SIZE)
PIECES = {f"evo2_7b.pt.part{number}": WEIGHTS[number << 21 : (number + 1) << 21] for number in range(3)}

RESOLVE = """
import sys
from pathlib import Path
from glm_assets.encoders.weights import resolve_weights
found = resolve_weights(
    sys.argv[1], local_file=None, folder=Path(sys.argv[2]), offline=False, progress=lambda line: print(line, flush=True)
)
print(found.path, found.sha256)
"""


@pytest.fixture
def hub(monkeypatch):
    with serve_hub(files={"evo2_7b.pt": WEIGHTS}) as hub:
        point_to(monkeypatch, hub)
        yield hub


def resolve(folder, name="evo2_7b", **options):
    return resolve_weights(
        name, folder=folder, **({"local_file": None, "offline": False, "progress": lambda _: None} | options)
    )


def downloading(name, folder, hub):
    """A process of its own that resolves weights."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "GLM_"))}
    return subprocess.Popen(
        [sys.executable, "-c", RESOLVE, name, str(folder)],
        env=environment | {"HF_ENDPOINT": hub.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_when_stalled(name, folder, hub, enough):
    """Kill a download where the server stalls it and `enough` bytes have arrived on the disk."""
    process = downloading(name, folder, hub)
    assert hub.stalled.wait(60), process.communicate(timeout=5)[0]
    for _ in range(100):
        if sum(path.stat().st_size for path in folder.rglob("*.part")) >= enough:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    hub.go_on.set()
    hub.stalled.clear()


def left_over(folder):
    return [path.name for path in folder.rglob("*") if ".pt." in path.name]


def test_a_cut_connection_is_continued_where_it_stopped(tmp_path, hub):
    hub.cut["evo2_7b.pt"] = SIZE // 2
    found = resolve(tmp_path)
    assert found.path.read_bytes() == WEIGHTS
    assert hub.ranges == [("evo2_7b.pt", None), ("evo2_7b.pt", f"bytes={SIZE // 2}-")]
    assert hub.sent["evo2_7b.pt"] == SIZE
    assert not left_over(tmp_path)


@pytest.mark.system
def test_a_killed_download_is_continued_by_the_next_process(tmp_path, hub):
    hub.stall["evo2_7b.pt"] = SIZE // 2
    kill_when_stalled("evo2_7b", tmp_path, hub, enough=SIZE // 4)
    [part] = tmp_path.glob(".*.part")
    kept, before = part.stat().st_size, hub.sent["evo2_7b.pt"]
    assert kept >= SIZE // 4

    hub.commit = NEWER  # the branch moves on meanwhile; the download goes on with what it began
    output, _ = downloading("evo2_7b", tmp_path, hub).communicate(timeout=60)
    path = tmp_path / f"evo2_7b-{COMMIT}.pt"
    assert output.splitlines()[-1] == f"{path} {hashlib.sha256(WEIGHTS).hexdigest()}"
    assert hub.ranges[-1] == ("evo2_7b.pt", f"bytes={kept}-")
    assert hub.sent["evo2_7b.pt"] - before == SIZE - kept
    assert not left_over(tmp_path)


@pytest.mark.system
def test_of_a_checkpoint_in_pieces_only_what_is_missing_is_fetched_after_a_kill(tmp_path, hub):
    hub.files = dict(PIECES)
    hub.stall["evo2_7b.pt.part1"] = 1 << 20
    kill_when_stalled("evo2_7b", tmp_path, hub, enough=1 << 19)
    assert (tmp_path / f".evo2_7b-{COMMIT}.pt.joining").stat().st_size == 1 << 21
    before = hub.sent.copy()
    output, _ = downloading("evo2_7b", tmp_path, hub).communicate(timeout=60)
    assert output.split()[-1] == hashlib.sha256(WEIGHTS).hexdigest()
    again = hub.sent - before
    assert again["evo2_7b.pt.part0"] == 0
    assert again["evo2_7b.pt.part1"] <= 3 << 19
    assert again["evo2_7b.pt.part2"] == 1 << 21
    assert not left_over(tmp_path)


@pytest.mark.parametrize("torn", [(1 << 21) - 5, 1 << 21, (1 << 21) + 7, 3 << 21])
def test_pieces_that_were_joined_in_part_are_joined_again(tmp_path, hub, torn):
    hub.files = dict(PIECES)
    (tmp_path / f".evo2_7b-{COMMIT}.pt.joining").write_bytes(WEIGHTS[:torn])
    whole = torn >> 21
    for number in range(3):  # a kill can leave the piece that was just joined
        if number in (whole - 1, whole):
            (tmp_path / f".evo2_7b-{COMMIT}.pt.piece{number}").write_bytes(PIECES[f"evo2_7b.pt.part{number}"])
    found = resolve(tmp_path)
    assert found.path.read_bytes() == WEIGHTS
    assert [name for name, _ in hub.ranges] == [f"evo2_7b.pt.part{number}" for number in range(whole + 1, 3)]
    assert not left_over(tmp_path)


def test_joining_pieces_never_holds_more_than_the_whole_and_a_piece(tmp_path, hub):
    hub.files = dict(PIECES)
    used = []

    def progress(_line):
        used.append(sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()))

    resolve(tmp_path, progress=progress)
    assert max(used) < SIZE + (1 << 21)


def test_a_part_that_was_damaged_between_two_attempts_is_refused_and_fetched_anew(tmp_path, hub):
    part = tmp_path / f".evo2_7b-{COMMIT}.pt.unchecked.part"
    hub.cut["evo2_7b.pt"] = SIZE // 2

    def damage(line):
        if "attempt 1" in line:
            part.write_bytes(bytes(part.stat().st_size))

    with pytest.raises(IntegrityError, match=r"evo2_7b\.pt differs from what Hugging Face states"):
        resolve(tmp_path, progress=damage)
    assert not left_over(tmp_path)
    assert not list(tmp_path.glob("*.pt"))
    assert resolve(tmp_path).path.read_bytes() == WEIGHTS


def test_a_file_without_a_published_checksum_is_still_held_to_its_size(tmp_path, hub):
    hub.plain.add("evo2_7b.pt")
    assert resolve(tmp_path).size == SIZE


def test_an_attempt_that_failed_for_good_leaves_what_arrived(tmp_path, hub, monkeypatch):
    hub.cut["evo2_7b.pt"] = SIZE // 2
    hub.files["evo2_7b.pt"] = WEIGHTS
    from glm_assets.sources import web

    monkeypatch.setattr("glm_assets.sources.fetch.get", _once(web.get))
    with pytest.raises(DownloadError, match=r"arcinstitute/evo2_7b .*continues where it stopped"):
        resolve(tmp_path)
    monkeypatch.undo()
    point_to(monkeypatch, hub)
    resolve(tmp_path)
    assert hub.sent["evo2_7b.pt"] == SIZE


def _once(get):
    from glm_assets.sources.web import RetryPolicy

    return lambda *args, **options: get(*args, **(options | {"policy": RetryPolicy(attempts=1)}))


def test_a_token_goes_to_the_hub_and_not_to_the_host_that_holds_the_file(tmp_path, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    resolve(tmp_path)
    assert f"/arcinstitute/evo2_7b/resolve/{COMMIT}/evo2_7b.pt" in hub.authorized
    assert not [path for path in hub.authorized if path.startswith("/cdn/")]
    assert "hf_secret" not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))


@pytest.mark.parametrize("files", [{"evo2_7b.pt": WEIGHTS}, PIECES], ids=["whole", "pieces"])
def test_two_runs_at_once_download_once(tmp_path, hub, files):
    hub.files = dict(files)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: resolve(tmp_path), range(2))
    assert first == second
    assert hub.sent.total() == SIZE
    assert len([line for line in hub.requests if line.startswith("info")]) == 1


def test_neither_a_local_file_nor_offline_asks_the_hub(tmp_path, hub):
    (tmp_path / "mine.pt").write_bytes(b"mine")
    assert resolve(tmp_path, local_file=tmp_path / "mine.pt").source == f"file {tmp_path / 'mine.pt'}"
    with pytest.raises(Exception, match="GLM_OFFLINE"):
        resolve(tmp_path, offline=True)
    with pytest.raises(Exception, match="GLM_OFFLINE"):
        resolve(tmp_path, "hf:owner/model", offline=True)
    assert not hub.requests + hub.strange
