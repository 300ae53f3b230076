"""Pruning a data root: what can go, and letting it go while nobody works there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from glm_assets.errors import DataRootError, GlmError, StorageError
from glm_assets.lineage.study import Study
from glm_assets.pruning.items import Item, size_of
from glm_assets.pruning.leftovers import leftovers, resumable_work, store_leftovers
from glm_assets.pruning.named import mark_of
from glm_assets.pruning.releases import old_releases
from glm_assets.pruning.vectors import judge_vectors, other_roots, require_all_roots
from glm_assets.pruning.work import require_no_vectors_begun
from glm_assets.storage.data_root import IDENTITY

_LOCKED_FOLDERS: Final = ("sources", "tables", "heads", "submission")

_REMOTE_NOTE: Final = (
    "the data root is on an object store: only vectors are pruned there, and runs on other machines are not seen"
)

LEAST_RELEASES: Final = 2
"""The current one, and the one before it, which is compared with it."""


@dataclass(frozen=True)
class Wishes:
    """What is asked for.

    Attributes:
        releases: How many releases to keep, at least `LEAST_RELEASES`.
        also_roots: Other data roots that share the store of vectors.
        alone: No other data root shares it, though it is set by an address.
        compact: Rewrite partly used shards.
    """

    releases: int = LEAST_RELEASES
    also_roots: tuple[str, ...] = ()
    alone: bool = False
    compact: bool = False


@dataclass(frozen=True)
class Pruning:
    """What can go, or went.

    Attributes:
        items: The things.
        notes: What was left alone, and why.
    """

    items: list[Item]
    notes: list[str]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(item.size for item in self.items)


def find_prunable(study: Study, wishes: Wishes) -> Pruning:
    """Find what can go; nothing is changed.

    Raises:
        DataRootError: This is no data root of this profile.
        SettingsError: A root of `also_roots` is none.
    """
    _require_own(study)
    others = other_roots(study.settings, wishes.also_roots)
    items, notes = [], []
    if study.remote:
        notes.append(_REMOTE_NOTE)
    else:
        items += [*leftovers(study), *old_releases(study, max(LEAST_RELEASES, wishes.releases))]
        notes += [
            f"{work} is left alone, {size_of(work):,} bytes: a run may go on with it"
            for work in resumable_work(study)
        ]
    place = study.store_place
    if isinstance(place, Path) or "://" not in place:
        items += store_leftovers(Path(place))
    try:
        require_all_roots(study, others, alone=wishes.alone)
        require_no_vectors_begun(root.root for root in (study, *others))
        use = judge_vectors(study, others, compact=wishes.compact)
    except GlmError as error:
        return Pruning(items, [*notes, f"vectors are left alone: {error}"])
    shards, unused = use.partly
    if shards and not wishes.compact:
        notes.append(
            f"{shards:,} shards are used in part, {unused:,} bytes of them by nobody: --compact frees these"
        )
    if use.young:
        notes.append(f"{use.young:,} unused shards are younger than a day: a run may be about to name them")
    return Pruning(items + use.items, notes)


def prune(study: Study, wishes: Wishes) -> Pruning:
    """Let go what can go, while no product of these data roots is being made.

    Killed in the middle, it leaves everything that is current whole, and the rest to the next pruning.

    Raises:
        StorageError: A product is being made, or something cannot be removed.
    """
    _require_own(study)
    roots = [study.root, *(root.root for root in other_roots(study.settings, wishes.also_roots))]
    with _nobody_at_work(roots):
        found = find_prunable(study, wishes)
        for item in found.items:
            try:
                item.remove()
            except OSError as error:
                raise StorageError(
                    f"{item.place} cannot be removed ({error.strerror})",
                    fix="correct its permissions and prune again; what was removed before it is gone",
                ) from error
    return found


def _require_own(study: Study) -> None:
    if mark_of(study) is None:
        raise DataRootError(
            f"{study.settings.data_root} is no data root: it has no {IDENTITY}",
            expected="the folder that products were made in",
            fix="check GLM_DATA_ROOT",
        )
    study.claim()


@contextmanager
def _nobody_at_work(roots: Sequence[Path]) -> Iterator[None]:
    """Hold the lock of every product, so that none is made meanwhile.

    Raises:
        StorageError: One is being made.
    """
    from filelock import FileLock, Timeout

    with ExitStack() as held:
        for lock in (lock for root in roots for lock in _locks(root)):
            try:
                held.enter_context(FileLock(lock).acquire(timeout=0))
            except Timeout as error:
                product = lock.with_name(lock.name.removeprefix(".").removesuffix(".lock"))
                raise StorageError(
                    f"{product} is being made, by a run that may need what would be removed",
                    fix="prune again when no run is at work",
                ) from error
        yield


def _locks(root: Path) -> list[Path]:
    return sorted(lock for name in _LOCKED_FOLDERS for lock in (root / name).rglob(".*.lock"))
