"""Drawing from Evo2 token by token through vtx's states. torch is imported when it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from torch import Tensor

    from glm_assets.language.evo2_network import Evo2Network

_ROOM: Final = 512
"""Tokens for which attention gets room at a time."""


class Evo2Decoder:
    """A batch of prompts of equal length, read in one forward, and what was drawn after them, read one by one.

    vtx's states know no other way: several tokens at a time after the prompt would be taken for one, silently.

    Args:
        network: In evaluation mode.
        prompts: (b, L) ids, at least one each.
    """

    def __init__(self, network: Evo2Network, prompts: Tensor) -> None:
        self._network = network
        self._length = prompts.shape[1]
        self._state = _empty_state(network.striped, *prompts.shape)
        self._logits = self._read(prompts)
        self._fill_up()

    @property
    def logits(self) -> Tensor:
        """(b, V) float32 of each sequence's next token."""
        return self._logits

    def advance(self, tokens: Tensor) -> None:
        """Read the next token (b,) of each sequence."""
        for state in self._state.values():
            state.seqlen_offset = self._length
        self._make_room()
        self._logits = self._read(tokens[:, None])
        self._length += 1

    def _read(self, ids: Tensor) -> Tensor:
        import torch

        with torch.no_grad():
            return self._network.last_logits(ids, self._state)

    def _fill_up(self) -> None:
        """Put zeros in front of convolutions' inputs where the prompt is shorter than the filter.

        vtx would take the first taps of a filter in place of its last ones.
        """
        from torch.nn.functional import pad

        for state in (self._state[name] for name in ("hcl", "hcm", "hcs")):
            inner = getattr(state, "fir_inner_state_dict", {})
            for inputs, length in ((state.fir_state_dict, state.fir_filter_length), (inner, _inner_length(state))):
                for layer, held in inputs.items():
                    inputs[layer] = pad(held, (length - 1 - held.shape[-1], 0))

    def _make_room(self) -> None:
        """Enlarge the memory of attention if it is full."""
        from torch.nn.functional import pad

        attention = self._state["mha"]
        if self._length < attention.max_seqlen:
            return
        more = max(_ROOM, attention.max_seqlen // 2)
        attention.max_seqlen += more
        held = attention.key_value_memory_dict
        for layer, memory in held.items():
            held[layer] = pad(memory, (0, 0, 0, 0, 0, 0, 0, more))


def _inner_length(state: Any) -> int:
    return getattr(state, "fir_inner_filter_length", 1)


def _empty_state(striped: Any, batch: int, length: int) -> dict[str, Any]:
    """What `StripedHyena.initialize_inference_params` makes, without room for the longest sequence there may be."""
    from vortex.model.cache import (
        HyenaCascadeFIRInferenceParams,
        HyenaCascadeIIRInferenceParams,
        InferenceParams,
    )

    config = striped.config
    short = config.short_filter_length
    return {
        "mha": InferenceParams(max_seqlen=length + _ROOM, max_batch_size=batch),
        "hcl": HyenaCascadeIIRInferenceParams(fir_filter_length=short, state_dim=config.state_size),
        "hcm": HyenaCascadeFIRInferenceParams(
            fir_filter_length=short, fir_inner_filter_length=config.hcm_filter_length
        ),
        "hcs": HyenaCascadeFIRInferenceParams(
            fir_filter_length=short, fir_inner_filter_length=config.hcs_filter_length
        ),
    }
