"""Sources that another machine has brought to the object store already: nothing is downloaded again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from glm_assets.encoders.huggingface.encoder import PREFIX
from glm_assets.errors import MissingUpstreamError
from glm_assets.lineage.study import Study
from glm_assets.sources.clinvar import latest_release
from glm_assets.sources.location import is_remote
from glm_assets.storage.products import Manifest


def shared_release(study: Study, source: str) -> Manifest | None:
    """The release that the source offers, if the study's object store has it parsed.

    Args:
        study: Whose data root.
        source: Base of an NCBI-like tree.

    Returns:
        Its manifest; None of a data root in a folder, where the VCF is kept beside the records.
    """
    cutoff, offline = study.profile.clinvar_cutoff, study.settings.offline
    if study.remote is None:
        return None
    if offline and is_remote(source):
        try:
            return replace(study.release(), reused=True)
        except MissingUpstreamError:
            return None
    release, md5 = latest_release(source, cutoff, offline=offline)
    return _reused(study.clinvar_release(release.folder_name, md5).current())


def shared_weights(study: Study) -> Manifest | None:
    """The weights that the study's object store has, if the settings name no file of this machine instead.

    Like a download that is there they are used without asking Hugging Face again.
    """
    name = study.profile.encoder.name
    is_folder = name.startswith(PREFIX) and Path(name.removeprefix(PREFIX)).expanduser().is_dir()
    if study.remote is None or study.settings.checkpoint or is_folder:
        return None
    kept = study.recorded(study.checkpoint_folder)
    return _reused(study.glm_checkpoint(kept.inputs["sha256"]).current()) if kept else None


def _reused(manifest: Manifest | None) -> Manifest | None:
    return replace(manifest, reused=True) if manifest else None
