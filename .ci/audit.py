"""Looks for known vulnerabilities in what constraints.txt pins; says how much of it could be looked at.

pip-audit calls a package that its advisory service does not answer for "skipped" and ends well, even if it is all of
them. Here that is said in so many words. Exit status: 1 where something is vulnerable or pip-audit itself fails, else
0: that no service can be reached is no failure.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

_COMMAND = ("-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json")
_SERVICES = ("pypi", "osv")
_PATIENCE_S = 120
_NAMED = 10
# How pip-audit ends, mostly with a traceback, where a service does not answer or answers nonsense.
_NETWORK = re.compile(
    r"^requests\.exceptions\.|Could not connect to|not redirecting|ServiceError|HTTPError", re.MULTILINE
)
_LAST_LINES = 5


def main(constraints: str) -> int:
    """Ask one advisory service after the other until one answers."""
    report: list[dict[str, Any]] = []
    for service in _SERVICES:
        report = ask(service, constraints)
        if any("vulns" in package for package in report):
            break
    return tell(report, sys.stdout.write)


def ask(service: str, constraints: str) -> list[dict[str, Any]]:
    """What a service says of each package; nothing where it cannot be reached.

    Raises:
        SystemExit: pip-audit is missing, crashed, or cannot read the constraints.
    """
    command = [sys.executable, *_COMMAND, f"--vulnerability-service={service}", f"--requirement={constraints}"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        return []
    try:
        return json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError) as error:
        if _NETWORK.search(done.stderr):
            return []
        last = "\n".join(done.stderr.splitlines()[-_LAST_LINES:])
        raise SystemExit(f"pip-audit failed, so nothing was audited:\n{last}") from error


def tell(report: list[dict[str, Any]], write: Any) -> int:
    """Write what was found.

    Args:
        report: As pip-audit gives it: packages with `vulns`, or with `skip_reason`.
        write: Takes text.

    Returns:
        1 where a package is vulnerable, else 0.
    """
    audited = [package for package in report if "vulns" in package]
    skipped = [package["name"] for package in report if "vulns" not in package]
    if not audited:
        write(
            "NOT AUDITED: no advisory service answers for any package. Run `make audit` where one can be reached.\n"
        )
        return 0
    vulnerable = [package for package in audited if package["vulns"]]
    for package in vulnerable:
        for flaw in package["vulns"]:
            fixed = ", ".join(flaw.get("fix_versions") or ()) or "no version"
            write(f"VULNERABLE: {package['name']} {package['version']}, {flaw['id']}, fixed in {fixed}\n")
    more = f", and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
    unknown = f"; NOT AUDITED: {', '.join(skipped[:_NAMED])}{more}" if skipped else ""
    write(f"{len(audited)} packages audited, {len(vulnerable)} with known vulnerabilities{unknown}\n")
    return 1 if vulnerable else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
