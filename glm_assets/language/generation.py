"""Sequences that a language model goes on with after prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.language.model import LanguageModel
from glm_assets.language.sampling import Sampling, draw, next_probabilities

Progress = Callable[[str], None]

# Sequences that are drawn together; it changes none of them.
BATCH = 32


@dataclass(frozen=True)
class Generated:
    """A sequence that was drawn.

    Attributes:
        prompt: 0-based number of its prompt.
        sample: 0-based number among those of the prompt.
        sequence: What was drawn, without the prompt.
        logprob_mean: Mean natural logarithm of the drawn tokens' probabilities under the model itself: before
            temperature, top_k, top_p and what is allowed.
    """

    prompt: int
    sample: int
    sequence: str
    logprob_mean: float


@dataclass(frozen=True)
class _Wanted:
    prompt: int
    sample: int
    ids: NDArray[np.int64]


def generate(
    model: LanguageModel,
    prompts: Sequence[str],
    *,
    tokens: int,
    samples: int,
    sampling: Sampling,
    batch: int = BATCH,
    progress: Progress | None = None,
) -> list[Generated]:
    """Draw sequences.

    Args:
        model: The language model.
        prompts: Bases to go on from; lower case is read as upper case. Where a token has several bases, the last whole
            tokens of a prompt are read. An empty one is the model's token of a beginning.
        tokens: To draw, of each sequence.
        samples: Sequences of each prompt.
        sampling: How tokens are drawn. Equal seeds draw equal sequences, whatever else is drawn beside them.
        batch: Sequences that are drawn together.
        progress: Called with a line after each batch.

    Returns:
        Sequences by prompt and sample.

    Raises:
        SettingsError: A prompt is empty and the model has no token of a beginning, prompt and new tokens are longer
            than the model's context, or there is nothing to draw.
    """
    if tokens < 1 or samples < 1:
        raise SettingsError(
            f"{samples} samples of {tokens} tokens are nothing to draw", expected="1 or more of both"
        )
    starts = [_prompt_ids(model, number, prompt, tokens) for number, prompt in enumerate(prompts)]
    wanted = [_Wanted(prompt, sample, ids) for prompt, ids in enumerate(starts) for sample in range(samples)]
    drawn: list[Generated] = []
    for together in _batches(wanted, batch):
        drawn += _draw_batch(model, together, tokens, sampling)
        if progress:
            progress(f"{len(drawn):,} of {len(wanted):,} sequences drawn from {model.name}")
    return sorted(drawn, key=lambda each: (each.prompt, each.sample))


def _prompt_ids(model: LanguageModel, number: int, prompt: str, tokens: int) -> NDArray[np.int64]:
    ids = model.encode(prompt[len(prompt) % model.bases_per_token :].upper())
    if not len(ids):
        if model.start_id is None:
            raise SettingsError(
                f"prompt {number} has no token, and {model.name} no token of a beginning",
                expected=f"a prompt of {model.bases_per_token} bases or more",
            )
        ids = np.array([model.start_id], np.int64)
    if len(ids) + tokens > model.context:
        raise SettingsError(
            f"prompt {number} of {len(ids):,} tokens and {tokens:,} new ones are longer than the context of"
            f" {model.name}, and what it draws beyond that means nothing",
            expected=f"at most {model.context:,} tokens together",
            fix="shorten the prompt or draw less",
        )
    return ids


def _batches(wanted: Sequence[_Wanted], batch: int) -> Iterator[list[_Wanted]]:
    """Sequences whose prompts are of one length, `batch` at a time: a decoder knows no padding."""
    for length in sorted({len(each.ids) for each in wanted}):
        alike = [each for each in wanted if len(each.ids) == length]
        yield from (alike[begin : begin + batch] for begin in range(0, len(alike), batch))


def _draw_batch(
    model: LanguageModel, wanted: list[_Wanted], tokens: int, sampling: Sampling
) -> Iterator[Generated]:
    generators = [sampling.generator(each.prompt, each.sample) for each in wanted]
    allowed = np.arange(model.vocabulary_size) if sampling.allowed is None else np.unique(sampling.allowed)
    columns = torch.from_numpy(allowed.astype(np.int64)).to(model.device)
    found = np.empty((len(wanted), tokens), np.int64)
    logprobs = np.zeros(len(wanted))
    with torch.no_grad():
        decoder = model.decoder(torch.from_numpy(np.stack([each.ids for each in wanted])).to(model.device))
        for place in range(tokens):
            if place:
                decoder.advance(torch.from_numpy(found[:, place - 1].copy()).to(model.device))
            every = decoder.logits.double()
            logits = every[:, columns].cpu().numpy()
            chosen = draw(next_probabilities(logits, sampling), generators)
            found[:, place] = allowed[chosen]
            logprobs += logits[np.arange(len(wanted)), chosen] - every.logsumexp(dim=1).cpu().numpy()
    for each, ids, logprob in zip(wanted, found, logprobs, strict=True):
        yield Generated(each.prompt, each.sample, model.decode(ids), float(logprob) / tokens)
