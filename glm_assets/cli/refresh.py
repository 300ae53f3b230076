"""`glm-assets refresh`: everything up to date in one command, for cron and for people without a daemon."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from glm_assets.cli.arguments import Commands, say

if TYPE_CHECKING:
    from glm_assets.lineage.refresh import RefreshReport

_HELP = """\
Look for a new ClinVar release and bring everything up to date: the sources, then every expected chromosome to its
embeddings (only windows that were never embedded), then heads and submission if the profile says so. Each is a run in
Dagster's history. When nothing is new it only looks at the listing. The first run that fails ends it; what is
finished is not made again."""


def add_to(commands: Commands) -> None:
    """Describe the command."""
    refresh = commands.add_parser(
        "refresh",
        help="bring everything up to date with the newest release",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    refresh.add_argument("--dry-run", action="store_true", help="say what would be run, run nothing")
    refresh.set_defaults(run=_refresh)


def _refresh(options: argparse.Namespace) -> str:
    from glm_assets.lineage.refresh import refresh
    from glm_assets.lineage.study import Study
    from glm_assets.settings import Settings

    study = Study(Settings.from_environment())
    study.claim()
    if options.dry_run:
        return _summary(refresh(study, _nothing, say, dry_run=True), dry_run=True)
    from glm_assets.defs.refresh import running_jobs

    with running_jobs() as execute:
        return _summary(refresh(study, execute, say), dry_run=False)


def _nothing(job: str, partition: str | None) -> None:
    """What a dry run executes."""


def _summary(report: RefreshReport, *, dry_run: bool) -> str:
    if not report.runs:
        return "everything is up to date\n"
    title = f"{len(report.runs)} {'runs would follow' if dry_run else 'runs'}: {', '.join(report.runs)}"
    return "\n".join([title, *report.news]) + "\n"
