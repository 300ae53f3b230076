"""`glm-assets prune-runs`: let go old runs of Dagster's history."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

from glm_assets.cli.arguments import Commands, positive

_HELP = """\
List the runs that ended long ago and hold no asset's newest materialisation. Nothing is removed without --yes, and no
product in the data root in any case: only what Dagster remembers of the run, its events and its logs."""


def add_to(commands: Commands) -> None:
    """Describe the command."""
    prune = commands.add_parser("prune-runs", help="remove old runs from Dagster's history", description=_HELP)
    prune.add_argument(
        "--older-than", type=positive, default=90, metavar="DAYS", help="how long ago they ended (90)"
    )
    prune.add_argument("--yes", action="store_true", help="remove them")
    prune.set_defaults(run=_prune)


def _prune(options: argparse.Namespace) -> str:
    from glm_assets.defs.run_retention import prunable_runs, remove_runs
    from glm_assets.defs.slots import open_instance

    with open_instance(Path.cwd()) as instance:
        total = instance.get_runs_count()
        found = prunable_runs(instance, datetime.now(UTC) - timedelta(days=options.older_than))
        if options.yes:
            remove_runs(instance, found)
    verb = "were" if options.yes else "would be"
    hint = "remove them: add --yes\n" if found and not options.yes else ""
    return f"{len(found):,} of {total:,} runs {verb} removed\n{hint}"
