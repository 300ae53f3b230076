"""A folder with a saved transformers model: which of its files matter, and what is refused in it. No torch here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glm_assets.errors import EncoderError
from glm_assets.storage.atomic import digest_of, file_digest

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""Names the files of divided weights."""

# The files besides the weights that decide the numbers, where a folder has them.
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json"),
    *("merges.txt", "special_tokens_map.json", "added_tokens.json"),
)


def model_weights(folder: Path) -> Path:
    """The weights file of a folder, or the index of divided weights, after checking that all of them are there.

    Raises:
        EncoderError: There are no safetensors, a divided one is missing, or the model needs code of its own.
    """
    refuse_remote_code(folder)
    path = folder / (WEIGHTS if (folder / WEIGHTS).is_file() or not (folder / INDEX).is_file() else INDEX)
    for file in weight_files(path):
        if not file.is_file():
            raise EncoderError(
                f"{folder} has no {file.name}; pickled weights are not read",
                expected=f"{WEIGHTS}, or {INDEX} and all files that it names",
                fix="load the model where you trust it and save it with save_pretrained(folder)",
            )
    return path.absolute()


def weight_files(path: Path) -> list[Path]:
    """The files that hold weights: `path` itself, and what it names when it is an index.

    Raises:
        EncoderError: The index cannot be read or names a file elsewhere.
    """
    if path.name != INDEX:
        return [path]
    named = read_json(path).get("weight_map")
    if not isinstance(named, dict) or not named or not all(map(_is_beside, named.values())):
        raise EncoderError(f"{path} is no index of weights beside it", expected="a weight_map from tensor to file")
    return [path, *(path.parent / name for name in sorted(set(named.values())))]


def weights_digest(path: Path, digest: Callable[[Path], str] = file_digest) -> str:
    """SHA-256 that identifies weights: of the file's bytes; of divided ones, of the checksums of all their files.

    Args:
        path: The file, or the index of divided weights.
        digest: Tells the SHA-256 of one file.
    """
    digests = {file.name: digest(file) for file in weight_files(path)}
    return digests[path.name] if len(digests) == 1 else digest_of(digests)


def _is_beside(name: Any) -> bool:
    """Whether a name is that of a file in the same folder."""
    return isinstance(name, str) and Path(name).name == name and name not in ("", "..") and "\0" not in name


def refuse_remote_code(folder: Path) -> None:
    """Refuse a model or tokenizer whose repository brings its own Python code: that is never run.

    transformers would take its own class of the same name instead, which may compute something else.

    Raises:
        EncoderError: Naming the code.
    """
    for name, keys in ((CONFIG, ("AutoConfig", "AutoModel")), ("tokenizer_config.json", ("AutoTokenizer",))):
        path = folder / name
        mapped = (read_json(path) if path.is_file() else {}).get("auto_map") or {}
        if code := sorted(str(value) for key, value in mapped.items() if key.startswith(keys)):
            raise EncoderError(
                f"the model in {folder} needs Python code of its repository ({', '.join(code)}), "
                "which is never run here",
                expected="a model that transformers knows by itself, such as nucleotide-transformer-500m-human-ref",
                fix=f"choose such a model; or, if transformers' own class computes the same, "
                f"remove auto_map from {name} in a copy of the folder",
            )


def files_digest(folder: Path) -> str:
    """Digest of the config and the tokenizer."""
    names = (CONFIG, *TOKENIZER_FILES)
    return digest_of({name: file_digest(folder / name) for name in names if (folder / name).is_file()})


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of the folder.

    Raises:
        EncoderError: There is none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}", expected="a saved transformers model") from error
    if not isinstance(value, dict):
        raise EncoderError(f"{path} holds no JSON object", expected="a saved transformers model")
    return value
