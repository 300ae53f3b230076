"""Experiment tracking: the protocol that trainings log through, MLflow, and a tracker that records nothing."""

from glm_assets.tracking.mlflow import MlflowTracker
from glm_assets.tracking.protocol import NullRun, NullTracker, TrackedRun, Tracker

__all__ = ["MlflowTracker", "NullRun", "NullTracker", "TrackedRun", "Tracker"]
