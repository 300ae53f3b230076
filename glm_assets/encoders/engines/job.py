"""What a worker needs to know before it can compute shards, as JSON that any machine understands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from glm_assets.encoders.base import Encoder, EncoderSpec, Flops
from glm_assets.encoders.probe import check_probe
from glm_assets.encoders.registry import make_encoder
from glm_assets.encoders.shards import ShardReport, embed_shard
from glm_assets.storage.embeddings import EmbeddingStore


@dataclass(frozen=True)
class EmbedJob:
    """An encoder and a store, described. Every machine that takes part must reach the paths under these names.

    Attributes:
        spec: What the vectors are.
        weights: The weights file.
        device: `cpu` or `cuda:N`, as the worker sees its GPUs.
        batch_tokens: Bases in one forward pass.
        cpu_threads: torch threads of a worker on a CPU.
        store: Folder or URL of the vectors.
        store_dtype: Type of the pairs.
        store_cache: Folder for copies of a store at a URL.
    """

    spec: EncoderSpec
    weights: str
    device: str
    batch_tokens: int | None
    cpu_threads: int
    store: str
    store_dtype: str
    store_cache: str | None = None

    def load(self) -> Encoder:
        """Load the encoder.

        Raises:
            EncoderError: The weights do not fit, or the layer or device does not exist.
        """
        return make_encoder(
            self.spec,
            weights=Path(self.weights),
            device=self.device,
            batch_tokens=self.batch_tokens,
            cpu_threads=self.cpu_threads,
        )

    def load_checked(self, store: EmbeddingStore) -> Encoder:
        """Load the encoder and compare its probe with the store's, before its vectors go there.

        Raises:
            EncoderError: As of `load`; or the probe is far from what it was.
        """
        encoder = self.load()
        check_probe(encoder, store)
        return encoder

    def open_store(self) -> EmbeddingStore:
        """Open the store."""
        cache = Path(self.store_cache) if self.store_cache else None
        return EmbeddingStore(self.store, self.store_dtype, cache=cache)

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EmbedJob:
        """The job that `as_dict` gave."""
        spec = EncoderSpec(**values["spec"] | {"needs": tuple(values["spec"]["needs"])})
        fields: dict[str, Any] = values | {"spec": spec}
        return cls(**fields)


def compute_shard(shard: pl.DataFrame, encoder: Encoder, store: EmbeddingStore, *, again: bool) -> ShardReport:
    """Compute a shard, unless a worker that died since has done it.

    Args:
        shard: Rows that `embed_shard` takes.
        encoder: Makes the vectors.
        store: Receives them.
        again: Whether another worker had this shard before. Only then is the store asked: that reads all its indexes.
    """
    if again and not store.missing(shard["key"]).any():
        return ShardReport(len(shard), 0, 0, Flops(), encoder.device_name)
    return embed_shard(shard, encoder, store)


def report_as_dict(report: ShardReport) -> dict[str, Any]:
    """A report as JSON-able values."""
    return asdict(report)


def report_from_dict(values: dict[str, Any]) -> ShardReport:
    """The report that `report_as_dict` gave."""
    fields: dict[str, Any] = values | {"flops": Flops(**values["flops"])}
    return ShardReport(**fields)
