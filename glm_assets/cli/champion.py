"""`glm-assets champion`: the version of a registered head that others use."""

from __future__ import annotations

import argparse

from glm_assets.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Describe the command."""
    champion = commands.add_parser(
        "champion",
        help="show or choose the champion of a registered head",
        description="Show the versions of a registered head, or make one champion by hand.",
    )
    champion.add_argument("name", metavar="NAME", help="a registered model, such as head_v3")
    what = champion.add_mutually_exclusive_group(required=True)
    what.add_argument("--show", action="store_true", help="list its versions, their aliases and the reasons")
    what.add_argument("--version", metavar="N", help="make this version (or alias) champion")
    champion.add_argument("--reason", default="no reason given", metavar="TEXT", help="kept beside the alias")
    champion.set_defaults(run=_champion)


def _champion(options: argparse.Namespace) -> str:
    from glm_assets.lineage.champion import appoint, describe
    from glm_assets.settings import Settings
    from glm_assets.tracking import MlflowRegistry

    registry = MlflowRegistry(Settings.from_environment().tracking_uri)
    if options.show:
        return describe(registry, options.name)
    return appoint(registry, options.name, options.version, options.reason)
