"""Old releases: which can go, and which something still needs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from glm_assets.errors import GlmError
from glm_assets.genome.contigs import CHROMOSOMES
from glm_assets.lineage.study import Study
from glm_assets.pruning.items import DAY_S, LONG_S, Item, age_s, everything_in, size_of
from glm_assets.storage.tables import table_folder

REMOVED = ".removed"
"""Ending of a folder that is being removed; nobody reads it any more."""

_DOWNLOAD = re.compile(r".+\.part(\.json)?")


def is_download(file: Path) -> bool:
    """Whether a file is what came so far of a download."""
    return _DOWNLOAD.fullmatch(file.name) is not None


def old_releases(study: Study, kept: int) -> Iterator[Item]:
    """Releases older than the study's own that nobody needs, with all of their files.

    Kept are the study's own, the ones before it (a comparison of releases needs one), the one that the split
    `temporal` trains on, and whatever a product on disk was made from.

    Args:
        study: The main study.
        kept: How many, the study's own included.
    """
    try:
        own = study.release()
    except GlmError:
        return
    needed = {own.inputs["date"]} | {one.inputs["date"] for one in islice(study.earlier_releases(), kept - 1)}
    if study.profile.split.rule == "temporal":
        try:
            needed.add(study.train_release().inputs["date"])
        except GlmError:
            return  # it is not here yet, or wrong: whoever mends that may need any of them
    named = _named_versions(study)
    for folder in sorted(study.releases_folder.glob("[0-9]" * 8)):
        if folder.name in needed or folder.name > own.inputs["date"] or _may_be_coming(folder):
            continue
        manifest = study.recorded(folder / "records")
        if manifest is None or manifest.data_version not in named:
            reason = (
                f"older than the {kept} that are kept" if manifest else "an old download that was never parsed"
            )
            yield Item("release", str(folder), size_of(folder), reason, partial(_remove, folder))


def _named_versions(study: Study) -> set[str]:
    """Data versions of releases that products were made from, up to date or not."""
    folders = [table_folder(study.tables, "clinvar_release_diff")]
    for chrom in CHROMOSOMES:
        folders += [table_folder(study.tables, name, chrom) for name in ("clinvar_variants", "variant_windows")]
    manifests = filter(None, map(study.recorded, folders))
    return {
        version
        for manifest in manifests
        for name, version in manifest.inputs.items()
        if name.startswith("clinvar_release")
    }


def _may_be_coming(folder: Path) -> bool:
    """Whether somebody may be fetching or parsing a release, or may go on with its download."""
    begun = any(is_download(file) for file in everything_in(folder))
    return age_s(folder) < (LONG_S if begun else DAY_S)


def _remove(folder: Path) -> None:
    """Take the folder away at once, then its files."""
    gone = folder.with_name(f".{folder.name}{REMOVED}")
    folder.rename(gone)
    shutil.rmtree(gone)
