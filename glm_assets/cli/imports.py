"""`glm-assets import`: what was computed elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from glm_assets.cli.arguments import Commands, positive, say

if TYPE_CHECKING:
    from glm_assets.lineage.imports import ImportReport

_HELP = """\
Import vectors that the original pipeline has computed, into the data root of GLM_DATA_ROOT.

PATH is a folder with both of its archives, the one with windows (arrays ref, var) and the one with vectors (ref_emb,
var_emb), under any names; or one archive with all of these arrays; or one with the vectors alone, whose rows must
then be exactly the data root's. Every vector is looked at, and a sample is computed again and compared, before
anything is stored. A killed import goes on when it is started again."""


def add_to(commands: Commands) -> None:
    """Describe the command."""
    kinds = commands.add_parser("import", help="bring in what was computed elsewhere").add_subparsers(
        required=True, metavar="WHAT"
    )
    embeddings = kinds.add_parser(
        "embeddings",
        help="vectors of the original pipeline",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    embeddings.add_argument("path", type=Path, metavar="PATH", help="an .npz file, or the folder with both")
    embeddings.add_argument("--sample", type=positive, default=64, metavar="N", help="pairs to compute again (64)")
    embeddings.add_argument("--dry-run", action="store_true", help="check and report, store nothing")
    embeddings.set_defaults(run=_import_embeddings)


def _import_embeddings(options: argparse.Namespace) -> str:
    from glm_assets.lineage.imports import import_embeddings
    from glm_assets.lineage.study import Study
    from glm_assets.settings import Settings

    study = Study(Settings.from_environment())
    study.claim()
    report = import_embeddings(study, options.path, sample=options.sample, dry_run=options.dry_run, progress=say)
    return _summary(report, dry_run=options.dry_run)


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
