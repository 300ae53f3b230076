"""`glm-assets bionemo`: a variety's files for BioNeMo, and the scores that it gives back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.cli.arguments import Commands, say

if TYPE_CHECKING:
    from glm_assets.studies.sugarcane.study import SugarcaneStudy

_EXPORT = """\
Write what NVIDIA's BioNeMo needs to fine-tune Evo2 on a variety of the study sugarcane and to score its units: FASTA
files of the study's own split, the configurations of preprocessing and blend, the units, and a script of the commands.
The units of the variety must be up to date."""

_IMPORT = """\
Read the predictions__rank_N.pt of predict_evo2, of all ranks, and write a table like sugarcane_unit_scores. Log
probabilities of sequences and logits of tokens are told apart by themselves."""


def add_to(commands: Commands) -> None:
    """Describe the command."""
    actions = commands.add_parser(
        "bionemo", help="fine-tune and score with NVIDIA's BioNeMo in place of this package"
    ).add_subparsers(required=True, metavar="WHAT")
    export = actions.add_parser("export", help="files and commands for BioNeMo", description=_EXPORT)
    export.add_argument("variety", metavar="VARIETY", help="a variety of GLM_SUGARCANE")
    export.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="a new folder")
    export.set_defaults(run=_export)
    bring = actions.add_parser("import", help="scores from BioNeMo's predictions", description=_IMPORT)
    bring.add_argument("variety", metavar="VARIETY", help="the variety that was exported")
    bring.add_argument(
        "--from", type=Path, required=True, dest="folder", metavar="FOLDER", help="predict_evo2's --output-dir"
    )
    bring.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .parquet or .csv")
    bring.add_argument("--model", default="bionemo", metavar="NAME", help="for the column model (bionemo)")
    bring.add_argument(
        "--collapse",
        choices=("mean", "sum"),
        default="mean",
        help="predict_evo2's --log-prob-collapse-option, where a sequence has one number (mean)",
    )
    bring.set_defaults(run=_import)


def _study() -> SugarcaneStudy:
    from glm_assets.lineage.study import Study
    from glm_assets.settings import Settings
    from glm_assets.studies.sugarcane.study import SugarcaneStudy

    return SugarcaneStudy(Study(Settings.from_environment()))


def _export(options: argparse.Namespace) -> str:
    from glm_assets.studies.sugarcane.bionemo import export_bionemo

    done = export_bionemo(_study(), options.variety, options.to, say)
    sides = "".join(
        f"  {split}: {done.records[split]:,} sequences, {bases:,} bases\n" for split, bases in done.bases.items()
    )
    return f"{done.units:,} units and the commands in {done.folder}\n{sides}"


def _import(options: argparse.Namespace) -> str:
    from glm_assets.studies.sugarcane.bionemo_import import import_bionemo

    done = import_bionemo(
        _study(),
        options.variety,
        options.folder,
        options.out,
        model=options.model,
        collapse=options.collapse,
        progress=say,
    )
    notes = {
        "without a known base": done.without_base,
        "exported and not predicted": done.not_predicted,
        "predicted again": done.repeated,
    }
    told = ", ".join(f"{many:,} {what}" for what, many in notes.items() if many)
    mean = "" if done.logprob_of_a_base is None else f", {done.logprob_of_a_base:.4f} nats a base"
    return f"{done.rows:,} units from {done.files:,} files in {done.path}{mean}\n" + (f"{told}\n" if told else "")
