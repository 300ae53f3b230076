"""The command line `glm-assets`: what has no place among the assets. Materialising is Dagster's command line's.

A command is a module with `add_to(commands)`, which describes it to the parser and sets `run`: a function of the
parsed options that returns what is written to standard output, or that and an exit status.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from glm_assets.cli import (
    bionemo,
    champion,
    compact,
    doctor,
    free_slots,
    imports,
    plan,
    predict_reads,
    prune,
    prune_runs,
    refresh,
    send_tracking,
)
from glm_assets.errors import GlmError

_COMMANDS = (
    imports,
    refresh,
    compact,
    champion,
    plan,
    predict_reads,
    bionemo,
    send_tracking,
    free_slots,
    prune,
    prune_runs,
    doctor,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Without the program's name; those of the process by default.

    Returns:
        The exit status: 1 after a `GlmError`, whose text is then the last line on standard error.
    """
    options = _parser().parse_args(arguments)
    try:
        answer = options.run(options)
    except GlmError as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 1
    text, status = answer if isinstance(answer, tuple) else (answer, 0)
    sys.stdout.write(text)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="glm-assets", description="What has no place among Dagster's assets.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(commands)
    return parser
