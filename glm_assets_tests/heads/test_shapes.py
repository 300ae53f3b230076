from __future__ import annotations

import math

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


def test_unknown_keys_are_an_error_that_names_some():
    with pytest.raises(CheckpointError, match=r"layer\.weight"):
        detect_version(["layer.weight", "layer.bias"])


def test_a_missing_tensor_is_named():
    tensors = original_tensors("v1")
    del tensors["head.proj2.linear.weight"]
    with pytest.raises(CheckpointError, match=r"head\.proj2\.linear\.weight"):
        shape_of(tensors)
