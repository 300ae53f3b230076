"""`glm-assets prune`: let go what no product needs any more."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from glm_assets.cli.arguments import Commands, positive

if TYPE_CHECKING:
    from glm_assets.pruning.prune import Pruning

_HELP = """\
List what the data root no longer needs: old releases, vectors that no product names, what killed processes left.
Nothing is removed without --yes. What is current stays, and so do the release before the current one, the one that
a temporal split trains on, and everything younger than a day. Refused while a product is being made."""

_SHOWN = 20


def add_to(commands: Commands) -> None:
    """Describe the command."""
    prune = commands.add_parser("prune", help="remove what no product needs any more", description=_HELP)
    prune.add_argument(
        "--releases-kept",
        type=positive,
        default=2,
        metavar="N",
        help="the newest releases to keep, at least 2 (2)",
    )
    prune.add_argument(
        "--also-root",
        action="append",
        default=[],
        metavar="PLACE",
        help="another data root whose vectors lie in the same place; may be given several times",
    )
    prune.add_argument(
        "--no-other-roots", action="store_true", help="no other data root uses the place of GLM_EMBEDDINGS_URL"
    )
    prune.add_argument("--compact", action="store_true", help="rewrite shards that are used in part")
    prune.add_argument("--yes", action="store_true", help="remove it")
    prune.set_defaults(run=_prune)


def _prune(options: argparse.Namespace) -> str:
    from glm_assets.lineage.study import Study
    from glm_assets.pruning.prune import Wishes, find_prunable, prune
    from glm_assets.settings import Settings

    study = Study(Settings.from_environment())
    wishes = Wishes(options.releases_kept, tuple(options.also_root), options.no_other_roots, options.compact)
    found = prune(study, wishes) if options.yes else find_prunable(study, wishes)
    return _text(found, done=options.yes)


def _text(found: Pruning, *, done: bool) -> str:
    lines = [f"{item.kind:<9} {item.size:>15,}  {item.place}: {item.reason}" for item in found.items[:_SHOWN]]
    if more := len(found.items) - _SHOWN:
        lines += [f"and {more:,} more"] if more > 0 else []
    verb = "were" if done else "would be"
    lines.append(f"{len(found.items):,} things {verb} removed, {found.size:,} bytes")
    if found.items and not done:
        lines.append("remove them: add --yes")
    return "\n".join([*lines, *found.notes]) + "\n"
