"""How likely a language model finds sequences: log-probabilities of their tokens, each given those before it.

Natural logarithms, probabilities over the model's whole vocabulary, terms added up in float64: as evo2's own
`score_sequences`. Sequences are made upper case first. A token that does not spell A, C, G and T alone (an N is a byte
of its own) is read by the model, so that what follows it is conditioned on it, but has no score and is not counted.
Where a token has several bases, those after a sequence's last whole token are left out, on both strands; and so are
k-mers with another letter, which have no token: the model reads what is beside them as if it were joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from glm_assets.genome.alphabet import reverse_complement as other_strand
from glm_assets.language.model import LanguageModel
from glm_assets.language.tiling import Tiling, cut_tiles, predict

Progress = Callable[[str], None]

# Sequences whose tokens are in memory at once: as many as have about these bases.
_BLOCK_BASES = 1 << 22


@dataclass(frozen=True)
class Scores:
    """Of n sequences.

    Attributes:
        logprob_sum: (n,) sums of natural logarithms, of both strands their mean; 0 without a token that counts.
        logprob_mean: (n,) means over a strand's tokens, of both strands their mean; NaN without a token that counts.
        n_tokens: (n,) int64 tokens of the forward strand that have a probability and count.
        tiles: (n,) int32 tiles that a strand was read in.
    """

    logprob_sum: NDArray[np.float64]
    logprob_mean: NDArray[np.float64]
    n_tokens: NDArray[np.int64]
    tiles: NDArray[np.int32]


def score_sequences(
    model: LanguageModel,
    sequences: Sequence[str],
    *,
    start_token: bool,
    reverse_complement: bool,
    tile: int,
    overlap: int,
    batch_tokens: int,
    progress: Progress | None = None,
) -> Scores:
    """Score sequences of any length.

    Args:
        model: The language model.
        sequences: Bases 5' to 3'; lower case is read as upper case.
        start_token: Put the model's token of a beginning in front, so that the first token has a score too.
        reverse_complement: Mean over both strands.
        tile: Tokens that the model reads at once, at most.
        overlap: Tokens that a tile of a longer sequence sees of the one before it.
        batch_tokens: Tokens of a forward pass; it changes no score but for rounding.
        progress: Called with a line now and then.

    Raises:
        SettingsError: The model has no such token or a shorter context, or tiles do not advance.
    """
    tiling = Tiling(start_token, tile, overlap, batch_tokens)
    strands = 2 if reverse_complement else 1
    sums = np.zeros((len(sequences), strands))
    counts = np.zeros((len(sequences), strands), np.int64)
    tiles = np.zeros(len(sequences), np.int32)
    for begin, block in _blocks(sequences):
        for number, terms in enumerate(_token_logprobs(model, block, reverse_complement, tiling), start=begin):
            known = ~np.isnan(terms)
            sums[number], counts[number] = np.where(known, terms, 0.0).sum(axis=1), known.sum(axis=1)
            tiles[number] = len(cut_tiles(terms.shape[1], tiling))
        if progress:
            progress(f"{begin + len(block):,} of {len(sequences):,} sequences scored by {model.name}")
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return Scores(sums.mean(axis=1), means.mean(axis=1), counts[:, 0], tiles)


def token_logprobs(
    model: LanguageModel,
    sequences: Sequence[str],
    *,
    start_token: bool,
    reverse_complement: bool,
    tile: int,
    overlap: int,
    batch_tokens: int,
) -> list[NDArray[np.float64]]:
    """Score every token; the arguments are those of `score_sequences`.

    Returns:
        Of each sequence (strands, L) natural logarithms, in the order of the forward strand's tokens in both rows: the
        second, with `reverse_complement`, has at i what the other strand's model says of the token that pairs with
        token i. NaN where a token has no probability or does not count.
    """
    tiling = Tiling(start_token, tile, overlap, batch_tokens)
    return list(_token_logprobs(model, sequences, reverse_complement, tiling))


def _token_logprobs(
    model: LanguageModel, sequences: Sequence[str], reverse_complement: bool, tiling: Tiling
) -> Iterator[NDArray[np.float64]]:
    """As `token_logprobs` returns them, one by one."""
    forward = [_whole_tokens(model, sequence) for sequence in sequences]
    both = forward + [_other_strand(sequence) for sequence in forward if reverse_complement]
    ids = [model.encode(sequence) for sequence in both]
    terms = [np.full(len(each), np.nan) for each in ids]
    for batch in predict(model, ids, tiling):
        targets = np.zeros(batch.logits.shape[:2], np.int64)
        for row, of_row in zip(batch.rows, targets, strict=True):
            predicted = ids[row.sequence][row.tile.first : row.tile.end]
            of_row[row.skipped : len(row.inputs)] = predicted
        drawn = torch.from_numpy(targets).to(batch.logits.device).unsqueeze(2)
        found = batch.logits.gather(2, drawn).squeeze(2) - batch.logits.logsumexp(dim=2)
        for row, of_row in zip(batch.rows, found.double().cpu().numpy(), strict=True):
            terms[row.sequence][row.tile.first : row.tile.end] = of_row[row.skipped : len(row.inputs)]
        del batch  # else its logits would be there until the next ones are
    for each, of_each in zip(ids, terms, strict=True):
        of_each[~np.isin(each, model.sequence_ids)] = np.nan
    for number in range(len(sequences)):
        strands = [terms[number]]
        if reverse_complement:
            strands.append(terms[len(sequences) + number][::-1])
        yield np.stack(strands)


def _whole_tokens(model: LanguageModel, sequence: str) -> str:
    return sequence[: len(sequence) // model.bases_per_token * model.bases_per_token].upper()


def _other_strand(sequence: str) -> str:
    return other_strand(np.frombuffer(sequence.encode("ascii"), np.uint8)).tobytes().decode("ascii")


def _blocks(sequences: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Runs of sequences that are scored together, each with the number of its first."""
    begin, bases = 0, 0
    for end, sequence in enumerate(sequences, start=1):
        bases += len(sequence)
        if bases >= _BLOCK_BASES or end == len(sequences):
            yield begin, sequences[begin:end]
            begin, bases = end, 0
