"""Figures of bits per base: every predictor and every token is in them, and the axes name what is drawn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from matplotlib.container import ErrorbarContainer

from glm_assets.evaluation.language_figures import plot_bits_by_context, plot_bits_per_base


def test_each_group_of_places_is_drawn_at_its_first_and_named():
    bits = np.linspace(2, 1, 64)
    (axes,) = plot_bits_by_context({"cress": {"model": bits, "model_without_memory": bits + 0.1}}).axes
    model, without = axes.lines
    starts = np.asarray(model.get_xdata())
    assert [int(tick.get_text()) for tick in axes.get_xticklabels()] == starts.tolist() == list(axes.get_xticks())
    assert starts[0] == 1
    # Groups have every place once: their means, by size, are the mean of all.
    sizes = np.diff([*starts, 65])
    assert np.average(np.asarray(model.get_ydata()), weights=sizes) == pytest.approx(bits.mean())
    assert np.asarray(without.get_ydata()) == pytest.approx(np.asarray(model.get_ydata()) + 0.1)


def test_every_predictor_stands_at_each_species_with_its_interval():
    rows = [
        (species, name, value, None if species == "maize" else value - 0.1, value + 0.2)
        for species in ("cress", "maize")
        for name, value in (("model", 1.5), ("markov_2", 1.9))
    ]
    table = pl.DataFrame(rows, ["species", "predictor", "value", "low", "high"], orient="row")
    (axes,) = plot_bits_per_base(table).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["cress", "maize"]
    for container, value in zip(axes.containers, (1.5, 1.9), strict=True):
        assert isinstance(container, ErrorbarContainer)
        line, _, (bars,) = container.lines
        assert np.asarray(line.get_ydata()) == pytest.approx([value, value])
        assert np.round(np.asarray(line.get_xdata())).tolist() == [0, 1]
        (_, low), (_, high) = bars.get_segments()[0]
        assert (low, high) == pytest.approx((value - 0.1, value + 0.2))
    # No interval is no bar down to nothing.
    assert axes.get_ylim()[0] > 1
