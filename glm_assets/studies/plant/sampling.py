"""Which species each training window is of: by weights that fall when drawn, as the original, or in exact proportion.

Every process makes the same plan from the seed alone, so that no checkpoint has to keep it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_assets.errors import SettingsError
from glm_assets.language.window_order import WindowOrder
from glm_assets.studies.plant.configuration import TrainingSettings

Numbers = NDArray[np.int64]


def draw_with_decay(
    initial: NDArray[np.float64],
    current: NDArray[np.float64],
    draws: NDArray[np.float64],
    *,
    decay: float,
    reset_below: float,
) -> tuple[Numbers, NDArray[np.float64]]:
    """Draw species in proportion to weights, the drawn one's falling each time.

    Args:
        initial: (s,) the weights at first, and again as soon as any is below `reset_below`.
        current: (s,) the weights now.
        draws: (n,) uniform in [0, 1).
        decay: What a drawn species' weight is multiplied by.
        reset_below: Where all weights are reset.

    Returns:
        (n,) species and (s,) the weights afterwards.
    """
    weights, first = current.tolist(), initial.tolist()
    chosen = np.empty(len(draws), np.int64)
    for place, draw in enumerate(draws.tolist()):
        left = draw * sum(weights)
        species = 0
        while left >= weights[species] and species < len(weights) - 1:
            left -= weights[species]
            species += 1
        chosen[place] = species
        weights[species] *= decay
        if weights[species] < reset_below:
            weights = list(first)
    return chosen, np.array(weights)


def draw_in_proportion(weights: NDArray[np.float64], count: int, generator: np.random.Generator) -> Numbers:
    """Draw species so that each comes as often as its weight says, but for less than one window, in random order.

    Args:
        weights: (s,).
        count: n.
        generator: Draws the offset of the n evenly spaced points that are dealt to the weights, and their order.

    Returns:
        (n,) species.
    """
    shares = np.cumsum(weights) / weights.sum()
    points = (np.arange(count) + generator.random()) / max(count, 1)
    chosen = np.minimum(np.searchsorted(shares, points, side="right"), len(weights) - 1)
    return generator.permutation(chosen).astype(np.int64)


@dataclass(frozen=True)
class Draws:
    """The training windows of an epoch, in order.

    Attributes:
        species: (n,) number of each window's species.
        windows: (n,) number of each within its species.
    """

    species: Numbers
    windows: Numbers


class SpeciesPlan:
    """The windows of a training, epoch by epoch.

    An epoch takes up where the one before it ended, weights and windows alike: no window of a species comes again
    before all of them have been drawn.

    Args:
        weights: By species, in the order of their numbers.
        windows: (s,) how many windows each has.
        settings: The rule.
        per_epoch: Windows of an epoch.
        seed: Of everything that is drawn.

    Raises:
        SettingsError: A weight is below the one where all are reset, so that no weight would ever fall.
    """

    def __init__(
        self,
        weights: Mapping[str, float],
        windows: list[int],
        settings: TrainingSettings,
        *,
        per_epoch: int,
        seed: int,
    ) -> None:
        if settings.sampling == "decay":
            _require_room(weights, settings.reset_below)
        self._initial = np.array(list(weights.values()), np.float64)
        self._settings, self._per_epoch, self._seed = settings, per_epoch, seed
        self._orders = [WindowOrder(count, seed, species) for species, count in enumerate(windows)]
        self._begin()

    def epoch(self, epoch: int) -> Draws:
        """The windows of an epoch, counted from 1; those before it are drawn first if they were not."""
        if epoch <= self._epoch:
            self._begin()
        while True:
            species = self._next_species()
            before = self._drawn
            self._drawn = before + np.bincount(species, minlength=len(self._initial))
            if self._epoch == epoch:
                return Draws(species, self._windows_of(species, before))

    def _begin(self) -> None:
        self._epoch, self._current = 0, self._initial
        self._drawn = np.zeros(len(self._initial), np.int64)

    def _next_species(self) -> Numbers:
        self._epoch += 1
        generator = np.random.default_rng([self._seed, self._epoch])
        if self._settings.sampling == "exact":
            return draw_in_proportion(self._initial, self._per_epoch, generator)
        chosen, self._current = draw_with_decay(
            self._initial,
            self._current,
            generator.random(self._per_epoch),
            decay=self._settings.decay,
            reset_below=self._settings.reset_below,
        )
        return chosen

    def _windows_of(self, species: Numbers, before: Numbers) -> Numbers:
        windows = np.empty_like(species)
        for number, order in enumerate(self._orders):
            places = np.flatnonzero(species == number)
            windows[places] = order.rows(int(before[number]), len(places))
        return windows


def _require_room(weights: Mapping[str, float], reset_below: float) -> None:
    low = [name for name, weight in weights.items() if weight < reset_below]
    if low:
        raise SettingsError(
            f"the weight of {low[0]} is {weights[low[0]]}, and training.reset_below {reset_below}: all weights would be"
            " reset at each draw",
            expected="weights that are larger",
            fix="raise the species' weights, lower reset_below, or set training.sampling to exact",
        )
