"""Where an encoder's weights come from: made on the spot, a local file, or a revision on Hugging Face.

Whatever the source, the result names one local file and its SHA-256, which is the encoder's revision from then on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from glm_assets.encoders.demo import demo_recipe, make_demo_checkpoint
from glm_assets.encoders.evo1.config import CORRECTED, EVO1_MODELS
from glm_assets.encoders.evo1.config import DEMO as EVO1_DEMO
from glm_assets.encoders.evo1.demo import evo1_demo_recipe, make_evo1_demo
from glm_assets.encoders.evo2.config import DEMO, EVO2_MODELS
from glm_assets.encoders.hub.checkpoint import fetch_checkpoint, find_checkpoint
from glm_assets.encoders.hub.model import fetch_model, find_model, parse_repository
from glm_assets.encoders.huggingface.encoder import PREFIX, hf_folder
from glm_assets.encoders.huggingface.folder import (
    CONFIG,
    INDEX,
    TOKENIZER_FILES,
    WEIGHTS,
    model_weights,
    weight_files,
    weights_digest,
)
from glm_assets.encoders.metagene.config import METAGENE1_REPO, METAGENE_DEMO, METAGENE_MODELS
from glm_assets.encoders.metagene.demo import make_metagene_demo, metagene_recipe
from glm_assets.encoders.plant_lm.config import PLANT_LM
from glm_assets.errors import EncoderError, IntegrityError, OfflineError
from glm_assets.storage.atomic import write_json
from glm_assets.storage.products import FileRecord, link_or_copy

Progress = Callable[[str], None]


@dataclass(frozen=True)
class WeightsInfo:
    """Weights that are there.

    Attributes:
        path: The file; of divided safetensors, their index.
        sha256: Of its bytes; of divided safetensors, a digest of the checksums of all their files.
        size: In bytes, all files together.
        revision: The commit on Hugging Face, the demo's recipe, or `local`.
        source: Where it came from, for people.
    """

    path: Path
    sha256: str
    size: int
    revision: str
    source: str


def resolve_weights(
    name: str,
    *,
    local_file: Path | None,
    folder: Path,
    offline: bool,
    progress: Progress,
    revision: str = "main",
    expected_sha256: str | None = None,
) -> WeightsInfo:
    """Bring an encoder's weights to this machine and say what they are.

    A Hugging Face revision is resolved to a commit when it is first downloaded; from then on that file is used
    without asking the network again, so `main` does not drift under finished products.

    Args:
        name: Registry name of the encoder, `hf:<folder>`, or `hf:owner/name` of a repository on Hugging Face with
            `@revision` behind it if need be.
        local_file: Use this file; nothing is downloaded. An `hf:` name states its folder or repository itself.
        folder: Where made and downloaded weights are kept, and checksums remembered.
        offline: Refuse to download.
        progress: Called with a line now and then.
        revision: Branch, tag or commit on Hugging Face.
        expected_sha256: Refuse weights with another checksum.

    Raises:
        EncoderError: The local file or folder does not exist or fit, or nothing is known about where `name` is
            published.
        OfflineError: A download is needed; the message says which file to put where.
        DownloadError: Hugging Face cannot be reached or lacks the file.
        IntegrityError: The checksum differs from the expected or the published one.
    """
    if name.startswith(PREFIX):
        path, found, source = _transformers(name, revision, folder, offline=offline, progress=progress)
    elif name in METAGENE_MODELS:
        path, found, source = _metagene(name, local_file, revision, folder, offline=offline, progress=progress)
    elif name == PLANT_LM:
        path, found, source = _plant_lm(local_file)
    elif local_file is not None:
        path, found, source = _local(local_file), "local", f"file {local_file}"
    elif name == DEMO:
        path, found, source = _generated("demo-{}.pt", demo_recipe(), make_demo_checkpoint, folder, progress)
    elif name == EVO1_DEMO:
        path, found, source = _generated(
            "evo1_demo-{}.safetensors", evo1_demo_recipe(), make_evo1_demo, folder, progress
        )
    elif name in EVO1_MODELS:
        path, found, source = _evo1(name, revision, folder, offline=offline, progress=progress)
    else:
        path, found, source = _published(name, revision, folder, offline=offline, progress=progress)
    sha256 = weights_digest(path, lambda file: _remembered_digest(file, folder, progress))
    if expected_sha256 and sha256 != expected_sha256.lower():
        raise IntegrityError(
            f"{path} has SHA-256 {sha256}",
            expected=expected_sha256,
            fix="remove the file so that it is fetched again, or correct the expected checksum",
        )
    return WeightsInfo(path, sha256, sum(file.stat().st_size for file in weight_files(path)), found, source)


def link_weights(path: Path, folder: Path) -> str:
    """Put weights, with the files that describe a transformers model, into a folder of their own within `folder`.

    They are links where the disk allows it. The folder of a transformers model keeps its name, which is the encoder's.

    Args:
        path: As of `WeightsInfo`.
        folder: That of a product.

    Returns:
        The weights' name in `folder`.
    """
    is_transformers = path.name in (WEIGHTS, INDEX)
    place = path.resolve().parent.name if is_transformers else "weights"
    described = [path.with_name(name) for name in (CONFIG, *TOKENIZER_FILES)] if is_transformers else []
    (folder / place).mkdir(exist_ok=True)
    for file in [*weight_files(path), *filter(Path.is_file, described)]:
        fresh = folder / place / file.name
        fresh.unlink(missing_ok=True)  # of a process that was killed here
        link_or_copy(file.resolve(), fresh)
    return f"{place}/{path.name}"


def _local(path: Path) -> Path:
    if not path.is_file():
        raise EncoderError(f"the weights file {path} does not exist", fix="set GLM_CHECKPOINT to an existing file")
    return path


def _generated(
    file: str, recipe: str, make: Callable[[Path], None], folder: Path, progress: Progress
) -> tuple[Path, str, str]:
    """Path, recipe and description of a demo's weights, which are made once; `file` has a place for the recipe."""
    short = recipe[:16]
    path = folder / file.format(short)
    if not path.is_file():
        progress(f"making the demo's weights, {path}")
        make(path)
    return path, short, "generated"


