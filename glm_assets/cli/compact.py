"""`glm-assets compact`: a head without the blocks that do nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from glm_assets.cli.arguments import Commands

_HELP = """\
Write a head (v0 to v3, ours or the original authors') without the blocks that pass every vector on as it is. The new
file holds a head of the same version with fewer blocks, and is written only if it gives the same bits."""


def add_to(commands: Commands) -> None:
    """Describe the command."""
    compact = commands.add_parser("compact", help="leave out what a head does not use", description=_HELP)
    compact.add_argument("source", type=Path, metavar="IN", help="a head's folder, a .safetensors or a .pt file")
    compact.add_argument(
        "target", type=Path, metavar="OUT", help="a new .safetensors file, or a folder for a model.safetensors"
    )
    compact.set_defaults(run=_compact)


def _compact(options: argparse.Namespace) -> str:
    from glm_assets.heads.compact import compact_file

    done = compact_file(options.source, options.target)
    return (
        f"{len(done.dropped)} identity blocks left out: {', '.join(done.dropped) or 'there are none'}\n"
        f"{done.bytes_before:,} bytes before, {done.bytes_after:,} after\n"
        f"{done.probe_rows} random vectors give the same bits with both\n"
        f"written to {done.file}\n"
    )
