"""The command line `glm-assets`: what has no place among the assets. Materialising is Dagster's command line's."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.errors import GlmError

if TYPE_CHECKING:
    from glm_assets.lineage.imports import ImportReport

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_IMPORT_HELP = """\
Import vectors that the original pipeline has computed, into the data root of GLM_DATA_ROOT.

PATH is a folder with both of its archives, the one with windows (arrays ref, var) and the one with vectors (ref_emb,
var_emb), under any names; or one archive with all of these arrays; or one with the vectors alone, whose rows must
then be exactly the data root's. Every vector is looked at, and a sample is computed again and compared, before
anything is stored. A killed import goes on when it is started again."""

_COMPACT_HELP = """\
Write a head (v0 to v3, ours or the original authors') without the blocks that pass every vector on as it is. The new
file holds a head of the same version with fewer blocks, and is written only if it gives the same bits."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Without the program's name; those of the process by default.

    Returns:
        The exit status: 1 after a `GlmError`, whose text is then the last line on standard error.
    """
    options = _parser().parse_args(arguments)
    try:
        sys.stdout.write(options.run(options))
    except GlmError as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="glm-assets", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    kinds = commands.add_parser("import", help="bring in what was computed elsewhere").add_subparsers(
        required=True, metavar="WHAT"
    )
    embeddings = kinds.add_parser(
        "embeddings",
        help="vectors of the original pipeline",
        description=_IMPORT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    embeddings.add_argument("path", type=Path, metavar="PATH", help="an .npz file, or the folder with both")
    embeddings.add_argument(
        "--sample", type=_positive, default=64, metavar="N", help="pairs to compute again (64)"
    )
    embeddings.add_argument("--dry-run", action="store_true", help="check and report, store nothing")
    embeddings.set_defaults(run=_import_embeddings)
    _add_compact(commands)
    _add_champion(commands)
    return parser


def _add_compact(commands: _Commands) -> None:
    compact = commands.add_parser("compact", help="leave out what a head does not use", description=_COMPACT_HELP)
    compact.add_argument("source", type=Path, metavar="IN", help="a head's folder, a .safetensors or a .pt file")
    compact.add_argument(
        "target", type=Path, metavar="OUT", help="a new .safetensors file, or a folder for a model.safetensors"
    )
    compact.set_defaults(run=_compact)


def _add_champion(commands: _Commands) -> None:
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


def _import_embeddings(options: argparse.Namespace) -> str:
    from glm_assets.lineage.imports import import_embeddings
    from glm_assets.lineage.study import Study
    from glm_assets.settings import Settings

    study = Study(Settings.from_environment())
    study.claim()
    report = import_embeddings(study, options.path, sample=options.sample, dry_run=options.dry_run, progress=_say)
    return _summary(report, dry_run=options.dry_run)


def _compact(options: argparse.Namespace) -> str:
    from glm_assets.heads.compact import compact_file

    done = compact_file(options.source, options.target)
    return (
        f"{len(done.dropped)} identity blocks left out: {', '.join(done.dropped) or 'there are none'}\n"
        f"{done.bytes_before:,} bytes before, {done.bytes_after:,} after\n"
        f"{done.probe_rows} random vectors give the same bits with both\n"
        f"written to {done.file}\n"
    )


def _champion(options: argparse.Namespace) -> str:
    from glm_assets.lineage.champion import appoint, describe
    from glm_assets.settings import Settings
    from glm_assets.tracking import MlflowRegistry

    registry = MlflowRegistry(Settings.from_environment().tracking_uri)
    if options.show:
        return describe(registry, options.name)
    return appoint(registry, options.name, options.version, options.reason)


def _summary(report: ImportReport, *, dry_run: bool) -> str:
    stored = report.vectors - report.skipped if dry_run else report.imported
    lines = [
        f"{report.rows:,} rows in the files, {report.vectors:,} variants of this data root have vectors there",
        f"{stored:,} {'would be' if dry_run else 'were'} imported, {report.skipped:,} were in the store already",
        f"{report.unmatched:,} rows have windows that this data root lacks"
        + (f", the first is row {report.first_unmatched}" if report.unmatched else ""),
        f"{report.left:,} variants of this data root have no vectors yet",
    ]
    if found := report.agreement:
        lines.append(
            f"{found.rows} recomputed: relative error of the reference vectors {found.reference_error_median:.3g} in "
            f"the median and {found.reference_error_max:.3g} at most, of the differences "
            f"{found.delta_error_median:.3g} and {found.delta_error_max:.3g}; correlation of the differences "
            f"{found.delta_correlation_mean:.4f} in the mean"
        )
    if report.record:
        lines.append(f"recorded in {report.record}")
    return "\n".join(lines) + "\n"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
