"""What can score variants in this study: its heads of every recipe, its probes, and the zero-shot scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import GlmError, StorageError
from glm_assets.heads.apply import load_head
from glm_assets.heads.probes import load_probe
from glm_assets.heads.recipes import RecipeName
from glm_assets.heads.scorers import (
    CosineDistance,
    HeadScorer,
    LikelihoodRatio,
    ProbeScorer,
    Scorer,
    VectorKind,
)
from glm_assets.lineage.embeddings import vector_index
from glm_assets.lineage.probes import PROBES, probe_product
from glm_assets.lineage.study import HEADS, Study
from glm_assets.storage.products import Manifest
from glm_assets.storage.tables import read_part


@dataclass(frozen=True)
class StudyScorer:
    """A scorer of this study.

    Attributes:
        scorer: It itself.
        manifest: Of the head or probe; None where nothing was trained.
        recipe: The head's; None for what is no head.
    """

    scorer: Scorer
    manifest: Manifest | None = None
    recipe: RecipeName | None = None


def load_scorers(
    study: Study, *, with_vectors: bool = True, device: str = "cpu"
) -> tuple[dict[str, Scorer], dict[str, str]]:
    """Load the scorers whose product is up to date.

    Args:
        study: The main study.
        with_vectors: Whether the vectors that a scorer takes must be there for every expected chromosome.
        device: Where heads run.

    Returns:
        Name to scorer, and name to the reason why it is absent: those of `study_scorers`.
    """
    present, absent = study_scorers(study, with_vectors=with_vectors, device=device)
    return {name: found.scorer for name, found in present.items()}, absent


def study_scorers(
    study: Study, *, with_vectors: bool = True, device: str = "cpu"
) -> tuple[dict[str, StudyScorer], dict[str, str]]:
    """The same with what each was made from.

    Heads of the profile's recipe are called `head_v3`, those of another one `head_v3 (faithful)`.
    """
    present: dict[str, StudyScorer] = {}
    absent: dict[str, str] = {}
    lacking = {kind: _lacking(study, kind) if with_vectors else None for kind in _KINDS}
    for name, vectors, load in _candidates(study, device):
        if reason := lacking[vectors]:
            absent[name] = reason
            continue
        try:
            present[name] = load(name)
        except StorageError:  # what cannot be asked for is not absent
            raise
        except GlmError as error:
            absent[name] = error.problem
    return present, absent


def vectors_for(
    study: Study, scorer: Scorer, chrom: str, rows: NDArray[np.integer]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The vectors that a scorer takes, of some rows of a chromosome's `variant_windows`.

    Args:
        study: The main study.
        scorer: Whose kind of vectors.
        chrom: Chromosome.
        rows: Numbers of the rows (m,).

    Returns:
        Reference vectors and differences, each (m, dimension).
    """
    keys = read_part(vector_index(study, scorer.vectors)(chrom).files(), ["key"])["key"]
    return read_vectors_of(study, scorer, keys.gather(rows))


def read_vectors_of(
    study: Study, scorer: Scorer, keys: pl.Series
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The same by the keys of the store (m,), of whatever windows."""
    store = study.store("float32" if scorer.vectors == "likelihood" else None)
    return store.read(keys)


_KINDS: tuple[VectorKind, ...] = ("pooled", "covariance", "likelihood")
_Load = Callable[[str], StudyScorer]


def _candidates(study: Study, device: str) -> Iterator[tuple[str, VectorKind, _Load]]:
    """Name, kind of vectors and loader of all that could be there; a loader raises for what is absent."""
    own = study.profile.recipe
    for recipe in sorted(get_args(RecipeName), key=lambda name: name != own):
        for head in HEADS:
            if recipe != own and not study.recorded(study.head_folder(head, recipe)):
                continue  # nobody has asked for it
            name = head if recipe == own else f"{head} ({recipe})"
            yield name, "pooled", _head_loader(study, head, recipe, device)
    for name, vectors in PROBES.items():
        yield name, vectors, _probe_loader(study, vectors)
    yield CosineDistance.name, "pooled", lambda _: StudyScorer(CosineDistance())
    yield LikelihoodRatio.name, "likelihood", lambda _: StudyScorer(LikelihoodRatio())


def _head_loader(study: Study, head: str, recipe: RecipeName, device: str) -> _Load:
    def load(name: str) -> StudyScorer:
        manifest = study.require(study.head(head, allow_partial=True, recipe=recipe))
        found = load_head(study.files(study.head_folder(head, recipe)), device=device)
        return StudyScorer(HeadScorer(name, found), manifest, recipe)

    return load


def _probe_loader(study: Study, vectors: VectorKind) -> _Load:
    def load(name: str) -> StudyScorer:
        product = probe_product(study, name, allow_partial=True)
        manifest = study.require(product)
        return StudyScorer(ProbeScorer(name, load_probe(product.files()), vectors), manifest)

    return load


def _lacking(study: Study, vectors: VectorKind) -> str | None:
    """Why the study lacks vectors of a kind for a chromosome; None where it has them all."""
    try:
        study.every_chromosome(vector_index(study, vectors))
    except StorageError:
        raise
    except GlmError as error:
        return error.problem
    return None
