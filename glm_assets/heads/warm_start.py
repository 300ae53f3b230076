"""Warm starts: which tensors a student takes over from its teacher before training, as in the original pipeline.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from glm_assets.errors import CheckpointError
from glm_assets.heads.networks import Head
from glm_assets.heads.shapes import HeadShape, Version, shape_of

_TEACHERS: dict[Version, Version] = {"v2": "v1", "v3": "v2"}


def warm_start(student: Head, teacher: Mapping[str, Tensor]) -> list[str]:
    """Copy the teacher's tensors that the student takes over.

    v2 takes v1's projections and its blocks (`refine.i` becomes `low.i`), not the last norm. v3 takes from v2 only
    tensors named `linear` or `skip` whose shape fits; norms, gates, layer scales and rich blocks start fresh.

    Args:
        student: A fresh v2 or v3; changed in place.
        teacher: State dict of a v1 or v2.

    Returns:
        The student's keys that were copied.

    Raises:
        CheckpointError: The teacher is of the wrong version, or its widths do not fit.
    """
    _require_fit(student.shape, shape_of({key: tuple(tensor.shape) for key, tensor in teacher.items()}))
    own = student.state_dict()
    taken = _from_v1(teacher) if student.shape.version == "v2" else _from_v2(teacher, own)
    with torch.no_grad():
        for key, tensor in taken.items():
            own[key].copy_(tensor)
    return list(taken)


def _require_fit(student: HeadShape, teacher: HeadShape) -> None:
    expected = _TEACHERS.get(student.version)
    if teacher.version != expected:
        raise CheckpointError(
            f"head {student.version} cannot start from a {teacher.version}",
            expected=expected or "no warm start at all",
        )
    fitting = ["in_dim", "hidden", "out_dim"] + (["low"] if expected == "v1" else [])
    for name in fitting:
        if getattr(teacher, name) != getattr(student, name):
            raise CheckpointError(
                f"teacher {teacher.version} has {name} {getattr(teacher, name)}",
                expected=f"{getattr(student, name)}, as in {student.version}",
                fix="give both heads the same widths and train the teacher again",
            )


def _from_v1(teacher: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.replace("head.refine.", "head.low."): tensor
        for key, tensor in teacher.items()
        if not key.startswith("head.out_ln.")
    }


def _from_v2(teacher: Mapping[str, Tensor], student: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        key: tensor
        for key, tensor in teacher.items()
        if ("linear" in key or "skip" in key) and key in student and student[key].shape == tensor.shape
    }
