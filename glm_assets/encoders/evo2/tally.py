"""What a batch of windows costs an Evo2 encoder, and what its savings saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from glm_assets.encoders.base import EncoderSpec, Flops
from glm_assets.encoders.evo2.config import blocks_needed
from glm_assets.encoders.evo2.flops import Evo2Flops
from glm_assets.encoders.evo2.plan import DOWNSTREAM_ONLY, LOGITS, TWO_FORWARDS, PairBatch


class FlopTally:
    """Counts batches by the formula of `Evo2Flops`.

    The transforms of the filters themselves, once a batch, are counted in no term: they are below a thousandth.

    Args:
        spec: The encoder's.
        config: The model's configuration at full depth.
    """

    def __init__(self, spec: EncoderSpec, config: Mapping[str, Any]) -> None:
        whole = spec.layer == LOGITS
        self._full = Evo2Flops(config, config["num_layers"], unembeds=True)
        self._early = Evo2Flops(config, blocks_needed(spec.layer, config), unembeds=whole)
        self._method = spec.extras["pairs"]
        self._ours = replace(self._early, last_projection=whole or self._method == TWO_FORWARDS)

    def windows(self, count: int, length: int) -> Flops:
        """Of single windows, where leaving early is all that can be saved."""
        full, early, ours = (self._window(flops, length) for flops in (self._full, self._early, self._ours))
        return Flops(count * full, count * early, count * ours, count * ours)

    def pairs(self, batch: PairBatch) -> tuple[int, Flops]:
        """Tokens that were computed, and what pairs cost.

        The original computes whole windows, of which a batch may hold only the part that is needed.
        """
        references, variants = len(batch.ref), len(batch.var)
        original = 2 * variants * self._window(self._full, batch.window_length)
        early = 2 * variants * self._window(self._early, batch.window_length)
        own, mixers = self._own(batch)
        reference = self._ours.token * batch.length + self._ours.mixers(batch.length)
        apart = variants * reference + self._ours.token * own + mixers
        computed = references * reference + self._ours.token * own + mixers
        return references * batch.length + own, Flops(original, early, apart, computed)

    def _own(self, batch: PairBatch) -> tuple[int, float]:
        """Tokens that variants have of their own, and what the mixers take for them."""
        variants = len(batch.var)
        if self._method == TWO_FORWARDS:
            return variants * batch.length, variants * self._ours.mixers(batch.length)
        if self._method != DOWNSTREAM_ONLY:
            return sum(batch.suffix_lengths), variants * self._ours.mixers(batch.length)
        *_, width = batch.own_tokens()
        return variants * width, variants * self._ours.downstream_mixers(width, batch.length)

    def _window(self, flops: Evo2Flops, length: int) -> float:
        return length * flops.token + flops.mixers(length)
