"""A transformers model from a folder: no code of its own, no pickles, and no weight filled with random numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glm_assets.encoders.huggingface.folder import model_weights
from glm_assets.errors import EncoderError

_SAFE = {"trust_remote_code": False, "local_files_only": True}

# Tensors that a file may lack: heads that are never used here, and what follows from the config.
_DISPENSABLE = re.compile(r"(pooler|contact_head)\.|(.*\.)?inv_freq$")


def load_model(folder: Path, dtype: str, **options: Any) -> Any:
    """The model of a folder, without the head it was trained with.

    Args:
        folder: With the config and safetensors.
        dtype: Of the weights, such as `float32`.
        options: More of what transformers' `from_pretrained` takes.

    Returns:
        A model in evaluation mode, on the CPU unless the options say otherwise.

    Raises:
        EncoderError: transformers is not installed or does not know the model, or a weight that is used is not in
            the file.
    """
    torch, transformers = _libraries()
    model_weights(folder)
    with _loading(folder):
        model, report = transformers.AutoModel.from_pretrained(
            folder, **_SAFE, use_safetensors=True, dtype=getattr(torch, dtype), output_loading_info=True, **options
        )
    # transformers fills what is missing with random numbers.
    if missing := sorted(key for key in report["missing_keys"] if not _DISPENSABLE.match(key)):
        raise EncoderError(f"the weights in {folder} lack {len(missing)} tensors, such as {missing[0]}")
    return model.eval()


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder.

    Raises:
        EncoderError: transformers is not installed or does not know it.
    """
    _, transformers = _libraries()
    with _loading(folder):
        return transformers.AutoTokenizer.from_pretrained(folder, **_SAFE)


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Make one complaint of the many kinds that transformers' loaders have, and no tables of what is fine."""
    try:
        with _quiet():
            yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise EncoderError(
            f"transformers cannot load the model in {folder}: {error}",
            expected="a model that transformers knows without code of its own",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep progress bars and reports about heads that are not loaded out of the logs; errors are still told."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise EncoderError("hf: encoders need transformers", fix="pip install 'glm_assets[hf]'") from error
    return torch, transformers
