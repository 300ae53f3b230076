"""What the checks of all assets share."""

from typing import Any

import dagster as dg

from glm_assets.defs.partitions import chromosomes


def result(name: str, passed: bool, *, warn: bool = False, **metadata: Any) -> dg.AssetCheckResult:
    """The answer to a check.

    Args:
        name: Of the check.
        passed: Whether it holds.
        warn: Whether a failure only warns.
        metadata: Figures behind it.
    """
    severity = dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=severity, metadata=metadata)


def partitioned(
    asset: str | dg.AssetKey, name: str, description: str, *, blocking: bool = False
) -> dg.AssetCheckSpec:
    """A check that carries the partitions, so that the last chromosome does not hide the others."""
    return dg.AssetCheckSpec(
        name, asset=asset, description=description, blocking=blocking, partitions_def=chromosomes
    )
