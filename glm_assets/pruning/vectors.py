"""Shards of vectors that no product names any more, wholly or in part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.errors import MissingUpstreamError, SettingsError
from glm_assets.lineage.source_catalogue import SourceCatalogue
from glm_assets.lineage.study import Study
from glm_assets.pruning.items import DAY_S, Item
from glm_assets.pruning.named import NamedVectors, mark_of
from glm_assets.settings import Settings
from glm_assets.storage.data_root import IDENTITY
from glm_assets.storage.embeddings import EmbeddingStore
from glm_assets.storage.shards import Shard
from glm_assets.storage.store_errors import public_address


@dataclass(frozen=True)
class Use:
    """How much of a shard is named.

    Attributes:
        shard: The shard.
        named: (rows,) which of its rows.
        age_s: Seconds since it was published.
    """

    shard: Shard
    named: NDArray[np.bool_]
    age_s: float

    @property
    def unused_bytes(self) -> int:
        """Bytes of vectors that nobody names."""
        return round(self.shard.vectors.size * (1 - self.named.mean())) if self.named.size else 0


@dataclass(frozen=True)
class VectorUse:
    """What a pruning finds in a store.

    Attributes:
        items: What can go.
        partly: Shards that are used in part, and bytes of them that nobody names.
        young: Shards without any use that are too young to judge: a run may be about to name them.
    """

    items: list[Item]
    partly: tuple[int, int]
    young: int


def other_roots(settings: Settings, places: Sequence[str]) -> list[SourceCatalogue]:
    """The other data roots that share the store.

    Raises:
        SettingsError: A place is no data root.
    """
    roots = []
    for place in places:
        root = SourceCatalogue(Settings.model_validate(settings.model_dump() | {"data_root": place}))
        if mark_of(root) is None:
            raise SettingsError(
                f"--also-root {place} is no data root: it has no {IDENTITY}", expected="the folder of a data root"
            )
        roots.append(root)
    return roots


def require_all_roots(study: Study, others: Sequence[SourceCatalogue], *, alone: bool) -> None:
    """Refuse to judge a store that others may use.

    Raises:
        MissingUpstreamError: It was set by an address and nobody said who else uses it.
    """
    if study.settings.embeddings_url and not others and not alone:
        place = public_address(study.settings.embeddings_url)
        raise MissingUpstreamError(
            f"the vectors lie in {place} (GLM_EMBEDDINGS_URL), which other data roots may share",
            expected="every data root that uses this store",
            fix="name each of the others with --also-root, or say --no-other-roots",
        )


def judge_vectors(study: Study, others: Sequence[SourceCatalogue], *, compact: bool) -> VectorUse:
    """Find shards that no product names; nothing is changed.

    Args:
        study: The main study.
        others: The other data roots that share its store.
        compact: Let the unused rows of partly used shards go too.

    Raises:
        GlmError: What the products name cannot be told, or the store cannot be reached.
    """
    named = pl.concat([NamedVectors(root).keys() for root in (study, *others)]).unique()
    store = study.store()
    uses = list(_uses(store, named))
    unused = [use for use in uses if not use.named.any()]
    partly = [use for use in uses if use.named.any() and not use.named.all()]
    items = [
        Item(
            "vectors",
            f"{public_address(str(study.store_place))}/{use.shard.name}",
            use.shard.vectors.size,
            f"no product names any of its {use.named.size:,} keys",
            partial(store.remove, use.shard),
        )
        for use in unused
        if use.age_s > DAY_S
    ]
    if compact:
        items += [_compaction(study, store, use) for use in partly if use.age_s > DAY_S]
    return VectorUse(
        items,
        (len(partly), sum(use.unused_bytes for use in partly)),
        sum(use.age_s <= DAY_S for use in unused),
    )


def _uses(store: EmbeddingStore, named: pl.Series) -> Iterator[Use]:
    for shard, age_s in store.look():
        yield Use(shard, shard.keys.is_in(named.implode()).to_numpy(), age_s)


def _compaction(study: Study, store: EmbeddingStore, use: Use) -> Item:
    return Item(
        "rows",
        f"{public_address(str(study.store_place))}/{use.shard.name}",
        use.unused_bytes,
        f"no product names {int((~use.named).sum()):,} of its {use.named.size:,} keys; the others go to a new shard",
        partial(store.keep_rows, use.shard, np.flatnonzero(use.named)),
    )
