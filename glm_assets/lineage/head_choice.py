"""Which head is meant: of this data root, of the registry by alias or version, or a file.

head_v3              this data root's; nothing is asked of the tracking server
head_v3@champion     the version that an alias is on
head_v3/4            a version
./old/head.pt        a folder with model.safetensors, a .safetensors file, a .pt file of the original authors
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm_assets.encoders.base import EncoderSpec
from glm_assets.errors import CheckpointError, EncoderError
from glm_assets.heads.files import META_FILE, weights_file
from glm_assets.lineage.study import HEADS, Study
from glm_assets.storage.atomic import file_digest
from glm_assets.tracking import Registry

_ALIAS = re.compile(r"([A-Za-z]\w*)@([A-Za-z][\w.-]*)")
_VERSION = re.compile(r"([A-Za-z]\w*)/(\d+)")
# Pooling may differ on purpose (`Study.sequence_spec`); dtype and strands shift a vector, these make it another.
_SAME_ENCODER = ("name", "revision", "layer", "dimension")
_SAME_PAIRS = (*_SAME_ENCODER, "pooling")


@dataclass(frozen=True)
class HeadChoice:
    """A head that was chosen.

    Attributes:
        label: For people.
        inputs: Its name to its data version or to the SHA-256 of its weights: what a product made with it is a
            function of.
        weights: Folder or file that `heads.apply.load_head` takes.
        meta: What training wrote about it; None where there is only a file with weights.
    """

    label: str
    inputs: Mapping[str, str]
    weights: Path
    meta: Mapping[str, Any] | None


def choose_head(study: Study, reference: str, registry: Registry) -> HeadChoice:
    """Find the head that a reference names.

    Args:
        study: Has the data root's heads, and a folder for fetched ones.
        reference: As at the top of this file.
        registry: Asked only where the reference names an alias or a version.

    Raises:
        MissingUpstreamError: The data root's head, or the file, is absent or out of date.
        TrackingError: The registry has no such version or alias, or cannot be reached.
        IntegrityError: The files in the registry are not those that were registered.
        CheckpointError: The reference is of none of these kinds.
    """
    if reference in HEADS:
        manifest = study.require(study.head(reference, allow_partial=True))
        folder = study.files(study.head_folder(reference))
        return HeadChoice(
            f"{reference} of this data root", {reference: manifest.data_version}, folder, _meta(folder)
        )
    if found := _ALIAS.fullmatch(reference) or _VERSION.fullmatch(reference):
        return _registered(study, registry, *found.groups())
    return _file(reference)


def check_encoder(choice: HeadChoice, study: Study, vectors: EncoderSpec, *, pooling: bool = False) -> str:
    """Refuse a head that was trained on another encoder's vectors.

    Args:
        choice: The head.
        study: Whose pairs a head of an older format was trained on, if fingerprints agree.
        vectors: What it is going to be applied to.
        pooling: Whether the pooling must agree too, as where a head judges pairs like those it was trained on.

    Returns:
        What was checked, for people.

    Raises:
        EncoderError: Naming both encoders.
    """
    meta = choice.meta or {}
    if trained := meta.get("encoder"):
        keys = _SAME_PAIRS if pooling else _SAME_ENCODER
        wanted = {key: vectors.as_dict()[key] for key in keys}
        found = {key: trained.get(key) for key in keys}
        if found != wanted:
            raise _other_encoder(choice, _described(found), _described(wanted))
        return f"name, revision, layer{', pooling' if pooling else ''} and width agree"
    if fingerprint := meta.get("encoder_fingerprint"):
        here = study.encoder_spec.fingerprint
        if fingerprint != here:
            raise _other_encoder(choice, f"fingerprint {fingerprint}", f"fingerprint {here}")
        return "its fingerprint is that of this study's pairs"
    return "unknown; only the width could be compared"


def _registered(study: Study, registry: Registry, name: str, wanted: str) -> HeadChoice:
    version = registry.resolve(name, wanted)
    folder = registry.fetch(version, study.models_folder)
    alias = "" if wanted.isdecimal() else f" ({wanted})"
    digest = file_digest(weights_file(folder))
    return HeadChoice(f"{version}{alias}", {f"{name}/{version.version}": digest}, folder, _meta(folder))


def _file(reference: str) -> HeadChoice:
    path = Path(reference).expanduser()
    if not path.exists():
        raise CheckpointError(
            f"head {reference!r} is unknown",
            expected=f"one of {', '.join(HEADS)}; such a name with an alias (head_v3@champion) or a version "
            "(head_v3/4); or the path of a folder, a .safetensors or a .pt file that exists",
        )
    weights = weights_file(path).resolve()
    return HeadChoice(str(weights), {"head_file": file_digest(weights)}, weights, _meta(weights.parent))


def _meta(folder: Path) -> Mapping[str, Any] | None:
    file = folder / META_FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _described(encoder: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in encoder.items())


def _other_encoder(choice: HeadChoice, trained: str, vectors: str) -> EncoderError:
    return EncoderError(
        f"head {choice.label} was trained on vectors of another encoder ({trained})",
        expected=f"that of the vectors ({vectors})",
        fix="choose a head that was trained on this encoder, or set GLM_ENCODER and its layer to the head's",
    )
