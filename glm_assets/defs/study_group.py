"""Assets of one study, made once its partitions are known: its values name them, and tests have values of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from glm_assets.defs.assets.sources import OWNERS
from glm_assets.defs.metadata import materialized, table_metadata
from glm_assets.defs.steps import explained
from glm_assets.defs.tags import GpuWork
from glm_assets.lineage.catalogue import CODE_VERSIONS
from glm_assets.lineage.study import Study
from glm_assets.storage.products import Manifest
from glm_assets.storage.tables import Table

Step = Callable[..., dg.MaterializeResult]


@dataclass(frozen=True)
class Check:
    """A check of an asset; one of a partitioned asset is answered for each partition.

    Attributes:
        name: Of the check.
        description: What must hold.
        blocking: Whether what follows waits for it.
    """

    name: str
    description: str
    blocking: bool = False


class StudyGroup:
    """The assets of a study, which share prefix and group.

    Args:
        prefix: Of their keys, and the name of their group.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._builders: list[Callable[[dg.PartitionsDefinition | None], dg.AssetsDefinition]] = []

    def asset(
        self,
        *upstream: str,
        kinds: set[str],
        table: Table | None = None,
        checks: Sequence[Check] = (),
        gpu: GpuWork | None = None,
        main: Sequence[str] = (),
        partitioned: bool = True,
    ) -> Callable[[Step], Step]:
        """Declare an asset: the decorated function makes it, under its own name.

        Args:
            upstream: Names of the study's assets that it is made from.
            kinds: As the UI shows them.
            table: What it is, if it is a table.
            checks: Answered by its result.
            gpu: What marks it as work for a GPU; None if it is none.
            main: Names of the main study's assets that it is made from.
            partitioned: Whether there is one for each partition.
        """

        def declare(step: Step) -> Step:
            self._builders.append(
                lambda partitions: self._build(
                    step,
                    [*main, *map(self._key, upstream)],
                    kinds,
                    table,
                    checks,
                    gpu,
                    partitions if partitioned else None,
                )
            )
            return step

        return declare

    def build(self, partitions: dg.PartitionsDefinition | None = None) -> list[dg.AssetsDefinition]:
        """The assets.

        Args:
            partitions: Of those that have any; none where the study has none.
        """
        return [builder(partitions) for builder in self._builders]

    def _build(
        self,
        step: Step,
        deps: Sequence[str | dg.AssetKey],
        kinds: set[str],
        table: Table | None,
        checks: Sequence[Check],
        gpu: GpuWork | None,
        partitions: dg.PartitionsDefinition | None,
    ) -> dg.AssetsDefinition:
        key = self._key(step.__name__)
        work: dict[str, Any] = {**gpu} if gpu else {}
        return dg.asset(
            key=key,
            group_name=self.prefix,
            partitions_def=partitions,
            deps=deps,
            kinds=kinds,
            owners=OWNERS,
            code_version=CODE_VERSIONS[key.to_user_string()],
            metadata=table_metadata(table) if table else None,
            check_specs=[
                dg.AssetCheckSpec(
                    check.name,
                    asset=key,
                    description=check.description,
                    blocking=check.blocking,
                    partitions_def=partitions,
                )
                for check in checks
            ],
            **work,
        )(explained(step))

    def _key(self, name: str) -> dg.AssetKey:
        return dg.AssetKey([self.prefix, name])


def finished(
    main: Study, manifest: Manifest, folder: Path, checks: Sequence[dg.AssetCheckResult] = ()
) -> dg.MaterializeResult:
    """Let the warehouse see a study's product, and report it to Dagster.

    Args:
        main: The main study.
        manifest: The product's.
        folder: Where it lies on this machine.
        checks: Answers to its checks.
    """
    main.refresh_warehouse()
    links = {"mlflow": manifest.facts["mlflow_url"]} if manifest.facts.get("mlflow_url") else {}
    return materialized(manifest, folder, checks=checks, links=links)
