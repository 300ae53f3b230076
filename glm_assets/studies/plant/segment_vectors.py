"""A vector for each gene of each sample: equal genes are embedded once, and a killed run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from glm_assets.storage.atomic import write_json

if TYPE_CHECKING:
    from torch import Tensor

    from glm_assets.encoders.plant_lm.network import PlantLm

Progress = Callable[[str], None]

# Hidden files are no part of a product: they live as long as its unfinished folder does.
_VECTORS, _DONE = ".segments.npy", ".segments.json"
_BATCH_TOKENS: Final = 16_384
_BATCHES_A_BLOCK: Final = 8


@dataclass(frozen=True)
class SegmentVectors:
    """Vectors of the genes of samples.

    Attributes:
        vectors: (segments, d) float32 of the different segments, memory-mapped.
        index: (samples, genes) row of each gene's vector; -1 where the gene is missing.
    """

    vectors: NDArray[np.float32]
    index: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(samples, genes, d)."""
        return *self.index.shape, self.vectors.shape[1]

    def take(self, samples: NDArray[np.integer]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors (m, genes, d) and mask (m, genes) of some samples; noughts where the mask is false."""
        rows = self.index[samples]
        mask = rows >= 0
        return np.where(mask[:, :, None], self.vectors[np.maximum(rows, 0)], np.float32(0)), mask


def embed_segments(
    tokens: NDArray[np.uint16],
    mask: NDArray[np.bool_],
    network: PlantLm,
    species: int,
    scratch: Path,
    progress: Progress,
) -> SegmentVectors:
    """Mean over a segment's tokens of the network's last hidden state.

    Args:
        tokens: (samples, genes, segment_tokens) ids.
        mask: (samples, genes) which of them there are.
        network: In evaluation mode; its memory is read where it has one.
        species: Number of the species whose embedding and memory are used.
        scratch: Folder where vectors are kept until all are there.
        progress: Called with a line now and then.
    """
    index, firsts = _number_segments(tokens, mask)
    vectors, done = _open_scratch(scratch, (len(firsts), network.config.width))
    batch = max(1, _BATCH_TOKENS // tokens.shape[2])
    block = batch * _BATCHES_A_BLOCK
    for start in range(done, len(firsts), block):
        end = min(start + block, len(firsts))
        for first in range(start, end, batch):
            own = firsts[first : min(first + batch, end)]
            vectors[first : first + len(own)] = _embed(network, tokens[own[:, 0], own[:, 1]], species)
        vectors.flush()
        write_json(scratch / _DONE, {"done": end})
        progress(f"{end:,} of {len(firsts):,} different segments embedded")
    return SegmentVectors(vectors, index)


def _number_segments(
    tokens: NDArray[np.uint16], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number (samples, genes) of each segment among the different ones, and where each comes first (segments, 2)."""
    from xxhash import xxh3_128_digest

    numbers: dict[bytes, int] = {}
    firsts: list[tuple[int, int]] = []
    index = np.full(mask.shape, -1, dtype=np.int64)
    for sample, own in enumerate(tokens):
        for gene in np.flatnonzero(mask[sample]).tolist():
            number = numbers.setdefault(xxh3_128_digest(own[gene].tobytes()), len(numbers))
            if number == len(firsts):
                firsts.append((sample, gene))
            index[sample, gene] = number
    return index, np.array(firsts, dtype=np.int64).reshape(-1, 2)


def _open_scratch(scratch: Path, shape: tuple[int, int]) -> tuple[np.memmap, int]:
    """The array to fill, and how many of its rows a former run has filled."""
    scratch.mkdir(parents=True, exist_ok=True)
    path, record = scratch / _VECTORS, scratch / _DONE
    if path.is_file() and record.is_file():
        found = np.lib.format.open_memmap(path, mode="r+")
        if found.shape == shape:
            return found, int(json.loads(record.read_text(encoding="utf-8"))["done"])
    record.unlink(missing_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape), 0


def _embed(network: PlantLm, tokens: NDArray[np.uint16], species: int) -> NDArray[np.float32]:
    """(b, d) of segments (b, L); a segment longer than the network's context is read in parts of that length."""
    import torch

    device = network.tokens.weight.device
    ids = torch.from_numpy(tokens.astype(np.int64)).to(device)
    whose = torch.full((len(ids),), species, device=device)
    with torch.inference_mode():
        parts = [_sum(network, part, whose) for part in ids.split(network.config.context, dim=1)]
        return (torch.stack(parts).sum(dim=0) / ids.shape[1]).cpu().numpy()


def _sum(network: PlantLm, ids: Tensor, species: Tensor) -> Tensor:
    return network.hidden(ids, species=species).float().sum(dim=1)
