"""Types of arguments that several commands take, and where they say how far they are."""

from __future__ import annotations

import argparse
import sys

Commands = argparse._SubParsersAction  # argparse has no public name for it


def positive(text: str) -> int:
    """A whole number of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def say(line: str) -> None:
    """Write a line of progress to standard error."""
    sys.stderr.write(line + "\n")
