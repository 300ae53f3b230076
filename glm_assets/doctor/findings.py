"""What a check finds, and running many checks at once within a time that a person waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from glm_assets.errors import GlmError

Status = Literal["ok", "warning", "missing"]

DEADLINE_S: Final = 18.0


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: What was looked at.
        status: `ok`; `warning` for what the profile can do without; `missing` for what it needs.
        found: What there is.
        fix: The command or step that mends it; empty where nothing is to be mended.
    """

    name: str
    status: Status
    found: str
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON-able values."""
        return asdict(self)


Check = Callable[[], Finding]


def run_checks(checks: Mapping[str, Check], deadline_s: float = DEADLINE_S) -> list[Finding]:
    """Run all checks at once; one that fails or takes too long is a finding itself.

    Args:
        checks: Name to check.
        deadline_s: When those that are not done are given up; their threads end with the process.

    Returns:
        A finding a check, in order.
    """
    end = time.monotonic() + deadline_s
    answers = {name: _started(check) for name, check in checks.items()}
    return [_finding(name, answer, end) for name, answer in answers.items()]


def _started(check: Check) -> Future[Finding]:
    answer: Future[Finding] = Future()

    def work() -> None:
        try:
            answer.set_result(check())
        except Exception as error:  # noqa: BLE001  whatever a check meets is what it found
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return answer


def _finding(name: str, answer: Future[Finding], end: float) -> Finding:
    try:
        return answer.result(max(0.0, end - time.monotonic()))
    except Late:
        return Finding(name, "warning", "no answer in time", "look at what it waits for, and ask again")
    except GlmError as error:
        return Finding(name, "missing", error.problem, error.fix or error.expected or "")
    except Exception as error:  # noqa: BLE001
        return Finding(name, "warning", f"the check itself failed: {type(error).__name__}: {error}", "report it")


def report(findings: list[Finding]) -> str:
    """Findings as lines of text, with what mends them, and a last line that sums them up."""
    marks = {"ok": "ok", "warning": "WARNING", "missing": "MISSING"}
    wide = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{marks[finding.status]:<8} {finding.name:<{wide}}  {' '.join(finding.found.split())}")
        if finding.fix and finding.status != "ok":
            lines.append(f"{'':<8} {'':<{wide}}  fix: {' '.join(finding.fix.split())}")
    counts = {status: sum(finding.status == status for finding in findings) for status in marks}
    lines.append(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['missing']} missing")
    return "\n".join(lines) + "\n"


def is_healthy(findings: list[Finding]) -> bool:
    """Whether nothing that is needed is missing."""
    return all(finding.status != "missing" for finding in findings)
