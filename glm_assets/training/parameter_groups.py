"""What AdamW moves of a model. Importing this module imports torch."""

from __future__ import annotations

from typing import Any

from torch import nn


def decayed_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """All that is trained of a model, as `Task.parameter_groups` gives it; norms and biases do not decay."""
    moving = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [each for each in moving if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in moving if each.ndim <= 1], "weight_decay": 0.0},
    ]
