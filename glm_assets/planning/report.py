"""A plan as text."""

from __future__ import annotations

from glm_assets.planning.plan import Plan
from glm_assets.planning.staleness import Finding
from glm_assets.planning.windows import Work


def plan_text(plan: Plan) -> str:
    """A table of what is to be made, with equal partitions in one line, and what that takes."""
    works = {(work.asset, work.partition): (work, cost) for work, cost in plan.works}
    lines = []
    for group in _groups(plan):
        found = [works[key] for finding in group if (key := (finding.asset, finding.partition)) in works]
        hours = [cost.gpu_hours for _, cost in found]
        lines.append(
            (
                _name(group),
                group[0].state,
                _windows([work for work, _ in found]),
                _hours(None if None in hours else sum(filter(None, hours))) if found else "",
                group[0].reason,
            )
        )
    rows = [("asset", "state", "windows", "GPU hours", "why"), *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = ["  ".join([*map(str.ljust, row[:4], widths), row[4]]).rstrip() for row in rows]
    return "\n".join([*table, "", *_totals(plan), *(f"- {note}" for note in plan.notes)]) + "\n"


def _groups(plan: Plan) -> list[list[Finding]]:
    """Findings side by side; partitions of an asset that stand alike together."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in plan.findings:
        groups.setdefault((finding.asset, finding.state, finding.reason), []).append(finding)
    return list(groups.values())


def _name(group: list[Finding]) -> str:
    partitions = [finding.partition for finding in group if finding.partition]
    if not partitions:
        return group[0].asset
    shown = ",".join(partitions) if len(partitions) <= 6 else f"{len(partitions)} chromosomes"
    return f"{group[0].asset} [{shown}]"


def _windows(works: list[Work]) -> str:
    if not works:
        return ""
    about = "" if all(work.exact for work in works) else "~"
    return f"{about}{sum(work.windows for work in works):,}"


def _totals(plan: Plan) -> list[str]:
    count = sum(finding.to_make for finding in plan.findings)
    if not count:
        return ["Everything is up to date."]
    cost = plan.cost
    exact = all(work.exact for work, _ in plan.works)
    lines = [f"{count} of {len(plan.findings)} products to make"]
    if plan.works:
        cards = f"{plan.gpus} x {plan.throughput.name}"
        about = "" if exact else "~"
        lines.append(f"windows    {about}{cost.windows:,}")
        hours = f"{_hours(cost.gpu_hours)} ({_hours(cost.head_hours)} of it training)"
        lines.append(f"GPU hours  {hours}, {_hours(cost.hours)} hours by the clock on {cards}")
    if plan.price_per_hour is not None:
        money = "unknown" if plan.money is None else f"{plan.money:,.2f}"
        lines.append(f"price      {money} at {plan.price_per_hour:g} an hour")
    free = ", ".join(
        f"{_size(size)} free for {name.replace('_', ' ')}" for name, size in plan.free.items() if size
    )
    warning = "" if _fits(plan) else "  NOT ENOUGH"
    lines.append(f"disk       {_size(cost.disk_bytes)} to be used, {free}{warning}")
    return lines


def _fits(plan: Plan) -> bool:
    return all(plan.cost.disk_bytes < size for size in plan.free.values() if size is not None)


def _hours(hours: float | None) -> str:
    if hours is None:
        return "unknown"
    if 0 < hours < 0.01:
        return "<0.01"
    return f"{hours:.1f}" if hours >= 10 or not hours else f"{hours:.2g}"


def _size(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
