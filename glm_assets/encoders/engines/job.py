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
from glm_assets.storage.remote_products import RemoteFolder
from glm_assets.storage.remote_root import RemoteRoot


@dataclass(frozen=True)
class StoredWeights:
    """Weights that are a product of a data root on an object store.

    Attributes:
        url: Of the data root.
        here: Its working copy on every machine that takes part; made where there is none.
        folder: Of the product in the working copy.
    """

    url: str
    here: str
    folder: str

    def fetch(self) -> None:
        """Bring them to this machine, unless they are here.

        Raises:
            GlmError: As of `RemoteFolder.fetch`.
        """
        RemoteFolder(RemoteRoot(self.url, Path(self.here)), Path(self.folder)).fetch()


@dataclass(frozen=True)
class EmbedJob:
    """An encoder and a store, described.

    Every machine that takes part must reach the paths under these names, or be able to fetch what is at a URL.

    Attributes:
        spec: What the vectors are.
        weights: The weights file.
        device: `cpu` or `cuda:N`, as the worker sees its GPUs.
        batch_tokens: Bases in one forward pass.
        cpu_threads: torch threads of a worker on a CPU.
        store: Folder or URL of the vectors.
        store_dtype: Type of the pairs.
        store_cache: Folder for copies of a store at a URL.
        stored_weights: Where the weights are fetched from; None where every machine has them already.
        sequence_dtype: Type of the vectors of sequences.
    """

    spec: EncoderSpec
    weights: str
    device: str
    batch_tokens: int | None
    cpu_threads: int
    store: str
    store_dtype: str
    store_cache: str | None = None
    stored_weights: StoredWeights | None = None
    sequence_dtype: str = "float32"

    def load(self) -> Encoder:
        """Load the encoder; its weights are fetched first where they lie on an object store.

        Raises:
            EncoderError: The weights do not fit, or the layer or device does not exist.
            GlmError: They cannot be fetched.
        """
        if self.stored_weights:
            self.stored_weights.fetch()
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
        return EmbeddingStore(self.store, self.store_dtype, cache=cache, sequence_dtype=self.sequence_dtype)

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EmbedJob:
        """The job that `as_dict` gave."""
        spec = EncoderSpec(**values["spec"] | {"needs": tuple(values["spec"]["needs"])})
        stored = StoredWeights(**values["stored_weights"]) if values.get("stored_weights") else None
        fields: dict[str, Any] = values | {"spec": spec, "stored_weights": stored}
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
