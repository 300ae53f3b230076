"""What encoders other than Evo2's offer of the options that all share."""

from __future__ import annotations

from typing import Final

from glm_assets.encoders.device import CPU
from glm_assets.errors import EncoderError

PRECISIONS: Final = ("float32", "bfloat16")


def weights_type(name: str, precision: str, device: str) -> str:
    """The type of weights that a precision means.

    Args:
        name: Of the encoder, for messages.
        precision: `float32`, `bfloat16`, or `auto` for the first on a CPU and the second on a GPU.
        device: `cpu` or `cuda:N`.

    Raises:
        EncoderError: The precision is unknown.
    """
    if precision == "auto":
        return "float32" if device == CPU else "bfloat16"
    if precision not in PRECISIONS:
        raise EncoderError(
            f"encoder {name} offers no precision {precision!r}",
            expected=f"auto, {' or '.join(PRECISIONS)}",
            fix="set encoder.precision",
        )
    return precision


def refuse_evo2_options(name: str, *, fp8: bool, cast_all_bf16: bool) -> None:
    """Refuse arithmetic that only Evo2 has.

    Raises:
        EncoderError: Either is asked for.
    """
    if fp8 or cast_all_bf16:
        raise EncoderError(
            f"encoder {name} offers neither FP8 nor the original's casts, which are Evo2's",
            expected="fp8 false, cast_all_bf16 false",
        )
