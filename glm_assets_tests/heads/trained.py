"""Heads as a faithful training leaves them: live blocks at work, sleeping blocks with their ballast."""

from __future__ import annotations

import torch

from glm_assets.heads.networks import Head
from glm_assets.heads.shapes import HeadShape

LIVE_LOW_BLOCKS = 8  # those that have a counterpart in v1


def is_asleep(key: str) -> bool:
    """Whether a tensor of v2 or v3 belongs to a block that takes nothing from a v1."""
    _, stage, number, *_ = key.split(".")
    return stage == "high" or (stage == "low" and int(number) >= LIVE_LOW_BLOCKS)


def trained_head(shape: HeadShape) -> Head:
    """A v2 or v3 whose live tensors are random, and whose sleeping blocks have zeros where they stay and decay else."""
    with torch.device("meta"):
        head = Head(shape, dropout=0.0)
    head.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for key, parameter in head.named_parameters():
            if key.endswith(("norm.scale", "ln.weight", "alpha")) and not is_asleep(key):
                parameter.uniform_(0.5, 1.5, generator=generator)
            elif is_asleep(key) and key.endswith(
                ("alpha", ".linear.weight", ".linear.bias", "fc2.weight", "fc2.bias")
            ):
                parameter.zero_()
            elif is_asleep(key) and "fc1" not in key:
                parameter.fill_(0.995)
            else:
                parameter.uniform_(-1, 1, generator=generator).mul_(parameter.shape[-1] ** -0.5)
    return head.eval()
