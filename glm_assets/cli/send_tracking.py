"""`glm-assets send-tracking`: sends what was recorded while MLflow could not be reached."""

from __future__ import annotations

import argparse

from glm_assets.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Describe the command."""
    send = commands.add_parser(
        "send-tracking",
        help="send what was recorded while MLflow could not be reached",
        description="Send the runs that wait in the outbox of the data root to MLflow, oldest first and once each. "
        "Runs that last are left to themselves. Exit status 1 if something still waits.",
    )
    send.add_argument("--dry-run", action="store_true", help="only list what waits")
    send.set_defaults(run=_send)


def _send(options: argparse.Namespace) -> tuple[str, int]:
    from glm_assets.settings import Settings
    from glm_assets.tracking import MlflowTracker
    from glm_assets.tracking.outbox import Outbox

    settings = Settings.from_environment()
    outbox = Outbox(settings.outbox)
    if options.dry_run:
        return "".join(f"{entry}\n" for entry in outbox.waiting()) or "nothing waits\n", 0
    done = outbox.send(MlflowTracker(settings.tracking_uri)) if outbox.waiting() else []
    text = "".join(f"{sent}\n" for sent in done) or "nothing waits\n"
    return text, int(any(sent.problem for sent in done))