def _evo1(name: str, revision: str, folder: Path, *, offline: bool, progress: Progress) -> tuple[Path, str, str]:
    """Path, commit and description of published Evo-1 weights; `main` means the corrected ones."""
    repo = str(EVO1_MODELS[name].repo)
    revision = CORRECTED if revision == "main" else revision
    found = find_model(repo, revision, folder)
    if not found and offline:
        raise OfflineError(
            f"the weights of {name} (revision {revision}) are not here and GLM_OFFLINE forbids fetching them",
            expected=f"the safetensors of https://huggingface.co/{repo} at {revision}",
            fix=f"run `hf download {repo} --revision {revision} --include 'model*.safetensors*' --local-dir <folder>` "
            f"elsewhere, bring the folder to this machine and set GLM_CHECKPOINT to <folder>/{INDEX}",
        )
    local, commit = found or fetch_model(repo, revision, folder, progress, weights_alone=True)
    index = local / INDEX
    path = index if index.is_file() else local / WEIGHTS
    return path, commit, f"https://huggingface.co/{repo} at {commit}"


def _published(
    name: str, revision: str, folder: Path, *, offline: bool, progress: Progress
) -> tuple[Path, str, str]:
    """Path, commit and description of a published checkpoint."""
    model = EVO2_MODELS.get(name)
    if model is None or model.repo is None:
        raise EncoderError(f"nothing is known about where the weights of {name!r} are published")
    found = find_checkpoint(name, revision, folder)
    if not found and offline:
        raise OfflineError(
            f"the weights of {name} (revision {revision}) are not here and GLM_OFFLINE forbids fetching them",
            expected=f"the file {name}.pt of https://huggingface.co/{model.repo}, or its pieces joined in order",
            fix=f"download it elsewhere, put it at {folder / name}.pt and set GLM_CHECKPOINT to that path",
        )
    path, commit = found or fetch_checkpoint(name, model.repo, revision, folder, progress)
    return path, commit, f"https://huggingface.co/{model.repo} at {commit}"


