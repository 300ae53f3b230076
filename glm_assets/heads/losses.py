"""The losses of the heads, the original pipeline's and their mended forms, without loops over groups or device syncs.

Importing this module imports torch. `d` is the cosine distance (n,) of each reference/variant pair of a batch,
in [0, 2]: larger means that the head tells the variant from its reference more strongly.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from glm_assets.heads.groups import STD_EPS, GroupLayout

CDD_MARGIN = 2.0
RANK_MARGIN = 0.02
CD_FLOOR = 0.2


@dataclass(frozen=True)
class GroupTensors:
    """A `GroupLayout` on a device; the attributes are the layout's."""

    rows: Tensor
    segment: Tensor
    size: Tensor
    z_length: Tensor
    row_weight: Tensor
    neighbour: Tensor
    neighbour_weight: Tensor
    shorter: Tensor
    longer: Tensor
    pair_weight: Tensor

    @classmethod
    def of(cls, layout: GroupLayout, device: torch.device, dtype: torch.dtype = torch.float32) -> GroupTensors:
        """Copy a layout to a device, its figures as `dtype`, its positions as int64."""
        return cls.on_host(layout, dtype).to(device)

    @classmethod
    def on_host(
        cls, layout: GroupLayout, dtype: torch.dtype = torch.float32, *, pin: bool = False
    ) -> GroupTensors:
        """A layout as CPU tensors; pinned ones can go to a GPU while it computes."""
        tensors = {field.name: torch.from_numpy(getattr(layout, field.name)) for field in fields(layout)}
        typed = {
            name: tensor.to(dtype if tensor.is_floating_point() else torch.int64)
            for name, tensor in tensors.items()
        }
        return cls(**{name: tensor.pin_memory() if pin else tensor for name, tensor in typed.items()})

    def to(self, device: torch.device) -> GroupTensors:
        """The same on a device."""
        return GroupTensors(
            **{field.name: getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)}
        )


def cosine_distance(ref: Tensor, var: Tensor) -> Tensor:
    """Cosine distance of unit vectors (n, dim): half the squared distance.

    Equal to `1 - ref . var`, which in float32 loses up to a tenth of a distance of 1e-6 to cancellation.
    """
    return _HalfSquaredDistance.apply(ref, var)


class _HalfSquaredDistance(torch.autograd.Function):
    """`|ref - var|^2 / 2`, in half the time that autograd needs for the formula."""

    @staticmethod
    def forward(ctx: Any, ref: Tensor, var: Tensor) -> Tensor:
        difference = ref - var
        ctx.save_for_backward(difference)
        return 0.5 * torch.linalg.vector_norm(difference, dim=-1).square()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        (difference,) = ctx.saved_tensors
        towards = grad_outputs[0][..., None] * difference
        return towards, -towards if ctx.needs_input_grad[1] else None  # a teacher's vectors need none


def cdd_loss(d: Tensor, pathogenic: Tensor, margin: float = CDD_MARGIN) -> Tensor:
    """`relu(margin + mean(d | benign) - mean(d | pathogenic))`; 0 when the batch lacks one of the classes.

    Args:
        d: Distances (n,).
        pathogenic: 1.0 for pathogenic and 0.0 for benign rows (n,).
        margin: The contrast that is enough. Two means differ by at most 2, so the original's 2 never is.
    """
    benign = 1 - pathogenic
    count_p, count_b = pathogenic.sum(), benign.sum()
    mean_p = (d * pathogenic).sum() / count_p.clamp(min=1)
    mean_b = (d * benign).sum() / count_b.clamp(min=1)
    return torch.relu(margin + mean_b - mean_p) * ((count_p > 0) & (count_b > 0))


def pcc_loss(d: Tensor, groups: GroupTensors) -> Tensor:
    """Make the distance grow with the variant's length within each group.

    The mean over the groups that count, weighted by their rows, of three terms:
    the mean squared difference of standardised length and standardised distance, which is 2(n-1)/n (1 - r);
    the mean over neighbours in order of length of `relu(d_k - d_{k+1} + 0.02)`;
    the mean over pairs of unequal length of `relu(0.02 - (d_longer - d_shorter))`. 0 without such groups.

    Args:
        d: Distances (n,).
        groups: The batch's groups.
    """
    d = d[groups.rows]
    here, after = d[groups.neighbour], d[groups.neighbour + 1]
    neighbours = groups.neighbour_weight * torch.relu(here - after + RANK_MARGIN)
    pairs = groups.pair_weight * torch.relu(RANK_MARGIN - (d[groups.longer] - d[groups.shorter]))
    return _correlation_term(d, groups) + neighbours.sum() + pairs.sum()


def _correlation_term(d: Tensor, groups: GroupTensors) -> Tensor:
    centred = d - (_group_sums(d, groups) / groups.size)[groups.segment]
    variance = _group_sums(centred.square(), groups) / (groups.size - 1)
    varies = variance > 0
    std = torch.where(varies, variance, 1.0).sqrt()  # the gradient of sqrt at 0 is infinite
    z = centred / (std + STD_EPS)[groups.segment]
    return (groups.row_weight * varies[groups.segment] * (groups.z_length - z).square()).sum()


def _group_sums(values: Tensor, groups: GroupTensors) -> Tensor:
    return torch.zeros_like(groups.size, dtype=values.dtype).index_add(0, groups.segment, values)


def cd_floor_loss(d: Tensor) -> Tensor:
    """`relu(0.2 - mean d)`: keeps the distances from shrinking together."""
    return torch.relu(CD_FLOOR - d.mean())


def distillation_loss(ref: Tensor, var: Tensor, teacher_ref: Tensor, teacher_var: Tensor) -> Tensor:
    """Mean squared difference of student and teacher over all (n, dim) entries, reference plus variant.

    For unit vectors it is `(2 - 2cos)/dim` each, so at most 8/dim.
    """
    return (ref - teacher_ref).square().mean() + (var - teacher_var).square().mean()


def cosine_distillation_loss(ref: Tensor, var: Tensor, teacher_ref: Tensor, teacher_var: Tensor) -> Tensor:
    """Mean cosine distance of student and teacher, reference plus variant: `(1 - cos_r) + (1 - cos_v)`, in [0, 4].

    The original's form of it is smaller by half the width of the vectors, too small to matter beside the other terms.
    """
    return cosine_distance(ref, teacher_ref).mean() + cosine_distance(var, teacher_var).mean()
