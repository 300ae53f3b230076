"""Training a head on embedded pairs: batches, loss by phase, validation.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glm_assets.heads import losses
from glm_assets.heads.data import HeadData, PairSet
from glm_assets.heads.groups import lay_out_groups
from glm_assets.heads.losses import GroupTensors
from glm_assets.heads.metrics import Contrast, contrast
from glm_assets.heads.networks import Head
from glm_assets.heads.recipes import HeadRecipe


@dataclass(frozen=True)
class PairBatch:
    """Some pairs on the training device: vectors (n, dim) in float32, class (n,) as 1.0 or 0.0, groups."""

    ref: Tensor
    var: Tensor
    pathogenic: Tensor
    groups: GroupTensors


class PairSource:
    """Pairs that batches are gathered from; on a GPU they move there whole if they fit into half its free memory.

    Args:
        pairs: The pairs.
        device: Where batches go.
    """

    def __init__(self, pairs: PairSet, device: torch.device) -> None:
        self.pairs = pairs
        self.device = device
        fits = (
            device.type == "cuda"
            and 2 * (pairs.ref.nbytes + pairs.delta.nbytes) < torch.cuda.mem_get_info(device)[0]
        )
        home = device if fits else torch.device("cpu")
        self.ref = torch.from_numpy(np.ascontiguousarray(pairs.ref)).to(home)
        self.delta = torch.from_numpy(np.ascontiguousarray(pairs.delta)).to(home)

    def gather(self, rows: Tensor) -> PairBatch:
        """The pairs of some row numbers, given on the CPU."""
        at = rows.numpy()
        home = rows.to(self.ref.device)
        ref = self.ref[home].to(self.device, torch.float32)
        delta = self.delta[home].to(self.device, torch.float32)
        layout = lay_out_groups(self.pairs.group[at], self.pairs.var_len[at])
        pathogenic = torch.from_numpy(self.pairs.label[at].astype(np.float32)).to(self.device)
        return PairBatch(ref, ref + delta, pathogenic, GroupTensors.of(layout, self.device))

    def in_order(self, size: int) -> Iterator[PairBatch]:
        """All pairs, in batches."""
        for rows in torch.arange(len(self.pairs)).split(size):
            yield self.gather(rows)

    def shuffled(self, size: int) -> Iterator[PairBatch]:
        """All pairs in an order drawn from torch's generator, in batches."""
        for rows in torch.randperm(len(self.pairs)).split(size):
            yield self.gather(rows)


class HeadTask:
    """A head, its teacher and its data, as the training loop wants them.

    Args:
        model: The student, on the device.
        teacher: What it is distilled from, on the device; None where the recipe has no teacher.
        recipe: Loss weights by epoch and batch size.
        data: Training and validation pairs.
        device: Where it trains.
    """

    def __init__(
        self, model: Head, teacher: Head | None, recipe: HeadRecipe, data: HeadData, device: torch.device
    ) -> None:
        self.model = model
        self.teacher = teacher.eval() if teacher else None
        self.recipe = recipe
        self.train_pairs = PairSource(data.train, device)
        self.val_pairs = PairSource(data.val, device)

    def batches(self, epoch: int) -> Iterator[PairBatch]:  # noqa: ARG002 - every epoch draws its own order
        """The training pairs in random order; the last batch may be smaller."""
        return self.train_pairs.shuffled(self.recipe.batch_size)

    def loss(self, batch: PairBatch, epoch: int) -> dict[str, Tensor]:
        """The weighted terms of the epoch's phase, and their sum."""
        phase = self.recipe.phase(epoch)
        ref, var = self.model(batch.ref), self.model(batch.var)
        d = losses.cosine_distance(ref, var)
        terms: dict[str, Tensor] = {}
        if phase.cdd:
            terms["cdd"] = phase.cdd * losses.cdd_loss(d, batch.pathogenic)
        if phase.pcc:
            terms["pcc"] = phase.pcc * losses.pcc_loss(d, batch.groups)
        if phase.cd_floor:
            terms["cd_floor"] = phase.cd_floor * losses.cd_floor_loss(d)
        if phase.distil:
            terms["distil"] = phase.distil * self._distillation(batch, ref, var)
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    def _distillation(self, batch: PairBatch, ref: Tensor, var: Tensor) -> Tensor:
        if self.teacher is None:
            raise ValueError("a recipe that distils needs a teacher")
        with torch.no_grad():
            teacher_ref, teacher_var = self.teacher(batch.ref), self.teacher(batch.var)
        return losses.distillation_loss(ref, var, teacher_ref, teacher_var)

    def validate(self, epoch: int) -> dict[str, float]:
        """CD, CDD, PCC and score over all validation pairs, and the mean loss of its batches."""
        distances, loss = self._val_pass(self._val_pcc_weight(epoch))
        return self.contrast_of(distances).as_dict() | {"loss": loss}

    def val_distances(self) -> NDArray[np.float32]:
        """Distances of the validation pairs (n,), dropout off."""
        return self._val_pass(0.0)[0]

    def contrast_of(self, distances: NDArray[np.float32]) -> Contrast:
        """The figures of validation distances."""
        pairs = self.val_pairs.pairs
        return contrast(distances, pairs.label, pairs.var_len, pairs.group)

    def _val_pcc_weight(self, epoch: int) -> float:
        """The original's validation loss has the phase's PCC weight in v0, and full weight in the others."""
        return self.recipe.phase(epoch).pcc if self.recipe.version == "v0" else 1.0

    def _val_pass(self, pcc_weight: float) -> tuple[NDArray[np.float32], float]:
        self.model.eval()
        distances, totals = [], []
        with torch.no_grad():
            for batch in self.val_pairs.in_order(self.recipe.batch_size):
                d = losses.cosine_distance(self.model(batch.ref), self.model(batch.var))
                distances.append(d)
                totals.append(losses.cdd_loss(d, batch.pathogenic) + pcc_weight * losses.pcc_loss(d, batch.groups))
        return torch.cat(distances).cpu().numpy(), float(torch.stack(totals).mean())
