"""Training a head on embedded pairs: batches, loss by phase, validation.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from glm_assets.heads import losses
from glm_assets.heads.data import HeadData
from glm_assets.heads.dormant import skip_dormant
from glm_assets.heads.networks import Head
from glm_assets.heads.pair_source import PairBatch, PairSource
from glm_assets.heads.pairs import Pairs
from glm_assets.heads.recipes import HeadRecipe
from glm_assets.heads.sampler import Rows, grouped, shuffled, whole_groups
from glm_assets.heads.validation import ValidationSet, in_one_pass


class HeadTask:
    """A head, its teacher and its data, as the training loop wants them.

    Args:
        model: The student, on the device.
        teacher: What it is distilled from, on the device; None where the recipe has no teacher.
        recipe: Loss terms and their weights by epoch, batches and score.
        data: Training and validation pairs.
        device: Where it trains.

    Attributes:
        on_gpu: Whether the device is a GPU.
        dormant: The student's blocks that can never move, and so are left out of its passes.
        train_pairs: Where training batches come from.
        val: What judges epochs.
        soup_val: What judges soups.
    """

    def __init__(
        self, model: Head, teacher: Head | None, recipe: HeadRecipe, data: HeadData, device: torch.device
    ) -> None:
        self.model = model
        self.teacher = teacher.eval() if teacher else None
        self.recipe = recipe
        self.on_gpu = device.type == "cuda"
        self.dormant = skip_dormant(model)
        self.train_pairs = PairSource(data.train, device, recipe.groups)
        self._ladders = PairSource(data.ladders, device) if data.ladders is not None and recipe.ladders else None

        def judge_of(pairs: Pairs, ladders: Pairs | None) -> ValidationSet:
            return ValidationSet(
                pairs, ladders, device, recipe.batch_size, rule=recipe.groups, scoring=recipe.scoring
            )

        self.val = judge_of(data.val, data.val_ladders)
        separate = data.soup_val is not data.val
        self.soup_val = judge_of(data.soup_val, data.soup_ladders) if separate else self.val

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-len(self.train_pairs.pairs) // self.recipe.batch_size)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """All that can move; where the recipe spares them, gates, norms, layer scales and biases do not decay."""
        moving = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if self.recipe.decay_small:
            return [{"params": moving, "weight_decay": weight_decay}]
        return [
            {"params": [parameter for parameter in moving if parameter.ndim > 1], "weight_decay": weight_decay},
            {"params": [parameter for parameter in moving if parameter.ndim <= 1], "weight_decay": 0.0},
        ]

    def batches(self, epoch: int) -> Iterator[PairBatch]:
        """The training pairs in random order, with the step's ladders; the last batch may be smaller."""
        orders = self._orders()
        batches = self.train_pairs.stream(orders)
        if self._ladders is None or not self.recipe.phase(epoch).pcc:
            return batches
        steps = whole_groups(self._ladders.pairs.group, self.recipe.ladders, len(orders))
        pairs_and_ladders = zip(batches, self._ladders.stream(steps), strict=True)
        return (replace(batch, ladders=ladders) for batch, ladders in pairs_and_ladders)

    def loss(self, batch: PairBatch, epoch: int) -> dict[str, Tensor]:
        """The weighted terms of the epoch's phase, and their sum."""
        phase = self.recipe.phase(epoch)
        ladders = batch.ladders if phase.pcc else None
        ref, var, *rungs = in_one_pass(self.model, *_vectors(batch), *(_vectors(ladders) if ladders else ()))
        d = losses.cosine_distance(ref, var)
        terms: dict[str, Tensor] = {}
        if phase.cdd:
            terms["cdd"] = phase.cdd * losses.cdd_loss(d, batch.pathogenic, self.recipe.cdd_margin)
        if phase.pcc:
            terms["pcc"] = phase.pcc * losses.pcc_loss(d, batch.groups)
        if ladders:
            terms["pcc_ladder"] = phase.pcc * losses.pcc_loss(losses.cosine_distance(*rungs), ladders.groups)
        if phase.cd_floor:
            terms["cd_floor"] = phase.cd_floor * losses.cd_floor_loss(d)
        if phase.distil:
            terms["distil"] = phase.distil * self._distillation(batch, ref, var)
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}

    def after_epoch(self, rate: float, weight_decay: float, steps: int) -> None:
        """Let the blocks that no step touches decay as AdamW would have them."""
        self.dormant.decay(rate, weight_decay, steps)

    def validate(self, epoch: int) -> dict[str, float]:
        """The figures and the score on the pairs that choose epochs, and the mean loss of their batches."""
        # The original's validation loss has the phase's PCC weight in v0, and full weight in the others.
        pcc_weight = self.recipe.phase(epoch).pcc if self.recipe.version == "v0" else 1.0

        def loss(d: Tensor, batch: PairBatch) -> Tensor:
            contrast = losses.cdd_loss(d, batch.pathogenic, self.recipe.cdd_margin)
            return contrast + pcc_weight * losses.pcc_loss(d, batch.groups)

        judgement = self.val.judge(self.model, loss)
        return judgement.figures.as_dict() | {"loss": cast("float", judgement.loss)}

    def _orders(self) -> list[Rows]:
        pairs, size = self.train_pairs.pairs, self.recipe.batch_size
        if self.recipe.members == 1:
            return shuffled(len(pairs), size)
        return grouped(pairs.group, pairs.var_len, size, self.recipe.members)

    def _distillation(self, batch: PairBatch, ref: Tensor, var: Tensor) -> Tensor:
        if self.teacher is None:
            raise ValueError("a recipe that distils needs a teacher")
        with torch.no_grad():
            teacher_ref, teacher_var = in_one_pass(self.teacher, *_vectors(batch))
        distil = (
            losses.cosine_distillation_loss if self.recipe.distillation == "cosine" else losses.distillation_loss
        )
        return distil(ref, var, teacher_ref, teacher_var)


def _vectors(batch: PairBatch) -> tuple[Tensor, Tensor]:
    return batch.ref, batch.var
