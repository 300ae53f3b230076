"""The sizes of the convolutional head, without torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from glm_assets.errors import SettingsError
from glm_assets.studies.impact.configuration import HeadSettings


@dataclass(frozen=True)
class HeadShape:
    """Sizes of the convolutional head.

    Attributes:
        length: Positions of a read.
        width: Numbers at a position.
        channels: Of the two convolutions.
        hidden: Width of the dense layers.
        dense_layers: How many there are before the output.
        kernel: Positions that a convolution sees.

    Raises:
        SettingsError: So few positions leave nothing after the pooling.
    """

    length: int
    width: int
    channels: tuple[int, int]
    hidden: int
    dense_layers: int
    kernel: int

    def __post_init__(self) -> None:
        if self.flat_size < 1:
            raise SettingsError(
                f"the convolutional head cannot take {self.length} positions",
                expected="at least 4: each of its two convolutions halves them",
                fix="set encoder.pooling to positions:N with N at the length of the reads",
            )

    @classmethod
    def of(cls, settings: HeadSettings, length: int, width: int) -> HeadShape:
        """The shape for activations of a length and width."""
        return cls(length, width, settings.channels, settings.hidden, settings.dense_layers, settings.kernel)

    @property
    def flat_size(self) -> int:
        """Numbers that reach the dense layers."""
        length = self.length
        for _ in self.channels:
            length = (length + 2 * (self.kernel // 2) - self.kernel + 1) // 2
        return length * self.channels[1]

    def to_json(self) -> str:
        """As text."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> HeadShape:
        """What `to_json` gave.

        Raises:
            ValueError: The text is none of its.
            TypeError: Likewise.
        """
        values = json.loads(text)
        return cls(**values | {"channels": tuple(values["channels"])})
