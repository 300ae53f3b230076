"""What the model and the baselines say of the test tokens of a species. torch is imported when it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from glm_assets.encoders.tokenizers.kmer import decode_kmers
from glm_assets.genome.markov import MarkovCounts
from glm_assets.language.token_store import TokenStore
from glm_assets.language.windows import TokenWindows, WindowBatch, overlap_step
from glm_assets.sources.progress import Ticker

if TYPE_CHECKING:
    from glm_assets.encoders.plant_lm.network import PlantLm

Progress = Callable[[str], None]

MODEL: Final = "model"
WITHOUT_MEMORY: Final = "model_without_memory"
UNIFORM: Final = "uniform"
MARKOV: Final = "markov_{}"

_BATCH_TOKENS: Final = 4_096


@dataclass(frozen=True)
class JudgedTokens:
    """The n test tokens of a species that are predicted, each once.

    Attributes:
        nats: By predictor, (n,) minus the natural logarithm of each token's probability.
        hits: By predictor, (n,) whether the token is the likeliest one; of Markov models that is not asked.
        block: (n,) number of the block of sequence that each is of, from 0 without gaps.
        by_context: By reading of the model, (C,) mean nats of what follows 1 to C tokens of a window, of all windows.
    """

    nats: dict[str, NDArray[np.float64]]
    hits: dict[str, NDArray[np.bool_]]
    block: NDArray[np.int64]
    by_context: dict[str, NDArray[np.float64]]


def judge(
    network: PlantLm,
    store: TokenStore,
    species: int,
    *,
    overlap: float,
    max_windows: int,
    markov_order: int,
    phase: int,
    block_bases: int,
    progress: Progress,
) -> JudgedTokens:
    """Ask everyone of the same test tokens.

    Windows of the model's context overlap, and a token counts in the first window that has it: of the first window of a
    segment every token but the first, with what lies before it; of later ones the last, with C - step tokens before
    them at least. A Markov model sees as many bases before each base as its order says, across tokens; it is counted on
    the training stretches of the species, on both strands if the model was trained on both.

    Args:
        network: The model.
        store: Tokens of the species.
        species: Its number.
        overlap: Share of a window that the next one has too.
        max_windows: Most windows, evenly spaced.
        markov_order: Longest order.
        phase: That of the reading which has every base once.
        block_bases: Of a block.
        progress: Called with a line now and then.
    """
    context = network.config.context
    windows = TokenWindows(store, "test", context, step=overlap_step(context, overlap), once=True)
    rows = evenly_spaced(len(windows), max_windows)
    segment, place = _places(windows, rows)
    readings = {MODEL: True} | ({WITHOUT_MEMORY: False} if network.memory is not None else {})
    ticker = Ticker(progress)
    read = {
        name: _read(network, windows, rows, species, memory, ticker, name) for name, memory in readings.items()
    }
    nats = {name: each.nats for name, each in read.items()}
    nats[UNIFORM] = np.full(len(place), np.log(network.config.vocabulary))
    nats |= _markov_nats(count_bases(store, markov_order, phase), store, segment, place)
    return JudgedTokens(
        nats,
        {name: each.hits for name, each in read.items()},
        _blocks(store, segment, block_bases),
        {name: each.by_context for name, each in read.items()},
    )


def count_bases(store: TokenStore, order: int, phase: int) -> MarkovCounts:
    """Counts of the training sequence, each base once on each strand that is read."""
    counts = MarkovCounts(order)
    segments = store.segments.filter((pl.col("split") == "train") & (pl.col("phase") == phase))
    for segment in segments["segment"].to_list():
        counts.add(_bases(store, segment))
    return counts


def _bases(store: TokenStore, segment: int) -> NDArray[np.uint8]:
    first, tokens = store.segments.select("first_token", "tokens").row(segment)
    return decode_kmers(store.tokens(np.arange(first, first + tokens)), store.card.bases_per_token)


def _markov_nats(
    counts: MarkovCounts, store: TokenStore, segment: NDArray[np.int64], place: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """(n,) of tokens, by predictor: the sum over the bases of each. A segment is read once for all orders."""
    models = {MARKOV.format(order): counts.model(order) for order in range(counts.order + 1)}
    nats = {name: np.empty(len(place)) for name in models}
    for number in np.unique(segment).tolist():
        bases, own = _bases(store, number), segment == number
        for name, model in models.items():
            logs = model.log_probabilities(bases).reshape(-1, store.card.bases_per_token)
            nats[name][own] = -logs.sum(axis=1)[place[own]]
    return nats


def _blocks(store: TokenStore, segment: NDArray[np.int64], block_bases: int) -> NDArray[np.int64]:
    """(n,) the block that each segment lies in: what unknown bases divide is of one block still."""
    numbers = store.segments.select(
        block=pl.struct("contig", pl.col("start") // block_bases).rank("dense").cast(pl.Int64)
    )["block"].to_numpy()
    return np.unique(numbers[segment], return_inverse=True)[1].astype(np.int64)


@dataclass(frozen=True)
class _Reading:
    nats: NDArray[np.float64]
    hits: NDArray[np.bool_]
    by_context: NDArray[np.float64]


def _read(
    network: PlantLm,
    windows: TokenWindows,
    rows: NDArray[np.int64],
    species: int,
    memory: bool,
    ticker: Ticker,
    name: str,
) -> _Reading:
    """What the model says, with its memory or without."""
    nats, hits, by_context, done = [], [], np.zeros(windows.context), 0
    for batch in _batches(windows, rows):
        losses, likeliest = _predict(network, batch, species, memory=memory)
        nats.append(losses[batch.weights > 0])
        hits.append(likeliest[batch.weights > 0])
        by_context += losses.sum(axis=0)
        done += len(batch.block)
        line = f"{name}: {done:,} of {len(rows):,} test windows of {network.config.species[species]}"
        ticker.tick(lambda line=line: line)
    return _Reading(np.concatenate(nats), np.concatenate(hits), by_context / len(rows))


def _places(windows: TokenWindows, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n,) segment and place in it of each token that counts, in the order of the windows."""
    segments, places = [], []
    for batch in _batches(windows, rows):
        counted = batch.weights > 0
        segments.append(np.broadcast_to(batch.block[:, None], counted.shape)[counted])
        places.append(batch.positions[counted] + 1)
    return np.concatenate(segments), np.concatenate(places)


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """At most so many of the numbers 0 to count - 1."""
    taken = min(count, most)
    return np.arange(taken, dtype=np.int64) * count // taken


def _batches(windows: TokenWindows, rows: NDArray[np.int64]) -> Iterator[WindowBatch]:
    size = max(1, _BATCH_TOKENS // windows.context)
    for start in range(0, len(rows), size):
        yield windows.take(rows[start : start + size])


def _predict(
    network: PlantLm, batch: WindowBatch, species: int, *, memory: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(b, L) nats of the targets, and whether each is the likeliest token."""
    import torch

    from glm_assets.language.loss import token_losses

    device = network.final_norm.weight.device
    inputs, targets, positions = (
        torch.from_numpy(array).to(device) for array in (batch.inputs, batch.targets, batch.positions)
    )
    of = torch.full((len(inputs),), species, device=device)
    with torch.inference_mode():
        logits = network(inputs, positions, of, memory=memory)
        losses, likeliest = token_losses(logits, targets), logits.argmax(dim=-1) == targets
    return losses.double().cpu().numpy(), likeliest.cpu().numpy()
