"""Working folders that killed runs left: which nobody goes on with, and what is judged only when there are none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from glm_assets.errors import StorageError
from glm_assets.pruning.items import LONG_S, age_s, entries_of
from glm_assets.storage.products import MANIFEST, Manifest
from glm_assets.storage.schemas_impact import PREDICTIONS, READ_EMBEDDINGS
from glm_assets.studies.metagenome.study import CLASSIFIER_FOLDER

_WORK = re.compile(r"\.(.+)\.([0-9a-f]{16})\.partial")

_VECTOR_WRITERS: Final = (
    "variant_embeddings",
    "variant_likelihoods",
    "covariance_embeddings",
    "mutation_ladders",
    "layer_comparison",
    "test_embeddings",
    "scored_variants",
    READ_EMBEDDINGS.name,
    PREDICTIONS.name,
)
"""Tables whose assets publish vectors, and read them, before they are there."""

_DIVISION: Final = f"{READ_EMBEDDINGS.outer}="


def is_working_folder(path: Path) -> bool:
    """Whether a folder is one that a product is made in."""
    return _WORK.fullmatch(path.name) is not None and path.is_dir()


def is_superseded(work: Path) -> bool:
    """Whether nobody goes on with a working folder: it is old, and its product was finished from it or after it.

    Which product a folder belongs to is told by its place alone: another profile, another machine or another choice
    of the user may go on with what today's settings would not.
    """
    if not (match := _WORK.fullmatch(work.name)) or (age := age_s(work)) < LONG_S:
        return False
    folder = work.with_name(match[1])
    finished = Manifest.read(folder)
    return finished is not None and (finished.input_digest.startswith(match[2]) or age_s(folder / MANIFEST) < age)


def require_no_vectors_begun(roots: Iterable[Path]) -> None:
    """Refuse to judge vectors while a run that may have published some has not named them yet.

    Raises:
        StorageError: A working folder of a product with vectors is there.
    """
    for root in roots:
        for work in _with_vectors(root):
            if not is_superseded(work):
                raise StorageError(
                    f"{work} was left by a run, or belongs to one at work, whose vectors no table names yet",
                    fix="materialise its asset to the end, or remove the folder if nobody goes on with it",
                )


def _with_vectors(root: Path) -> Iterator[Path]:
    tables = root / "tables"
    for name in _VECTOR_WRITERS:
        beside = (path for path in entries_of(tables) if path.name.startswith(f".{name}."))
        own = entries_of(tables / name)
        divided = (path for folder in own if _DIVISION in folder.name for path in entries_of(folder))
        yield from filter(is_working_folder, (*beside, *own, *divided))
    # One whose language model is tuned has no vectors in the store, but its folder does not say so yet.
    yield from filter(is_working_folder, entries_of(root / CLASSIFIER_FOLDER.parent))
