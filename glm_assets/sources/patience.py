"""A time limit around work that waits for others, whatever it waits for: names, connections, bytes that drip."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from glm_assets.errors import DownloadError

Answer = TypeVar("Answer")


def within(seconds: float, work: Callable[[], Answer], *, source: str) -> Answer:
    """Do work, and give up waiting for it after some time.

    A timeout of the connection counts each wait for bytes by itself, so a server that sends one now and then is never
    late for it. The thread of what was given up ends when its connection does, at the latest with the process.

    Args:
        seconds: How long to wait.
        work: What to do; it changes nothing that outlives it.
        source: What is waited for, for the message.

    Raises:
        DownloadError: It took longer. What `work` raises is raised too.
    """
    answer: Future[Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            answer.set_exception(error)

    threading.Thread(target=run, name=f"waiting for {source}", daemon=True).start()
    try:
        return answer.result(timeout=seconds)
    except TimeoutError as error:
        raise DownloadError(
            f"{source} has not answered within {seconds:g} s",
            expected="the listing and the checksum of a release",
            fix="try again later, or point GLM_NCBI_URL to a nearer copy of NCBI's tree",
        ) from error
