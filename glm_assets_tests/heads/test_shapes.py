from __future__ import annotations

import math
from dataclasses import replace

import pytest

from glm_assets.errors import CheckpointError
from glm_assets.heads.shapes import ORIGINAL_SHAPES, VERSIONS, detect_version, shape_of
from glm_assets_tests.heads.original_tensors import original_tensors


def test_golden_lists_have_the_known_totals():
    totals = {
        version: (len(tensors), sum(map(math.prod, tensors.values())))
        for version in VERSIONS
        for tensors in [original_tensors(version)]
    }
    assert totals == {
        "v0": (30, 12_606_464),
        "v1": (44, 71_375_872),
        "v2": (102, 176_311_314),
        "v3": (141, 230_894_618),
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_version_and_shape_are_told_by_the_tensors(version):
    tensors = original_tensors(version)
    assert detect_version(tensors) == version
    assert shape_of(tensors) == ORIGINAL_SHAPES[version]


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
@pytest.mark.parametrize(
    ("gone", "blocks"),
    [
        (("high",), {"high": 0}),
        (("low", "refine"), {"low": 0, "rich": 0}),
        (("high", "low", "refine"), {"high": 0, "low": 0, "rich": 0}),
    ],
)
def test_stages_without_blocks_are_told_too(version, gone, blocks):
    tensors = {key: shape for key, shape in original_tensors(version).items() if key.split(".")[1] not in gone}
    assert shape_of(tensors) == replace(ORIGINAL_SHAPES[version], **blocks)


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_stage_may_have_simple_or_rich_blocks_alone(version):
    shape, tensors = ORIGINAL_SHAPES[version], original_tensors(version)

    def without(lowest: int, highest: int) -> dict[str, tuple[int, ...]]:
        return {
            key: value
            for key, value in tensors.items()
            if not (key.startswith("head.low.") and lowest <= int(key.split(".")[2]) < highest)
        }

    assert shape_of(without(shape.low, 99)) == replace(shape, rich=0)
    assert shape_of(without(0, shape.low)) == replace(shape, low=0)


def test_unknown_keys_are_an_error_that_names_some():
    with pytest.raises(CheckpointError, match=r"layer\.weight"):
        detect_version(["layer.weight", "layer.bias"])


def test_a_missing_tensor_is_named():
    tensors = original_tensors("v1")
    del tensors["head.proj2.linear.weight"]
    with pytest.raises(CheckpointError, match=r"head\.proj2\.linear\.weight"):
        shape_of(tensors)
