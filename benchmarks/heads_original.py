"""How the original pipeline (GitHub Shim-Min-Kyoung/Dacon-2-Medical-AI-MAI-) trains a head, written plainly anew.

`heads.py` measures ours against it: the loss that loops over a batch's groups, the archive whose rows are put together
one by one, and the step that computes every block.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from glm_assets.heads.networks import Head

CDD_MARGIN, RANK_MARGIN, CD_FLOOR, STD_EPS = 2.0, 0.02, 0.2, 1e-6

Row = tuple[NDArray[np.float16], NDArray[np.float16], int, int, int]
Batch = tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def cosine_distance(ref: Tensor, var: Tensor) -> Tensor:
    """Of unit vectors (n, dim)."""
    return 1 - (ref * var).sum(-1)


def losses(d: Tensor, label: Tensor, group: Tensor, length: Tensor) -> Tensor:
    """Sum of the CDD, PCC and CD floor terms of distances (n,)."""
    return contrast_loss(d, label) + group_loss(d, group, length) + functional.relu(CD_FLOOR - d.mean())


def contrast_loss(d: Tensor, label: Tensor) -> Tensor:
    """The hinge on the difference of the classes' mean distances."""
    benign, pathogenic = d[label == 0], d[label == 1]
    if not len(benign) or not len(pathogenic):
        return d.new_zeros(())
    return functional.relu(CDD_MARGIN + benign.mean() - pathogenic.mean())


def group_loss(d: Tensor, group: Tensor, length: Tensor) -> Tensor:
    """The PCC term: one group after the other, each asked for its rows."""
    terms, sizes = [], []
    for number in torch.unique(group):
        rows = (group == number).nonzero().flatten()
        if len(rows) >= 2:
            terms.append(_terms_of(d[rows], length[rows]))
            sizes.append(float(len(rows)))
    if not terms:
        return d.new_zeros(())
    weights = torch.tensor(sizes, device=d.device)
    return (weights / weights.sum() * torch.stack(terms)).sum()


def _terms_of(d: Tensor, length: Tensor) -> Tensor:
    loss = d.new_zeros(())
    if length.std() > 0 and d.std() > 0:
        loss = loss + (_standardised(length) - _standardised(d)).square().mean()
    order = torch.argsort(length, stable=True)  # unstable in the original, which leaves ties to chance
    length, d = length[order], d[order]
    loss = loss + functional.relu(d[:-1] - d[1:] + RANK_MARGIN).mean()
    longer = length[None, :] - length[:, None] > 0
    if longer.any():
        loss = loss + functional.relu(RANK_MARGIN - (d[None, :] - d[:, None])[longer]).mean()
    return loss


def _standardised(values: Tensor) -> Tensor:
    return (values - values.mean()) / (values.std() + STD_EPS)


class Archive(Dataset[Row]):
    """The rows of one split of a compressed archive, in memory; for each split all arrays are read anew."""

    def __init__(self, path: Path, split: int) -> None:
        arrays = np.load(path)
        mask = arrays["split"] == split
        self.ref, self.var = arrays["ref_emb"][mask], arrays["var_emb"][mask]
        self.label, self.group, self.length = (arrays[name][mask] for name in ("label", "group", "var_len"))

    def __len__(self) -> int:
        """Rows."""
        return len(self.label)

    def __getitem__(self, row: int) -> Row:
        """A row's vectors (dim,), label, group and length."""
        return self.ref[row], self.var[row], int(self.label[row]), int(self.group[row]), int(self.length[row])


def batches(archive: Archive, size: int, device: torch.device, *, shuffle: bool) -> Iterator[tuple[Tensor, ...]]:
    """A split's rows as tensors on a device: vectors in float32, label, group, length."""
    for ref, var, label, group, length in DataLoader(archive, size, shuffle=shuffle, collate_fn=_stacked):
        vectors = (torch.tensor(part, dtype=torch.float32, device=device) for part in (ref, var))
        yield (
            *vectors,
            torch.tensor(label, device=device),
            torch.tensor(group, device=device),
            torch.tensor(length, dtype=torch.float32, device=device),
        )


def _stacked(rows: list[Row]) -> Batch:
    ref, var, label, group, length = zip(*rows, strict=True)
    return np.stack(ref), np.stack(var), np.array(label), np.array(group), np.array(length)


def step(head: Head, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, ...]) -> None:
    """One step of training: references, then variants, through every block; losses; clipping; AdamW."""
    ref, var, label, group, length = batch
    loss = losses(cosine_distance(head(ref), head(var)), label, group, length)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
    optimizer.step()
