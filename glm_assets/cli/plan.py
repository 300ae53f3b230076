"""`glm-assets plan`: what is out of date, why, and what bringing it up to date takes."""

from __future__ import annotations

import argparse
import json

from glm_assets.cli.arguments import Commands, positive

_HELP = """\
Say what is out of date and why, how many windows would go through the model, and how many GPU hours, how much disk
and money that takes. Nothing is run, downloaded or written; the source is asked for its newest release (not with
GLM_OFFLINE). The data root need not exist yet."""


def add_to(commands: Commands) -> None:
    """Describe the command."""
    plan = commands.add_parser(
        "plan", help="what is out of date, and what it takes to change that", description=_HELP
    )
    plan.add_argument(
        "--select", default="", metavar="NAME,...", help="assets or jobs; default: all but experiments never made"
    )
    plan.add_argument("--gpus", type=positive, default=1, metavar="N", help="cards that embed at once (1)")
    plan.add_argument(
        "--card", metavar="NAME", help="plan for this card (h100), also where this machine has no GPU"
    )
    plan.add_argument("--price-per-hour", type=float, metavar="X", help="of one card, in any currency")
    plan.add_argument("--json", action="store_true", help="for programs")
    plan.set_defaults(run=_plan)


def _plan(options: argparse.Namespace) -> str:
    from glm_assets.lineage.study import Study
    from glm_assets.planning.plan import make_plan
    from glm_assets.planning.report import plan_text
    from glm_assets.settings import Settings

    plan = make_plan(
        Study(Settings.from_environment()),
        [name for name in options.select.split(",") if name],
        gpus=options.gpus,
        card_name=options.card,
        price_per_hour=options.price_per_hour,
    )
    return json.dumps(plan.as_dict(), indent=2) + "\n" if options.json else plan_text(plan)
