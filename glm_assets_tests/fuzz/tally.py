"""Counts cases, because one example of hypothesis holds many of them."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings

WANTED = 10_000

SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def examples(count: int) -> settings:
    """Settings of a test with `count` examples, the same ones every time, and no limit of time for one."""
    return settings(
        max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=SLOW_IS_FINE
    )


class Tally(Counter[str]):
    """How many cases there were, by what became of them."""

    def require(self, *outcomes: str) -> None:
        """Assert that there were enough cases, and some of each outcome: else the inputs are all of one kind."""
        assert self["cases"] >= WANTED, dict(self)
        assert all(self[outcome] for outcome in outcomes), dict(self)
