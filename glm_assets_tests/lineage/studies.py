"""Studies of test size: about 60 labelled variants on two chromosomes, windows of 128 bases, small heads."""

from __future__ import annotations

from pathlib import Path

import yaml

from glm_assets.lineage.study import Study
from glm_assets.profiles.profile import read_profile
from glm_assets.settings import Settings


def write_tiny_profile(folder: Path, **changes) -> Path:
    """Write the demo profile at test size; `changes` replace whole keys."""
    values = read_profile("demo") | {"name": "tiny", "chromosomes": ["21", "22"]}
    values["windows"] = {"length": 128, "anchor": 64}
    values["encoder"] |= {"shard_rows": 16, "batch_tokens": 4096}
    values["heads"] = {name: {"widths": [16, 24], "epochs": 3, "batch_size": 32} for name in values["heads"]}
    values["submission"] |= {"max_length": 128}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    return path


def tiny_environment(folder: Path, source: Path | str) -> dict[str, str]:
    """The environment variables of a tiny study in `folder/data` that reads the tree at `source`."""
    return {
        "GLM_PROFILE": str(write_tiny_profile(folder)),
        "GLM_DATA_ROOT": str(folder / "data"),
        "GLM_NCBI_URL": str(source),
        "GLM_TEST_CSV": str(Path(source) / "test.csv"),
    }


def tiny_study(folder: Path, source: Path | str, profile: dict | None = None, **settings) -> Study:
    """A tiny study in `folder/data` that reads the tree at `source`."""
    values = {
        "profile": str(write_tiny_profile(folder, **(profile or {}))),
        "data_root": str(folder / "data"),
        "ncbi_url": str(source),
        "test_csv": Path(source) / "test.csv",
    }
    return Study(Settings(**(values | settings)))
