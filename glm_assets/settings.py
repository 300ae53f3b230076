"""Settings: the only reader of the environment (`GLM_*`, `MLFLOW_TRACKING_URI` and `RAY_ADDRESS`)."""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from glm_assets.encoders.huggingface import encoder as huggingface
from glm_assets.encoders.registry import is_described_by_files
from glm_assets.errors import SettingsError, StorageError
from glm_assets.profiles.profile import DEMO_TREE, Profile, build_profile, describe, parse_date, read_profile
from glm_assets.storage.addresses import is_address
from glm_assets.storage.limits import GB, LIMITS
from glm_assets.storage.remote_root import check_root_address
from glm_assets.tracking.outbox import OUTBOX

_PREFIX = "GLM_"


class Settings(BaseSettings):
    """What the environment says; each field is the variable of the same name with the prefix `GLM_`."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, populate_by_name=True)

    profile: str = Field(default="demo", description="demo, full, faithful, or the path of a YAML file")
    data_root: str = Field(
        default="data", description="folder or URL (s3://bucket/folder) where everything is kept"
    )
    embeddings_url: str | None = Field(
        default=None,
        description="folder or URL where vectors are kept; several data roots may share it; "
        "default: embeddings in the data root",
    )
    ncbi_url: str | None = Field(
        default=None, description="base of an NCBI-like tree: https://, file:// or a folder"
    )
    clinvar_cutoff: str | None = Field(default=None, description="newest release to use; empty for no limit")
    chromosomes: str | None = Field(default=None, description="comma list")
    test_csv: Path | None = Field(default=None, description="CSV with ID and seq")
    user_vcf: Path | None = Field(default=None, description="VCF whose variants are scored")
    region: str | None = Field(
        default=None, description="CHROM:START-END (1-based, inclusive) whose every SNV is scored"
    )
    experiment: Path | None = Field(default=None, description="table with chrom, pos, ref, alt, score, class")
    predictors: str | None = Field(
        default=None, description="tables of other scores, NAME=PATH[:COLUMN][:-], separated by commas"
    )
    impact: str | None = Field(
        default=None, description="the study impact: demo, full, faithful, or the path of a YAML file"
    )
    metagenome: str | None = Field(
        default=None, description="the study metagenome: demo, full, faithful, or the path of a YAML file"
    )
    sugarcane: str | None = Field(
        default=None, description="the study sugarcane: demo, full, faithful, or the path of a YAML file"
    )
    plant: str | None = Field(
        default=None, description="the study plant: demo, full, faithful, or the path of a YAML file"
    )
    encoder: str | None = Field(default=None, description="a name from the encoder registry")
    checkpoint: Path | None = Field(default=None, description="local weights file of the encoder")
    device: str = Field(default="auto", description="auto, cpu or cuda:N")
    offline: bool = Field(default=False, description="refuse any download")
    max_gb: float = Field(
        default=64, gt=0, description="largest download, and largest file after decompression, in GB"
    )
    cpu_threads: int = Field(default=1, ge=1, description="torch threads of a step on a CPU")
    local_dir: Path = Field(default=Path(".glm"), description="local scratch")
    engine: Literal["local", "workers", "pipes", "ray"] = Field(
        default="local", description="where vectors are computed: local, workers, pipes or ray"
    )
    workers: int | None = Field(default=None, ge=1, description="how many workers; default: one a GPU")
    worker_command: str | None = Field(
        default=None, description="what starts a worker, with {job} in it; default: a process here"
    )
    executor: Literal["processes", "ray", "k8s"] = Field(
        default="processes", description="where steps run: processes here, jobs of a Ray cluster, or pods (k8s)"
    )
    step_cpus: float = Field(default=1.0, gt=0, description="CPUs that a step asks of a Ray cluster")
    gpu_pod: dict[str, Any] | None = Field(
        default=None, description="a dagster-k8s/config as JSON: what the pods of GPU steps have besides"
    )
    ray_address: str | None = Field(default=None, validation_alias="RAY_ADDRESS")
    tracking: Literal["queue", "require"] = Field(
        default="queue",
        description="while MLflow cannot be reached: queue what is recorded for later, or require it and train nothing",
    )
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda:\d+", value):
            raise ValueError("allowed: auto, cpu or cuda:N")
        return value

    @field_validator("clinvar_cutoff")
    @classmethod
    def _cutoff(cls, value: str | None) -> str | None:
        if value:
            parse_date(value)
        return value

    @field_validator("data_root")
    @classmethod
    def _place(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("allowed: a folder, a URL, or the variable unset for `data`")
        if is_address(value):
            try:
                check_root_address(value)
            except StorageError as error:
                raise ValueError(str(error)) from error
        return value

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment.

        Raises:
            SettingsError: Naming an unknown `GLM_` variable or a bad value, and what is allowed.
        """
        allowed = [name for name, field in cls.model_fields.items() if not field.validation_alias]
        for variable in os.environ:
            if variable.startswith(_PREFIX) and variable.removeprefix(_PREFIX).lower() not in allowed:
                names = ", ".join(_PREFIX + name.upper() for name in allowed)
                raise SettingsError(f"unknown environment variable {variable}", expected=f"one of {names}")
        try:
            settings = cls()
        except ValidationError as error:
            # The values stay out of the message and its cause: they may hold passwords.
            raise SettingsError(f"environment (prefix {_PREFIX}): {describe(error, cls)}") from None
        LIMITS.max_bytes = int(settings.max_gb * GB)
        return settings

    @cached_property
    def root(self) -> Path:
        """The data root as an absolute path; of one at a URL this machine's working copy, in `local_dir`."""
        if self.remote_root is None:
            return Path(self.data_root).expanduser().resolve()
        name = hashlib.sha256(self.remote_root.encode()).hexdigest()[:16]
        return self.local_dir.expanduser().resolve() / "roots" / name

    @property
    def remote_root(self) -> str | None:
        """The data root's URL; None of a folder."""
        return self.data_root.rstrip("/") if is_address(self.data_root) else None

    @cached_property
    def run_profile(self) -> Profile:
        """The profile with the environment's overrides applied."""
        values: dict[str, Any] = read_profile(self.profile)
        url = self.ncbi_url or values.get("ncbi_url")
        if url and isinstance(url, str):
            values["ncbi_url"] = _absolute(url)
        if self.clinvar_cutoff is not None:
            values["clinvar_cutoff"] = self.clinvar_cutoff or None
        if self.chromosomes:
            values["chromosomes"] = [name.strip() for name in self.chromosomes.split(",") if name.strip()]
        if self.encoder and isinstance(values.get("encoder"), dict):
            values["encoder"] |= self._other_encoder(values["encoder"].get("name"))
        return build_profile(values, f"profile {self.profile!r}")

    def _other_encoder(self, profiled: Any) -> dict[str, Any]:
        """What naming another encoder changes in a profile: what the profile pins belongs to its own."""
        name = str(self.encoder)
        if is_described_by_files(name):
            return {"name": name} | huggingface.PROFILE_VALUES
        return {"name": name} if name == profiled else {"name": name, "revision": "main", "sha256": None}

    @cached_property
    def source_url(self) -> str:
        """Base of the NCBI-like tree; the demo's lies under the data root."""
        url = self.run_profile.ncbi_url
        return str(self.demo_tree) if url == DEMO_TREE else url

    @property
    def uses_demo_tree(self) -> bool:
        """Whether the sources are the generated tree."""
        return self.run_profile.ncbi_url == DEMO_TREE

    @property
    def demo_tree(self) -> Path:
        """Where the generated tree lies."""
        return self.root / "demo_tree"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables by which a process elsewhere sees the same; its Ray cluster is its own."""
        given = {name: getattr(self, name) for name in sorted(self.model_fields_set - {"ray_address"})}
        return {
            self._variable(name): json.dumps(value) if isinstance(value, dict) else str(value)
            for name, value in given.items()
            if value is not None
        }

    @property
    def absent_variables(self) -> list[str]:
        """The environment variables without which alone a process elsewhere sees the same."""
        names = {self._variable(name) for name in type(self).model_fields if name != "ray_address"}
        return sorted(names - set(self.variables))

    @classmethod
    def _variable(cls, name: str) -> str:
        return str(cls.model_fields[name].validation_alias or _PREFIX + name.upper())

    @property
    def outbox(self) -> Path:
        """Where what MLflow could not take waits."""
        return self.root / OUTBOX

    @property
    def tracking_uri(self) -> str:
        """MLflow's tracking URI; a database under the data root unless the environment names another."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.root / 'mlflow' / 'mlflow.db'}"


def _absolute(url: str) -> str:
    """An address as it is, a folder as an absolute path: a data root must find its source from anywhere."""
    return url if "://" in url or url == DEMO_TREE else str(Path(url).expanduser().resolve())
