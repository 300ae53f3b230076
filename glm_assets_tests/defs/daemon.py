"""What Dagster's daemon does with sensors, without one."""

from __future__ import annotations

from dataclasses import dataclass, field

import dagster as dg

from glm_assets.defs.build import build_defs
from glm_assets.lineage.study import Study
from glm_assets.tracking import NullTracker


@dataclass
class Daemon:
    """What Dagster's daemon does with sensors: keeps cursors, and launches no run key of a sensor twice."""

    instance: dg.DagsterInstance
    cursors: dict[str, str | None] = field(default_factory=dict)
    run_keys: set[tuple[str, str]] = field(default_factory=set)

    def tick(self, study: Study, sensor: str):
        """Evaluate a sensor of a freshly loaded code location."""
        defs = build_defs(study, NullTracker(), executor=dg.in_process_executor)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor),
            definitions=defs,
            resources={"study": study},
        )
        result = defs.resolve_sensor_def(sensor).evaluate_tick(context)
        self.cursors[sensor] = result.cursor
        return result

    def work(self, study: Study, sensor: str) -> list[str]:
        """Evaluate a sensor, run what it asks for and return the run keys."""
        launched = []
        for request in self.tick(study, sensor).run_requests:
            if (sensor, request.run_key) in self.run_keys:
                continue
            self.run_keys.add((sensor, request.run_key))
            launched.append(request.run_key)
            defs = build_defs(study, NullTracker(), executor=dg.in_process_executor)
            job = defs.resolve_job_def(sensor.removesuffix("_sensor").replace("clinvar_release", "sources"))
            assert job.execute_in_process(partition_key=request.partition_key, instance=self.instance).success
        return launched
