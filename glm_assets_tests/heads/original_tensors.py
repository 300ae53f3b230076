"""Golden lists of the original heads' tensors, written out from the original pipeline: key after `head.`, shape."""

from __future__ import annotations

import re

_TABLES = {
    "v0": """
        compress.0.weight            1024 4096
        compress.0.bias              1024
        compress.1.weight            1024
        compress.1.bias              1024
        refine.{0..5}.net.0.weight   1024 1024
        refine.{0..5}.net.0.bias     1024
        refine.{0..5}.net.1.weight   1024
        refine.{0..5}.net.1.bias     1024
        expand.weight                2048 1024
        expand.bias                  2048
    """,
    "v1": """
        proj1.ln.weight              4096
        proj1.ln.bias                4096
        proj1.linear.weight          3072 4096
        proj1.linear.bias            3072
        proj1.skip.weight            3072 4096
        proj2.ln.weight              3072
        proj2.ln.bias                3072
        proj2.linear.weight          2048 3072
        proj2.linear.bias            2048
        proj2.skip.weight            2048 3072
        refine.{0..7}.ln.weight      2048
        refine.{0..7}.ln.bias        2048
        refine.{0..7}.linear.weight  2048 2048
        refine.{0..7}.linear.bias    2048
        out_ln.weight                2048
        out_ln.bias                  2048
    """,
    "v2": """
        proj1.alpha                  1
        proj1.ln.weight              4096
        proj1.ln.bias                4096
        proj1.linear.weight          3072 4096
        proj1.linear.bias            3072
        proj1.skip.weight            3072 4096
        proj2.alpha                  1
        proj2.ln.weight              3072
        proj2.ln.bias                3072
        proj2.linear.weight          2048 3072
        proj2.linear.bias            2048
        proj2.skip.weight            2048 3072
        high.{0..3}.alpha            1
        high.{0..3}.ln.weight        3072
        high.{0..3}.ln.bias          3072
        high.{0..3}.linear.weight    3072 3072
        high.{0..3}.linear.bias      3072
        low.{0..7}.alpha             1
        low.{0..7}.ln.weight         2048
        low.{0..7}.ln.bias           2048
        low.{0..7}.linear.weight     2048 2048
        low.{0..7}.linear.bias       2048
        low.{8..11}.alpha            1
        low.{8..11}.ln.weight        2048
        low.{8..11}.ln.bias          2048
        low.{8..11}.fc1.weight       4096 2048
        low.{8..11}.fc1.bias         4096
        low.{8..11}.fc2.weight       2048 4096
        low.{8..11}.fc2.bias         2048
        out_ln.weight                2048
        out_ln.bias                  2048
    """,
    "v3": """
        proj1.layerscale             3072
        proj1.alpha                  1
        proj1.norm.scale             4096
        proj1.linear.weight          3072 4096
        proj1.linear.bias            3072
        proj1.skip.weight            3072 4096
        proj2.layerscale             2048
        proj2.alpha                  1
        proj2.norm.scale             3072
        proj2.linear.weight          2048 3072
        proj2.linear.bias            2048
        proj2.skip.weight            2048 3072
        high.{0..7}.layerscale       3072
        high.{0..7}.alpha            1
        high.{0..7}.norm.scale       3072
        high.{0..7}.linear.weight    3072 3072
        high.{0..7}.linear.bias      3072
        low.{0..11}.layerscale       2048
        low.{0..11}.alpha            1
        low.{0..11}.norm.scale       2048
        low.{0..11}.linear.weight    2048 2048
        low.{0..11}.linear.bias      2048
        low.{12..15}.layerscale      2048
        low.{12..15}.alpha           1
        low.{12..15}.norm.scale      2048
        low.{12..15}.fc1.weight      4096 2048
        low.{12..15}.fc1.bias        4096
        low.{12..15}.fc2.weight      2048 4096
        low.{12..15}.fc2.bias        2048
        out_norm.scale               2048
    """,
}


def original_tensors(version: str) -> dict[str, tuple[int, ...]]:
    """State-dict key to shape of one of the original heads."""
    tensors = {}
    for line in _TABLES[version].split("\n"):
        if not line.strip():
            continue
        key, *shape = line.split()
        bounds = re.search(r"\{(\d+)\.\.(\d+)\}", key)
        numbers = range(int(bounds[1]), int(bounds[2]) + 1) if bounds else [0]
        for number in numbers:
            name = key.replace(bounds[0], str(number)) if bounds else key
            tensors[f"head.{name}"] = tuple(map(int, shape))
    return tensors
