"""Steps on other machines: they end when their run has ended without them."""

import logging
import multiprocessing
import os
import socket
import threading
import time

import dagster as dg

from glm_assets.defs.ownership import OWNER_TAG, owner_is_dead

_LOG = logging.getLogger(__name__)
_INTERVAL_S = 10.0


def end_with_run() -> None:
    """End this process soon after its run has ended, or the run's process on this machine has died.

    A step that a cluster started has no parent to be watched. One that nobody waits for would go on holding its GPU.
    In the run's own process and in its children this does nothing.
    """
    if multiprocessing.parent_process() is not None:
        return
    context = dg.AssetExecutionContext.get()
    owner = _owner(context)
    if owner is None or owner.startswith(f"{socket.gethostname()}:{os.getpid()}:"):
        return

    def watch() -> None:
        while not _is_over(context):
            time.sleep(_INTERVAL_S)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-run", daemon=True).start()


def _owner(context: dg.AssetExecutionContext) -> str | None:
    run = context.instance.get_run_by_id(context.run.run_id)
    return run.tags.get(OWNER_TAG) if run else None


def _is_over(context: dg.AssetExecutionContext) -> bool:
    try:
        run = context.instance.get_run_by_id(context.run.run_id)
    # Whatever a database's driver raises: without the watch the step would outlive its run and hold its GPU.
    except Exception as error:  # noqa: BLE001
        _LOG.warning("looking whether the run goes on failed, trying again: %s", error)
        return False
    return run is None or run.is_finished or owner_is_dead(run.tags.get(OWNER_TAG))
