"""`glm-assets doctor`: whether this machine has what the settings and the profile need."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from glm_assets.cli.arguments import Commands

_HELP = """\
Look at Python, packages, GPU, disk, network, DuckDB, MLflow and Dagster, and say for each what is fine, what is
missing, and what mends it. Nothing is changed. The exit status is 1 where something is missing that the profile
needs, and 0 otherwise; warnings do not count."""


def add_to(commands: Commands) -> None:
    """Describe the command."""
    doctor = commands.add_parser("doctor", help="check this machine", description=_HELP)
    doctor.add_argument("--json", action="store_true", help="for programs")
    doctor.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> tuple[str, int]:
    from glm_assets.defs.instance_health import instance_checks
    from glm_assets.doctor.checkup import domain_checks
    from glm_assets.doctor.findings import is_healthy, report, run_checks

    findings = run_checks(domain_checks() | instance_checks(Path.cwd()))
    if options.json:
        text = json.dumps([finding.as_dict() for finding in findings], indent=2) + "\n"
    else:
        text = report(findings)
    return text, 0 if is_healthy(findings) else 1