def _transformers(
    name: str, revision: str, folder: Path, *, offline: bool, progress: Progress
) -> tuple[Path, str, str]:
    """Path, revision and description of a transformers model: an existing folder, else a repository."""
    text = name.removeprefix(PREFIX)
    repository = None if Path(text).expanduser().is_dir() else parse_repository(text)
    if repository is None:
        local = hf_folder(name)
        return model_weights(local), "local", f"folder {local.absolute()}"
    repo, revision = repository[0], repository[1] or revision
    absent, setting = f"there is no folder {text}", f"GLM_ENCODER to {PREFIX}<folder>"
    return _repository(repo, revision, folder, absent, setting, offline=offline, progress=progress)


def _metagene(
    name: str, local: Path | None, revision: str, folder: Path, *, offline: bool, progress: Progress
) -> tuple[Path, str, str]:
    """Path, revision and description of METAGENE-1 or its demo; `local` is a model's folder or its weights file."""
    if local is not None:
        place = local if local.is_dir() else _local(local).parent
        return model_weights(place), "local", f"folder {place.absolute()}"
    if name == METAGENE_DEMO:
        place = folder / f"{name}-{metagene_recipe()[:16]}"
        if not (place / WEIGHTS).is_file():
            progress(f"making the demo's weights, {place}")
            make_metagene_demo(place)
        return model_weights(place), metagene_recipe()[:16], "generated"
    absent, setting = "GLM_CHECKPOINT names no weights", "GLM_CHECKPOINT to it"
    return _repository(METAGENE1_REPO, revision, folder, absent, setting, offline=offline, progress=progress)


def _plant_lm(local: Path | None) -> tuple[Path, str, str]:
    """Path and description of a plant language model; `local` is its folder or its weights file."""
    if local is None:
        raise EncoderError(
            f"encoder {PLANT_LM} is published nowhere: it is trained here",
            fix="set GLM_CHECKPOINT to the folder of plant/lm",
        )
    path = _local(local / WEIGHTS if local.is_dir() else local)
    return path, "local", f"folder {path.parent.absolute()}"


def _repository(
    repo: str, revision: str, folder: Path, absent: str, setting: str, *, offline: bool, progress: Progress
) -> tuple[Path, str, str]:
    """Path, commit and description of a repository's transformers model; `setting` is how to name one's own."""
    found = find_model(repo, revision, folder)
    if not found and offline:
        raise OfflineError(
            f"{absent}, the files of the repository {repo} (revision {revision}) are not here, and "
            "GLM_OFFLINE forbids fetching them",
            expected=f"config, tokenizer and safetensors of https://huggingface.co/{repo}",
            fix=f"run `hf download {repo} --revision {revision} --local-dir <folder>` elsewhere, bring the folder to "
            f"this machine and set {setting}",
        )
    if not found:
        progress(f"{absent}: fetching the repository {repo} from Hugging Face")
    local, commit = found or fetch_model(repo, revision, folder, progress)
    return model_weights(local), commit, f"https://huggingface.co/{repo} at {commit}"


def _remembered_digest(path: Path, folder: Path, progress: Progress) -> str:
    """SHA-256 of a file, remembered by size and modification time: a 14 GB file takes a while to hash."""
    path = path.resolve()
    memory = folder / "digests" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.json"
    if memory.is_file():
        record = FileRecord(**json.loads(memory.read_text(encoding="utf-8")))
        if record.holds(path):
            return record.sha256
    progress(f"computing the SHA-256 of {path} ({path.stat().st_size / 1e9:.1f} GB)")
    record = FileRecord.of(path)
    write_json(memory, asdict(record))
    return record.sha256
