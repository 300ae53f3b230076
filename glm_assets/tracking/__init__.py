"""Experiment tracking: the protocols that trainings and users of models see, MLflow, and what records nothing."""

from glm_assets.tracking.mlflow import MlflowTracker
from glm_assets.tracking.models import CHAMPION, ModelCard, ModelVersion, NullRegistry, Registry
from glm_assets.tracking.protocol import NullRun, NullTracker, TrackedRun, Tracker
from glm_assets.tracking.queueing import open_tracker
from glm_assets.tracking.registry import MlflowRegistry

__all__ = [
    "CHAMPION",
    "MlflowRegistry",
    "MlflowTracker",
    "ModelCard",
    "ModelVersion",
    "NullRegistry",
    "NullRun",
    "NullTracker",
    "Registry",
    "TrackedRun",
    "Tracker",
    "open_tracker",
]
