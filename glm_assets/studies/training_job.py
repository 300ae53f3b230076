"""What every process of a study's training is told; JSON carries it to others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class StudyJob:
    """What the trainings of all studies have.

    Attributes:
        key: Digest of everything it is a function of.
        work: Folder for checkpoints, and for what was trained.
        model: The study's `ModelSettings` as JSON.
        training: The study's `TrainingSettings` as JSON.
        seed: Of everything random.
        device: `cpu` or `cuda:N` of a single process.
        cpu_threads: torch threads of a process on a CPU.
    """

    key: str
    work: str
    model: Mapping[str, Any]
    training: Mapping[str, Any]
    seed: int
    device: str
    cpu_threads: int

    @property
    def folder(self) -> Path:
        """The working folder."""
        return Path(self.work)

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON values."""
        return asdict(self)
