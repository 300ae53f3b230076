"""The code location that Dagster loads: `dagster dev`, or `-m glm_assets.definitions`."""

from __future__ import annotations

import warnings

import dagster as dg

# Check specs with partitions are marked as preview; the pinned version of dagster runs them as documented.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

from glm_assets.defs.build import build_defs  # noqa: E402 - after the filter, or every step would print the warnings
from glm_assets.defs.executors import chosen_executor  # noqa: E402
from glm_assets.lineage.study import Study  # noqa: E402
from glm_assets.settings import Settings  # noqa: E402
from glm_assets.tracking import open_tracker  # noqa: E402

settings = Settings.from_environment()
tracker = open_tracker(settings.tracking_uri, settings.tracking, settings.outbox)
defs = build_defs(Study(settings), tracker, executor=chosen_executor(settings))
