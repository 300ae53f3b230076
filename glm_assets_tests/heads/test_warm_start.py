from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from glm_assets.errors import CheckpointError
from glm_assets.heads.networks import Head
from glm_assets.heads.shapes import ORIGINAL_SHAPES
from glm_assets.heads.warm_start import warm_start


def small(version: str, **widths: int) -> Head:
    return Head(replace(ORIGINAL_SHAPES[version], **({"in_dim": 12, "hidden": 10, "out_dim": 6} | widths)))


def marked(head: Head) -> dict[str, torch.Tensor]:
    """Every tensor filled with a number of its own."""
    return {key: torch.full_like(value, 2.0 + i) for i, (key, value) in enumerate(head.state_dict().items())}


def changed(student: Head, before: dict[str, torch.Tensor]) -> set[str]:
    return {key for key, value in student.state_dict().items() if not torch.equal(value, before[key])}


def clone(head: Head) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in head.state_dict().items()}


def test_v2_takes_42_tensors_of_v1():
    student, teacher = small("v2"), marked(small("v1"))
    before = clone(student)
    copied = warm_start(student, teacher)
    expected = {
        f"head.{proj}.{part}"
        for proj in ("proj1", "proj2")
        for part in ("ln.weight", "ln.bias", "linear.weight", "linear.bias", "skip.weight")
    } | {
        f"head.low.{i}.{part}"
        for i in range(8)
        for part in ("ln.weight", "ln.bias", "linear.weight", "linear.bias")
    }
    assert len(copied) == 42
    assert set(copied) == expected == changed(student, before)
    state = student.state_dict()
    assert torch.equal(state["head.low.3.linear.weight"], teacher["head.refine.3.linear.weight"])
    assert torch.equal(state["head.proj1.skip.weight"], teacher["head.proj1.skip.weight"])


def test_v3_takes_30_tensors_of_v2():
    student, teacher = small("v3"), marked(small("v2"))
    before = clone(student)
    copied = warm_start(student, teacher)
    linear = ("linear.weight", "linear.bias")
    expected = (
        {f"head.{proj}.{part}" for proj in ("proj1", "proj2") for part in (*linear, "skip.weight")}
        | {f"head.high.{i}.{part}" for i in range(4) for part in linear}
        | {f"head.low.{i}.{part}" for i in range(8) for part in linear}
    )
    assert len(copied) == 30
    assert set(copied) == expected == changed(student, before)
    assert all(torch.equal(student.state_dict()[key], teacher[key]) for key in copied)


def test_student_starts_as_the_linear_part_of_its_teacher():
    teacher = small("v1")
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.normal_()
    student = small("v2").eval()
    warm_start(student, teacher.state_dict())
    x = torch.randn(3, 12)
    state = teacher.state_dict()
    y = x @ state["head.proj1.skip.weight"].T @ state["head.proj2.skip.weight"].T
    expected = torch.nn.functional.normalize(torch.nn.functional.layer_norm(y, y.shape[-1:]), dim=-1)
    torch.testing.assert_close(student(x), expected)


@pytest.mark.parametrize(
    ("student", "teacher", "message"),
    [
        (small("v2"), small("v0"), "cannot start from a v0"),
        (small("v1"), small("v0"), "no warm start"),
        (small("v2"), small("v1", hidden=8), "hidden 8"),
        (small("v3"), small("v2", out_dim=8), "out_dim 8"),
        (small("v2"), small("v1", low=4), "low 4"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(student, teacher, message):
    with pytest.raises(CheckpointError, match=message):
        warm_start(student, teacher.state_dict())
