"""`glm-assets free-slots`: pool slots of runs whose process is gone and that nothing else can free."""

from __future__ import annotations

import argparse
from pathlib import Path

from glm_assets.cli.arguments import Commands

_HOUR = 3600


def add_to(commands: Commands) -> None:
    """Describe the command."""
    free = commands.add_parser(
        "free-slots",
        help="free the pool slots of runs whose process is gone",
        description="Free the pool slots of runs whose process on this machine is gone. Those of other machines, and "
        "those without a noted process, are only listed: free them with --run once you know that they are dead.",
    )
    free.add_argument(
        "--run", dest="which", metavar="ID", help="fail this run and free its slots, wherever it was"
    )
    free.add_argument("--dry-run", action="store_true", help="only list them")
    free.set_defaults(run=_free)


def _free(options: argparse.Namespace) -> str:
    from glm_assets.defs.ownership import release_dead_runs
    from glm_assets.defs.slots import StaleSlot, free_slots, open_instance, stale_slots
    from glm_assets.errors import SettingsError

    def line(slot: StaleSlot) -> str:
        where = f"process {slot.pid} on {slot.host}" if slot.host else "no process noted"
        judged = " (cannot be judged from here)" if slot.is_elsewhere else ""
        age = slot.age_seconds
        heard = "deleted from the history" if age is None else f"last heard of {age / _HOUR:.1f} h ago"
        return f"run {slot.run_id}  pool {slot.pool}  {where}{judged}  {heard}\n"

    with open_instance(Path.cwd()) as instance:
        slots = stale_slots(instance)
        if options.dry_run:
            return "".join(map(line, slots)) or "no pool slot is stale\n"
        if options.which:
            if options.which not in {slot.run_id for slot in slots}:
                raise SettingsError(
                    f"run {options.which} holds no stale pool slot",
                    expected=f"one of {', '.join(sorted({slot.run_id for slot in slots})) or 'none at present'}",
                    fix="a run that lives is ended in the UI, or by ending its process",
                )
            free_slots(instance, options.which)
            return f"freed the slots of run {options.which}\n"
        freed = release_dead_runs(instance)
        rest = stale_slots(instance)
    text = "".join(f"freed the slots of run {run_id}\n" for run_id in freed)
    return (text + "".join(f"left alone: {line(slot)}" for slot in rest)) or "no pool slot is stale\n"
